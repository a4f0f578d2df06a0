"""Prometheus: one registry a process, served at `/metrics`."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from services.runtime.asgi import App, Receive, Scope, Send, answer


def create_registry() -> CollectorRegistry:
    """A registry with the process's own collectors."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def metrics_app(registry: CollectorRegistry) -> App:
    """The `/metrics` route."""

    async def metrics(_scope: Scope, _receive: Receive, send: Send) -> None:
        body = generate_latest(registry)
        await answer(send, 200, body, content_type=CONTENT_TYPE_LATEST.encode())

    return metrics


def dead_letters_counter(registry: CollectorRegistry) -> Counter:
    """`presence_dead_letters_total`, which every consuming service counts."""
    return Counter(
        "presence_dead_letters_total",
        "Records put aside because they could not be handled.",
        ["topic", "reason"],
        registry=registry,
    )
