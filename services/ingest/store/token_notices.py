"""Which replica tells of a token that ends soon, and that it was told today."""

from __future__ import annotations

from datetime import date
from typing import LiteralString, Protocol

from services.ingest.store.event_store import PACKAGE, answering
from services.ingest.store.leases import Account
from services.runtime.postgres import Pool, load_queries


class TokenNotices(Protocol):
    """Every method raises Transient when the store does not answer in time."""

    async def claim(self, account: Account, day: date) -> bool:
        """Whether the caller is the one to tell of this account on this day (UTC)."""
        ...


class PostgresTokenNotices:
    """For replicas and over restarts."""

    def __init__(self, pool: Pool, *, patience: float = 3.0) -> None:
        self._pool = pool
        self._patience = patience
        self._queries: dict[str, LiteralString] = load_queries(PACKAGE, "token_notices.sql")

    async def claim(self, account: Account, day: date) -> bool:
        """See TokenNotices."""
        given = {"source": account.source, "account_id": account.account_id, "day": day}
        async with answering(self._pool, self._patience) as connection:
            cursor = await connection.execute(self._queries["claim_token_notice"], given)
            return bool(await cursor.fetchall())


class MemoryTokenNotices:
    """The twin for tests."""

    def __init__(self) -> None:
        self._told: dict[Account, date] = {}

    async def claim(self, account: Account, day: date) -> bool:
        """See TokenNotices."""
        told = self._told.get(account)
        if told is not None and told >= day:
            return False
        self._told[account] = day
        return True
