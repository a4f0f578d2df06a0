"""Watched threads in PostgreSQL and their twin in memory keep the same promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from services.ingest.domain.address import Address
from services.ingest.store.event_store import (
    EventStore,
    MemoryEventStore,
    Original,
    PostgresEventStore,
)
from services.ingest.store.leases import Account, PostgresLeases
from services.ingest.store.thread_store import (
    MemoryThreadStore,
    Place,
    PostgresThreadStore,
    ThreadStore,
    Waiting,
)
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent
from services.runtime.postgres import create_pool
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration
PLACE = Place("mastodon", "mastodon", "109")
A_DAY, AN_HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass
class Kept:
    """A store, its clock, and a way to let a minute pass."""

    events: EventStore
    threads: ThreadStore
    clock: ManualClock | None
    url: str = ""

    @property
    def now(self) -> datetime:
        return self.clock.now() if self.clock else datetime.now(UTC)

    async def heard(self, item: str, root: str | None, who: str = "ana") -> None:
        address = Address(item, "mastodon", "109", root, who, False, self.now, {"status": item})
        original = Original("mastodon", b"{}", self.now)
        await self.events.record([(original, [f"{item}:created"])], [address])

    async def minute_passes(self) -> None:
        if self.clock:
            await self.clock.forward(60)
            return
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute("update ingest.threads set due_at = due_at - interval '1 min'")

    async def opens(self, episode: str, *items: str, at: datetime | None = None) -> None:
        waiting = Waiting(episode, "mastodon", "109", items, at or self.now)
        await self.threads.watch(waiting, A_DAY)

    async def looks(self, *, quiet: int, fence: int = 1, seen: str = "seen") -> None:
        thread = await self.threads.due(PLACE)
        assert thread is not None
        await self.threads.looked(
            PLACE, thread, {seen: ""}, quiet_looks=quiet, wait=AN_HOUR, fence=fence
        )


@pytest.fixture(params=["postgres", "memory"])
async def kept(request: pytest.FixtureRequest, postgres: FreshDatabase) -> AsyncIterator[Kept]:
    if request.param == "memory":
        clock, events = ManualClock(datetime.now(UTC)), MemoryEventStore()
        yield Kept(events, MemoryThreadStore(events, clock), clock)
        return
    url = postgres()
    pool = create_pool(url, name="test")
    await pool.open()
    made = PostgresEventStore(pool, patience=5.0)
    await made.migrate()
    yield Kept(made, PostgresThreadStore(pool), None, url)
    await pool.close()


async def test_a_thread_is_due_once_its_minute_has_come_and_holds_all_who_wait_there(
    kept: Kept,
) -> None:
    await kept.heard("1", "root")
    await kept.heard("2", "root", "bob")
    await kept.heard("3", None, "a direct message")
    await kept.opens("e1", "1", "unknown")
    await kept.opens("e2", "2", "3")
    assert await kept.threads.due(PLACE) is None
    await kept.minute_passes()
    thread = await kept.threads.due(PLACE)
    assert thread is not None
    assert thread.root == "root"
    assert sorted(one["status"] for one in thread.items) == ["1", "2"]
    assert thread.customers == {"ana", "bob"}
    assert await kept.threads.due(Place("mastodon", "mastodon", "110")) is None


async def test_a_look_is_remembered_and_the_thread_is_left_alone_for_a_while(kept: Kept) -> None:
    await kept.heard("1", "root")
    await kept.opens("e1", "1")
    await kept.minute_passes()
    await kept.looks(quiet=1)
    assert await kept.threads.due(PLACE) is None
    for _ in range(61):
        await kept.minute_passes()
    thread = await kept.threads.due(PLACE)
    assert thread is not None
    assert (thread.seen, thread.quiet_looks) == ({"seen": ""}, 1)


async def test_an_episode_that_opens_in_a_known_thread_makes_the_next_look_soon(
    kept: Kept,
) -> None:
    await kept.heard("1", "root")
    await kept.opens("e1", "1")
    await kept.minute_passes()
    await kept.looks(quiet=5)
    await kept.heard("2", "root", "bob")
    await kept.opens("e2", "2")
    await kept.minute_passes()
    thread = await kept.threads.due(PLACE)
    assert thread is not None
    assert thread.quiet_looks == 0


async def test_an_ended_episode_is_watched_for_its_grace_and_repeated_events_change_nothing(
    kept: Kept,
) -> None:
    await kept.heard("1", "root")
    opened = kept.now
    await kept.opens("e1", "1", at=opened)
    await kept.minute_passes()
    await kept.threads.unwatch("e1", kept.now, AN_HOUR)
    assert await kept.threads.due(PLACE) is not None, "its grace"
    await kept.threads.unwatch("e1", kept.now, timedelta(0))
    await kept.opens("e1", "1", at=opened)
    assert await kept.threads.due(PLACE) is None, "an older event came again"
    await kept.opens("e1", "1")
    assert await kept.threads.due(PLACE) is not None, "it was opened again"
    await kept.opens("long ago", "1", at=opened - 2 * A_DAY)
    await kept.threads.unwatch("e1", kept.now, timedelta(0))
    assert await kept.threads.due(PLACE) is None
    await kept.minute_passes()
    assert await kept.threads.forget(timedelta(0)) == 2


async def test_a_holder_of_an_older_lease_records_nothing(kept: Kept) -> None:
    await kept.heard("1", "root")
    await kept.opens("e1", "1")
    await kept.minute_passes()
    if kept.clock is None:
        async with create_pool(kept.url, name="leases") as pool:
            for _ in range(2):
                taken = PostgresLeases(pool).take(Account("mastodon", "109"), "other", timedelta(0))
                assert await taken
    else:
        await kept.looks(quiet=0, fence=2, seen="first")
        for _ in range(61):
            await kept.minute_passes()
    with pytest.raises(Permanent, match="fenced"):
        await kept.looks(quiet=0, fence=1, seen="late")
    thread = await kept.threads.due(PLACE)
    assert thread is not None
    assert "late" not in thread.seen
