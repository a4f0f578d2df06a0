"""A circuit breaker: after a failure nobody waits for the next one."""

from __future__ import annotations

from services.runtime.clock import Clock


class Breaker:
    """Closed until a failure, then open for `cooldown` seconds, then one probe at a time.

    A probe that never reports back holds the others off for one more cooldown, not for ever.
    """

    def __init__(self, clock: Clock, *, cooldown: float = 1.0) -> None:
        self._clock = clock
        self.cooldown = cooldown
        self._open_until: float | None = None

    @property
    def closed(self) -> bool:
        """Whether all is well as far as is known."""
        return self._open_until is None

    @property
    def refusing(self) -> bool:
        """Whether `allow` would say no. Changes nothing."""
        return self._open_until is not None and self._clock.monotonic() < self._open_until

    def allow(self) -> bool:
        """Whether to try now. Half open, the first to ask is the probe."""
        if self._open_until is None:
            return True
        if self.refusing:
            return False
        self._open_until = self._clock.monotonic() + self.cooldown
        return True

    def failed(self) -> None:
        """It did not work: open."""
        self._open_until = self._clock.monotonic() + self.cooldown

    def succeeded(self) -> None:
        """It worked: closed."""
        self._open_until = None
