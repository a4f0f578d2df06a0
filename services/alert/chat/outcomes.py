"""How long delivery tries, and how an attempt can end. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from services.alert.ports import DeliveryReason, MessageRef, Purpose
from services.runtime.backoff import Backoff


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and for how long something is tried."""

    backoff: Backoff
    deadline: timedelta
    """From the first attempt. A page that comes too late is worse than the next step's page."""


PATIENCE: Mapping[Purpose, Patience] = {
    Purpose.card: Patience(Backoff(initial=1, cap=60), timedelta(days=3)),
    Purpose.thread: Patience(Backoff(initial=1, cap=60), timedelta(hours=12)),
    Purpose.page: Patience(Backoff(initial=0.5, cap=15), timedelta(minutes=15)),
    Purpose.told: Patience(Backoff(initial=1, cap=60), timedelta(hours=2)),
}

# The destination's fault, not the message's.
DESTINATION_FAILS = frozenset(
    {DeliveryReason.timeout, DeliveryReason.unavailable, DeliveryReason.refused_credentials}
)
# After these nobody knows whether the message arrived.
AMBIGUOUS = frozenset({DeliveryReason.timeout, DeliveryReason.unavailable})


@dataclass(frozen=True, slots=True)
class Sent:
    """It arrived, now or by an earlier attempt."""

    ref: MessageRef | None
    found: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not. `after` in seconds; None gives up."""

    reason: DeliveryReason
    after: float | None
    ambiguous: bool = False

    @property
    def wait(self) -> timedelta | None:
        """`after` as a span."""
        return None if self.after is None else timedelta(seconds=self.after)


Outcome = Sent | Failed

HINTS = {
    DeliveryReason.refused_credentials: (
        "the chat refused our token: put a valid one in place and restart alert; nothing is lost"
    )
}
