"""Producing: a batch of records, one future, acknowledged by every in-sync replica."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import confluent_kafka

from services.runtime.errors import Permanent, Transient
from services.runtime.logs import KAFKA_LOGGER, get_logger

log = get_logger(__name__)


class ProduceReason(StrEnum):
    """Why records could not be produced."""

    queue_full = "queue_full"
    timeout = "timeout"
    unavailable = "unavailable"
    too_large = "too_large"
    refused = "refused"


@dataclass(frozen=True, slots=True)
class Record:
    """What goes onto a topic. Each header's name occurs once."""

    topic: str
    key: str | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: datetime | None = None
    """The record's time; None: when it is produced."""


class Producer(Protocol):
    """A way onto the bus."""

    async def publish(self, records: Sequence[Record]) -> None:
        """Return once every record is acknowledged.

        Raises Transient where that did not happen (some may have arrived all the same: readers dedupe
        by event id), Permanent where a record can never be accepted.
        """
        ...


class _Batch:
    """Counts the acknowledgements of one publish. Called from the polling thread."""

    __slots__ = ("error", "future", "left", "lock", "loop")

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self.left = size
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()
        self.error: confluent_kafka.KafkaError | None = None
        self.lock = threading.Lock()

    def delivered(self, error: confluent_kafka.KafkaError | None, _message: Any) -> None:
        with self.lock:
            self.left -= 1
            self.error = self.error or error
            done = self.left == 0
        if done:
            self.loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(_as_ours(self.error))


def _as_ours(error: confluent_kafka.KafkaError) -> Transient | Permanent:
    code = error.code()
    if code == confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE:
        return Permanent(ProduceReason.too_large, error.str())
    if code in (
        confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED,
        confluent_kafka.KafkaError.INVALID_RECORD,
    ):
        return Permanent(ProduceReason.refused, error.str())
    if code == confluent_kafka.KafkaError._MSG_TIMED_OUT:
        return Transient(ProduceReason.timeout, error.str())
    return Transient(ProduceReason.unavailable, error.str())


class KafkaProducer:
    """The real one, over confluent-kafka.

    Invariants: one polling thread; a bounded queue (a full one is Transient at once, never a wait);
    a client that met a fatal error is replaced at the next publish.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._client: confluent_kafka.Producer | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Make the client and its polling thread. Connects in the background."""
        self._client = confluent_kafka.Producer(
            self._settings, logger=logging.getLogger(KAFKA_LOGGER)
        )
        self._stopping.clear()
        self._thread = threading.Thread(target=self._poll, name="kafka-producer", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            client = self._client
            if client is not None:
                client.poll(0.05)

    async def publish(self, records: Sequence[Record]) -> None:
        """See Producer."""
        if not records:
            return
        client = self._client
        if client is None:
            raise RuntimeError("publish before start()")
        batch = _Batch(len(records), asyncio.get_running_loop())
        for number, record in enumerate(records):
            try:
                client.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    timestamp=int(record.timestamp.timestamp() * 1000) if record.timestamp else 0,
                    on_delivery=batch.delivered,
                )
            except BufferError as error:
                raise Transient(ProduceReason.queue_full, "the local queue is full") from error
            except confluent_kafka.KafkaException as error:
                ours = _as_ours(error.args[0])
                if error.args[0].fatal():
                    self._replace(client)
                log.warning("a record was not taken", topic=record.topic, number=number)
                raise ours from error
        await batch.future

    def _replace(self, broken: confluent_kafka.Producer) -> None:
        if self._client is broken:
            log.error("the producer met a fatal error and is made anew")
            self._client = confluent_kafka.Producer(
                self._settings, logger=logging.getLogger(KAFKA_LOGGER)
            )

    async def close(self, timeout: float = 5.0) -> None:
        """Deliver what is queued (at most `timeout` seconds) and stop."""
        client, self._client = self._client, None
        if client is not None:
            left = await asyncio.to_thread(client.flush, timeout)
            if left:
                log.error("records were left undelivered", count=left)
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 1.0)


class MemoryProducer:
    """The twin for tests: keeps what was published; `broken` makes it fail as Kafka would."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.broken: Transient | Permanent | None = None

    def start(self) -> None:
        """Nothing to start."""

    async def publish(self, records: Sequence[Record]) -> None:
        """See Producer."""
        if self.broken is not None:
            raise self.broken
        self.records.extend(records)

    async def close(self, timeout: float = 5.0) -> None:
        """Nothing to close."""

    def on(self, topic: str) -> list[Record]:
        """What was published on `topic`."""
        return [record for record in self.records if record.topic == topic]
