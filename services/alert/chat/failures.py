"""What a failed attempt means: when it is tried again, and whether the destination is at fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.outcomes import AMBIGUOUS, DESTINATION_FAILS, HINTS, Failed, Patience
from services.alert.chat.pace import Breaker
from services.alert.ports import Delivery, DeliveryReason, Purpose
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)


@dataclass(slots=True)
class Failures:
    """Judges errors of one destination and keeps its breaker."""

    destination: str
    clock: Clock
    breaker: Breaker
    metrics: DeliveryMetrics
    patience: Mapping[Purpose, Patience]

    def judge(self, delivery: Delivery, error: Transient | Permanent) -> Failed:
        """When to come again, if at all."""
        if isinstance(error, Transient):
            return self._again(delivery, error)
        return self._no(delivery, error)

    def _again(self, delivery: Delivery, error: Transient) -> Failed:
        reason = DeliveryReason(error.reason)
        now = self.clock.monotonic()
        patience = self.patience[delivery.purpose]
        if reason is DeliveryReason.rate_limited:
            wait = error.retry_after or patience.backoff.delay(delivery.attempt)
            self.breaker.limited(now, wait)
            self.metrics.rate_limited(self.destination, wait)
            return Failed(reason, wait, delivery.ambiguous)
        self._blame(reason)
        wait = patience.backoff.delay(delivery.attempt, asked=error.retry_after)
        first = delivery.first_tried_at or self.clock.now()
        past = self.clock.now() + timedelta(seconds=wait) - first > patience.deadline
        ambiguous = delivery.ambiguous or reason in AMBIGUOUS
        self._log(delivery, "delivery_failed", error=str(error), again_in=wait)
        return Failed(reason, None if past else wait, ambiguous)

    def _no(self, delivery: Delivery, error: Permanent) -> Failed:
        reason = DeliveryReason(error.reason)
        self._log(delivery, "delivery_refused", error=str(error))
        if reason is DeliveryReason.refused_credentials:
            # A person mends the token; what waits must still be there then.
            self._blame(reason)
            wait = self.breaker.wait(self.clock.monotonic()) or self.breaker.longest
            return Failed(reason, wait, delivery.ambiguous)
        return Failed(reason, None)

    def _blame(self, reason: DeliveryReason) -> None:
        if reason not in DESTINATION_FAILS:
            return
        if self.breaker.failed(self.clock.monotonic(), reason):
            log.error(
                "destination_down",
                destination=self.destination,
                reason=reason.value,
                hint=HINTS.get(reason, "it is tried again by itself"),
            )

    def _log(self, delivery: Delivery, event: str, **facts: object) -> None:
        log.warning(
            event,
            destination=self.destination,
            purpose=delivery.purpose.value,
            delivery_id=delivery.id,
            attempt=delivery.attempt,
            **facts,
        )
