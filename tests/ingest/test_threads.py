"""Which threads are read again, how often, and what of them concerns our customers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts import identity
from services.contracts.configuration import Threads
from services.contracts.events import EpisodeChange, EpisodeEvent, Notification
from services.contracts.topics import NOTIFICATIONS
from services.ingest.collector import Collector
from services.ingest.domain.threads import Node, Thread, changed, concerning, next_look, remembered
from services.ingest.listener import Listener
from services.ingest.sources.mastodon import IN_THREAD
from services.ingest.sources.pulled import Event, Look, PullReason
from services.ingest.store.thread_store import MemoryThreadStore
from services.ingest.watching import EpisodeHandler
from services.runtime.backoff import Backoff
from services.runtime.errors import Permanent, Transient
from tests.ingest.test_listener import ScriptedSource, World, mention

# ana asks under somebody's post; the brand answers her; carl answers her; dora talks to somebody else.
THREAD = [
    Node("post", None, "somebody"),
    Node("ana", "post", "ana"),
    Node("brand", "ana", "air"),
    Node("carl", "brand", "carl"),
    Node("dora", "post", "dora"),
    Node("below dora", "dora", "emil"),
    Node("ana again", "dora", "ana"),
]


def test_only_what_is_said_by_or_to_our_customers_concerns_us() -> None:
    assert concerning(THREAD, {"ana"}, {"ana"}) == {"ana", "brand", "carl", "ana again"}
    assert concerning(THREAD, {"ana"}, set()) == {"ana", "brand", "carl"}
    assert concerning(THREAD, set(), set()) == frozenset()
    circle = [Node("a", "b", "x"), Node("b", "a", "y")]
    assert concerning(circle, {"c"}, {"z"}) == frozenset()


@given(st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_order_of_a_thread_does_not_matter(random: Any) -> None:
    shuffled = list(THREAD)
    random.shuffle(shuffled)
    assert concerning(shuffled, {"ana"}, {"ana"}) == concerning(THREAD, {"ana"}, {"ana"})


def test_looks_grow_apart_up_to_the_slowest() -> None:
    slowest = timedelta(minutes=30)
    waits = [next_look(quiet, slowest).total_seconds() for quiet in (0, 1, 2, 5, 6, 9, 10_000)]
    assert waits == [30, 60, 120, 960, 1800, 1800, 1800]


def test_what_is_new_and_what_was_edited_is_told_by_its_version() -> None:
    assert changed({"a": "", "b": "2", "c": ""}, {"a": "", "b": "1"}) == (["c"], ["b"])
    seen = {"gone for now": "1", "gone": "1"}
    kept = remembered({"a": ""}, ["gone for now", "never seen"], seen)
    assert kept == {"a": "", "gone for now": "1"}
    assert len(remembered({str(n): "" for n in range(9_000)}, [], seen)) == 500


class ThreadedSource(ScriptedSource):
    """The scripted platform, which can also read threads."""

    look_interval = 6.0

    def __init__(self) -> None:
        super().__init__()
        self.statuses: dict[str, Mapping[str, Any]] = {}
        self.looks: list[Thread] = []
        self.no: Transient | Permanent | None = None
        self.broken: ValueError | None = None

    async def look(self, thread: Thread) -> Look:
        self.looks.append(thread)
        if self.broken is not None:
            raise self.broken
        if self.no is not None:
            raise self.no
        new = [one for one in self.statuses if one not in thread.seen]
        events = [Event(IN_THREAD, self.statuses[one], b"{}") for one in new]
        return Look(events, dict.fromkeys(self.statuses, ""), b"[]")


class ThreadedWorld(World):
    """The listener with watched threads."""

    def __init__(self) -> None:
        super().__init__()
        self.platform: ThreadedSource = ThreadedSource()
        collector = Collector(self.producer, self.store, self.metrics, self.clock)
        self.threads = MemoryThreadStore(self.store, self.clock)
        self.episodes = EpisodeHandler(self.threads, Threads())
        self.listener = Listener(
            self.platform, collector, self.store, self.producer, self.metrics, self.clock,
            leases=self.leases, backoff=Backoff(initial=1.0, cap=10.0), threads=self.threads,
        )  # fmt: skip

    async def tells(self, change: EpisodeChange, number: int = 50) -> None:
        now = self.clock.now()
        await self.episodes.take(
            EpisodeEvent(
                event_id=f"e:{change}", episode_id="e", conversation_id="c", change=change, at=now,
                recorded_at=now, brand="air", platform="mastodon", account_id="109",
                items=(identity.item_id("mastodon", "109", str(number)),),
            )
        )  # fmt: skip

    def answers(self, native_id: str, who: str = "666") -> None:
        """Somebody answers the customer and names nobody."""
        status = {
            "id": native_id,
            "in_reply_to_id": "50",
            "in_reply_to_account_id": "77",
            "account": {"id": who, "acct": "air_help"},
            "content": "<p>send us your card</p>",
            "created_at": self.clock.now().isoformat(),
        }
        self.platform.statuses[native_id] = status

    def overheard(self) -> list[str]:
        read = [
            Notification.model_validate_json(one.value or b"")
            for one in self.producer.on(NOTIFICATIONS.name)
        ]
        return [one.item_id.rsplit(":", 1)[1] for one in read if one.overheard]


@pytest.fixture
async def world() -> Any:
    made = ThreadedWorld()
    await made.starts()
    made.platform.happens(mention(50))
    await made.settles()
    await made.tells(EpisodeChange.opened)
    yield made
    await made.stops()


async def minutes(world: ThreadedWorld, count: float) -> None:
    for _ in range(int(count * 12)):
        await world.passes(5.0)


async def test_a_thread_is_read_soon_then_seldom_and_not_after_its_end(
    world: ThreadedWorld,
) -> None:
    await minutes(world, 0.4)
    assert world.platform.looks == []
    await minutes(world, 0.3)
    assert len(world.platform.looks) == 1
    assert world.platform.looks[0].root == "50"
    assert [one["status"] for one in world.platform.looks[0].items] == ["50"]
    await minutes(world, 30)
    looks = len(world.platform.looks)
    assert 5 <= looks <= 7, "half a minute, 1, 2, 4, 8, 16 minutes"
    await world.tells(EpisodeChange.answered)
    await minutes(world, 125)
    ended = len(world.platform.looks)
    assert ended > looks, "the grace"
    await minutes(world, 60)
    assert len(world.platform.looks) == ended


async def test_what_is_found_is_told_once_and_makes_the_next_look_soon(
    world: ThreadedWorld,
) -> None:
    await minutes(world, 5)
    looks = len(world.platform.looks)
    world.answers("60")
    await minutes(world, 6)
    assert world.overheard() == ["60"]
    world.answers("61")
    await minutes(world, 1.2)
    assert world.overheard() == ["60", "61"]
    assert len(world.platform.looks) > looks + 1


async def test_a_look_that_fails_ends_no_connection_and_is_made_later(world: ThreadedWorld) -> None:
    world.platform.no = Transient(PullReason.server_error, "503", retry_after=20.0)
    await minutes(world, 1)
    assert len(world.platform.looks) == 1
    world.platform.happens(mention(51))
    await world.settles()
    assert world.heard[-1][0] == "51"
    world.platform.no = None
    world.answers("60")
    await minutes(world, 3)
    assert world.overheard() == ["60"]
    assert world.platform.asked.count("stream") == 1


async def test_a_thread_that_we_cannot_understand_ends_no_connection(world: ThreadedWorld) -> None:
    world.answers("60")
    world.platform.broken = ValueError("nonsense")
    await minutes(world, 1)
    world.platform.happens(mention(51))
    await world.settles()
    assert world.heard[-1][0] == "51"
    assert world.platform.asked.count("stream") == 1
    world.platform.broken = None
    await minutes(world, 3)
    assert world.overheard() == ["60"]


async def test_an_account_whose_token_may_not_read_threads_is_left_alone_for_an_hour(
    world: ThreadedWorld,
) -> None:
    world.platform.no = Permanent(PullReason.credentials, "403")
    await minutes(world, 50)
    assert len(world.platform.looks) == 1
    assert world.told == ["caught_up"], "what comes by itself still comes"


async def test_nothing_found_is_lost_while_kafka_is_away(world: ThreadedWorld) -> None:
    world.answers("60")
    world.producer.broken = Transient(PullReason.timeout)
    await minutes(world, 2)
    assert world.overheard() == []
    world.producer.broken = None
    await minutes(world, 1)
    assert world.overheard() == ["60"]
