"""The outbox's clock: delivery's times are the database's, as all of alert's are."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.runtime.clock import Clock


class OutboxClock:
    """Runs as our own clock does, put right by what the outbox says the time is.

    A machine whose clock is a quarter of an hour ahead would otherwise give every page up as too late, and
    try each failure a quarter of an hour late.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = timedelta()

    def put_right(self, now: datetime | None) -> None:
        """The outbox's time is this, right now; None: it did not say."""
        if now is not None:
            self._ahead = now - self._clock.now()

    def now(self) -> datetime:
        """The outbox's time."""
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        """As our own."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """As our own."""
        await self._clock.sleep(seconds)
