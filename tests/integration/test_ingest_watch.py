"""The watch for silence on a real PostgreSQL: counted by replicas together, told once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime

import pytest
from prometheus_client import CollectorRegistry

from services.contracts.events import Notice, NoticeKind
from services.ingest.metrics import Metrics
from services.ingest.store.event_store import PostgresEventStore
from services.ingest.store.hours import Hours
from services.ingest.store.leases import Account
from services.ingest.store.token_notices import (
    MemoryTokenNotices,
    PostgresTokenNotices,
    TokenNotices,
)
from services.ingest.watch import Watch
from services.runtime.clock import SystemClock
from services.runtime.postgres import create_pool
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

SHOP = Account("shop", "1")


async def test_a_silence_is_told_by_one_replica_once_and_again_after_the_next_event(
    postgres: FreshDatabase,
) -> None:
    pool = create_pool(postgres(), name="test")
    await pool.open()
    await PostgresEventStore(pool, patience=5.0).migrate()
    told: list[Notice] = []

    async def tell(notice: Notice) -> None:
        told.append(notice)

    arrivals: Counter[tuple[str, str]] = Counter({("shop", "1"): 3})
    metrics = Metrics(CollectorRegistry())
    one, other = (
        Watch([SHOP, Account("x", "2")], arrivals, Hours(pool), tell, metrics, SystemClock())
        for _ in range(2)
    )
    await one.count()
    await other.count()
    assert not arrivals, "counted once"
    await one.look()
    assert told == [], "three events are no habit"
    async with pool.connection() as connection:
        await connection.execute(
            "insert into ingest.hours select 'shop', '1', hour, 40 from generate_series("
            " date_trunc('hour', now()) - interval '4 weeks', date_trunc('hour', now())"
            " - interval '3 hours', interval '1 hour') hour"
        )
        await connection.execute("update ingest.heard set last_at = now() - interval '2 hours'")
    await one.look()
    await other.look()
    assert [notice.kind for notice in told] == [NoticeKind.silence]
    assert told[0].at <= datetime.now(UTC)
    assert metrics.source_silent.labels("shop", "1")._value.get() == 1.0
    arrivals["shop", "1"] += 1
    await one.count()
    await one.look()
    assert metrics.source_silent.labels("shop", "1")._value.get() == 0.0
    assert len(told) == 1
    await pool.close()


@pytest.mark.parametrize("real", [True, False], ids=["postgres", "memory"])
async def test_of_many_replicas_one_tells_of_a_token_on_a_day(
    postgres: FreshDatabase, real: bool
) -> None:
    pool = create_pool(postgres(), name="test")
    await pool.open()
    await PostgresEventStore(pool, patience=5.0).migrate()
    notices: TokenNotices = PostgresTokenNotices(pool) if real else MemoryTokenNotices()
    monday, tuesday = date(2026, 11, 23), date(2026, 11, 24)
    claims = await asyncio.gather(*(notices.claim(SHOP, monday) for _ in range(4)))
    assert sorted(claims) == [False, False, False, True]
    assert await notices.claim(Account("shop", "2"), monday), "another account is told by itself"
    assert await notices.claim(SHOP, tuesday)
    assert not await notices.claim(SHOP, monday), "a replica whose clock is behind"
    await pool.close()
