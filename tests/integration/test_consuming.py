"""Consuming on a real Kafka: at least once, raw, and stopped in good order."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from prometheus_client import CollectorRegistry

from services.contracts.events import Notice
from services.contracts.topics import NOTIFICATIONS, Topic
from services.runtime.backoff import Backoff
from services.runtime.broker import create_broker, create_producer, subscribe_batch
from services.runtime.clock import SystemClock
from services.runtime.consumption import Consumption
from services.runtime.dead_letter import DeadLetterReason, dead_letter
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.producer import KafkaProducer, Record
from services.runtime.settings import ServiceSettings, load

pytestmark = pytest.mark.integration
Handler = Callable[[Sequence[Message]], "asyncio.Future[None]"]


@pytest.fixture
def settings(kafka: str) -> ServiceSettings:
    return load(ServiceSettings, kafka=kafka)


@pytest.fixture
def topic(settings: ServiceSettings) -> Topic:
    name = f"test.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    for future in admin.create_topics(
        [NewTopic(name, 2, 1), NewTopic(f"{name}.dlq", 1, 1)]
    ).values():
        future.result(10)
    return replace(NOTIFICATIONS, name=name)


@pytest.fixture
async def producer(settings: ServiceSettings) -> AsyncIterator[KafkaProducer]:
    producer = create_producer(settings, service="test")
    producer.start()
    yield producer
    await producer.close()


class Service:
    """A consumer that can be started twice on the same group, as after a crash."""

    def __init__(self, settings: ServiceSettings, topic: Topic) -> None:
        self.settings, self.topic = settings, topic
        self.consumption = Consumption()
        self.group = f"group-{topic.name}"

    @asynccontextmanager
    async def running(self, handler: object) -> AsyncIterator[Consumption]:
        self.consumption = Consumption()
        broker = create_broker(
            self.settings,
            service="test",
            registry=CollectorRegistry(),
            consumption=self.consumption,
        )
        subscribe_batch(
            broker,
            self.topic,
            handler,  # type: ignore[arg-type]
            group=self.group,
            consumption=self.consumption,
            clock=SystemClock(),
            backoff=Backoff(initial=0.05, cap=0.1),
        )
        await broker.start()
        try:
            yield self.consumption
        finally:
            await broker.stop()

    def committed(self) -> int:
        consumer = Consumer({"bootstrap.servers": self.settings.kafka, "group.id": self.group})
        try:
            places = [TopicPartition(self.topic.name, part) for part in (0, 1)]
            return sum(max(p.offset, 0) for p in consumer.committed(places, timeout=5))
        finally:
            consumer.close()


def records(topic: Topic, count: int, start: int = 0) -> list[Record]:
    return [
        Record(topic.name, f"key-{n % 7}", str(n).encode(), (("event-id", b"e%d" % n),))
        for n in range(start, start + count)
    ]


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_every_record_is_handled_and_then_committed(
    settings: ServiceSettings, topic: Topic, producer: KafkaProducer
) -> None:
    seen: list[int] = []

    async def handler(batch: Sequence[Message]) -> None:
        seen.extend(int(message.value() or b"") for message in batch)

    service = Service(settings, topic)
    await producer.publish(records(topic, 300))
    async with service.running(handler) as consumption:
        await until(lambda: len(seen) >= 300)
        assert consumption.problem() is None
    assert sorted(seen) == list(range(300))
    assert service.committed() == 300


async def test_a_failed_batch_is_read_again_and_none_of_it_is_committed_meanwhile(
    settings: ServiceSettings, topic: Topic, producer: KafkaProducer
) -> None:
    handled: set[int] = set()
    calls = 0

    async def fails(batch: Sequence[Message]) -> None:
        # Partition 1 works, partition 0 never does: the commit of one must not cover the other.
        nonlocal calls
        calls += 1
        if any(message.partition() == 0 for message in batch):
            raise RuntimeError("the database is away")
        handled.update(int(message.value() or b"") for message in batch)

    async def works(batch: Sequence[Message]) -> None:
        handled.update(int(message.value() or b"") for message in batch)

    service = Service(settings, topic)
    await producer.publish(records(topic, 100))
    async with service.running(fails):
        await until(lambda: calls >= 4)
    async with service.running(works):
        await until(lambda: handled == set(range(100)))
    assert service.committed() == 100


async def test_stopping_waits_for_the_batch_in_hand_and_commits_it(
    settings: ServiceSettings, topic: Topic, producer: KafkaProducer
) -> None:
    entered, finished = asyncio.Event(), asyncio.Event()

    async def slow(batch: Sequence[Message]) -> None:
        entered.set()
        await asyncio.sleep(0.5)
        finished.set()

    service = Service(settings, topic)
    await producer.publish(records(topic, 1))
    async with service.running(slow):
        await asyncio.wait_for(entered.wait(), 20)
    assert finished.is_set()
    assert service.committed() == 1


async def test_past_the_limit_the_line_stops_and_a_resume_probes_one_record_first(
    settings: ServiceSettings, topic: Topic, producer: KafkaProducer
) -> None:
    notices: list[Notice] = []
    batches: list[int] = []
    poison = True

    async def announce(notice: Notice) -> None:
        notices.append(notice)

    service = Service(settings, topic)

    async def handler(batch: Sequence[Message]) -> None:
        now = datetime.now(UTC)
        dead = [
            dead_letter(m, DeadLetterReason.malformed, "no JSON", service="test", now=now)
            for m in batch
            if poison
        ]
        await guard.admit(len(batch), len(dead), now)
        await producer.publish(dead)
        batches.append(len(batch))

    await producer.publish(records(topic, 60))
    async with service.running(handler) as consumption:
        guard = DeadLetterGuard(
            service="test", topic=topic, consumption=consumption, announce=announce
        )
        await until(lambda: bool(notices))
        assert "dlq resume" in str(consumption.problem())
        before = sum(batches)
        await asyncio.sleep(0.3)
        assert sum(batches) == before, "a stopped line handles nothing"
        consumption.resume_line()
        await until(lambda: len(notices) == 2)
        assert sum(batches) == before, "the probed record was still dead"
        poison = False
        consumption.resume_line()
        await until(lambda: sum(batches) == 60)
        assert 1 in batches
    assert service.committed() == 60


async def test_a_key_goes_to_the_partition_that_kafka_python_and_java_would_choose(
    settings: ServiceSettings, topic: Topic, producer: KafkaProducer
) -> None:
    from kafka.partitioner import murmur2

    seen: dict[str, int] = {}

    async def handler(batch: Sequence[Message]) -> None:
        for message in batch:
            key = message.key()
            assert isinstance(key, bytes)
            seen[key.decode()] = message.partition() or 0

    await producer.publish(records(topic, 70))
    async with Service(settings, topic).running(handler):
        await until(lambda: len(seen) == 7)
    assert seen == {key: (murmur2(key.encode()) & 0x7FFFFFFF) % 2 for key in seen}
