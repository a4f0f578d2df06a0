"""What delivery measures. Labels are initialised, so that a rate over a first failure is not lost."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter

from services.alert.ports import DeliveryReason


class DeliveryResult(StrEnum):
    """What became of one attempt; the `result` label."""

    sent = "sent"
    found = "found"
    """An earlier attempt had arrived after all."""
    retried = "retried"
    gave_up = "gave_up"
    cancelled = "cancelled"
    """No longer due when its turn came."""


NO_REASON = "none"


class DeliveryMetrics:
    """`presence_deliveries_total` and `presence_delivery_rate_limited_seconds_total`."""

    def __init__(self, registry: CollectorRegistry, destinations: Iterable[str] = ()) -> None:
        self._deliveries = Counter(
            "presence_deliveries_total",
            "Attempts to deliver to a chat, by what became of them.",
            ["destination", "result", "reason"],
            registry=registry,
        )
        self._limited = Counter(
            "presence_delivery_rate_limited_seconds_total",
            "Seconds that a destination told us to wait (429, Retry-After).",
            ["destination"],
            registry=registry,
        )
        for destination in destinations:
            self.initialise(destination)

    def initialise(self, destination: str) -> None:
        """Show every label set of this destination as 0 from the start."""
        self._limited.labels(destination)
        self._deliveries.labels(destination, DeliveryResult.sent, NO_REASON)
        self._deliveries.labels(destination, DeliveryResult.found, NO_REASON)
        self._deliveries.labels(destination, DeliveryResult.cancelled, DeliveryReason.no_longer_due)
        for reason in DeliveryReason:
            if reason is not DeliveryReason.no_longer_due:
                self._deliveries.labels(destination, DeliveryResult.gave_up, reason)
                self._deliveries.labels(destination, DeliveryResult.retried, reason)

    def delivered(
        self, destination: str, result: DeliveryResult, reason: DeliveryReason | None = None
    ) -> None:
        """Count one attempt."""
        self._deliveries.labels(destination, result, reason or NO_REASON).inc()

    def rate_limited(self, destination: str, seconds: float) -> None:
        """Count the seconds of a Retry-After."""
        self._limited.labels(destination).inc(seconds)
