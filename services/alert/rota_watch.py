"""What the rota asks of the clock: who is there at a shift's start, and the weekly notice of gaps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from psycopg import OperationalError

from services.alert import public_holidays
from services.alert.absence_calendars import AbsenceCalendars
from services.alert.domain.gap_notice import weekly_notice
from services.alert.store.shift_starts import PostgresShiftStarts
from services.alert.store.sql import all_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.runtime.clock import Clock
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

LOOK_FOR_GAPS = 600.0
"""Seconds between looks at whether this week's notice is due; the outbox takes it once a week."""
LOOK_FOR_STARTS = 15.0
"""Seconds between looks at shifts that have begun."""
LOOK_FOR_ABSENCES = 60.0
"""Seconds between looks at whether a calendar is due."""


class RotaWatch:
    """The rota's own loops. Every replica runs them: what they write is written once."""

    def __init__(
        self,
        pool: Pool,
        configuration: Callable[[], Configuration],
        clock: Clock,
        changed: Callable[[], None] = lambda: None,
        starts: PostgresShiftStarts | None = None,
        calendars: AbsenceCalendars | None = None,
    ) -> None:
        self._calendars = calendars
        self._starts = starts
        self._pool = pool
        self._configuration = configuration
        self._clock = clock
        self._changed = changed

    def loops(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """By name, for Workers."""
        found: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "gaps": lambda: self._every(LOOK_FOR_GAPS, self.tell_gaps)
        }
        if (starts := self._starts) is not None:
            found["shift starts"] = lambda: self._every(LOOK_FOR_STARTS, starts.look)
        if (calendars := self._calendars) is not None:
            found["absences"] = lambda: self._every(LOOK_FOR_ABSENCES, calendars.look)
        return found

    async def _every(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await work()
            except OperationalError as error:
                log.warning("waiting for PostgreSQL", error=str(error))
            except Exception:
                # Whatever it is, pages go on: this process fires the timers, too.
                log.exception("the rota could not be looked after")
            await self._clock.sleep(seconds)

    async def tell_gaps(self) -> bool:
        """Write this week's notice, where one is due; whether there is one."""
        async with self._pool.connection() as connection:
            (clock,) = await all_of(connection, "now")
            # Three weeks of a rota that hands off hourly are some tens of milliseconds of reckoning.
            notice = await asyncio.to_thread(
                weekly_notice, self._configuration(), clock["now"], public_holidays.of
            )
            if notice is None:
                return False
            writing = Writing(clock["now"])
            writing.tell("gaps", notice.destination, notice.text, number=notice.week)
            await writing.flush(connection)
        self._changed()
        return True
