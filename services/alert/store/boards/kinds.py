"""Every kind of board: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable

from services.alert.metrics import AlertMetrics
from services.alert.ports import ShiftStarts
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.boards.audit import Auditor
from services.alert.store.boards.catch_up import CatchUp
from services.alert.store.boards.group import Groups
from services.alert.store.boards.handoff import Handoffs
from services.alert.store.boards.held_back import HeldBack
from services.alert.store.boards.impersonation import Impersonation
from services.alert.store.boards.incident import Incidents
from services.alert.store.boards.keepers import Keeper
from services.alert.store.boards.queue import Queues
from services.alert.store.boards.sample import DailySample
from services.alert.store.boards.shift_start import ShiftStartBoards
from services.alert.store.boards.troubles import Notices
from services.alert.store.boards.wave import Waves
from services.alert.store.boards.would_have_paged import QuietStarts
from services.contracts.configuration import Configuration
from services.runtime.postgres import Pool


def open_keepers(
    pool: Pool,
    configuration: Callable[[], Configuration],
    episodes: PostgresEpisodes,
    metrics: AlertMetrics,
    shift_starts: ShiftStarts | None = None,
) -> list[Keeper]:
    """A keeper for each kind. Within a round they are asked in this order.

    Without `shift_starts` nobody is asked at a shift's start.
    """
    starts: list[Keeper] = (
        [ShiftStartBoards(configuration, shift_starts)] if shift_starts is not None else []
    )
    return [
        *starts,
        HeldBack(pool, configuration, episodes),
        CatchUp(configuration, episodes),
        Queues(pool, configuration, episodes),
        Waves(pool, configuration, episodes),
        Groups(pool, configuration, episodes),
        Incidents(pool, configuration),
        Handoffs(pool, configuration, episodes),
        Impersonation(pool, configuration),
        QuietStarts(pool, configuration),
        DailySample(pool, configuration, episodes),
        Notices(pool, configuration),
        Auditor(configuration, metrics),
    ]
