"""classify on a real Kafka: nothing is lost, nothing is committed before it is on the bus."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from unittest.mock import patch

import pytest
from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from prometheus_client import CollectorRegistry

from services.classify import handlers
from services.classify.handlers import BatchHandler
from services.classify.metrics import Metrics
from services.contracts.events import ClassifiedNotification, Notice
from services.contracts.topics import CLASSIFIED, NOTIFICATIONS, Topic
from services.runtime.backoff import Backoff
from services.runtime.broker import create_broker, create_producer, subscribe_batch
from services.runtime.clock import SystemClock
from services.runtime.consumption import Consumption
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.errors import Transient
from services.runtime.producer import KafkaProducer, Producer, ProduceReason, Record
from services.runtime.settings import ServiceSettings, load
from tests.classify.building import notification, stub_classifier

pytestmark = pytest.mark.integration

GOOD, POISON = 197, 3


@pytest.fixture
def settings(kafka: str) -> ServiceSettings:
    return load(ServiceSettings, kafka=kafka)


@pytest.fixture
def topics(settings: ServiceSettings) -> Iterator[tuple[Topic, Topic]]:
    """Topics of this test's own, under which the handler works as under the registered ones."""
    mark = uuid.uuid4().hex[:8]
    notifications = replace(NOTIFICATIONS, name=f"n.{mark}")
    classified = replace(CLASSIFIED, name=f"c.{mark}")
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    names = (notifications.name, notifications.dlq, classified.name)
    for future in admin.create_topics([NewTopic(name, 3, 1) for name in names]).values():
        future.result(10)
    with patch.object(handlers, "CLASSIFIED", classified):
        yield notifications, classified


@pytest.fixture
async def producer(settings: ServiceSettings) -> AsyncIterator[KafkaProducer]:
    producer = create_producer(settings, service="test")
    producer.start()
    yield producer
    await producer.close()


class FailsAtFirst:
    """Kafka takes the first batch and its acknowledgement never arrives; the next fails outright."""

    def __init__(self, real: KafkaProducer) -> None:
        self._real = real
        self.calls = 0

    async def publish(self, records: Sequence[Record]) -> None:
        self.calls += 1
        if self.calls == 1:
            await self._real.publish(records)
        if self.calls <= 2:
            raise Transient(ProduceReason.timeout)
        await self._real.publish(records)


@asynccontextmanager
async def classify(
    settings: ServiceSettings, topic: Topic, producer: Producer
) -> AsyncIterator[None]:
    consumption = Consumption()
    registry = CollectorRegistry()
    broker = create_broker(settings, service="classify", registry=registry, consumption=consumption)

    async def announce(notice: Notice) -> None:
        raise AssertionError(notice.says)

    guard = DeadLetterGuard(
        service="classify", topic=topic, consumption=consumption, announce=announce
    )
    handler = BatchHandler(stub_classifier(), producer, Metrics(registry), guard, SystemClock())
    subscribe_batch(
        broker,
        topic,
        handler,
        group=f"g-{topic.name}",
        consumption=consumption,
        clock=SystemClock(),
        backoff=Backoff(initial=0.05, cap=0.1),
    )
    await broker.start()
    try:
        yield
    finally:
        await broker.stop()


class Sink:
    """Reads everything that arrives on some topics."""

    def __init__(self, settings: ServiceSettings, *names: str) -> None:
        self.by_topic: dict[str, list[Message]] = {name: [] for name in names}
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka,
                "group.id": uuid.uuid4().hex,
                "auto.offset.reset": "earliest",
            }
        )
        self._consumer.subscribe(list(names))

    async def until(self, done: Callable[[], bool], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not done():
                for message in await asyncio.to_thread(self._consumer.consume, 500, 0.1):
                    assert message.error() is None
                    self.by_topic[message.topic() or ""].append(message)

    def close(self) -> None:
        self._consumer.close()


def inputs(topic: Topic) -> list[Record]:
    """200 records, three of them no notifications."""
    records = [
        Record(
            topic.name, f"x:42:{n % 17}", item.to_bytes(), (("event-id", item.event_id.encode()),)
        )
        for n in range(GOOD)
        for item in [notification(f"Where is parcel {n}?", native=str(n))]
    ]
    for n in range(POISON):
        records.insert(n * 60, Record(topic.name, f"bad-{n}", b"no json", (("event-id", b"b"),)))
    return records


async def test_each_record_leaves_classified_or_put_aside_with_its_key(
    settings: ServiceSettings, topics: tuple[Topic, Topic], producer: KafkaProducer
) -> None:
    notifications, classified = topics
    sink = Sink(settings, classified.name, notifications.dlq)
    await producer.publish(inputs(notifications))
    out, dead = sink.by_topic[classified.name], sink.by_topic[notifications.dlq]
    async with classify(settings, notifications, producer):
        await sink.until(lambda: len(out) >= GOOD and len(dead) >= POISON)
    sink.close()
    assert len(out) == GOOD
    assert sorted(message.key() or b"" for message in dead) == [b"bad-0", b"bad-1", b"bad-2"]
    seen = set()
    for message in out:
        one = ClassifiedNotification.model_validate_json(message.value() or b"")
        number = int(one.notification.text.removeprefix("Where is parcel ").rstrip("?"))
        seen.add(number)
        assert message.key() == f"x:42:{number % 17}".encode()
        assert message.headers() == [("event-id", one.notification.event_id.encode())]
        assert one.verdict is not None
    assert seen == set(range(GOOD))


async def test_after_a_failed_delivery_everything_is_judged_again_and_nothing_is_lost(
    settings: ServiceSettings, topics: tuple[Topic, Topic], producer: KafkaProducer
) -> None:
    notifications, classified = topics
    sink = Sink(settings, classified.name, notifications.dlq)
    await producer.publish(inputs(notifications))
    failing = FailsAtFirst(producer)
    out = sink.by_topic[classified.name]

    def events() -> set[str]:
        return {
            ClassifiedNotification.model_validate_json(m.value() or b"").notification.event_id
            for m in out
        }

    async with classify(settings, notifications, failing):
        await sink.until(lambda: len(out) > GOOD and len(events()) == GOOD)
    sink.close()
    assert failing.calls >= 3
    keys: dict[str, set[bytes | str | None]] = {}
    for message in out:
        one = ClassifiedNotification.model_validate_json(message.value() or b"")
        keys.setdefault(one.notification.event_id, set()).add(message.key())
    assert all(len(found) == 1 for found in keys.values()), "again means under the same key"
