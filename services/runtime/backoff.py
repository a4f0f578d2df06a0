"""The one retry loop, and how long it waits."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from services.runtime.clock import Clock
from services.runtime.errors import Transient

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waits with full jitter above half: 0.5 to 1 times `initial * factor**(n-1)`."""

    initial: float = 0.2
    cap: float = 30.0
    factor: float = 2.0

    def delay(
        self, attempt: int, *, asked: float | None = None, luck: float | None = None
    ) -> float:
        """Seconds to wait after attempt number `attempt` (from 1).

        What the other side asked for (`Retry-After`) is a floor. `luck` in [0, 1) replaces chance.
        """
        longest = min(self.cap, self.initial * self.factor ** min(attempt - 1, 60))
        drawn = random.random() if luck is None else luck
        return max(asked or 0.0, longest * (0.5 + drawn / 2))


async def retry(
    operation: Callable[[], Awaitable[T]],
    *,
    backoff: Backoff,
    deadline: float,
    clock: Clock,
    on_retry: Callable[[Transient, int, float], None] | None = None,
) -> T:
    """Run `operation` until it works, fails for good, or `deadline` seconds would pass.

    Only `Transient` is tried again; the last one is raised when time runs out. `on_retry` is told
    the error, the attempt and the wait.
    """
    give_up = clock.monotonic() + deadline
    attempt = 0
    while True:
        attempt += 1
        try:
            return await operation()
        except Transient as error:
            wait = backoff.delay(attempt, asked=error.retry_after)
            if clock.monotonic() + wait > give_up:
                raise
            if on_retry:
                on_retry(error, attempt, wait)
            await clock.sleep(wait)
