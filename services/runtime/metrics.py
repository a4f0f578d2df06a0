"""Prometheus: one registry a process, served at `/metrics`."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from services.contracts.topics import Topic
from services.runtime.asgi import App, Receive, Scope, Send, answer
from services.runtime.consumption import Consumption
from services.runtime.dead_letter import DeadLetterReason
from services.runtime.health import Health


def create_registry() -> CollectorRegistry:
    """A registry with the process's own collectors."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def metrics_app(registry: CollectorRegistry, health: Health) -> App:
    """The `/metrics` route, with `presence_ready` as of the scrape."""
    ready = Gauge(
        "presence_ready",
        "Whether this process is ready; /health/ready says why not.",
        registry=registry,
    )

    async def metrics(_scope: Scope, _receive: Receive, send: Send) -> None:
        ready.set(not await health.problems())
        body = generate_latest(registry)
        await answer(send, 200, body, content_type=CONTENT_TYPE_LATEST.encode())

    return metrics


class LineMetrics:
    """What every consuming service tells of the topics that it reads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag = Gauge(
            "presence_consumer_lag_records",
            "Records that wait in the partitions that this process reads, as of the last 5 s.",
            ["topic"],
            registry=registry,
        )
        self._oldest = Gauge(
            "presence_consumer_oldest_unread_seconds",
            "How long the oldest unread record has waited in the partitions that this process reads.",
            ["topic"],
            registry=registry,
        )
        self._retention = Gauge(
            "presence_topic_retention_seconds",
            "How long Kafka keeps a record of the topic.",
            ["topic"],
            registry=registry,
        )
        self._lost = Counter(
            "presence_records_lost_total",
            "Records that Kafka deleted before they were read.",
            ["topic"],
            registry=registry,
        )

    def watch(self, topic: Topic, consumption: Consumption) -> None:
        """A topic that is read."""
        self._lag.labels(topic.name).set_function(lambda: consumption.behind)
        self._oldest.labels(topic.name).set(0)
        self._lost.labels(topic.name)
        if topic.retention is not None:
            self._retention.labels(topic.name).set(topic.retention.total_seconds())

    def waited(self, topic: Topic, seconds: float) -> None:
        """The oldest unread record has waited so long."""
        self._oldest.labels(topic.name).set(seconds)

    def lost(self, topic: str, records: int) -> None:
        """So many will never be read."""
        self._lost.labels(topic).inc(records)


def dead_letters_counter(registry: CollectorRegistry, *topics: Topic) -> Counter:
    """`presence_dead_letters_total`, which every consuming service counts.

    Every reason stands at 0 for each of `topics`: of a counter that begins at 1 a rate sees nothing, and the
    first dead letter would tell nobody.
    """
    found = Counter(
        "presence_dead_letters_total",
        "Records put aside because they could not be handled.",
        ["topic", "reason"],
        registry=registry,
    )
    for topic in topics:
        for reason in DeadLetterReason:
            found.labels(topic.name, reason.value)
    return found
