"""The gauges, read from the database: true after a restart, and on every replica."""

from __future__ import annotations

from services.alert.metrics import AlertMetrics
from services.alert.store.sql import all_of
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

OVERDUE_SECONDS = 30


class Figures:
    """Reads and shows. What it counts as overdue the auditor mends and tells (store/boards/audit.py)."""

    def __init__(self, pool: Pool, metrics: AlertMetrics) -> None:
        self._pool = pool
        self._metrics = metrics

    async def show(self) -> None:
        """Bring the gauges up to date."""
        async with self._pool.connection() as connection:
            waiting = await all_of(connection, "figures_open")
            held = await all_of(connection, "figures_held")
            missing = await all_of(connection, "timers_missing")
            (late,) = await all_of(connection, "timers_overdue", seconds=OVERDUE_SECONDS)
        self._metrics.figures(
            {(row["platform"], row["state"]): row["episodes"] for row in waiting},
            {(row["platform"], row["state"]): float(row["oldest"]) for row in waiting},
            {row["platform"]: row["held"] for row in held},
        )
        self._metrics.overdue.set(late["overdue"] + len(missing))
        for row in missing:
            log.error("an open episode has no timer", episode=str(row["id"]))
