"""What each hour brought from each account, counted by all replicas together."""

from __future__ import annotations

from datetime import datetime
from typing import Any, LiteralString

from services.ingest.domain.quiet import HourCount
from services.ingest.store.event_store import PACKAGE, answering
from services.ingest.store.leases import Account
from services.runtime.postgres import Pool, load_queries


class Hours:
    """In PostgreSQL. Every method raises Transient when it does not answer in time."""

    def __init__(self, pool: Pool, *, patience: float = 3.0) -> None:
        self._pool = pool
        self._patience = patience
        self._queries: dict[str, LiteralString] = load_queries(PACKAGE, "hours.sql")

    async def _run(self, name: str, account: Account | None, **parameters: Any) -> list[Any]:
        given = dict(parameters)
        if account is not None:
            given |= {"source": account.source, "account_id": account.account_id}
        async with answering(self._pool, self._patience) as connection:
            cursor = await connection.execute(self._queries[name], given)
            return await cursor.fetchall() if cursor.description else []

    async def add(self, account: Account, events: int) -> None:
        """So many came in just now."""
        await self._run("add_hour", account, events=events)

    async def history(self, account: Account) -> list[HourCount]:
        """The last twelve weeks."""
        return [HourCount(*row) for row in await self._run("history", account)]

    async def last_heard(self, account: Account) -> datetime | None:
        """When the newest event came in."""
        rows = await self._run("last_heard", account)
        return rows[0][0] if rows else None

    async def tell_once(self, account: Account) -> bool:
        """Whether this replica is the one to tell of the present silence."""
        return bool(await self._run("tell_once", account))

    async def forget(self) -> None:
        """What no habit is learned from any more."""
        await self._run("forget_hours", None)
