"""One replica's hold on one account: taken, kept by renewing, and lost without doing harm.

Invariants
- Of all replicas one holds the lease; another takes over at most `TERM` + `ASK_EVERY` seconds after the
  holder was last heard of.
- A holder that was paused past its term asks before it does anything more; lost, it does nothing more.
- Without PostgreSQL nobody can take over, so the holder goes on: what it publishes twice is dropped by
  event id, what nobody hears is lost.
"""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Awaitable
from datetime import timedelta

from services.ingest.store.event_store import StoreReason
from services.ingest.store.leases import Account, Grant, Leases
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

TERM = timedelta(seconds=6)
RENEW_EVERY = 2.0
"""Seconds: two may fail before the lease is anybody's."""
ASK_EVERY = 1.5
"""Seconds between a replica's questions whether the lease is free."""


def replica() -> str:
    """A name for this process that no other has, for people who read the table."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class Tenure:
    """See the module."""

    def __init__(self, account: Account, leases: Leases, clock: Clock, *, holder: str) -> None:
        self._account = account
        self._leases = leases
        self._clock = clock
        self._holder = holder
        self._grant: Grant | None = None
        self._sure_until = 0.0

    @property
    def fence(self) -> int:
        """For every write of a cursor. Only while it is held."""
        if self._grant is None:
            raise RuntimeError("no lease is held")
        return self._grant.fence

    async def begin(self) -> Grant:
        """Wait until this replica holds the lease."""
        backoff, attempt = Backoff(initial=ASK_EVERY, cap=ASK_EVERY), 0
        while True:
            attempt += 1
            asked = self._clock.monotonic()
            try:
                grant = await self._leases.take(self._account, self._holder, TERM)
            except Transient as error:
                log.warning("cannot ask for a lease", says=str(error), source=self._account.source)
                grant = None
            if grant is not None:
                self._grant, self._sure_until = grant, asked + TERM.total_seconds()
                return grant
            await self._clock.sleep(backoff.delay(attempt))

    async def check(self) -> None:
        """Before an effect: raises Permanent (fenced) where another replica has the lease."""
        if self._clock.monotonic() >= self._sure_until:
            await self._renew()

    async def during(self, work: Awaitable[None]) -> None:
        """Run `work` and renew meanwhile. Raises Permanent (fenced) as soon as the lease is lost."""
        working = asyncio.ensure_future(work)
        keeping = asyncio.create_task(self._keep(), name="lease")
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            (keeping if keeping.done() else working).result()
        finally:
            for task in (working, keeping):
                task.cancel()
            await asyncio.gather(working, keeping, return_exceptions=True)

    async def end(self) -> None:
        """Give it back; where that fails it runs out by itself."""
        grant, self._grant = self._grant, None
        if grant is not None:
            try:
                await self._leases.give_back(self._account, grant.fence)
            except Transient as error:
                log.info("a lease was not given back; it runs out", says=str(error))

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(RENEW_EVERY)
            await self._renew()

    async def _renew(self) -> None:
        asked = self._clock.monotonic()
        try:
            held = await self._leases.renew(self._account, self.fence, TERM)
        except Transient as error:
            log.warning(
                "a lease could not be renewed", says=str(error), source=self._account.source
            )
            return
        if not held:
            raise Permanent(
                StoreReason.fenced, f"another replica listens to {self._account.source}"
            )
        self._sure_until = asked + TERM.total_seconds()
