"""What waits on a real Kafka, and what it deleted before anybody read it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from prometheus_client import CollectorRegistry

from services.contracts.events import Notice
from services.contracts.topics import NOTIFICATIONS, Topic
from services.runtime.broker import create_broker, create_producer, subscribe_batch
from services.runtime.clock import SystemClock
from services.runtime.lines import Lines
from services.runtime.metrics import LineMetrics
from services.runtime.producer import Record
from services.runtime.settings import ServiceSettings, load

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(kafka: str) -> ServiceSettings:
    return load(ServiceSettings, kafka=kafka)


@pytest.fixture
def topic(settings: ServiceSettings) -> Topic:
    name = f"test.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    for future in admin.create_topics([NewTopic(name, 1, 1)]).values():
        future.result(10)
    return replace(NOTIFICATIONS, name=name)


class Reading:
    """A service that reads one topic, and stands still when told."""

    def __init__(self, settings: ServiceSettings, topic: Topic) -> None:
        self.registry, self.told = CollectorRegistry(), list[Notice]()
        self.read: list[bytes | None] = []
        clock = SystemClock()
        self.lines = Lines("test", settings, LineMetrics(self.registry), self._tell, clock)
        self.consumption = self.lines.add(f"group-{topic.name}", topic)
        self.broker = create_broker(
            settings, service="test", registry=self.registry, consumption=self.consumption
        )
        subscribe_batch(
            self.broker,
            topic,
            self._handle,
            group=f"group-{topic.name}",
            consumption=self.consumption,
            clock=clock,
        )

    async def _tell(self, notice: Notice) -> None:
        self.told.append(notice)

    async def _handle(self, batch: Sequence[Message]) -> None:
        self.read += [one.value() for one in batch]

    def sample(self, name: str, topic: Topic) -> float | None:
        return self.registry.get_sample_value(name, {"topic": topic.name})


async def test_a_line_that_stands_still_says_since_when_and_what_it_lost(
    settings: ServiceSettings, topic: Topic
) -> None:
    producer = create_producer(settings, service="test")
    producer.start()
    hours_ago = datetime.now(UTC) - timedelta(hours=5)
    await producer.publish([Record(topic.name, "key", b"first")])
    reading = Reading(settings, topic)
    await reading.broker.start()
    async with asyncio.timeout(30):
        while not reading.read:
            await asyncio.sleep(0.05)
    reading.consumption.stop_line("by a person")
    late = [Record(topic.name, "key", b"%d" % n, timestamp=hours_ago) for n in range(4)]
    await producer.publish(late)
    await asyncio.sleep(0.5)  # the first record's commit
    await reading.lines._look_at_backlogs()
    waited = reading.sample("presence_consumer_oldest_unread_seconds", topic)
    assert waited == pytest.approx(5 * 3600, abs=120)
    assert reading.sample("presence_topic_retention_seconds", topic) == 14 * 86400

    admin = AdminClient({"bootstrap.servers": settings.kafka})
    for future in admin.delete_records([TopicPartition(topic.name, 0, 4)]).values():
        future.result(10)
    await reading.lines._look_at_backlogs()
    await reading.lines._tell_what_is_lost()
    await reading.broker.stop()
    await producer.close()
    (notice,) = reading.told
    assert "3 records" in notice.says
    assert reading.sample("presence_records_lost_total", topic) == 3
