"""A token that ends soon is told before it ends, once a day, by one replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.contracts.configuration.accounts import MetaSettings
from services.contracts.events import Notice, NoticeKind
from services.contracts.topics import NOTICES
from services.ingest.domain.accounts import own_accounts
from services.ingest.domain.expiry import NEAR, expiry_warning
from services.ingest.metrics import Metrics
from services.ingest.sources.meta_graph import MetaGraphFeed
from services.ingest.sources.meta_graph_api import token_ends
from services.ingest.sources.pulled import PullReason
from services.ingest.store.token_notices import MemoryTokenNotices
from services.ingest.token_watch import LOOKED_EVERY, TokenWatch
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from services.runtime.producer import MemoryProducer, Record
from tests.ingest.brand import NOW, configuration
from tests.ingest.graph_server import APP_SECRET, TOKEN, GraphServer
from tests.serving import serve

DAY = timedelta(days=1)


class Badge:
    """A source whose token ends when the test says."""

    name = "meta"

    def __init__(self, id_: str, ends: datetime | None) -> None:
        self.account = own_accounts(configuration())[
            "facebook" if id_ == "1010" else "instagram", id_
        ]
        self.ends = ends
        self.broken: Exception | None = None
        self.looks = 0

    async def token_expires(self) -> datetime | None:
        self.looks += 1
        if self.broken is not None:
            raise self.broken
        return self.ends


class Silent(Badge):
    """A platform that takes the question and never answers."""

    async def token_expires(self) -> datetime | None:
        await asyncio.Event().wait()
        return None


async def test_a_platform_that_does_not_answer_keeps_no_other_account_waiting() -> None:
    world = World()
    silent, other = Silent("1784", None), Badge("1010", NOW + DAY)
    async with world.watching(silent, other):
        assert other.looks == 1
        assert len(world.producer.on(NOTICES.name)) == 1


class World:
    """What replicas share."""

    def __init__(self) -> None:
        self.clock, self.producer, self.notices = (
            ManualClock(NOW),
            MemoryProducer(),
            MemoryTokenNotices(),
        )

    @asynccontextmanager
    async def watching(self, *sources: object) -> AsyncIterator[Metrics]:
        """A replica that has looked once."""
        metrics = Metrics(CollectorRegistry())
        watch = TokenWatch(sources, self.notices, self._tell, metrics, self.clock)
        task = asyncio.create_task(watch.run())
        await self.clock.forward(0)
        yield metrics
        assert not task.done(), "nothing ends the worker"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _tell(self, notice: Notice) -> None:
        await self.producer.publish([Record(NOTICES.name, notice.key, notice.to_bytes())])

    @property
    def told(self) -> list[Notice]:
        records = self.producer.on(NOTICES.name)
        return [Notice.model_validate_json(one.value or b"") for one in records]


def shown(metrics: Metrics, account: str = "1010") -> float:
    return float(metrics.token_expiry.labels("meta", account)._value.get())


def test_a_token_is_told_of_from_seven_days_before_its_end_and_after_it() -> None:
    assert expiry_warning("meta", "1010", None, NOW) is None
    assert expiry_warning("meta", "1010", NOW + NEAR + timedelta(seconds=1), NOW) is None
    soon = expiry_warning(
        "meta", "1010", datetime(2026, 11, 25, 5, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
    )
    assert soon is not None
    assert soon.startswith(
        "meta: the token of 1010 expires on 2026-11-25 05:00 UTC: make a new one"
    )
    assert "expired on" in (expiry_warning("meta", "1010", NOW - DAY, NOW) or "")
    assert "expired on" in (expiry_warning("meta", "1010", NOW, NOW) or "")


@pytest.mark.parametrize(
    ("told", "ends"),
    [
        ({}, None),
        ({"expires_at": 0, "data_access_expires_at": 0}, None),
        ({"expires_at": "soon"}, None),
        ({"expires_at": 1_800_000_000}, 1_800_000_000),
        ({"expires_at": 0, "data_access_expires_at": 1_790_000_000}, 1_790_000_000),
        ({"expires_at": 1_800_000_000, "data_access_expires_at": 1_790_000_000}, 1_790_000_000),
    ],
)
def test_of_metas_two_ends_the_nearer_one_counts_and_0_is_never(
    told: dict[str, Any], ends: int | None
) -> None:
    assert token_ends(told) == (None if ends is None else datetime.fromtimestamp(ends, UTC))


async def test_a_token_is_told_once_a_day_by_one_replica_until_it_is_renewed() -> None:
    world, badge = World(), Badge("1010", NOW + NEAR + DAY / 2)
    async with world.watching(badge) as one, world.watching(badge) as other:
        assert shown(one) == shown(other) == (NOW + NEAR + DAY / 2).timestamp()
        assert world.told == [], "there is time"
        await world.clock.forward(3 * DAY.total_seconds())
        days = [notice.at.date() for notice in world.told]
        assert days == sorted(set(days)), "once a day"
        assert len(days) in (3, 4)
        first = world.told[0]
        assert (first.kind, first.account_id, first.until) == (NoticeKind.token, "1010", badge.ends)
        badge.ends = None
        await world.clock.forward(2 * DAY.total_seconds())
        assert len(world.told) == len(days)
        assert shown(one) == 0, "renewed, without an end"


async def test_a_restart_on_the_same_day_tells_nothing_anew() -> None:
    world, badge = World(), Badge("1010", NOW + DAY)
    for _ in range(2):
        async with world.watching(badge):
            assert len(world.told) == 1


@pytest.mark.parametrize(
    "error",
    [
        Transient(PullReason.unreachable, "no route"),
        Permanent(PullReason.credentials, "no"),
        KeyError("an answer of a new form"),
    ],
)
async def test_a_platform_that_does_not_answer_hides_no_other_account(
    error: Exception,
) -> None:
    world, badge, other = World(), Badge("1010", NOW + DAY), Badge("1784", NOW + DAY)
    async with world.watching(badge, other) as metrics:
        badge.broken = error
        badge.ends = other.ends = NOW + 2 * DAY
        await world.clock.forward(LOOKED_EVERY)
        assert badge.looks == other.looks == 2
        assert shown(metrics) == (NOW + DAY).timestamp(), "what was known last"
        assert shown(metrics, "1784") == (NOW + 2 * DAY).timestamp()


async def test_without_kafka_the_metric_is_right_and_the_next_day_tells() -> None:
    world, badge = World(), Badge("1010", NOW + 3 * DAY)
    world.producer.broken = Transient(PullReason.unreachable, "no Kafka")
    async with world.watching(badge) as metrics:
        assert shown(metrics) == (NOW + 3 * DAY).timestamp()
        world.producer.broken = None
        await world.clock.forward(DAY.total_seconds())
        assert len(world.told) == 1


async def test_a_source_without_an_expiring_credential_is_not_asked() -> None:
    world = World()
    async with world.watching(object()) as metrics:
        assert next(iter(metrics.token_expiry.collect())).samples == []


@pytest.fixture
def server() -> Iterator[GraphServer]:
    made = GraphServer()
    with serve(made.app) as url:
        made.base_url = url
        yield made


async def test_meta_is_asked_of_its_own_token_with_proof(server: GraphServer) -> None:
    settings = MetaSettings.model_validate({"api_url": f"{server.base_url}/v23.0"})
    account = own_accounts(configuration())["facebook", "1010"]
    feed = MetaGraphFeed(
        account, settings, SecretStr(TOKEN), SecretStr(APP_SECRET), ManualClock(NOW)
    )
    assert await feed.token_expires() is None
    server.debug["data_access_expires_at"] = int((NOW + DAY).timestamp())
    assert await feed.token_expires() == NOW + DAY
    assert server.calls == ["debug_token"] * 2
    server.refuse(100, "may not look at itself")
    with pytest.raises(Permanent):
        await feed.token_expires()
    world = World()
    async with world.watching(feed) as metrics:
        for _ in range(500):
            await asyncio.sleep(0.01)
            if world.told:
                break
        assert [notice.until for notice in world.told] == [NOW + DAY]
        assert shown(metrics) == (NOW + DAY).timestamp()
    await feed.close()
