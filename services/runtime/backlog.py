"""What waits in the partitions that a consumer group reads, and since when. Blocking: run it in a thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from confluent_kafka import TopicPartition

from services.runtime.reading import open_reader
from services.runtime.settings import ServiceSettings

LOOK_WITHIN = 5.0
"""Seconds for reading the oldest unread records."""

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """One partition as one group reads it."""

    group: str
    topic: str
    partition: int
    committed: int | None
    """The next offset to read; None: the group has read nothing of it yet."""
    oldest: int
    """The first offset that Kafka still keeps."""
    end: int
    """The offset that the next record will have."""
    waits_since: datetime | None = None
    """The time of the oldest unread record; None: nothing waits, or it could not be read."""

    @property
    def next(self) -> int:
        """Where reading goes on."""
        return max(self.oldest, self.committed or 0)

    @property
    def records(self) -> int:
        """How many wait."""
        return max(0, self.end - self.next)

    @property
    def lost(self) -> int:
        """How many Kafka deleted before the group had read them."""
        return max(0, self.oldest - self.committed) if self.committed is not None else 0


def dated(settings: ServiceSettings, found: Sequence[Backlog]) -> list[Backlog]:
    """The same with the time of each oldest unread record, which only the record itself tells.

    Raises KafkaException where Kafka cannot be reached at all.
    """
    left = [one for one in found if one.records]
    times: dict[tuple[Place, int], datetime] = {}
    while left:
        # Two groups may wait at two offsets of one partition: one round for each.
        this_round = {(one.topic, one.partition): one.next for one in left}
        times |= {
            (place, this_round[place]): at for place, at in _times(settings, this_round).items()
        }
        left = [one for one in left if this_round[one.topic, one.partition] != one.next]
    return [
        replace(one, waits_since=times.get(((one.topic, one.partition), one.next))) for one in found
    ]


def _times(settings: ServiceSettings, offsets: Mapping[Place, int]) -> dict[Place, datetime]:
    """The time of the record at each offset, or of the next one where that was compacted away."""
    consumer = open_reader(settings, "backlog")
    found: dict[Place, datetime] = {}
    with closing(consumer):
        consumer.assign([TopicPartition(topic, part, at) for (topic, part), at in offsets.items()])
        left = set(offsets)
        while left:
            message = consumer.poll(LOOK_WITHIN)
            if message is None:
                break
            place = message.topic() or "", message.partition() or 0
            if place not in left:
                continue
            left.discard(place)
            if message.error() is None:
                _, milliseconds = message.timestamp()
                found[place] = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return found


def longest_wait(found: Iterable[Backlog], now: datetime) -> float:
    """Seconds that the oldest unread record has waited; 0 where none waits."""
    times = [one.waits_since for one in found if one.waits_since is not None]
    return max((now - min(times)).total_seconds(), 0.0) if times else 0.0
