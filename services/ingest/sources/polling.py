"""For sources that have no stream: whose turn it is, and a stream in which nothing happens.

The listener sweeps every minute; a source answers with an empty page until its turn has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.ingest.sources.pulled import Event
from services.runtime.clock import Clock

IN_TIME = 3.0
"""Intervals after which what is read is a gap's backfill and no longer live."""


@asynccontextmanager
async def quiet_stream() -> AsyncIterator[AsyncIterator[Event]]:
    """Open until it is left; all events come from the pages."""
    yield _nothing()


async def _nothing() -> AsyncIterator[Event]:
    await asyncio.get_running_loop().create_future()
    yield Event("never", None, b"")


class Turn:
    """When a feed may be asked again."""

    def __init__(self, clock: Clock, interval: float) -> None:
        self._clock = clock
        self.interval = interval
        """Seconds; a source changes it as the server asks."""
        self._next = clock.monotonic()
        self._answered: float | None = None

    @property
    def has_come(self) -> bool:
        """Whether a request may go now. A sweep that is a moment early need not wait for the next."""
        return self._clock.monotonic() >= self._next - 1.0

    @property
    def in_time(self) -> bool:
        """Whether the last answer is recent enough for what comes now to be live."""
        if self._answered is None:
            return False
        return self._clock.monotonic() - self._answered <= IN_TIME * self.interval

    def answered(self) -> None:
        """The server answered well just now."""
        self._answered = self._clock.monotonic()
        self._next = self._answered + self.interval

    def refused(self, wait: float) -> None:
        """No request before `wait` seconds have passed."""
        self._next = self._clock.monotonic() + wait
