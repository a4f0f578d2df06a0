"""The desk on a real PostgreSQL: whatever is killed, nobody hears the same answer twice unmarked."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.contracts.events import Notification, Outcome, OutcomeState, Reply
from services.contracts.identity import item_id
from services.contracts.topics import NOTIFICATIONS, OUTCOMES
from services.ingest.collector import Collector
from services.ingest.domain.address import Heard
from services.ingest.metrics import Metrics
from services.ingest.speaking.desk import Desk
from services.ingest.speaking.port import Speaker
from services.ingest.speaking.registry import build_speakers
from services.ingest.store.event_store import Original, PostgresEventStore
from services.ingest.store.reply_store import PostgresReplyStore
from services.runtime.backoff import Backoff
from services.runtime.clock import SystemClock
from services.runtime.errors import Transient
from services.runtime.postgres import Pool, create_pool
from services.runtime.producer import MemoryProducer, ProduceReason
from tests.conftest import FreshDatabase
from tests.ingest import platforms
from tests.ingest.brand import platform
from tests.ingest.platforms import Fault, LocalPlatform
from tests.integration.ingest_service import with_accounts

pytestmark = pytest.mark.integration
FILES = {
    "mastodon": ("mastodon", "mention"),
    "x": ("x", "mention"),
    "facebook": ("meta", "comment"),
    "bluesky": ("bluesky", "mention"),
}
KEYED = ("mastodon", "bluesky")
"""Whose speakers find their earlier post by its key: these always come to `posted`."""
FAULTS = (Fault.none, Fault.answer_lost, Fault.before, Fault.limited)


class Killed(BaseException):
    """The process ends here."""


class Fuse:
    """Counts the steps of a process and kills it at one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.steps = 0

    def step(self) -> None:
        if self.at == self.steps:
            raise Killed
        self.steps += 1


class Fused:
    """Stands before a part of the desk: each of its calls can be the last, before or after its effect."""

    def __init__(self, part: Any, fuse: Fuse) -> None:
        self._part = part
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def fused(*given: Any, **named: Any) -> Any:
            self._fuse.step()
            result = await found(*given, **named)
            self._fuse.step()
            return result

        return fused


@dataclass
class World:
    """A database, a platform, and what was told on the bus; desks come and go."""

    pool: Pool
    server: LocalPlatform
    name: str
    producer: MemoryProducer
    heard: Heard
    speakers: dict[tuple[str, str], Speaker]

    @property
    def store(self) -> PostgresReplyStore:
        return PostgresReplyStore(self.pool)

    def desk(self, fuse: Fuse | None = None) -> Desk:
        fuse = fuse or Fuse()
        clock, metrics = SystemClock(), Metrics(CollectorRegistry())
        events = PostgresEventStore(self.pool, patience=5.0)
        producer: Any = Fused(self.producer, fuse)
        speakers: dict[Any, Any] = {place: Fused(one, fuse) for place, one in self.speakers.items()}
        store: Any = Fused(self.store, fuse)
        collector: Any = Fused(Collector(self.producer, events, metrics, clock), fuse)
        return Desk(
            speakers,
            store,
            collector,
            producer,
            metrics,
            clock,
            backoff=Backoff(initial=0.01, cap=0.02),
        )

    async def write(self, **changes: Any) -> Reply:
        reply = reply_to(self.heard, **changes)
        await self.store.receive([(self.heard.key, reply)])
        return reply

    async def time_passes(self) -> None:
        """Leases run out and what waits is due."""
        async with self.pool.connection() as connection:
            await connection.execute(
                "update ingest.replies set leased_until = null, due_at = clock_timestamp()"
            )

    async def settle(self) -> None:
        """Start again until nothing is left to do."""
        for _ in range(20):
            await self.time_passes()
            if not await self.desk().step():
                return
        pytest.fail("it never comes to an end")

    def outcomes(self) -> list[Outcome]:
        return [
            Outcome.model_validate_json(one.value or b"") for one in self.producer.on(OUTCOMES.name)
        ]

    def outbound(self) -> list[Notification]:
        found = self.producer.on(NOTIFICATIONS.name)
        return [Notification.model_validate_json(one.value or b"") for one in found]


def reply_to(item: Notification, **changes: Any) -> Reply:
    now = datetime.now(UTC)
    return Reply(
        **{
            "reply_id": uuid.uuid4().hex,
            "item_id": item.item_id,
            "text": "We are so sorry.",
            "private": False,
            "author": "mia",
            "written_at": now,
            "expires_at": now + timedelta(minutes=10),
            **changes,
        }
    )


@pytest.fixture
async def pool(postgres: FreshDatabase) -> AsyncIterator[Pool]:
    made = create_pool(postgres(), name="test")
    await made.open()
    await PostgresEventStore(made).migrate()
    yield made
    await made.close()


Worlds = Callable[[LocalPlatform, str], Awaitable[World]]


@pytest.fixture
async def world(pool: Pool) -> AsyncIterator[Worlds]:
    """With one item that can be answered, taken in as ever."""
    made: list[World] = []

    async def make(server: LocalPlatform, name: str) -> World:
        source, file = FILES[name]
        heard = platform(source).one(file)
        assert isinstance(heard, Heard)
        clock = SystemClock()
        configured = with_accounts(platforms.account(name, server.url))
        speakers = build_speakers(configured, platforms.secrets, clock)
        made.append(World(pool, server, name, MemoryProducer(), heard, speakers))
        events = PostgresEventStore(pool, patience=5.0)
        collector = Collector(MemoryProducer(), events, Metrics(CollectorRegistry()), clock)
        await collector.take([heard], Original(source, b"{}", heard.received_at))
        return made[-1]

    yield make
    for one in made:
        for speaker in one.speakers.values():
            await speaker.close()


@pytest.mark.parametrize("name", FILES)
async def test_a_reply_is_posted_once_and_told(world: Worlds, name: str) -> None:
    with platforms.serving(name) as server:
        here = await world(server, name)
        reply = await here.write()
        await here.store.receive([(here.heard.key, reply)])  # delivered again
        await here.settle()
        await here.store.receive([(here.heard.key, reply)])  # and again, after its end
        await here.settle()
    (post,) = server.posts
    (outcome,) = here.outcomes()
    (event,) = here.outbound()
    assert outcome.state is OutcomeState.posted
    assert outcome.reply_id == reply.reply_id
    assert outcome.posted_item_id == event.item_id
    account = next(iter(here.speakers.values())).account.native_id
    assert event.item_id == item_id(name, account, post.native_id)
    assert event.conversation.counterpart_id == here.heard.conversation.counterpart_id
    assert event.conversation.root == here.heard.conversation.root
    assert event.in_reply_to == here.heard.item_id


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["mastodon", "x", "bluesky"])
async def test_killed_at_fifty_points_it_is_never_posted_twice_unmarked(
    world: Worlds, name: str
) -> None:
    with platforms.serving(name) as server:
        killed = {fault: await _kill_everywhere(world, server, name, fault) for fault in FAULTS}
    # The claim, the address, the limits, `sending`, the call, the end, the telling: before and after.
    assert min(killed.values()) >= 13, killed
    assert sum(killed.values()) >= 50, killed


async def _kill_everywhere(world: Worlds, server: LocalPlatform, name: str, fault: Fault) -> int:
    """Kill the desk once at every step of its way; returns how many steps there were."""
    for at in itertools.count():
        here = await world(server, name)
        server.posts.clear()
        server.keys.clear()
        server.faults = [fault]
        await here.write()
        ended = False
        try:
            await here.desk(Fuse(at)).step()
            ended = True
        except Killed:
            pass
        await here.settle()
        last = here.outcomes()[-1]
        # One post at most; and where it is marked as known, it is so.
        assert len(server.posts) <= 1, at
        assert last.state in (OutcomeState.posted, OutcomeState.unknown), at
        if last.state is OutcomeState.posted:
            assert len(server.posts) == 1, at
            assert {one.item_id for one in here.outbound()} == {last.posted_item_id}, at
        if name in KEYED:
            assert last.state is OutcomeState.posted, at
        if ended:
            return at
    raise AssertionError


async def test_two_desks_at_once_post_each_reply_once_and_in_order(world: Worlds) -> None:
    with platforms.serving("x") as server:
        here = await world(server, "x")
        server.delay = 0.02
        for number in range(10):
            await here.write(text=f"answer {number}")
        desks = [here.desk(), here.desk(), here.desk()]
        for _ in range(40):
            await asyncio.gather(*(desk.step() for desk in desks))
    assert [post.body["text"] for post in server.posts] == [f"answer {n}" for n in range(10)]
    assert len(here.outcomes()) == 10


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, "expired"),
        ({"cancelled": True}, "taken back"),
        ({"text": "a" * 600}, "characters"),
        ({"item_id": "mastodon:109:unknown"}, "has not kept"),
    ],
)
async def test_what_may_not_be_sent_is_refused_before_any_call(
    world: Worlds, changes: dict[str, Any], says: str
) -> None:
    with platforms.serving("mastodon") as server:
        here = await world(server, "mastodon")
        await here.write(**changes)
        await here.settle()
    (outcome,) = here.outcomes()
    assert outcome.state is OutcomeState.refused
    assert says in (outcome.says or "")
    assert server.posts == []
    assert here.outbound() == []


async def test_a_reply_that_waits_can_be_taken_back(world: Worlds) -> None:
    with platforms.serving("mastodon") as server:
        here = await world(server, "mastodon")
        server.faults = [Fault.limited]
        reply = await here.write()
        await here.desk().step()
        back = reply.model_copy(update={"cancelled": True})
        await here.store.receive([(here.heard.key, back)])
        await here.settle()
    assert [one.state for one in here.outcomes()] == [
        OutcomeState.rate_limited,
        OutcomeState.refused,
    ]
    assert here.outcomes()[0].until is not None
    assert server.posts == []


async def test_the_platforms_refusal_is_told_in_its_words(world: Worlds) -> None:
    with platforms.serving("x") as server:
        here = await world(server, "x")
        server.faults = [Fault.refused]
        await here.write()
        await here.settle()
    (outcome,) = here.outcomes()
    assert outcome.state is OutcomeState.refused
    assert "deleted or not visible" in (outcome.says or "")


async def test_what_became_of_an_expired_reply_is_looked_up_where_that_is_possible(
    pool: Pool, world: Worlds
) -> None:
    with platforms.serving("mastodon") as server:
        here = await world(server, "mastodon")
        server.faults = [Fault.answer_lost]
        reply = await here.write()
        await here.desk().step()
        async with pool.connection() as connection:
            await connection.execute(
                "update ingest.replies set reply = reply || jsonb_build_object('expires_at', %s::text)",
                [reply.written_at.isoformat()],
            )
        calls = server.calls
        await here.settle()
    assert server.calls == calls, "an expired reply is not sent again, not even by its key"
    assert [one.state for one in here.outcomes()] == [OutcomeState.posted]


async def test_what_kafka_did_not_take_is_told_later(world: Worlds) -> None:
    with platforms.serving("facebook") as server:
        here = await world(server, "facebook")
        here.producer.broken = Transient(ProduceReason.unavailable, "no Kafka")
        await here.write()
        await here.desk().step()
        assert len(server.posts) == 1
        assert here.outcomes() == []
        here.producer.broken = None
        await here.settle()
    assert [one.state for one in here.outcomes()] == [OutcomeState.posted]
    assert len(server.posts) == 1


def test_the_fuse_burns() -> None:
    fuse = Fuse(1)
    fuse.step()
    with pytest.raises(Killed):
        fuse.step()
