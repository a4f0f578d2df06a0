"""The webhook route: what each request is answered with, and what is on the bus then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from urllib.parse import quote

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.contracts.events import Notification, Origin
from services.contracts.topics import INTAKE_DLQ, NOTIFICATIONS, Header
from services.ingest import remembering, replay_mark
from services.ingest.collector import Collector
from services.ingest.domain.address import Address
from services.ingest.intake import Intake
from services.ingest.metrics import Metrics
from services.ingest.sources.x import XSource
from services.ingest.store.event_store import Entry, MemoryEventStore, Original
from services.runtime.asgi import Router
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from services.runtime.producer import MemoryProducer, ProduceReason, Record
from tests.ingest.brand import LINK_SECRET, NOW, payload, platform, sources

KEY = replay_mark.key_of(LINK_SECRET.get_secret_value().encode())
LIMIT = 60_000


class World:
    """The intake with everything around it in memory."""

    def __init__(
        self,
        producer: MemoryProducer | None = None,
        store: MemoryEventStore | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.producer = producer or MemoryProducer()
        self.store = store or MemoryEventStore()
        self.clock = ManualClock(NOW)
        self.registry = CollectorRegistry()
        self.sources = sources()
        self.metrics = metrics or Metrics(self.registry)
        if metrics is None:
            self.metrics.initialise(self.sources)
        self.collector = Collector(self.producer, self.store, self.metrics, self.clock)
        router = Router()
        intake = Intake(
            self.sources, self.collector, self.metrics, self.clock,
            body_limit=LIMIT, tolerance=timedelta(minutes=5), replay_key=KEY,
        )  # fmt: skip
        router.route("/webhooks/", intake)
        transport = httpx.ASGITransport(app=router)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://ingest")

    async def post(self, source: str, body: bytes, **headers: str) -> httpx.Response:
        signed = platform(source).sign(body, self.clock.now())
        renamed = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(
            f"/webhooks/{source}", content=body, headers={**signed, **renamed}
        )

    async def file(self, source: str, name: str) -> httpx.Response:
        return await self.post(source, payload(source, name))

    @property
    def notifications(self) -> list[Notification]:
        records = self.producer.on(NOTIFICATIONS.name)
        return [Notification.model_validate_json(one.value or b"") for one in records]

    @property
    def dead_letters(self) -> list[Record]:
        return self.producer.on(INTAKE_DLQ.name)

    def count(self, metric: str, **labels: str) -> float:
        """The sum of a counter over all label sets that have these labels."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    async with made.http:
        yield made


@pytest.mark.parametrize(
    ("source", "name", "status"),
    [
        ("x", "mention", 200),
        ("meta", "comment", 200),
        ("shop", "review", 202),
        ("mastodon", "mention", 202),
    ],
)
async def test_an_authentic_payload_is_on_the_bus_when_it_is_answered(
    world: World, source: str, name: str, status: int
) -> None:
    answer = await world.file(source, name)
    assert answer.status_code == status
    assert answer.json() == {"accepted": 1, "duplicates": 0, "dead_letters": 0, "ignored": 0}
    (found,) = world.notifications
    (record,) = world.producer.records
    assert record.key == found.key
    assert record.timestamp == found.received_at
    assert dict(record.headers)[Header.event_id.value].decode() == found.event_id
    assert world.store.originals[0].body == payload(source, name)


async def test_a_repeated_delivery_is_a_duplicate_and_nothing_else(world: World) -> None:
    await world.file("x", "mention")
    answer = await world.file("x", "mention_again")
    assert answer.json() == {"accepted": 0, "duplicates": 2, "dead_letters": 0, "ignored": 0}
    assert len(world.notifications) == 1
    assert world.count("presence_notifications_total", source="x") == 1
    assert world.count("presence_duplicates_total", source="x") == 2


async def test_the_same_event_twice_in_one_payload_is_one(world: World) -> None:
    answer = await world.file("x", "mention_again")
    assert answer.json()["accepted"] == 1
    assert answer.json()["duplicates"] == 1
    assert len(world.notifications) == 1


async def test_a_hundred_identical_requests_at_once_count_one_as_new(world: World) -> None:
    answers = await asyncio.gather(*(world.file("x", "mention") for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["accepted"] for answer in answers) == 1
    assert world.count("presence_notifications_total") == 1
    assert world.count("presence_duplicates_total") == 99


async def test_one_unreadable_change_is_dead_lettered_and_the_others_go_on(world: World) -> None:
    answer = await world.file("x", "one_broken_of_three")
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    (letter,) = world.dead_letters
    headers = dict(letter.headers)
    assert headers[Header.reason.value] == b"malformed"
    assert letter.value == payload("x", "one_broken_of_three")
    assert world.count("presence_dead_letters_total", topic=INTAKE_DLQ.name) == 1


@pytest.mark.parametrize(
    ("source", "body", "status", "reason"),
    [
        ("x", b"{not json", 200, b"malformed"),
        ("meta", b"[]", 200, b"unsupported"),
        ("x", payload("x", "unknown_account"), 200, b"unknown_account"),
        ("meta", payload("meta", "unsupported"), 200, b"unsupported"),
        ("shop", b"{not json", 422, b"malformed"),
        ("shop", payload("shop", "without_author"), 422, b"malformed"),
        ("shop", payload("shop", "unsupported"), 422, b"unsupported"),
        ("mastodon", payload("mastodon", "unknown_account"), 422, b"unknown_account"),
    ],
)
async def test_what_cannot_be_read_is_kept_with_its_reason(
    world: World, source: str, body: bytes, status: int, reason: bytes
) -> None:
    answer = await world.post(source, body)
    assert answer.status_code == status
    assert answer.json()["says"]
    (letter,) = world.dead_letters
    assert letter.value == body
    assert dict(letter.headers)[Header.reason.value] == reason
    again = await world.post(source, body)
    assert again.status_code == status, "a sender that comes again hears the same"
    assert len(world.dead_letters) == 1, "and leaves no second dead letter"


async def test_our_own_defect_loses_no_payload(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(XSource, "parse", breaks)
    answer = await world.file("x", "mention")
    assert answer.status_code == 200
    (letter,) = world.dead_letters
    assert dict(letter.headers)[Header.reason.value] == b"failed"


async def test_a_wrong_signature_is_refused_and_nothing_is_kept(world: World) -> None:
    answer = await world.post(
        "x", payload("x", "mention"), x_twitter_webhooks_signature="sha256=AAAA"
    )
    assert answer.status_code == 401
    assert world.producer.records == []
    assert world.count("presence_intake_refused_total", reason="signature_wrong") == 1


async def test_an_old_signature_is_refused(world: World) -> None:
    body = payload("shop", "review")
    signed = platform("shop").sign(body, NOW - timedelta(minutes=6))
    answer = await world.http.post("/webhooks/shop", content=body, headers=signed)
    assert answer.status_code == 401
    assert answer.json() == {"error": "timestamp_old"}


async def test_nothing_comes_in_under_mastodons_name_without_a_replay_mark(world: World) -> None:
    body = payload("mastodon", "mention")
    headers = {"content-type": "application/json"}
    answer = await world.http.post("/webhooks/mastodon", content=body, headers=headers)
    assert answer.status_code == 401


async def test_a_replay_mark_makes_it_a_replay(world: World) -> None:
    body = payload("x", "mention")
    mark = replay_mark.mark(KEY, body, NOW, may_page=False)
    assert (await world.post("x", body, presence_replay=mark)).status_code == 200
    (found,) = world.notifications
    assert found.origin is Origin.replay
    assert not found.may_page


@pytest.mark.parametrize(
    "mark",
    [
        "", "t=1", "t=x,page=1,v1=00", "v1=é",
        replay_mark.mark(KEY, b"another body", NOW, may_page=True),
        replay_mark.mark(b"another key", payload("x", "mention"), NOW, may_page=True),
        replay_mark.mark(KEY, payload("x", "mention"), NOW - timedelta(hours=1), may_page=True),
        replay_mark.mark(KEY, payload("x", "mention"), NOW, may_page=False).replace("page=0", "page=1"),
    ],
)  # fmt: skip
async def test_a_wrong_replay_mark_is_refused_and_never_taken_for_live(
    world: World, mark: str
) -> None:
    answer = await world.http.post(
        "/webhooks/x",
        content=payload("x", "mention"),
        headers=[
            *(
                (name.encode(), value.encode())
                for name, value in platform("x").sign(payload("x", "mention")).items()
            ),
            (b"presence-replay", mark.encode()),
        ],
    )
    assert answer.status_code == 401
    assert world.producer.records == []


async def test_a_notification_is_replayed_as_it_was(world: World) -> None:
    await world.file("x", "mention")
    (first,) = world.notifications
    body = orjson.dumps({"type": "notification", "data": first.model_dump(mode="json")})
    another = World()
    answer = await another.post("replay", body)
    assert answer.status_code == 202
    (replayed,) = another.notifications
    assert replayed.event_id == first.event_id
    assert replayed.origin is Origin.replay
    assert not replayed.may_page


async def test_a_body_over_the_limit_is_refused_before_it_is_read(world: World) -> None:
    answer = await world.post("x", b"x" * (LIMIT + 1))
    assert answer.status_code == 413


async def test_a_body_that_grows_over_the_limit_is_not_read_to_its_end(world: World) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 10_000
            yield b"x" * 10_000

    headers = {"content-type": "application/json"}
    async with asyncio.timeout(5):
        answer = await world.http.post("/webhooks/x", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert sent <= LIMIT + 20_000


@pytest.mark.parametrize("path", ["nobody", "", "x/", "../x", "shop/extra"])
async def test_an_unknown_source_is_not_there(world: World, path: str) -> None:
    assert (await world.http.post(f"/webhooks/{path}", content=b"{}")).status_code == 404


@pytest.mark.parametrize(
    ("method", "source"), [("PUT", "x"), ("DELETE", "shop"), ("GET", "shop"), ("GET", "replay")]
)
async def test_other_methods_are_not_allowed(world: World, method: str, source: str) -> None:
    answer = await world.http.request(method, f"/webhooks/{source}")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": ""},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_another_content_type_is_not_taken(world: World, headers: dict[str, str]) -> None:
    answer = await world.http.post("/webhooks/x", content=b"{}", headers=headers)
    assert answer.status_code == 415


async def test_challenges_are_answered_and_wrong_ones_refused(world: World) -> None:
    crc = await world.http.get("/webhooks/x", params={"crc_token": "abc"})
    assert crc.status_code == 200
    assert crc.json()["response_token"].startswith("sha256=")
    query = {
        "hub.mode": "subscribe",
        "hub.verify_token": "meta-verify-token",
        "hub.challenge": "42",
    }
    hub = await world.http.get("/webhooks/meta", params=query)
    assert hub.text == "42"
    wrong = await world.http.get("/webhooks/meta", params={**query, "hub.verify_token": "no"})
    assert wrong.status_code == 403


class Away(StrEnum):
    """Why the test's broker fails."""

    gone = "gone"


async def test_without_kafka_the_sender_is_asked_to_come_again_and_is_heard_then(
    world: World,
) -> None:
    world.producer.broken = Transient(Away.gone)
    first = await world.file("x", "mention")
    assert first.status_code == 503
    assert int(first.headers["retry-after"]) >= 1
    world.producer.broken = None
    at_once = await world.file("x", "mention")
    assert at_once.status_code == 503, "the breaker is open: nobody waits for Kafka"
    await world.clock.forward(1.1)
    assert (await world.file("x", "mention")).json()["accepted"] == 1
    assert (await world.file("x", "mention")).json()["duplicates"] == 1


class SlowProducer(MemoryProducer):
    """Acknowledges never, as a broker behind a dead network does."""

    async def publish(self, records: Sequence[Record]) -> None:
        await asyncio.Event().wait()


async def test_a_kafka_that_does_not_answer_is_given_up_within_a_second() -> None:
    world = World(SlowProducer())
    begun = asyncio.get_running_loop().time()
    answer = await world.file("x", "mention")
    assert answer.status_code == 503
    assert asyncio.get_running_loop().time() - begun < 1.5
    assert world.store.seen == set(), "what was not acknowledged is not remembered"


async def test_without_postgresql_intake_goes_on(world: World) -> None:
    world.store.broken = True
    assert (await world.file("x", "mention")).json()["accepted"] == 1
    assert world.count("presence_ingest_store_failures_total") >= 1
    assert (await world.file("x", "mention")).json()["duplicates"] == 1, "the newest are in memory"
    assert len(world.notifications) == 1


async def test_of_many_ids_the_newest_are_in_memory_and_postgresql_knows_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remembering, "RECENT", 2)
    store, asked = MemoryEventStore(), list[Collection[str]]()
    known = store.known

    async def observed(event_ids: Collection[str]) -> frozenset[str]:
        asked.append(event_ids)
        return await known(event_ids)

    monkeypatch.setattr(store, "known", observed)
    memory = remembering.Remembering(store, Metrics(CollectorRegistry()), ManualClock(NOW))
    for event_id in ("a", "b", "c"):
        memory.acknowledged([event_id])
    await store.record([(Original("x", b"{}", NOW), ["a"])])
    assert await memory.known(["b", "c"]) == {"b", "c"}
    assert asked == [], "memory was enough"
    assert await memory.known(["a", "c", "d"]) == {"a", "c"}
    assert asked == [{"a", "d"}]


class SlowStore(MemoryEventStore):
    """Records only when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    async def record(
        self,
        entries: Sequence[Entry],
        addresses: Sequence[Address] = (),
        gone: Collection[str] = (),
    ) -> frozenset[str]:
        await self.may.wait()
        return await super().record(entries, addresses, gone)


async def test_while_one_group_is_recorded_the_next_is_published_and_nobody_is_told_early() -> None:
    world = World(store=SlowStore())
    first = asyncio.create_task(world.file("x", "mention"))
    await _until(lambda: len(world.producer.records) == 1)
    again = asyncio.create_task(world.file("x", "mention"))
    other = asyncio.create_task(world.file("shop", "review"))
    await _until(lambda: len(world.producer.records) == 2)
    assert not first.done()
    assert not again.done(), "a repetition is not told before what it repeats is kept"
    assert isinstance(world.store, SlowStore)
    world.store.may.set()
    assert [one.json()["accepted"] for one in (await first, await again, await other)] == [1, 0, 1]
    assert len(world.notifications) == 2


class TiredProducer(MemoryProducer):
    """Acknowledges some turns of the loop later."""

    async def publish(self, records: Sequence[Record]) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        await super().publish(records)


async def test_whoever_comes_while_two_groups_are_in_hand_is_answered() -> None:
    world, said = World(TiredProducer()), platform("x").one("mention")

    async def come(number: int) -> int:
        for _ in range(number):
            await asyncio.sleep(0)
        one = said.model_copy(update={"event_id": f"x:1:{number}:created"})
        return (await world.collector.take([one], Original("x", b"{}", NOW))).accepted

    async with asyncio.timeout(5):
        assert await asyncio.gather(*map(come, range(60))) == [1] * 60
    assert len(world.store.originals) == 60


class CountingProducer(TiredProducer):
    """Notes how many records come together."""

    def __init__(self) -> None:
        super().__init__()
        self.together: list[int] = []

    async def publish(self, records: Sequence[Record]) -> None:
        self.together.append(len(records))
        await super().publish(records)


async def test_the_large_pages_of_several_accounts_are_not_one_group() -> None:
    producer = CountingProducer()
    world, said = World(producer), platform("x").one("mention")

    async def come(page: int, size: int) -> int:
        ids = (f"x:{page}:{number}:created" for number in range(size))
        events = [said.model_copy(update={"event_id": one}) for one in ids]
        return (await world.collector.take(events, Original("x", b"{}", NOW))).accepted

    sizes = [1, 700, 700, 1, 1_500, 1]
    taken = await asyncio.gather(*(come(page, size) for page, size in enumerate(sizes)))
    assert taken == sizes
    assert producer.together == [701, 701, 1_500, 1]


async def _until(right: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not right():
            await asyncio.sleep(0)


class SmallProducer(MemoryProducer):
    """Takes no large notification."""

    async def publish(self, records: Sequence[Record]) -> None:
        if any(
            b"9010" in (record.value or b"") and record.topic == NOTIFICATIONS.name
            for record in records
        ):
            raise Permanent(ProduceReason.too_large, "a record is too large")
        await super().publish(records)


async def test_a_record_that_the_broker_never_takes_does_not_hold_its_neighbours() -> None:
    world = World(SmallProducer())
    answer = await world.file("x", "one_broken_of_three")
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 1
    assert answer.json()["dead_letters"] == 2
    assert {dict(one.headers)[Header.reason.value] for one in world.dead_letters} == {
        b"malformed",
        b"too_large",
    }


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes


_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
_REQUESTS = st.builds(
    Request,
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS"]),
    path=st.sampled_from(["x", "meta", "shop", "forum", "mastodon", "replay", "nobody"]) | _TEXT,
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                ["content-type", "x-hub-signature-256", "webhook-id", "webhook-timestamp",
                 "webhook-signature", "presence-replay", "ce-id", "content-encoding"]
            ),
            st.sampled_from(["application/json", "application/cloudevents+json", "1795251630"]) | _TEXT,
        ),
        max_size=6,
    ),
    body=st.binary(max_size=80),
)  # fmt: skip


@cache
def _metrics() -> Metrics:
    """Some thousand counters: made once for all examples."""
    return Metrics(CollectorRegistry())


@given(request=_REQUESTS, sign=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_request_is_answered_with_a_500(request: Request, sign: bool) -> None:
    world = World(metrics=_metrics())
    headers = list(request.headers)
    if sign and request.path in world.sources and request.body.isascii():
        headers += list(platform(request.path).sign(request.body).items())
    url = f"http://ingest/webhooks/{quote(request.path, safe='')}"
    answer = await world.http.request(request.method, url, headers=headers, content=request.body)
    assert answer.status_code < 500
    if answer.status_code in (200, 202) and request.method == "POST":
        assert world.producer.records, "taken means on the bus"


async def test_a_dead_letter_keeps_the_headers_that_reading_takes_and_no_proof(
    world: World,
) -> None:
    body = payload("discourse", "post_created").replace(b'"cooked"', b'"raw"')
    answer = await world.post("discourse", body, x_discourse_event="post_created", cookie="id=7")
    assert answer.status_code == 422
    (letter,) = world.dead_letters
    headers = orjson.loads(dict(letter.headers)[Header.origin_headers])
    assert headers["x-discourse-event"] == "post_created"
    assert headers["content-type"] == "application/json"
    assert not [name for name in headers if "signature" in name or name in ("cookie", "host")]


async def test_a_senders_trace_goes_on_with_its_events_and_its_dead_letters(world: World) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    given = f"00-{trace}-b7ad6b7169203331-01"
    await world.post("x", payload("x", "one_broken_of_three"), traceparent=given)
    records = [*world.producer.on(NOTIFICATIONS.name), *world.dead_letters]
    found = [dict(one.headers)[Header.trace].decode() for one in records]
    assert len(found) == 3
    assert {one[:36] for one in found} == {f"00-{trace}-"}
    assert {one[-3:] for one in found} == {"-01"}


@pytest.mark.parametrize("given", ["", "00-0-0-0", f"00-{'0' * 32}-b7ad6b7169203331-01"])
async def test_a_trace_that_is_none_begins_anew(world: World, given: str) -> None:
    await world.post("x", payload("x", "mention"), traceparent=given)
    (record,) = world.producer.on(NOTIFICATIONS.name)
    version, trace, span, flags = dict(record.headers)[Header.trace].decode().split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "00")
    assert int(trace, 16)
