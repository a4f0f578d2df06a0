"""The limit on dead letters: too many of them stop the line until a person resumes it.

The state survives restarts without a database: it is the last notice about it on `presence.notices`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from pydantic import ValidationError

from services.contracts.events import Notice, NoticeKind
from services.contracts.topics import NOTICES, Topic
from services.runtime.consumption import Consumption, LineStopped
from services.runtime.errors import Transient
from services.runtime.logs import get_logger
from services.runtime.reading import open_reader
from services.runtime.settings import ServiceSettings

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Count:
    at: datetime
    records: int
    dead: int


class DeadLetterLimit:
    """Trips at 20 dead letters *and* half of the records within 5 minutes. Reads no clock.

    A few bad records among many good ones never stop a service; a broken release or a changed format
    does, before it has put a day's work aside.
    """

    DEAD = 20
    SHARE = 0.5
    WITHIN = timedelta(minutes=5)

    def __init__(self) -> None:
        self._counts: deque[_Count] = deque()

    def would_trip(self, records: int, dead: int, now: datetime) -> bool:
        """Whether handling this batch passes the limit. Call before its dead letters are produced."""
        recent = [count for count in self._counts if count.at > now - self.WITHIN]
        all_dead = dead + sum(count.dead for count in recent)
        all_records = records + sum(count.records for count in recent)
        return dead > 0 and all_dead >= self.DEAD and all_dead >= self.SHARE * all_records

    def count(self, records: int, dead: int, now: datetime) -> None:
        """A batch has been handled."""
        self._counts.append(_Count(now, records, dead))
        while self._counts and self._counts[0].at <= now - self.WITHIN:
            self._counts.popleft()

    def reset(self) -> None:
        """After a person resumed."""
        self._counts.clear()


class DeadLetterGuard:
    """Stands before every production of dead letters from a topic."""

    def __init__(
        self,
        *,
        service: str,
        topic: Topic,
        consumption: Consumption,
        announce: Callable[[Notice], Awaitable[None]],
    ) -> None:
        self._service = service
        self._topic = topic
        self._consumption = consumption
        self._announce = announce
        self._limit = DeadLetterLimit()

    async def admit(self, records: int, dead: int, now: datetime) -> None:
        """Count a batch of `records`, `dead` of them to be put aside.

        Raises LineStopped instead, after pausing consumption and telling the engineers, where that
        passes the limit, or where the one record that is probed after a resume is dead again.
        """
        if dead and (self._consumption.probing or self._limit.would_trip(records, dead, now)):
            says = (
                f"{self._service} stopped reading {self._topic.name}: too many records can't be "
                f"handled. Look with `presence dlq list`, mend the cause, then "
                f"`presence dlq resume {self._service}`"
            )
            self._limit.reset()
            await self._announce(
                Notice(
                    kind=NoticeKind.dead_letter_limit,
                    service=self._service,
                    source=self._topic.name,
                    says=says,
                    at=now,
                )
            )
            self._consumption.stop_line(says)
            log.error("the dead-letter limit tripped", topic=self._topic.name)
            raise LineStopped
        self._limit.count(records, dead, now)


class LimitReason(StrEnum):
    """Why it could not be told whether the limit has tripped."""

    unavailable = "unavailable"


def tripped(settings: ServiceSettings, service: str, *, timeout: float = 5.0) -> frozenset[str]:
    """The topics on which this service's last word on `presence.notices` is that its limit tripped.

    Blocking; reads the topic (notices are few) without a group. Raises Transient where Kafka does not
    let it be read to its end: that is neither yes nor no.
    """
    consumer = open_reader(settings, f"{service}-limit")
    stopped: dict[str, datetime] = {}
    resumed = datetime.min.replace(tzinfo=UTC)
    try:
        for notice in _notices(consumer, timeout):
            if notice.service != service:
                continue
            if notice.kind is NoticeKind.dead_letter_limit:
                stopped[notice.source] = max(notice.at, stopped.get(notice.source, notice.at))
            elif notice.kind is NoticeKind.dead_letter_resumed:
                resumed = max(resumed, notice.at)
    except KafkaException as error:
        raise Transient(LimitReason.unavailable, str(error.args[0])) from error
    finally:
        consumer.close()
    return frozenset(topic for topic, at in stopped.items() if at > resumed)


def _notices(consumer: Consumer, timeout: float) -> Iterator[Notice]:
    """All that are there. What is none is left out: it is no word about a limit."""
    metadata = consumer.list_topics(NOTICES.name, timeout=timeout).topics[NOTICES.name]
    places = [TopicPartition(NOTICES.name, p, OFFSET_BEGINNING) for p in metadata.partitions]
    consumer.assign(places)
    left = {place.partition for place in places}
    while left:
        message = consumer.poll(timeout)
        if message is None:
            raise Transient(LimitReason.unavailable, f"{NOTICES.name} was not read to its end")
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            left.discard(message.partition() or 0)
            continue
        with suppress(ValidationError):
            yield Notice.model_validate_json(message.value() or b"")
