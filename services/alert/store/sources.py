"""What is known of the sources behind the accounts."""

from __future__ import annotations

from datetime import datetime

from services.alert.domain.advancing import BACKFILL_GRACE
from services.alert.store.sql import run
from services.runtime.postgres import Pool


class Sources:
    """Accounts and whether their sources have caught up after a gap."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def caught_up(self, account_id: str | None, at: datetime) -> None:
        """The source of this account has delivered what it missed: release what waited for it."""
        if account_id is None:
            return
        async with self._pool.connection() as connection, connection.transaction():
            await run(connection, "account_caught_up", account=account_id, at=at)
            await run(
                connection,
                "timers_release_backfill",
                account=account_id,
                grace=BACKFILL_GRACE.total_seconds(),
            )
