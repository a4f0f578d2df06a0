"""The listener, told as stories against a scripted platform and a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from services.contracts.events import Notice, Notification, Origin
from services.contracts.topics import NOTICES, NOTIFICATIONS
from services.ingest.collector import Collector, CollectReason
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Parsed
from services.ingest.listener import SWEEP_EVERY, Listener
from services.ingest.metrics import Metrics
from services.ingest.sources.mastodon import MastodonReplay, parse_event
from services.ingest.sources.pulled import Event, Page, PullReason
from services.ingest.store.event_store import Feed, MemoryEventStore
from services.ingest.store.leases import Account, MemoryLeases
from services.ingest.tenure import ASK_EVERY, TERM
from services.runtime.backoff import Backoff
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from services.runtime.producer import MemoryProducer
from tests.ingest.brand import NOW, payload, sources

SOURCE = sources()["mastodon"]
assert isinstance(SOURCE, MastodonReplay)
AIR = SOURCE.accounts["109"]
SECOND = SOURCE.accounts["110@second.example"]
NOTIFICATIONS_FEED = Feed("mastodon", "109", "notifications")


def mention(number: int) -> Event:
    """A person's question; `number` is the id of the status and of the notification."""
    read: dict[str, Any] = orjson.loads(payload("mastodon", "mention"))["payload"]
    told = {**read, "id": str(number), "status": {**read["status"], "id": str(number)}}
    return Event("notification", told, orjson.dumps(told))


class ScriptedSource:
    """A platform of which the test says what happens. Pages hold two."""

    name = "mastodon"
    account = AIR
    feeds = ("statuses", "notifications")
    backfill_limit = 6

    def __init__(self) -> None:
        self.notifications: list[Event] = []
        self.asked: list[str] = []
        self.refusal: Exception | None = None
        self.pages_wait: asyncio.Event | None = None
        self._frames: asyncio.Queue[Event | None] = asyncio.Queue()

    def happens(self, event: Event, *, streamed: bool = True) -> None:
        if event.name == "notification":
            self.notifications.append(event)
        if streamed:
            self._frames.put_nowait(event)

    def hang_up(self) -> None:
        self._frames.put_nowait(None)

    async def identify(self) -> None:
        if self.refusal:
            raise self.refusal

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[AsyncIterator[Event]]:
        self.asked.append("stream")
        yield self._events()

    async def _events(self) -> AsyncIterator[Event]:
        while (event := await self._frames.get()) is not None:
            yield event
        raise Transient(PullReason.disconnected)

    async def page(self, feed: str, after: str | None) -> Page:
        self.asked.append(feed)
        if self.pages_wait is not None:
            await self.pages_wait.wait()
        if feed == "statuses":
            return Page([], None, b"[]")
        after_it = [one for one in self.notifications if int(one.payload["id"]) > int(after or 0)]
        found = after_it[-2:] if after is None else after_it[:2]
        return Page(found, found[-1].payload["id"] if found else None, b"[]")

    async def parse(self, event: Event, receipt: Receipt) -> Parsed:
        return parse_event(event.name, event.payload, AIR, receipt)

    def asks_to_refetch(self, event: Event) -> bool:
        return event.name == "notifications_merged"

    async def close(self) -> None:
        self.asked.append("close")


class World:
    """The listener with everything around it in memory."""

    def __init__(self) -> None:
        self.platform = ScriptedSource()
        self.producer, self.store = MemoryProducer(), MemoryEventStore()
        self.clock = ManualClock(NOW)
        self.metrics = Metrics(CollectorRegistry())
        self._collector = Collector(self.producer, self.store, self.metrics, self.clock)
        self.leases = MemoryLeases(self.clock)
        self.listener = self.listens_to(self.platform)
        self._tasks: list[asyncio.Task[None]] = []

    def listens_to(self, platform: ScriptedSource) -> Listener:
        return Listener(
            platform, self._collector, self.store, self.producer, self.metrics, self.clock,
            leases=self.leases, backoff=Backoff(initial=1.0, cap=10.0),
        )  # fmt: skip

    async def starts(self, *others: Listener) -> None:
        for listener in (self.listener, *others):
            self._tasks.append(asyncio.create_task(listener.run()))
        await self.settles()

    async def stops(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settles(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    async def passes(self, seconds: float) -> None:
        await self.clock.forward(seconds)
        await self.settles()

    @property
    def heard(self) -> list[tuple[str, Origin, bool]]:
        read = [
            Notification.model_validate_json(one.value or b"")
            for one in self.producer.on(NOTIFICATIONS.name)
        ]
        return [(one.item_id.rsplit(":", 1)[1], one.origin, one.may_page) for one in read]

    @property
    def cursor(self) -> str | None:
        return self.store.cursors.get(NOTIFICATIONS_FEED, (None, 0))[0]

    @property
    def told(self) -> list[str]:
        notices = self.producer.on(NOTICES.name)
        return [Notice.model_validate_json(one.value or b"").kind.value for one in notices]


class SecondAccount(ScriptedSource):
    """The same platform's other account."""

    account = SECOND


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.stops()


async def test_the_first_connection_is_history_and_what_follows_is_live(world: World) -> None:
    world.platform.happens(mention(1), streamed=False)
    await world.starts()
    world.platform.happens(mention(2))
    await world.settles()
    assert world.heard == [("1", Origin.backfill, False), ("2", Origin.live, True)]
    assert world.told == ["caught_up"]


async def test_the_stream_is_open_before_the_gap_is_read_and_own_items_come_first(
    world: World,
) -> None:
    await world.store.move_cursor(NOTIFICATIONS_FEED, "1")
    await world.store.move_cursor(Feed("mastodon", "109", "statuses"), "1")
    await world.starts()
    assert world.platform.asked[:3] == ["stream", "statuses", "notifications"]


async def test_what_both_the_stream_and_the_page_bring_is_one_event(world: World) -> None:
    await world.starts()
    world.platform.happens(mention(5))
    await world.settles()
    assert world.cursor == "", "the stream moves no cursor"
    await world.passes(SWEEP_EVERY + 1)
    assert world.cursor == "5"
    assert world.heard == [("5", Origin.live, True)]


async def test_what_the_stream_lost_is_found_by_the_next_sweep(world: World) -> None:
    await world.starts()
    world.platform.happens(mention(6), streamed=False)
    await world.settles()
    assert world.heard == []
    await world.passes(SWEEP_EVERY + 1)
    assert world.heard == [("6", Origin.backfill, True)]


async def test_a_gap_is_read_to_its_end_page_by_page(world: World) -> None:
    await world.starts()
    world.platform.hang_up()
    await world.settles()
    for number in range(10, 15):
        world.platform.happens(mention(number), streamed=False)
    await world.passes(2.0)
    assert [item for item, _, _ in world.heard] == ["10", "11", "12", "13", "14"]
    assert world.cursor == "14"


async def test_without_kafka_no_cursor_moves_and_nothing_is_lost(world: World) -> None:
    await world.starts()
    world.producer.broken = Transient(CollectReason.slow)
    world.platform.happens(mention(20))
    world.platform.happens(mention(21))
    await world.passes(30.0)
    assert world.cursor == ""
    world.producer.broken = None
    await world.passes(30.0)
    assert [item for item, _, _ in world.heard] == ["20", "21"], "in their order"


async def test_requests_that_were_accepted_are_fetched_at_once(world: World) -> None:
    await world.starts()
    world.platform.happens(mention(30), streamed=False)
    world.platform.happens(Event("notifications_merged", "1", b"1"))
    await world.settles()
    assert world.heard == [("30", Origin.backfill, True)]


async def test_a_deletion_of_what_we_never_had_is_nobodys(world: World) -> None:
    await world.starts()
    world.platform.happens(mention(40))
    world.platform.happens(Event("delete", "40", b"40"))
    world.platform.happens(Event("delete", "41", b"41"))
    await world.settles()
    assert [item for item, _, _ in world.heard] == ["40", "40"]


async def test_a_gap_beyond_the_limit_is_said_and_not_read_for_ever(world: World) -> None:
    await world.starts()
    world.platform.hang_up()
    await world.settles()
    for number in range(100, 120):
        world.platform.happens(mention(number), streamed=False)
    await world.passes(2.0)
    assert len(world.heard) == ScriptedSource.backfill_limit
    assert world.cursor == "119"
    assert "gap" in world.told


async def test_a_refused_token_is_told_once_and_tried_again(world: World) -> None:
    world.platform.refusal = Permanent(PullReason.credentials, "401")
    await world.starts()
    await world.passes(301.0)
    assert world.told == ["token"]
    assert world.platform.asked == []
    world.platform.refusal = None
    await world.passes(301.0)
    assert world.told == ["token", "caught_up"]
    assert world.metrics.source_up.labels("mastodon", "109")._value.get() == 1.0


async def test_an_answer_that_we_cannot_understand_ends_neither_listening_nor_the_service(
    world: World,
) -> None:
    world.platform.refusal = KeyError("id")
    await world.starts()
    await world.passes(60.0)
    assert world.told == ["source_down"]
    world.platform.refusal = None
    await world.passes(60.0)
    assert world.told == ["source_down", "caught_up"]


async def test_what_happens_now_is_not_kept_waiting_by_a_long_gap(world: World) -> None:
    await world.starts()
    world.platform.hang_up()
    world.platform.pages_wait = asyncio.Event()
    world.platform.happens(mention(50), streamed=False)
    await world.passes(2.0)
    world.platform.happens(mention(51))
    await world.settles()
    assert world.heard == [("51", Origin.live, True)]
    assert world.cursor == "", "the live lane moves no cursor: the gap is still to be read"
    assert world.told == ["caught_up"], "and it is not caught up"
    world.platform.pages_wait.set()
    await world.settles()
    assert world.heard[1:] == [("50", Origin.backfill, True)], "once each"
    assert world.cursor == "51"
    assert world.told == ["caught_up", "caught_up"]


async def test_a_deletion_waits_for_the_gap_that_brings_what_it_deletes(world: World) -> None:
    await world.starts()
    world.platform.hang_up()
    world.platform.pages_wait = asyncio.Event()
    world.platform.happens(mention(52), streamed=False)
    await world.passes(2.0)
    world.platform.happens(Event("delete", "52", b"52"))
    await world.settles()
    assert world.heard == []
    world.platform.pages_wait.set()
    await world.settles()
    assert [item for item, _, _ in world.heard] == ["52", "52"]


async def test_a_stream_that_ends_while_a_gap_is_read_loses_nothing(world: World) -> None:
    await world.starts()
    world.platform.hang_up()
    world.platform.pages_wait = asyncio.Event()
    world.platform.happens(mention(53), streamed=False)
    await world.passes(2.0)
    world.platform.happens(mention(54))
    world.platform.hang_up()
    await world.settles()
    assert [item for item, _, _ in world.heard] == ["54"], "read before its end, so handed over"
    world.platform.pages_wait.set()
    await world.passes(5.0)
    assert sorted(item for item, _, _ in world.heard) == ["53", "54"]
    assert world.cursor == "54"


async def test_what_only_a_sweep_found_may_page_from_then_on(world: World) -> None:
    await world.starts()
    await world.passes(SWEEP_EVERY + 1)
    assert world.told == ["caught_up"], "a sweep that found nothing says nothing"
    world.platform.happens(mention(55), streamed=False)
    await world.passes(SWEEP_EVERY + 1)
    assert world.told == ["caught_up", "caught_up"]


async def test_a_gap_is_measured_also_over_another_replicas_death(world: World) -> None:
    account = Account("mastodon", "109")
    await world.leases.take(account, "the one that died", TERM)
    await world.clock.forward(40.0)
    await world.starts()
    assert world.metrics.gap.labels("mastodon", "109")._value.get() == 40.0


async def test_a_second_replica_stands_by_until_the_first_is_gone(world: World) -> None:
    account = Account("mastodon", "109")
    other = await world.leases.take(account, "other", TERM)
    assert other is not None
    await world.starts()
    for _ in range(4):
        await world.passes(TERM.total_seconds() / 2)
        assert await world.leases.renew(account, other.fence, TERM)
    assert world.platform.asked == [], "two ears would hear everything twice"
    await world.passes(TERM.total_seconds() + ASK_EVERY)
    assert "stream" in world.platform.asked
    world.platform.happens(mention(60))
    await world.settles()
    assert world.heard == [("60", Origin.live, True)]


async def test_a_replica_that_lost_its_lease_writes_nothing_more(world: World) -> None:
    await world.starts()
    await world.passes(SWEEP_EVERY + 1)
    account = Account("mastodon", "109")
    # What a pause looks like afterwards: its term is over and somebody else was faster.
    world.leases.held[account].expires_at = 0.0
    taken = await world.leases.take(account, "other", TERM)
    assert taken is not None
    await world.store.move_cursor(NOTIFICATIONS_FEED, "60", fence=taken.fence)
    world.platform.happens(mention(61), streamed=False)
    world.platform.happens(Event("notifications_merged", "1", b"1"))
    await world.settles()
    assert world.cursor == "60", "refused"
    assert world.metrics.source_leased.labels("mastodon", "109")._value.get() == 0.0
    world.platform.happens(mention(62))
    await world.passes(ASK_EVERY)
    assert "62" not in [item for item, _, _ in world.heard]


async def test_without_the_database_the_listener_goes_on(world: World) -> None:
    class Gone(MemoryLeases):
        async def renew(self, *_: object) -> bool:
            raise Transient(CollectReason.slow, "no database")

    await world.starts()
    world.leases.renew = Gone(world.clock).renew  # type: ignore[assignment, method-assign]
    await world.passes(60.0)
    world.platform.happens(mention(63))
    await world.settles()
    assert world.heard == [("63", Origin.live, True)]


async def test_an_account_that_does_not_answer_keeps_no_other_waiting(world: World) -> None:
    world.platform.pages_wait = asyncio.Event()
    second = SecondAccount()
    second.happens(mention(1), streamed=False)
    await world.starts(world.listens_to(second))
    second.happens(mention(2))
    await world.passes(3600.0)
    assert world.platform.asked == ["statuses"], "the first still waits for its first page"
    assert [number for number, _, _ in world.heard] == ["1", "2"]
