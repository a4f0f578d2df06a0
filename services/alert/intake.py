"""How far intake has come against the ends of the topic, and where a group is to be rewound."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from services.alert.domain.ignorance import Permission, Waiting, lags, passed, permission
from services.alert.store.inbox import Inbox
from services.contracts.topics import Topic
from services.runtime import kafka_settings
from services.runtime.clock import Clock
from services.runtime.consumption import Consumption
from services.runtime.logs import get_logger
from services.runtime.settings import ServiceSettings

log = get_logger(__name__)

TIMEOUT = 5.0


class TopicEnds:
    """Looks at a topic from outside of the group's assignment. Blocking; run it in a thread."""

    def __init__(self, settings: ServiceSettings, topic: Topic, group: str) -> None:
        self._settings = settings
        self._topic = topic
        self._group = group

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._settings.kafka,
                "group.id": self._group,
                "enable.auto.commit": False,
                **kafka_settings.security(self._settings),
            }
        )

    def cluster(self) -> str:
        """The id of the Kafka cluster: offsets of another one mean nothing here."""
        consumer = self._consumer()
        try:
            return str(consumer.list_topics(timeout=TIMEOUT).cluster_id)
        finally:
            consumer.close()

    def ends(self) -> dict[int, int]:
        """The next offset of every partition that keeps records."""
        consumer = self._consumer()
        try:
            found = {}
            for partition in self._partitions(consumer):
                place = TopicPartition(self._topic.name, partition)
                low, high = consumer.get_watermark_offsets(place, timeout=TIMEOUT)
                if high > low:
                    found[partition] = high
            return found
        finally:
            consumer.close()

    def rewind(self, recorded: Mapping[int, int]) -> dict[int, int]:
        """Take the group back to what the database holds, where the group is ahead of it.

        A database that was restored from a backup knows less than the group has committed; what it
        has already is stored again without effect. Returns the partitions that were rewound.
        """
        consumer = self._consumer()
        try:
            places = [TopicPartition(self._topic.name, one) for one in self._partitions(consumer)]
            back: dict[int, int] = {}
            for place in consumer.committed(places, timeout=TIMEOUT):
                known = recorded.get(place.partition, 0)
                if place.offset in (OFFSET_INVALID, None) or place.offset <= known:
                    continue
                low, _ = consumer.get_watermark_offsets(place, timeout=TIMEOUT)
                if place.offset > max(known, low):
                    back[place.partition] = max(known, low)
            if back:
                offsets = [TopicPartition(self._topic.name, p, at) for p, at in back.items()]
                consumer.commit(offsets=offsets, asynchronous=False)
                log.warning("the group was ahead of the database and was rewound", offsets=back)
            return back
        finally:
            consumer.close()

    def _partitions(self, consumer: Consumer) -> list[int]:
        metadata = consumer.list_topics(self._topic.name, timeout=TIMEOUT)
        return sorted(metadata.topics[self._topic.name].partitions)


class IntakeProgress:
    """Answers the sweep's question: do we know enough to wake somebody?"""

    def __init__(
        self, ends: TopicEnds, inbox: Inbox, topic: Topic, consumption: Consumption, clock: Clock
    ) -> None:
        self._ends = ends
        self._inbox = inbox
        self._topic = topic
        self._consumption = consumption
        self._clock = clock
        self._waiting: Waiting | None = None
        self._newest: datetime | None = None
        self.may_page = False
        """As of the last look; False until the first."""

    async def begin(self) -> None:
        """After a start: wait until intake has passed the end of now."""
        ends = await asyncio.to_thread(self._ends.ends)
        self._waiting = Waiting(self._clock.now(), ends)

    def handled(self, newest: datetime) -> None:
        """A batch was stored; its newest record was produced then."""
        self._newest = newest

    async def permission(self) -> Permission:
        """Whether to page now. Asks Kafka only when a lag begins."""
        allowed = await self._look()
        self.may_page = allowed.page
        return allowed

    async def _look(self) -> Permission:
        now = self._clock.now()
        if self._waiting is None and lags(self._newest, self._consumption.behind, now):
            log.warning("intake lags: paging waits until it has caught up")
            try:
                await self.begin()
            except KafkaException as error:
                log.warning("Kafka does not say where the topic ends", error=str(error))
                self._waiting = Waiting(now, {-1: 1})
        if self._waiting is None:
            return Permission(page=True)
        progress = await self._inbox.progress(self._topic.name)
        unfolded = await self._inbox.waiting()
        if passed(self._waiting, progress, unfolded):
            self._waiting = None
            return Permission(page=True)
        return permission(self._waiting, progress, unfolded, now)
