"""Bluesky's lists as a stream and as pages: the listener against a server that fails as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.contracts.configuration.accounts import BlueskySettings
from services.contracts.events import Action, Notice, Notification, Origin
from services.contracts.topics import INTAKE_DLQ, NOTICES, NOTIFICATIONS
from services.ingest import checks
from services.ingest.collector import Collector
from services.ingest.listener import SWEEP_EVERY, Listener
from services.ingest.metrics import Metrics
from services.ingest.sources.bluesky import BlueskyReplay
from services.ingest.sources.bluesky_api import PAGE, BlueskyAccountFeed
from services.ingest.sources.bluesky_session import BlueskySession
from services.ingest.store.event_store import MemoryEventStore
from services.runtime.backoff import Backoff
from services.runtime.clock import ManualClock
from services.runtime.producer import MemoryProducer
from tests.ingest.bluesky_server import PASSWORD, BlueskyServer
from tests.ingest.brand import NOW, configuration, payload, sources

SOURCE = sources()["bluesky"]
assert isinstance(SOURCE, BlueskyReplay)
AIR = SOURCE.accounts["did:plc:exampleairexampleairexam"]
ANA = "did:plc:anaanaanaanaanaanaanaana"
LOOK = 20.0
"""Longer than a jittered interval."""


def uri(number: int) -> str:
    return f"at://{ANA}/app.bsky.feed.post/{number}"


def mention(number: int, at: datetime) -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads(payload("bluesky", "mention"))["payload"]
    return {**read, "uri": uri(number), "indexedAt": at.isoformat(timespec="milliseconds")}


def own_reply(number: int, at: datetime) -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads(payload("bluesky", "own_reply"))["payload"]
    told = f"at://{AIR.id}/app.bsky.feed.post/{number}"
    return {
        "post": {**read["post"], "uri": told, "indexedAt": at.isoformat(timespec="milliseconds")}
    }


class World:
    """The listener with everything around it in memory, and a server behind httpx."""

    def __init__(self) -> None:
        self.server = BlueskyServer(AIR.id)
        self.producer, self.store = MemoryProducer(), MemoryEventStore()
        self.clock = ManualClock(NOW)
        self.metrics = Metrics(CollectorRegistry())
        self._task: asyncio.Task[None] | None = None

    def _listener(self) -> Listener:
        options = BlueskySettings(backfill_limit=3 * PAGE)
        session = BlueskySession(
            AIR.id, options, SecretStr(PASSWORD), self.clock, transport=self.server.transport
        )
        return Listener(
            BlueskyAccountFeed(AIR, options, session, self.clock),
            Collector(self.producer, self.store, self.metrics, self.clock),
            self.store,
            self.producer,
            self.metrics,
            self.clock,
            backoff=Backoff(initial=1.0, cap=10.0),
        )

    def happens(self, *numbers: int, ago: timedelta = timedelta()) -> None:
        for number in numbers:
            self.server.notifications.append(mention(number, self.clock.now() - ago))

    async def starts(self) -> None:
        self._task = asyncio.create_task(self._listener().run())
        await self.settles()

    async def stops(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def settles(self) -> None:
        for _ in range(400):
            await asyncio.sleep(0)

    async def passes(self, seconds: float) -> None:
        await self.clock.forward(seconds)
        await self.settles()

    @property
    def events(self) -> list[Notification]:
        records = self.producer.on(NOTIFICATIONS.name)
        return [Notification.model_validate_json(one.value or b"") for one in records]

    @property
    def heard(self) -> list[tuple[str, Origin, bool]]:
        return [
            (one.item_id.rsplit("%2F", 1)[1], one.origin, one.may_page)
            for one in self.events
            if one.action is Action.created
        ]

    @property
    def told(self) -> list[str]:
        notices = self.producer.on(NOTICES.name)
        return [Notice.model_validate_json(one.value or b"").kind.value for one in notices]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.stops()


async def test_the_first_connection_is_history_and_the_next_look_is_live(world: World) -> None:
    world.happens(1)
    await world.starts()
    world.happens(2)
    await world.passes(LOOK)
    assert world.heard == [("1", Origin.backfill, False), ("2", Origin.live, True)]
    assert world.told == ["caught_up"]


async def test_a_first_connection_with_more_than_a_page_in_the_hour_is_all_history(
    world: World,
) -> None:
    for number in range(PAGE + 50):
        world.happens(number, ago=timedelta(seconds=10 * number))
    await world.starts()
    await world.passes(SWEEP_EVERY + LOOK)
    assert len(world.heard) == PAGE + 50
    assert not any(may_page for _, _, may_page in world.heard)


async def test_what_two_looks_and_the_sweep_bring_is_one_event(world: World) -> None:
    await world.starts()
    world.happens(1)
    await world.passes(LOOK)
    for _ in range(4):
        await world.passes(SWEEP_EVERY + 1)
    assert len(world.heard) == 1
    (duplicates,) = world.metrics.duplicates.collect()
    seen = sum(one.value for one in duplicates.samples if one.name.endswith("_total"))
    assert seen == 1, "what a page gave and Kafka has is not handed over again"


async def test_a_page_of_which_everything_is_hidden_is_not_the_end(world: World) -> None:
    await world.starts()
    world.happens(1, ago=timedelta(seconds=30))
    hidden = range(1_000, 1_000 + PAGE)
    for number in hidden:
        world.happens(number, ago=timedelta(milliseconds=number))
    world.server.hidden = {uri(number) for number in hidden}
    await world.passes(LOOK)
    assert world.heard == [("1", Origin.live, True)]


async def test_everybody_is_heard_whatever_the_account_filters_for_itself(world: World) -> None:
    await world.starts()
    lists = [one for one in world.server.queries if "actor" not in one]
    assert lists
    assert all(one["priority"] == "false" for one in lists)


async def test_a_post_that_claims_to_be_older_is_heard_all_the_same(world: World) -> None:
    world.happens(1, ago=timedelta(days=2))
    await world.starts()
    world.happens(2)
    await world.passes(LOOK)
    world.happens(3, ago=timedelta(hours=5))
    await world.passes(LOOK)
    assert [number for number, _, _ in world.heard] == ["1", "2", "3"]


@pytest.mark.parametrize("restarted", [True, False])
async def test_a_post_of_a_gap_that_claims_to_be_days_old_is_heard_and_no_older_than_the_gap(
    world: World, restarted: bool
) -> None:
    for number in range(2 * PAGE):
        world.happens(number, ago=timedelta(minutes=20 * number))
    await world.starts()
    heard, last = len(world.heard), world.clock.now()
    if restarted:
        await world.stops()
    else:
        world.server.failures += [httpx.Response(503)] * 9
        await world.passes(LOOK)
    world.happens(1_000, ago=timedelta(hours=30))
    await world.clock.forward(3 * 3600)
    for number in range(2_000, 2_120):
        world.happens(number, ago=timedelta(seconds=number - 1_999))
    if restarted:
        await world.starts()
    for _ in range(10):
        await world.passes(LOOK)
    new = [one for one, _, may_page in world.heard[heard:] if may_page]
    assert sorted(new) == ["1000", *map(str, range(2_000, 2_120))], "history is no news"
    (late,) = [one for one in world.events if one.item_id.endswith("%2F1000")]
    assert late.source_time >= last - timedelta(minutes=20)
    told = [Notice.model_validate_json(one.value or b"") for one in world.producer.on(NOTICES.name)]
    assert not [one for one in told if "left out" in one.says]


async def test_what_moves_up_when_others_are_deleted_is_history(world: World) -> None:
    for number in range(PAGE + 10):
        world.happens(number, ago=timedelta(days=1, minutes=10 * number))
    await world.starts()
    before = len(world.heard)
    world.server.notifications = world.server.notifications[5:]
    await world.passes(LOOK)
    assert len(world.heard) == before


async def test_a_gap_is_read_back_over_pages_and_handed_over_oldest_first(world: World) -> None:
    world.happens(0, ago=timedelta(hours=1))
    await world.starts()
    await world.stops()
    await world.passes(7200.0)
    for number in range(1, 151):
        world.happens(number, ago=timedelta(seconds=4000 - number))
    # A page of which everything is hidden is not the end of the list.
    world.server.hidden = {uri(number) for number in range(100, 151)}
    world.server.feed.append(own_reply(7, world.clock.now()))
    await world.starts()
    numbers = [int(number) for number, _, _ in world.heard]
    assert numbers == [0, 7, *range(1, 100)], "our own answer first"
    assert all(may_page for _, _, may_page in world.heard[1:])


async def test_a_gap_beyond_the_limit_is_said_and_not_read_for_ever(world: World) -> None:
    world.happens(0, ago=timedelta(hours=1))
    await world.starts()
    await world.stops()
    await world.passes(7200.0)
    for number in range(1, 500):
        world.happens(number, ago=timedelta(seconds=4000 - number))
    await world.starts()
    assert len(world.heard) == 3 * PAGE + 1
    assert "gap" in world.told


async def test_a_deleted_post_is_told_and_a_hidden_one_is_not(world: World) -> None:
    await world.starts()
    world.happens(1, 2)
    await world.passes(LOOK)
    world.server.delete(uri(1))
    world.server.hidden = {uri(2)}
    await world.passes(LOOK)
    await world.passes(LOOK)
    deleted = [one for one in world.events if one.action is Action.deleted]
    assert [one.item_id.rsplit("%2F", 1)[1] for one in deleted] == ["1"]
    assert deleted[0].text == ""
    assert world.server.calls["com.atproto.repo.getRecord"] == 2, "asked once for each"


async def test_a_deleted_answer_of_ours_is_told(world: World) -> None:
    world.server.feed.append(own_reply(9, NOW))
    await world.starts()
    world.server.delete(f"at://{AIR.id}/app.bsky.feed.post/9")
    await world.passes(LOOK)
    assert [one.action for one in world.events] == [Action.created, Action.deleted]
    assert {one.direction.value for one in world.events} == {"outbound"}


async def test_entries_that_make_no_sense_are_dead_lettered_and_the_others_go_on(
    world: World,
) -> None:
    await world.starts()
    world.server.notifications.append({"indexedAt": world.clock.now().isoformat(), "reason": 7})
    world.happens(1)
    await world.passes(LOOK)
    await world.passes(SWEEP_EVERY)
    assert [number for number, _, _ in world.heard] == ["1"]
    assert len(world.producer.on(INTAKE_DLQ.name)) >= 1


async def test_an_expired_token_is_refreshed_without_a_new_sign_in(world: World) -> None:
    await world.starts()
    for _ in range(3):
        world.server.tokens_expire()
        await world.passes(LOOK)
    assert world.server.calls["com.atproto.server.refreshSession"] == 3
    assert world.server.calls["com.atproto.server.createSession"] == 1
    assert world.told == ["caught_up"]


async def test_a_revoked_session_is_signed_in_anew(world: World) -> None:
    await world.starts()
    world.server.tokens_expire(refreshable=False)
    world.happens(1)
    await world.passes(LOOK)
    assert world.server.calls["com.atproto.server.createSession"] == 2
    assert len(world.heard) == 1


async def test_a_revoked_password_is_told_once_without_its_words(world: World) -> None:
    world.server.password = "another"
    await world.starts()
    await world.passes(301.0)
    assert world.told == ["token"]
    assert world.server.calls["com.atproto.server.createSession"] == 2, "five minutes apart"
    says = b"".join(one.value or b"" for one in world.producer.on(NOTICES.name))
    assert PASSWORD.encode() not in says
    world.server.password = PASSWORD
    await world.passes(301.0)
    assert world.told == ["token", "caught_up"]


async def test_another_accounts_password_is_refused(world: World) -> None:
    session = httpx.Response(200, json={"did": ANA, "accessJwt": "a", "refreshJwt": "b"})
    transport = httpx.MockTransport(lambda _: session)
    other = BlueskySession(
        AIR.id, BlueskySettings(), SecretStr(PASSWORD), world.clock, transport=transport
    )
    with pytest.raises(Exception, match="wrong_account"):
        await other.sign_in()
    await other.close()


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(502, text="<html>bad gateway</html>"),
        httpx.Response(200, text="no JSON"),
        httpx.Response(200, json={"notifications": "none", "feed": None}),
        httpx.Response(400, json={"error": "InvalidRequest", "message": "what?"}),
    ],
)
async def test_what_a_failing_server_kept_back_is_heard_when_it_answers_again(
    world: World, failure: httpx.Response
) -> None:
    await world.starts()
    world.happens(1)
    world.server.failures = [failure]
    await world.passes(LOOK)
    await world.passes(301.0)
    assert [number for number, _, _ in world.heard] == ["1"]


async def test_an_account_that_the_network_has_not_indexed_yet_needs_time_and_no_person(
    world: World,
) -> None:
    no = {"error": "InvalidRequest", "message": "Profile not found"}
    world.server.failures = [httpx.Response(400, json=no) for _ in range(2)]
    world.happens(1)
    await world.starts()
    await world.passes(10.0)
    assert world.told == ["caught_up"]


async def test_a_rate_limit_is_waited_out(world: World) -> None:
    await world.starts()
    reset = str(int(world.clock.now().timestamp()) + 200)
    world.server.failures = [httpx.Response(429, headers={"ratelimit-reset": reset})]
    await world.passes(LOOK)
    asked = sum(world.server.calls.values())
    await world.passes(100.0)
    assert sum(world.server.calls.values()) == asked
    await world.passes(200.0)
    assert sum(world.server.calls.values()) > asked


async def test_looks_wait_while_the_limit_is_nearly_used_up(world: World) -> None:
    reset = str(int(NOW.timestamp()) + 50)
    world.server.limits = {
        "ratelimit-limit": "3000", "ratelimit-remaining": "100", "ratelimit-reset": reset,
    }  # fmt: skip
    await world.starts()
    asked = sum(world.server.calls.values())
    await world.passes(40.0)
    assert sum(world.server.calls.values()) == asked
    await world.passes(11.0)
    assert sum(world.server.calls.values()) > asked


async def test_the_doctor_names_the_variable_of_a_refused_app_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = configuration()
    only = [one for one in whole.accounts if one.id == AIR.id]
    server, clock = BlueskyServer(AIR.id), ManualClock(NOW)
    server.password = "another"
    session = BlueskySession(
        AIR.id, BlueskySettings(), SecretStr(PASSWORD), clock, transport=server.transport
    )
    source = BlueskyAccountFeed(AIR, BlueskySettings(), session, clock)
    monkeypatch.setattr(checks, "build_pulled", lambda *_: [source])
    asked = checks.source_checks(
        whole.model_copy(update={"accounts": tuple(only)}),
        lambda _: SecretStr(PASSWORD),
        clock,
        None,
    )
    (finding,) = [await one.look() for one in asked if one.name.endswith("token")]
    assert "credentials" in finding.says
    assert "BLUESKY_PASSWORD" in finding.mend
    assert PASSWORD not in finding.says
