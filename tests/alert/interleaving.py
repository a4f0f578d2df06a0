"""Interleavings that are forced, not slept for: a transaction stops at a gate until the test opens it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from tests.alert.story import Story

_GATE = 424242


@asynccontextmanager
async def gate(told: Story, table: str, when: str = "true") -> AsyncIterator[Gate]:
    """Whoever writes such a row of `alert.<table>` waits, in its transaction, until the gate is open.

    `when` is SQL over `new`. Open for good at the end of the block, so that nothing waits for ever.
    """
    connecting = psycopg.AsyncConnection.connect(str(told.pool.conninfo), autocommit=True)
    async with await connecting as keeper:
        await keeper.execute(
            "create or replace function alert.stop_at_the_gate() returns trigger language plpgsql"
            f" as $$ begin perform pg_advisory_xact_lock_shared({_GATE}); return new; end $$"
        )
        await keeper.execute(
            f"create trigger gate before insert or update on alert.{table}"
            f" for each row when ({when}) execute function alert.stop_at_the_gate()"
        )
        await keeper.execute(f"select pg_advisory_lock({_GATE})")
        stands = Gate(keeper)
        try:
            yield stands
        finally:
            await stands.open()


class Gate:
    """Closed until it is opened."""

    def __init__(self, keeper: psycopg.AsyncConnection) -> None:
        self._keeper = keeper

    async def open(self) -> None:
        """Let everybody through, once and for all."""
        await self._keeper.execute("select pg_advisory_unlock_all()")

    async def stopped(self, transactions: int = 1) -> None:
        """Until so many transactions wait: at the gate, or for a lock of one that does."""
        async with asyncio.timeout(20):
            while await self._waiting() < transactions:
                await asyncio.sleep(0.005)

    async def _waiting(self) -> int:
        found = await self._keeper.execute(
            "select count(distinct pid) from pg_locks where not granted and pid in"
            " (select pid from pg_stat_activity where datname = current_database())"
        )
        row = await found.fetchone()
        return int(row[0]) if row else 0
