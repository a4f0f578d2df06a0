"""What a consumer is doing: assigned, polling, lagging, paused. Readiness asks it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, Message, TopicPartition

from services.runtime.backlog import Backlog
from services.runtime.logs import get_logger

log = get_logger(__name__)

STALE_AFTER = 30.0
"""Seconds without a poll after which a consumer is not ready."""


class LineStopped(Exception):
    """Nothing more is handled until a person resumes; the batch is read again then."""


@dataclass(frozen=True, slots=True)
class OffsetGap:
    """Records between the committed offset and the oldest kept one: nobody will read them."""

    topic: str
    partition: int
    committed: int
    oldest: int


class Consumption:
    """The state of one service's consumer.

    Invariants: while stopped, nothing is admitted and every assigned partition is paused, also those
    assigned later; while probing, one record is admitted at a time. Callbacks come from the consumer's
    own thread, everything else from the event loop; plain attributes are enough for both.
    """

    def __init__(self, on_gap: Callable[[OffsetGap], None] | None = None) -> None:
        self._consumer: Consumer | None = None
        self._partitions: set[tuple[str, int]] = set()
        self._last_poll: float | None = None
        self._on_gap = on_gap
        self._beside: list[Consumption] = []
        self.lag: dict[tuple[str, int], int] = {}
        """Records behind, by partition, as of the last statistics (every 5 s)."""
        self.stopped: str | None = None
        """Why the line is stopped; None while it runs."""
        self.probing = False

    # Callbacks of librdkafka.

    def statistics(self, text: str) -> None:
        """librdkafka's statistics: only a consumer that polls gets them."""
        facts = orjson.loads(text)
        if facts.get("type") != "consumer":
            return
        for one in (self, *self._beside):
            one._take(facts)

    def beside(self, other: Consumption) -> None:
        """Pass statistics on to another consumer's: a broker has one callback for all of its own."""
        self._beside.append(other)

    def _take(self, facts: dict[str, Any]) -> None:
        mine = {topic for topic, _ in self._partitions}
        if mine and mine.isdisjoint(facts.get("topics", {})):
            return  # another consumer's
        self._last_poll = time.monotonic()
        for topic, about in facts.get("topics", {}).items():
            for partition, one in about.get("partitions", {}).items():
                place = (topic, int(partition))
                if place in self._partitions and one.get("consumer_lag", -1) >= 0:
                    self.lag[place] = one["consumer_lag"]

    def assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Partitions came."""
        self._consumer = consumer
        self._last_poll = time.monotonic()
        self._partitions |= {(place.topic, place.partition) for place in partitions}
        self._tell_gaps(consumer, partitions)
        if self.stopped:
            consumer.pause(partitions)
        log.info("partitions assigned", count=len(partitions), all=len(self._partitions))

    def revoked(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Partitions went."""
        gone = {(place.topic, place.partition) for place in partitions}
        self._partitions -= gone
        for place in gone:
            self.lag.pop(place, None)
        log.info("partitions revoked", count=len(partitions), all=len(self._partitions))

    def _tell_gaps(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # librdkafka would go on at the oldest record without a word.
        try:
            for place in consumer.committed(partitions, timeout=5.0):
                if place.offset == OFFSET_INVALID or place.offset < 0:
                    continue
                oldest, newest = consumer.get_watermark_offsets(place, timeout=5.0)
                if place.offset < oldest or place.offset > newest:
                    log.error(
                        "offset out of range: records were deleted unread",
                        topic=place.topic,
                        partition=place.partition,
                        committed=place.offset,
                        oldest=oldest,
                    )
                    if self._on_gap:
                        gap = OffsetGap(place.topic, place.partition, place.offset, oldest)
                        self._on_gap(gap)
        except KafkaException as error:
            log.warning("could not compare offsets with what is kept", error=str(error))

    def backlogs(self, group: str) -> list[Backlog]:
        """The assigned partitions as the group has read them. Blocking; raises KafkaException."""
        consumer, assigned = self._consumer, sorted(self._partitions)
        if consumer is None or not assigned:
            return []
        found = []
        for place in consumer.committed([TopicPartition(*one) for one in assigned], timeout=5.0):
            oldest, end = consumer.get_watermark_offsets(place, timeout=5.0)
            committed = place.offset if place.offset >= 0 else None
            found.append(Backlog(group, place.topic, place.partition, committed, oldest, end))
        return found

    # The gate before the handler.

    def admit(self, records: Sequence[Message], consumer: Consumer | None) -> Sequence[Message]:
        """Those of a batch that may be handled now; the others will be read again."""
        self._last_poll = time.monotonic()
        if self.stopped:
            self.rewind(records, consumer)
            return ()
        return records[:1] if self.probing else records

    def handled(
        self, read: Sequence[Message], handled: Sequence[Message], consumer: Consumer
    ) -> None:
        """After success: what was read and not admitted is read again; a probe that went well ends."""
        if len(handled) < len(read):
            self.rewind(read[len(handled) :], consumer)
        if self.probing:
            self.probing = False
            log.info("the probed record was handled: going on")

    def rewind(self, records: Sequence[Message], consumer: Consumer | None) -> None:
        """Go back to the earliest of `records` in each partition."""
        first: dict[tuple[str, int], int] = {}
        for record in records:
            place = (record.topic() or "", record.partition() or 0)
            offset = record.offset() or 0
            first[place] = min(first.get(place, offset), offset)
        if consumer is None:
            return
        for (topic, partition), offset in first.items():
            try:
                consumer.seek(TopicPartition(topic, partition, offset))
            except KafkaException as error:
                log.info("a revoked partition was not rewound", error=str(error))

    # Stopping and resuming.

    def stop_line(self, says: str) -> None:
        """Handle nothing more; stay in the group, so that the partitions stay where they are."""
        self.stopped = says
        self._each(lambda consumer, places: consumer.pause(places))

    def resume_line(self) -> None:
        """Go on, one record first."""
        self.stopped = None
        self.probing = True
        self._each(lambda consumer, places: consumer.resume(places))

    def _each(self, act: Callable[[Consumer, list[TopicPartition]], Any]) -> None:
        if self._consumer is not None and self._partitions:
            act(self._consumer, [TopicPartition(*place) for place in self._partitions])

    # For readiness.

    def problem(self) -> str | None:
        """Why this consumer is not ready, or None."""
        if self.stopped:
            return self.stopped
        if not self._partitions:
            return "no partition is assigned"
        silent = time.monotonic() - (self._last_poll or 0.0)
        if silent > STALE_AFTER:
            return f"the last poll was {silent:.0f} s ago"
        return None

    @property
    def behind(self) -> int:
        """Records that wait, over all assigned partitions, as of the last statistics."""
        return sum(self.lag.values())
