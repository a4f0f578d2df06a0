"""The batch handler: one record in, one record out, whatever the neighbours are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from services.classify.classifier import Classifier
from services.classify.domain.reading import Reading
from services.classify.engines.port import Scores
from services.classify.engines.stub import StubEngine
from services.classify.handlers import IN_A_THREAD_FROM, BatchHandler
from services.classify.metrics import Metrics
from services.contracts.configuration import Costs
from services.contracts.events import (
    Action,
    ClassifiedNotification,
    Direction,
    Kind,
    Label,
    Notice,
)
from services.contracts.topics import CLASSIFIED, NOTIFICATIONS
from services.runtime.clock import ManualClock
from services.runtime.consumption import Consumption, LineStopped
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.errors import Transient
from services.runtime.producer import MemoryProducer, ProduceReason
from tests.classify.building import NOW, notification, raw, reader, stub_classifier

BROKEN = b'{"schema_version": 1, "event_id": '


class Bench:
    """The handler with everything around it in memory."""

    def __init__(self, classifier: Classifier | None = None) -> None:
        self.producer = MemoryProducer()
        self.registry = CollectorRegistry()
        self.notices: list[Notice] = []
        self.metrics = Metrics(self.registry)
        self.handler = BatchHandler(
            classifier or stub_classifier(),
            self.producer,
            self.metrics,
            DeadLetterGuard(
                service="classify",
                topic=NOTIFICATIONS,
                consumption=Consumption(),
                announce=self._announce,
            ),
            ManualClock(NOW),
        )

    async def _announce(self, notice: Notice) -> None:
        self.notices.append(notice)

    async def handle(self, *messages: Message) -> None:
        await self.handler(messages)

    @property
    def classified(self) -> list[ClassifiedNotification]:
        return [
            ClassifiedNotification.model_validate_json(record.value or b"")
            for record in self.producer.on(CLASSIFIED.name)
        ]

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


async def test_a_record_keeps_its_key_and_headers_and_takes_the_time_of_receipt() -> None:
    bench = Bench()
    headers: list[tuple[str, str | bytes | None]] = [("event-id", b"e1"), ("traceparent", b"00-a")]
    await bench.handle(raw(notification(), key=b"x:42:7", headers=headers))
    (record,) = bench.producer.records
    assert record.topic == CLASSIFIED.name
    assert record.key == "x:42:7"
    assert record.headers == (("event-id", b"e1"), ("traceparent", b"00-a"))
    assert record.timestamp == NOW
    assert bench.classified[0].notification == notification()
    assert bench.classified[0].classified_at == NOW
    labels = {"label": "conversation", "engine": "stub", "language": "en"}
    assert bench.value("presence_verdicts_total", **labels) == 1


@pytest.mark.parametrize("size", [3, IN_A_THREAD_FROM + 3])
async def test_poison_is_put_aside_and_its_neighbours_are_judged(size: int) -> None:
    bench = Bench()
    good = [raw(notification(native=str(n)), offset=n) for n in range(size)]
    await bench.handle(*good[:2], raw(BROKEN, offset=99, key=b"k"), *good[2:])
    assert len(bench.classified) == size
    (letter,) = bench.producer.on(NOTIFICATIONS.dlq)
    headers = dict(letter.headers)
    assert letter.value == BROKEN
    assert letter.key == "k"
    assert headers["dead-letter-reason"] == b"malformed"
    assert headers["origin-offset"] == b"99"
    labels = {"topic": NOTIFICATIONS.name, "reason": "malformed"}
    assert bench.value("presence_dead_letters_total", **labels) == 1


@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"null", b"[]", b'"\\ud800"', b"{}"])
async def test_anything_that_is_no_notification_is_a_dead_letter(value: bytes) -> None:
    bench = Bench()
    await bench.handle(raw(value))
    assert [record.topic for record in bench.producer.records] == [NOTIFICATIONS.dlq]


async def test_what_needs_no_verdict_passes_without_one() -> None:
    bench = Bench()
    await bench.handle(
        raw(notification(native="1", direction=Direction.outbound)),
        raw(notification(native="2", action=Action.edited)),
        raw(notification(native="3", kinds=frozenset({Kind.follow}))),
        raw(notification(native="4")),
    )
    verdicts = [one.verdict for one in bench.classified]
    assert verdicts[:3] == [None, None, None]
    assert verdicts[3] is not None


class FailsOn(StubEngine):
    """An engine with a defect that one text meets."""

    def score(self, readings: Sequence[Reading]) -> Scores:
        if any("boom" in reading.text.raw for reading in readings):
            raise ZeroDivisionError
        return super().score(readings)


async def test_an_item_that_breaks_our_own_code_does_not_take_its_neighbours_along() -> None:
    bench = Bench(Classifier(reader(), FailsOn(), Costs()))
    await bench.handle(
        raw(notification("hello", native="1")),
        raw(notification("boom", native="2")),
        raw(notification("world", native="3")),
    )
    assert [one.notification.text for one in bench.classified] == ["hello", "world"]
    (letter,) = bench.producer.on(NOTIFICATIONS.dlq)
    assert dict(letter.headers)["dead-letter-reason"] == b"failed"


async def test_an_item_too_large_with_its_verdict_is_put_aside_instead_of_looping() -> None:
    bench = Bench()
    await bench.handle(raw(notification("x" * 985_000)), raw(notification("hi", native="2")))
    assert len(bench.classified) == 1
    (letter,) = bench.producer.on(NOTIFICATIONS.dlq)
    assert dict(letter.headers)["dead-letter-reason"] == b"too_large"


async def test_when_kafka_is_away_the_batch_is_asked_for_again_and_nothing_is_counted() -> None:
    bench = Bench()
    bench.producer.broken = Transient(ProduceReason.timeout)
    with pytest.raises(Transient):
        await bench.handle(raw(notification()))
    labels = {"label": "conversation", "engine": "stub", "language": "en"}
    assert bench.value("presence_verdicts_total", **labels) == 0
    bench.producer.broken = None
    await bench.handle(raw(notification()))
    assert len(bench.classified) == 1
    assert bench.value("presence_verdicts_total", **labels) == 1


async def test_too_much_poison_stops_the_line_before_anything_is_put_aside() -> None:
    bench = Bench()
    with pytest.raises(LineStopped):
        await bench.handle(*(raw(BROKEN, offset=n) for n in range(25)))
    assert bench.producer.records == []
    assert "presence dlq resume classify" in bench.notices[0].says


async def test_judging_again_says_the_same() -> None:
    bench = Bench()
    await bench.handle(raw(notification()))
    await bench.handle(raw(notification()))
    first, again = bench.classified
    assert first == again


async def test_a_large_batch_leaves_the_event_loop_free() -> None:
    bench = Bench()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await bench.handle(*(raw(notification(native=str(n)), offset=n) for n in range(400)))
    ticking.cancel()
    assert ticks > 1
    assert len(bench.classified) == 400


def test_every_label_set_is_there_from_the_start() -> None:
    bench = Bench()
    bench.metrics.expect("stub")
    for label in Label:
        for language in ("en", "und", "other"):
            labels = {"label": label.value, "engine": "stub", "language": language}
            assert bench.registry.get_sample_value("presence_verdicts_total", labels) == 0


async def test_stages_and_deciders_are_counted() -> None:
    bench = Bench(stub_classifier())
    item = notification("Where is my parcel?")
    await bench.handler([raw(item)])
    value = bench.registry.get_sample_value
    assert value("presence_classify_decided_total", {"by": "text"}) == 1
    assert value("presence_classify_decided_total", {"by": "correction"}) == 0
