"""How fast a destination may be used, and when not at all. Pure: takes monotonic seconds, sleeps never."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.alert.ports import DeliveryReason


class Pace:
    """Spaces sends evenly, per key (a channel, a person's direct messages)."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second
        self._next: dict[str, float] = {}

    def reserve(self, key: str, now: float) -> float:
        """Take the next free place of this key; the seconds until it."""
        if len(self._next) > 1_000:
            self._next = {one: at for one, at in self._next.items() if at > now}
        at = max(now, self._next.get(key, now))
        self._next[key] = at + self._gap
        return at - now


@dataclass(slots=True)
class Breaker:
    """Stops sending to a destination that fails, and tries it again with one delivery.

    Opens after `threshold` failures in a row, for `rest` seconds and twice as long after each failed
    try, up to `longest`. Refused credentials open it at once: asking again every second helps nobody
    and can get an app disabled. A Retry-After holds it exactly as long as was asked.
    """

    threshold: int = 5
    rest: float = 5.0
    longest: float = 60.0
    down_after: float = 60.0
    """Seconds of failures without a success, after which what waits goes elsewhere."""
    _failures: int = 0
    _failing_since: float | None = None
    _rests: int = 0
    _until: float = field(default=float("-inf"))
    _why: DeliveryReason = DeliveryReason.unavailable

    @property
    def why(self) -> DeliveryReason:
        """What closed the way last."""
        return self._why

    @property
    def trying(self) -> bool:
        """Whether it was open and has not seen a success since: send one, not many."""
        return self._rests > 0

    def wait(self, now: float) -> float:
        """Seconds until the next delivery may be tried; 0 when it may now."""
        return max(0.0, self._until - now)

    def succeeded(self) -> None:
        """One arrived."""
        self._failures = self._rests = 0
        self._failing_since = None

    def limited(self, now: float, seconds: float) -> None:
        """The destination asked for a pause."""
        self._until = max(self._until, now + seconds)
        self._why = DeliveryReason.rate_limited
        self._failures = self._rests = 0
        self._failing_since = None

    def failed(self, now: float, reason: DeliveryReason) -> bool:
        """One did not arrive, because of the destination and not of the message. True when it opens."""
        if self.wait(now) > 0:
            return False  # it was under way when the breaker opened
        self._failures += 1
        if self._failing_since is None:
            self._failing_since = now
        self._why = reason
        at_once = reason is DeliveryReason.refused_credentials or self.trying
        if not at_once and self._failures < self.threshold:
            return False
        seconds = min(self.longest, self.rest * 2**self._rests)
        if reason is DeliveryReason.refused_credentials:
            seconds = self.longest
        self._rests = min(self._rests + 1, 16)
        self._until = now + seconds
        return True

    def stays_down(self, now: float) -> bool:
        """Whether others should stand in: refused credentials at once, anything else after a while.

        A Retry-After is no fault: who asks to wait is there.
        """
        if self._failing_since is None or not self.trying:
            return False
        refused = self._why is DeliveryReason.refused_credentials
        return refused or now - self._failing_since >= self.down_after
