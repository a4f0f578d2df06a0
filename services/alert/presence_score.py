"""The presence score of the last seven days, for Prometheus: are people answered, and is it conversation?"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from services.alert.store import reporting
from services.alert.store.reporting import Place
from services.alert.store.sql import AWAY
from services.runtime.clock import Clock
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

LOOK_EVERY = 300.0
"""Seconds: figures of a week do not change faster."""


class PresenceScore:
    """Reads and shows. An account without anything to measure has no figure, and not 0."""

    def __init__(self, pool: Pool, registry: CollectorRegistry, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        by_account = ["platform", "account"]
        self._answered = Gauge(
            "presence_presence_score",
            "Share of the last 7 days' conversations that were answered, of those not closed without one.",
            by_account,
            registry=registry,
        )
        self._conversation = Gauge(
            "presence_conversation_share",
            "Share of what the account itself wrote in the last 7 days that was to somebody.",
            by_account,
            registry=registry,
        )
        self._shown: dict[Gauge, set[Place]] = {self._answered: set(), self._conversation: set()}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.show()
            except AWAY as error:
                log.info("the presence score waits for PostgreSQL", error=str(error))
            await self._clock.sleep(LOOK_EVERY)

    async def show(self) -> None:
        """Bring both up to date."""
        async with self._pool.connection() as connection:
            answered, conversation = await reporting.last_week(connection)
        for gauge, found in ((self._answered, answered), (self._conversation, conversation)):
            for gone in self._shown[gauge] - found.keys():
                gauge.remove(*gone)
            self._shown[gauge] = set(found)
            for place, share in found.items():
                gauge.labels(*place).set(share)
