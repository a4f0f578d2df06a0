"""The auditor: looks for promises that were not kept, mends what it can, tells the engineers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from services.alert.domain.boards import audit, troubles
from services.alert.domain.boards.audit import Finding, Found
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.metrics import AlertMetrics
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.boards import keeping
from services.alert.store.sql import Connection, all_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.runtime.logs import get_logger

log = get_logger(__name__)

EVERY = timedelta(seconds=20)


class Auditor:
    """See services.alert.domain.boards.audit."""

    kind = BoardKind.audit

    def __init__(self, configuration: Callable[[], Configuration], metrics: AlertMetrics) -> None:
        self._configuration = configuration
        self._metrics = metrics
        self._looked: datetime | None = None
        self._began: datetime | None = None

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper. An episode without a timer gets one that is due now."""
        if self._looked is not None and writing.now - self._looked < EVERY:
            return []
        self._looked = writing.now
        self._began = self._began or writing.now
        configuration = self._configuration()
        rows = await all_of(connection, "audit_findings", seconds=audit.PATIENCE.total_seconds())
        settling = writing.now - self._began < audit.SETTLES
        found = [
            Found(Finding(row["finding"]), row["count"], row["about"] or "", row["reason"] or "")
            for row in rows
            if not (settling and row["finding"] in audit.OVERDUE)
        ]
        for row in await all_of(connection, "timers_missing_long", seconds=60):
            episode = str(row["id"])
            log.error("an open episode has no timer", episode=episode)
            writing.timer(episode, 0, writing.now)
            writing.audit("system", "auditor", "timer_set", episode=episode)
        self._metrics.audited(dict.fromkeys(Finding, 0) | _counted(found))
        live = await keeping.live(connection, self.kind)
        if not found and not live:
            return []
        for one in found:
            log.error("auditor", finding=one.finding.value, about=one.about, says=one.says)
        stuck = frozenset(one.about for one in found if one.finding is Finding.destination_stuck)
        post = troubles.post_of(configuration, stuck)
        return audit.audit(found, live, post, configuration, writing.now)

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """There is nothing to press: a finding ends when what is wrong ends."""
        return Pressed(ActResult.unknown)


def _counted(found: list[Found]) -> dict[Finding, int]:
    counted: dict[Finding, int] = {}
    for one in found:
        counted[one.finding] = counted.get(one.finding, 0) + one.count
    return counted
