"""Corrections and the lifecycle on their way to Kafka: written with their cause, sent afterwards."""

from __future__ import annotations

from services.alert.store.sql import all_of, run
from services.contracts.topics import Header
from services.runtime.postgres import Pool
from services.runtime.producer import Producer, Record


class Announcements:
    """Sends in order; what was acknowledged is dropped. At least once: each has an event id."""

    def __init__(self, pool: Pool, producer: Producer) -> None:
        self._pool = pool
        self._producer = producer

    async def send(self) -> int:
        """Send the next ones; how many. Raises Transient while Kafka is away."""
        async with self._pool.connection() as connection:
            rows = await all_of(connection, "announcements_next")
        if not rows:
            return 0
        await self._producer.publish(
            [
                Record(
                    row["topic"],
                    row["key"],
                    bytes(row["payload"]),
                    ((Header.event_id.value, row["event_id"].encode()),),
                )
                for row in rows
            ]
        )
        async with self._pool.connection() as connection:
            await run(connection, "announcements_done", ids=[row["id"] for row in rows])
        return len(rows)
