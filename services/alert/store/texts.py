"""Texts whose time is over: what people wrote goes, that they wrote it and how it ended stays."""

from __future__ import annotations

from datetime import timedelta

from services.alert.store.sql import run
from services.runtime.postgres import Pool

AT_ONCE = 5_000
"""Items in one transaction, so that nobody waits for it."""


class Texts:
    """Keeps `retention.items` of presence.yaml."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def forget(self, after: timedelta) -> int:
        """Take the words out of everything that was stored so long ago; how many items lost theirs."""
        gone, seconds = 0, after.total_seconds()
        async with self._pool.connection() as connection:
            await run(connection, "texts_of_ours_forget", seconds=seconds)
            while done := await run(connection, "texts_forget", seconds=seconds, limit=AT_ONCE):
                gone += done
        return gone
