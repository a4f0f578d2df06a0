"""Follows presence.corrections: every replica reads all of it, without a group, before it is ready.

Invariants: the newest record of an item holds; what is learned is replaced as a whole, so a batch is
judged by one state; a record that cannot be read is passed over and told, never stops the reading.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from pydantic import ValidationError

from services.classify.domain.lessons import Lessons, learn
from services.contracts.configuration import Learning
from services.contracts.events import Correction
from services.contracts.topics import CORRECTIONS, Topic
from services.runtime.logs import get_logger
from services.runtime.reading import open_reader
from services.runtime.settings import ServiceSettings

log = get_logger(__name__)

_AT_ONCE: Final = 1_000
_POLL: Final = 0.25
"""Seconds: with Kafka's own delays, how soon a correction holds."""
_SLACK: Final = 2
"""So many times `remember` are read before the oldest are let go."""


class Memory:
    """The last correction of each item, without its words; bounded, the newest stay."""

    def __init__(self, learning: Learning) -> None:
        self._learning = learning
        self._last: dict[str, Correction] = {}

    def take(self, item_id: str, correction: Correction | None) -> None:
        """The next record of the topic; None is a tombstone."""
        if correction is None or correction.retracted:
            self._last.pop(item_id, None)
            return
        about = correction.about and correction.about.model_copy(update={"text": None})
        self._last[item_id] = correction.model_copy(update={"about": about})
        if len(self._last) > _SLACK * self._learning.remember:
            self._forget()

    def _forget(self) -> None:
        newest = sorted(self._last.values(), key=lambda one: (one.at, one.item_id))
        self._last = {one.item_id: one for one in newest[-self._learning.remember :]}

    def lessons(self) -> Lessons:
        """What they teach."""
        return learn(
            self._last.values(),
            remember=self._learning.remember,
            trusted_per_hour=self._learning.trusted_per_hour,
        )


class Teaching:
    """The follower and what it has learned. A thread of its own: a consumer blocks."""

    def __init__(
        self,
        settings: ServiceSettings,
        learning: Learning,
        learned: Callable[[Lessons], None],
        topic: Topic = CORRECTIONS,
    ) -> None:
        self._settings = settings
        self._memory = Memory(learning)
        self._learned = learned
        self._topic = topic
        self._lessons = Lessons()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._read_to_the_end = asyncio.Event()
        self._failure: str | None = None

    def __call__(self) -> Lessons:
        """What is known now."""
        return self._lessons

    def start(self) -> None:
        """Begin to read. The topic exists."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._run, args=(loop,), name="corrections", daemon=True
        )
        self._thread.start()

    async def caught_up(self) -> None:
        """Return once everything that was there at the start has been read."""
        await self._read_to_the_end.wait()

    async def problem(self) -> str | None:
        """Why classify is not ready for this, or None."""
        if self._failure:
            return self._failure
        return None if self._read_to_the_end.is_set() else "still reading the team's corrections"

    async def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 2.0)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stopping.is_set():
            try:
                self._follow(loop)
                self._failure = None
            except KafkaException as error:
                self._failure = f"the corrections can't be read: {error}"
                log.warning("the corrections can't be read; trying again", error=str(error))
                self._stopping.wait(2.0)

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        consumer = _open(self._settings)
        try:
            partitions = assign_all(consumer, self._topic)
            self._failure = None
            behind = set(partitions)
            while not self._stopping.is_set():
                changed = self._take(consumer, behind)
                if changed and not behind:
                    self._learn()
                if not behind and not self._read_to_the_end.is_set():
                    self._learn()
                    loop.call_soon_threadsafe(self._read_to_the_end.set)
        finally:
            consumer.close()

    def _take(self, consumer: Consumer, behind: set[int]) -> bool:
        changed = False
        for message in consumer.consume(_AT_ONCE, _POLL):
            error = message.error()
            if error is None:
                key, value = message.key(), message.value()
                changed |= self._read(key if isinstance(key, bytes) else b"", value)
            elif error.code() == KafkaError._PARTITION_EOF:
                behind.discard(message.partition() or 0)
            else:
                raise KafkaException(error)
        return changed

    def _read(self, key: bytes, value: bytes | str | None) -> bool:
        item_id = key.decode("utf-8", "replace")
        if value is None:
            self._memory.take(item_id, None)
            return True
        try:
            correction = Correction.model_validate_json(value)
        except ValidationError as error:
            log.warning("a correction could not be read", item=item_id, errors=error.error_count())
            return False
        self._memory.take(correction.item_id, correction)
        return True

    def _learn(self) -> None:
        self._lessons = self._memory.lessons()
        self._learned(self._lessons)
        log.info("learned", items=len(self._lessons.items), untrusted=self._lessons.untrusted)


def _open(settings: ServiceSettings) -> Consumer:
    return open_reader(settings, "classify-corrections", **{"fetch.wait.max.ms": 100})


def assign_all(consumer: Consumer, topic: Topic) -> list[int]:
    """Every partition from its beginning. Raises KafkaException where the topic is not there."""
    about = consumer.list_topics(topic.name, timeout=5.0).topics[topic.name]
    if about.error is not None:
        raise KafkaException(about.error)
    partitions = sorted(about.partitions)
    consumer.assign([TopicPartition(topic.name, one, OFFSET_BEGINNING) for one in partitions])
    return partitions


def read_all(settings: ServiceSettings, topic: Topic) -> Iterable[tuple[bytes, bytes | None]]:
    """Every record of a topic as it is now, key and value. Raises KafkaException."""
    consumer = _open(settings)
    try:
        behind = set(assign_all(consumer, topic))
        while behind:
            for message in consumer.consume(_AT_ONCE, 5.0):
                error = message.error()
                if error is None:
                    key, value = message.key(), message.value()
                    yield (
                        key if isinstance(key, bytes) else b"",
                        value if isinstance(value, bytes) else None,
                    )
                elif error.code() == KafkaError._PARTITION_EOF:
                    behind.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
