"""The inbox: raw events, unique by event id, with how far each partition was read.

Both are written in one transaction, so a restored database knows exactly what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncCursor

from services.alert.store.sql import FOLD, Connection, all_of, run
from services.runtime.postgres import Pool


@dataclass(frozen=True, slots=True)
class RawEvent:
    """A record that was understood, with where it came from."""

    event_id: str
    payload: bytes
    topic: str
    partition: int
    offset: int
    key: bytes | None


@dataclass(frozen=True, slots=True)
class Position:
    """The next offset to read of a partition."""

    topic: str
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Poison:
    """An event that could not be folded, with its reason, for the dead letters."""

    id: int
    event: RawEvent
    why: str
    stored_at: datetime


class Inbox:
    """Appends and remembers."""

    def __init__(self, pool: Pool, cluster: str) -> None:
        self._pool = pool
        self._cluster = cluster

    async def append(self, events: Sequence[RawEvent], positions: Sequence[Position]) -> int:
        """Store events and positions together; how many were new."""
        return await self.append_parts([events], positions)

    async def append_parts(
        self, parts: Iterable[Sequence[RawEvent]], positions: Sequence[Position]
    ) -> int:
        """The same for events that are still being made: PostgreSQL stores a part while the next is made.

        What making them raises leaves nothing stored.
        """
        async with (
            self._pool.connection() as connection,
            connection.pipeline(),
            connection.transaction(),
        ):
            stored = [await _sent(connection, events) for events in parts if events]
            # In one order, so that two replicas after a rebalance never wait for each other.
            for position in sorted(positions, key=lambda one: (one.topic, one.partition)):
                await run(
                    connection,
                    "progress_save",
                    cluster=self._cluster,
                    topic=position.topic,
                    partition=position.partition,
                    next_offset=position.next_offset,
                )
        return sum(cursor.rowcount for cursor in stored)

    async def progress(self, topic: str) -> dict[int, int]:
        """The recorded next offset of every partition of a topic."""
        async with self._pool.connection() as connection:
            rows = await all_of(connection, "progress_of", cluster=self._cluster, topic=topic)
        return {row["partition"]: row["next_offset"] for row in rows}

    async def waiting(self, up_to: int | None = None) -> int:
        """Events that are not folded yet; only those up to this id, where one is given."""
        async with self._pool.connection() as connection:
            (row,) = await all_of(connection, "inbox_waiting", up_to=up_to)
        return int(row["waiting"])

    async def newest(self) -> int:
        """The id of the newest event that is not folded yet; 0 where there is none."""
        async with self._pool.connection() as connection:
            (row,) = await all_of(connection, "inbox_newest")
        return int(row["newest"])

    async def poison(self) -> list[Poison]:
        """Events that were put aside and are not dead letters yet."""
        async with self._pool.connection() as connection:
            rows = await all_of(connection, "inbox_failures")
        return [
            Poison(
                row["id"],
                RawEvent(
                    row["event_id"],
                    row["payload"],
                    row["topic"],
                    row["partition"],
                    row["offset"],
                    row["key"],
                ),
                row["failed"],
                row["stored_at"],
            )
            for row in rows
        ]

    async def dead_lettered(self, ids: Sequence[int]) -> None:
        """These are kept in the dead-letter topic now."""
        async with self._pool.connection() as connection:
            await run(connection, "inbox_dead_lettered", ids=list(ids))

    async def forget(self, after: timedelta) -> int:
        """Drop the ids of events that are older than `after`: repetitions end with the topics."""
        async with self._pool.connection() as connection:
            return await run(connection, "inbox_forget", seconds=after.total_seconds())


async def _sent(connection: Connection, events: Sequence[RawEvent]) -> AsyncCursor[Any]:
    """On its way; its count is known when the pipeline has ended."""
    return await connection.execute(
        FOLD["inbox_append"],
        {
            "event_ids": [event.event_id for event in events],
            "payloads": [event.payload for event in events],
            "topics": [event.topic for event in events],
            "partitions": [event.partition for event in events],
            "offsets": [event.offset for event in events],
            "keys": [event.key for event in events],
        },
    )
