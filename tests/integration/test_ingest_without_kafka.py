"""Intake with a Kafka that is not there: 503 at once, and nothing piles up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import psutil
import pytest
from prometheus_client import CollectorRegistry

from deploy.local import ports
from services.ingest.collector import Collector
from services.ingest.intake import Intake
from services.ingest.metrics import Metrics
from services.ingest.store.event_store import MemoryEventStore
from services.runtime.asgi import Router
from services.runtime.broker import create_producer
from services.runtime.clock import SystemClock
from services.runtime.settings import ServiceSettings
from tests.ingest.brand import payload, platform, sources

pytestmark = pytest.mark.integration

REQUESTS, AT_ONCE = 20_000, 50
GROWTH = 24 * 1_048_576
"""Bytes: the allocator's own waste. 20,000 bodies that stayed would be more than 100 MB."""


class Hurried(SystemClock):
    """Five seconds in each: a breaker opens and lets a probe through as often as in a flood of minutes."""

    def monotonic(self) -> float:
        return 5 * super().monotonic()


async def test_twenty_thousand_requests_without_kafka_leave_no_memory_behind() -> None:
    settings = ServiceSettings(kafka=f"127.0.0.1:{ports.pick(None)}")
    producer = create_producer(settings, service="ingest")
    producer.start()
    clock, metrics = Hurried(), Metrics(CollectorRegistry())
    collector = Collector(producer, MemoryEventStore(), metrics, clock)
    tolerance = timedelta(minutes=5)
    router = Router()
    intake = Intake(sources(), collector, metrics, clock, body_limit=60_000, tolerance=tolerance)
    router.route("/webhooks/", intake)
    body = payload("x", "mention") + b" " * 6_000
    signed = platform("x").sign(body)
    headers = [(name.encode(), value.encode()) for name, value in signed.items()]

    async def post() -> int:
        """Without an HTTP client, whose own work would be most of this."""
        said: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            own = bytes(bytearray(body))  # what stayed of it would be seen
            return {"type": "http.request", "body": own, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            said.append(message)

        asked = {"type": "http", "method": "POST", "path": "/webhooks/x", "query_string": b""}
        await router({**asked, "headers": headers}, receive, send)
        status: int = said[0]["status"]
        if status == 503:
            assert int(dict(said[0]["headers"])[b"retry-after"]) >= 1
        return status

    async def flood(requests: int) -> set[int]:
        found: set[int] = set()
        for _ in range(requests // AT_ONCE):
            found |= set(await asyncio.gather(*(post() for _ in range(AT_ONCE))))
        return found

    process = psutil.Process()
    assert await flood(1_000) == {503}
    before, begun = process.memory_info().rss, time.monotonic()
    assert await flood(REQUESTS) == {503}
    seconds, grown = time.monotonic() - begun, process.memory_info().rss - before
    await producer.close(timeout=0.1)
    assert grown < GROWTH, f"{grown / 1_048_576:.0f} MB more"
    assert seconds < 120, "nobody waits for a Kafka that was found dead a moment ago"
