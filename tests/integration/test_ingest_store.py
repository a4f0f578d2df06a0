"""The store in PostgreSQL and its twin in memory keep the same promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from services.ingest.store.event_store import (
    EventStore,
    Feed,
    MemoryEventStore,
    Original,
    PostgresEventStore,
    intake_pool,
)
from services.ingest.store.leases import Account, PostgresLeases
from services.runtime.errors import Permanent, Transient
from services.runtime.postgres import create_pool
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

AN_HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)
FEED = Feed("mastodon", "109", "notifications")


def original(body: bytes = b"{}") -> Original:
    return Original("x", body, AN_HOUR_AGO)


@pytest.fixture(params=["postgres", "memory"])
async def store(
    request: pytest.FixtureRequest, postgres: FreshDatabase
) -> AsyncIterator[EventStore]:
    if request.param == "memory":
        yield MemoryEventStore()
        return
    pool = create_pool(postgres(), name="test")
    await pool.open()
    made = PostgresEventStore(pool, patience=5.0)
    await made.migrate()
    await made.migrate()  # changes nothing
    yield made
    await pool.close()


async def test_what_was_recorded_is_known(store: EventStore) -> None:
    assert await store.known(["a", "b"]) == frozenset()
    assert await store.record([(original(), ["a"]), (original(b"[]"), ["b", "c"])]) == {
        "a",
        "b",
        "c",
    }
    assert await store.known(["a", "c", "d"]) == {"a", "c"}


async def test_of_two_that_record_the_same_one_hears_that_it_was_new(store: EventStore) -> None:
    ids = [f"event-{number}" for number in range(50)]
    told = await asyncio.gather(
        *(store.record([(original(), ids if turn % 2 else ids[::-1])]) for turn in range(6))
    )
    assert sorted(event_id for new in told for event_id in new) == sorted(ids)


async def test_a_cursor_is_where_it_was_left(store: EventStore) -> None:
    assert await store.cursor(FEED) is None
    await store.move_cursor(FEED, "")
    assert await store.cursor(FEED) == "", "begun and empty is not the same as never"
    await store.move_cursor(FEED, "42")
    assert await store.cursor(FEED) == "42"
    assert await store.cursor(Feed("mastodon", "110", "notifications")) is None


async def test_an_older_lease_moves_no_cursor(store: EventStore) -> None:
    await store.move_cursor(FEED, "42", fence=2)
    with pytest.raises(Permanent, match="fenced"):
        await store.move_cursor(FEED, "7", fence=1)
    assert await store.cursor(FEED) == "42"


async def test_what_is_past_its_retention_goes(postgres: FreshDatabase) -> None:
    pool = create_pool(postgres(), name="test")
    await pool.open()
    store = PostgresEventStore(pool, patience=5.0)
    await store.migrate()
    await store.record([(original(), ["a"])])
    day = timedelta(days=1)
    assert await store.forget(events=day, payloads=day) == 0
    assert await store.forget(events=day, payloads=timedelta(minutes=1)) == 1
    assert await store.known(["a"]) == {"a"}
    assert await store.forget(events=timedelta(0), payloads=day) == 1
    assert await store.known(["a"]) == frozenset()
    await pool.close()


async def test_an_absent_database_is_transient_and_said_in_time() -> None:
    pool = create_pool("postgresql://nobody@127.0.0.1:1/none", name="test")
    await pool.open()
    store = PostgresEventStore(pool, patience=0.2)
    with pytest.raises(Transient):
        await store.known(["a"])
    await pool.close()


async def test_connections_that_died_unnoticed_cost_no_call(postgres: FreshDatabase) -> None:
    database = postgres()
    pool = intake_pool(database)
    await pool.open()
    store = PostgresEventStore(pool, patience=5.0)
    await store.migrate()
    await asyncio.gather(*(store.record([(original(), [f"event-{n}"])]) for n in range(8)))
    with psycopg.connect(database, autocommit=True) as another:
        another.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'presence-ingest-intake' and datname = current_database()"
        )
    assert await store.known(["event-1", "none"]) == {"event-1"}
    assert await store.record([(original(), ["event-9"])]) == {"event-9"}
    await pool.close()


async def test_a_lease_is_held_by_one_and_its_number_only_grows(postgres: FreshDatabase) -> None:
    pool = create_pool(postgres(), name="test")
    await pool.open()
    store, leases = PostgresEventStore(pool, patience=5.0), PostgresLeases(pool, patience=5.0)
    await store.migrate()
    air, short, long = Account("mastodon", "109"), timedelta(seconds=0.3), timedelta(minutes=5)
    asked = await asyncio.gather(*(leases.take(air, f"replica {n}", short) for n in range(8)))
    (first,) = (one for one in asked if one)
    assert (first.fence, first.unheard) == (1, None)
    assert await leases.take(Account("mastodon", "110"), "another account", long)
    assert await leases.renew(air, first.fence, short)
    await store.move_cursor(FEED, "42", fence=first.fence)
    await asyncio.sleep(0.5)
    assert await leases.renew(air, first.fence, short), "late is not lost while nobody else came"
    await asyncio.sleep(0.5)
    second = await leases.take(air, "replica 9", long)
    assert second is not None
    assert second.fence == 2
    assert 0.4 < (second.unheard or 0) < 30
    # The first wakes. The second has not written a cursor yet, and the first is refused all the same.
    with pytest.raises(Permanent, match="fenced"):
        await store.move_cursor(FEED, "7", fence=first.fence)
    assert not await leases.renew(air, first.fence, long)
    await leases.give_back(air, first.fence)
    assert await leases.take(air, "replica 1", long) is None, (
        "what is not yours can't be given back"
    )
    await store.move_cursor(FEED, "43", fence=second.fence)
    await leases.give_back(air, second.fence)
    third = await leases.take(air, "replica 1", long)
    assert third is not None
    assert third.fence == 3
    await pool.close()


async def _bodies(store: EventStore) -> list[bytes]:
    if isinstance(store, MemoryEventStore):
        return sorted(one.body for one in store.originals)
    assert isinstance(store, PostgresEventStore)
    async with store._pool.connection() as connection:
        rows = await (await connection.execute("select body from ingest.payloads")).fetchall()
    return sorted(bytes(row[0]) for row in rows)


async def test_a_deletion_drops_the_payloads_that_brought_the_item_and_no_others(
    store: EventStore,
) -> None:
    await store.record([(original(b"words"), ["x:1:7:created"])])
    await store.record([(original(b"edit"), ["x:1:7:edited:2"])])
    await store.record([(original(b"neighbour"), ["x:1:77:created"])])
    await store.record([(original(b"deletion"), ["x:1:7:deleted"])], gone=["x:1:7"])
    assert await _bodies(store) == [b"deletion", b"neighbour"]
    assert await store.known(["x:1:7:created"]) == {"x:1:7:created"}, "a repetition stays known"
