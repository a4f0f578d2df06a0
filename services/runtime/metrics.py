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

from services.runtime.asgi import App, Receive, Scope, Send, answer
from services.runtime.consumption import Consumption
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


def observe_lag(registry: CollectorRegistry, consumption: Consumption) -> None:
    """`presence_consumer_lag_records`: what waits in the partitions that this process reads."""
    lag = Gauge(
        "presence_consumer_lag_records",
        "Records that wait in the partitions that this process reads, as of the last 5 s.",
        registry=registry,
    )
    lag.set_function(lambda: consumption.behind)


def dead_letters_counter(registry: CollectorRegistry) -> Counter:
    """`presence_dead_letters_total`, which every consuming service counts."""
    return Counter(
        "presence_dead_letters_total",
        "Records put aside because they could not be handled.",
        ["topic", "reason"],
        registry=registry,
    )
