"""What an outside model may cost and how long it is left alone when it fails. Pure: told the time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

FAILURES: Final = 5
"""So many in a row open the breaker."""
REST: Final = timedelta(seconds=60)
LONGEST_REST: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Allowance:
    """The day's calls and tokens (UTC), and the breaker. A new value after everything that happens."""

    calls_per_day: int
    tokens_per_day: int
    day: date | None = None
    calls: int = 0
    tokens: int = 0
    failures: int = 0
    rests_until: datetime | None = None

    def may_call(self, now: datetime) -> bool:
        """Whether one more call is within the day's budget."""
        today = self._on(now)
        return today.calls < self.calls_per_day and today.tokens < self.tokens_per_day

    def rests(self, now: datetime) -> bool:
        """Whether the breaker is open: nobody is asked."""
        return self.rests_until is not None and now < self.rests_until

    def begun(self, now: datetime) -> Allowance:
        """A call goes out: it counts whether or not it is answered."""
        today = self._on(now)
        return replace(today, calls=today.calls + 1)

    def answered(self, tokens: int, now: datetime) -> Allowance:
        """It answered: the breaker closes."""
        today = self._on(now)
        return replace(today, tokens=today.tokens + tokens, failures=0, rests_until=None)

    def failed(self, now: datetime, rest: timedelta | None = None) -> Allowance:
        """It did not; `rest` is what it asked for itself. After a rest one failure is enough."""
        today = self._on(now)
        failures = today.failures + 1
        if rest is not None:
            return replace(today, failures=failures, rests_until=now + min(rest, LONGEST_REST))
        if failures < FAILURES:
            return replace(today, failures=failures)
        return replace(today, failures=failures, rests_until=now + REST)

    def _on(self, now: datetime) -> Allowance:
        if self.day == now.date():
            return self
        return replace(self, day=now.date(), calls=0, tokens=0)
