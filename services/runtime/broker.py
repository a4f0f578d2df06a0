"""The one FastStream broker set-up, and the one way to subscribe.

FastStream's defaults lose data in four ways (it acknowledges first, starts at the latest record, makes
topics by itself and swallows consumer errors); everything that guards against it is here.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from faststream import AckPolicy
from faststream.confluent import KafkaBroker
from faststream.confluent.helpers.config import ConfluentConfig
from faststream.confluent.prometheus import KafkaPrometheusMiddleware
from prometheus_client import CollectorRegistry

from services.contracts.topics import Topic
from services.runtime import kafka_settings
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.consumption import Consumption, LineStopped
from services.runtime.logs import KAFKA_LOGGER, get_logger
from services.runtime.producer import KafkaProducer
from services.runtime.settings import ServiceSettings

log = get_logger(__name__)

Handler = Callable[[Sequence[Message]], Awaitable[None]]
"""Handles a batch of raw records and returns when every effect is durable; raises to have it again."""

MAX_RECORDS = 500
POLLING_INTERVAL = 0.02
"""Seconds that a batch waits for company: what latency pays for throughput."""
LEISURELY = 0.25
"""The same where few records come and nobody counts milliseconds: each look costs CPU, also in vain."""


def create_broker(
    settings: ServiceSettings,
    *,
    service: str,
    registry: CollectorRegistry,
    consumption: Consumption,
) -> KafkaBroker:
    """FastStream's broker with everything pinned. Makes no connection."""
    native = {
        **kafka_settings.CONSUMER,
        **kafka_settings.security(settings),
        "stats_cb": consumption.statistics,
    }
    return KafkaBroker(
        settings.kafka,
        client_id=f"presence-{service}",
        allow_auto_create_topics=False,
        acks="all",
        enable_idempotence=True,
        partitioner="murmur2_random",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        graceful_timeout=6.0,
        # Its own logger says every message, twice, in a form of its own.
        logger=logging.getLogger(KAFKA_LOGGER),
        apply_types=False,
        middlewares=(KafkaPrometheusMiddleware(registry=registry, app_name=f"presence-{service}"),),
        config=cast("ConfluentConfig", native),
    )


def create_producer(settings: ServiceSettings, *, service: str) -> KafkaProducer:
    """The producer of a service; call start() on it. Makes no connection."""
    return KafkaProducer(
        {
            "bootstrap.servers": settings.kafka,
            "client.id": f"presence-{service}",
            "allow.auto.create.topics": False,
            **kafka_settings.PRODUCER,
            **kafka_settings.security(settings),
        }
    )


class _Raw:
    """What our decoder hands to the handler: the records and the consumer they came from."""

    __slots__ = ("consumer", "records")

    def __init__(self, records: Sequence[Message], consumer: Consumer | None) -> None:
        self.records = records
        self.consumer = consumer


async def _raw(message: Any) -> _Raw:
    """A decoder that decodes nothing: one bad record must not keep its neighbours from the handler."""
    client = getattr(message.consumer, "consumer", None)
    return _Raw(message.raw_message, client)


def _next_offsets(records: Sequence[Message]) -> list[TopicPartition]:
    last: dict[tuple[str, int], int] = {}
    for record in records:
        topic, partition, offset = record.topic(), record.partition(), record.offset()
        if topic is not None and partition is not None and offset is not None:
            place = (topic, partition)
            last[place] = max(last.get(place, -1), offset)
    return [TopicPartition(topic, part, offset + 1) for (topic, part), offset in last.items()]


def subscribe_batch(
    broker: KafkaBroker,
    topic: Topic,
    handler: Handler,
    *,
    group: str,
    consumption: Consumption,
    clock: Clock,
    backoff: Backoff = Backoff(initial=0.5, cap=20.0),  # noqa: B008  (frozen)
    waits: float = POLLING_INTERVAL,
) -> None:
    """Subscribe `handler` to batches of raw records of `topic`, each after at most `waits` seconds.

    Offsets are stored after the handler returned and committed by FastStream's acknowledgement; a
    raised error seeks back, after a wait that stays far below `max.poll.interval.ms`. Offsets are
    *not* stored on reading: a seek back does not unstore them, and the commit that follows another
    partition's batch would then skip what is still to be handled.
    """
    failures = 0

    async def handle(batch: _Raw) -> None:
        nonlocal failures
        records = consumption.admit(batch.records, batch.consumer)
        if not records:
            return
        try:
            await handler(records)
        except LineStopped:
            consumption.rewind(batch.records, batch.consumer)
            return
        except Exception:
            failures += 1
            wait = backoff.delay(failures)
            log.exception("a batch failed and is read again", topic=topic.name, wait=round(wait, 1))
            await clock.sleep(wait)
            raise
        failures = 0
        if batch.consumer is not None:
            _store(batch.consumer, _next_offsets(records))
            consumption.handled(batch.records, records, batch.consumer)

    subscriber = broker.subscriber(
        topic.name,
        batch=True,
        group_id=group,
        auto_offset_reset="earliest",
        partition_assignment_strategy=("cooperative-sticky",),
        max_records=MAX_RECORDS,
        polling_interval=waits,
        fetch_max_wait_ms=100,
        session_timeout_ms=10_000,
        decoder=_raw,
        on_assign=consumption.assigned,
        on_revoke=consumption.revoked,
        on_lost=consumption.revoked,
    )
    subscriber(handle)


def _store(consumer: Consumer, offsets: list[TopicPartition]) -> None:
    try:
        consumer.store_offsets(offsets=offsets)
    except KafkaException as error:
        # A partition that was revoked meanwhile belongs to somebody else, who reads it again.
        log.info("offsets of a revoked partition were not stored", error=str(error))


async def wait_until(
    problem: Callable[[], Awaitable[str | None]], *, clock: Clock, says: str
) -> None:
    """Wait for a dependency until nothing is wrong with it, saying what is at once and every ten seconds."""
    waited = 0.0
    while wrong := await problem():
        if waited % 10 == 0:
            log.warning("waiting", on=says, says=wrong, seconds=round(waited))
        await clock.sleep(1.0)
        waited += 1.0
    if waited:
        log.info("no longer waiting", on=says, seconds=round(waited))
