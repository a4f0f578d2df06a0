"""Who listens to an account: one lease per (source, account), with a number that only grows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, LiteralString, Protocol

from services.ingest.store.event_store import PACKAGE, answering
from services.runtime.clock import Clock
from services.runtime.postgres import Pool, load_queries


@dataclass(frozen=True, slots=True)
class Account:
    """What is leased."""

    source: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease that was taken."""

    fence: int
    """Greater than every former holder's."""
    unheard: float | None
    """Seconds since the former holder's last sign of life; None: there was none."""


class Leases(Protocol):
    """The port. Every method raises Transient when the store does not answer in time."""

    async def take(self, account: Account, holder: str, term: timedelta) -> Grant | None:
        """The lease, where nobody holds it."""
        ...

    async def renew(self, account: Account, fence: int, term: timedelta) -> bool:
        """Hold it for `term` from now on; False: somebody else has it."""
        ...

    async def give_back(self, account: Account, fence: int) -> None:
        """Let the next one have it at once."""
        ...


class PostgresLeases:
    """The real one; `patience` bounds every call, in seconds."""

    def __init__(self, pool: Pool, *, patience: float = 1.0) -> None:
        self._pool = pool
        self._patience = patience
        self._queries: dict[str, LiteralString] = load_queries(PACKAGE, "leases.sql")

    async def _row(self, name: str, account: Account, **parameters: Any) -> Any:
        given = {"source": account.source, "account_id": account.account_id, **parameters}
        async with answering(self._pool, self._patience) as connection:
            cursor = await connection.execute(self._queries[name], given)
            return await cursor.fetchone()

    async def take(self, account: Account, holder: str, term: timedelta) -> Grant | None:
        """See Leases."""
        row = await self._row("take_lease", account, holder=holder, term=term)
        return Grant(row[0], row[1]) if row else None

    async def renew(self, account: Account, fence: int, term: timedelta) -> bool:
        """See Leases."""
        return await self._row("renew_lease", account, fence=fence, term=term) is not None

    async def give_back(self, account: Account, fence: int) -> None:
        """See Leases."""
        await self._row("give_back_lease", account, fence=fence)


@dataclass
class _Held:
    fence: int
    renewed_at: float
    expires_at: float


class MemoryLeases:
    """The twin: for tests, and for one process without a database."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.held: dict[Account, _Held] = {}

    async def take(self, account: Account, holder: str, term: timedelta) -> Grant | None:
        """See Leases."""
        now = self._clock.monotonic()
        former = self.held.get(account)
        if former is not None and former.expires_at > now:
            return None
        fence = former.fence + 1 if former else 1
        self.held[account] = _Held(fence, now, now + term.total_seconds())
        return Grant(fence, now - former.renewed_at if former else None)

    async def renew(self, account: Account, fence: int, term: timedelta) -> bool:
        """See Leases."""
        held = self.held.get(account)
        if held is None or held.fence != fence:
            return False
        held.renewed_at = self._clock.monotonic()
        held.expires_at = held.renewed_at + term.total_seconds()
        return True

    async def give_back(self, account: Account, fence: int) -> None:
        """See Leases."""
        held = self.held.get(account)
        if held is not None and held.fence == fence:
            held.renewed_at = held.expires_at = self._clock.monotonic()
