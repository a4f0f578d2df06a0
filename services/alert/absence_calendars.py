"""Absences from people's own calendars: looked at every half hour, by one replica, with their ETag."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

import aiohttp
from pydantic import SecretStr

from services.alert.calendars import LARGEST, CalendarError, absences
from services.alert.ports import Actor
from services.alert.store.overrides import PostgresRoster
from services.alert.store.sql import all_of, one_of, run
from services.contracts.configuration import Configuration, Person
from services.runtime.errors import WrongConfiguration
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

EVERY = 1800.0
"""Seconds between two looks at one calendar, over all replicas and restarts."""
PATIENCE = aiohttp.ClientTimeout(total=20)
CALENDAR = Actor("calendar", "calendar")


class AbsenceCalendars:
    """Follows the calendars that presence.yaml names. One that cannot be read changes nothing."""

    def __init__(
        self,
        pool: Pool,
        configuration: Callable[[], Configuration],
        roster: PostgresRoster,
        secret: Callable[[str], SecretStr],
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._roster = roster
        self._secret = secret

    async def look(self) -> int:
        """Look at what is due; how many calendars changed the rota."""
        changed = 0
        for person in self._configuration().people:
            if person.time_off_calendar is None:
                continue
            async with self._pool.connection() as connection:
                mine = await all_of(connection, "calendar_claim", person=person.id, seconds=EVERY)
            if mine:
                changed += await self._follow(person, mine[0]["etag"])
        return changed

    async def _follow(self, person: Person, etag: str | None) -> bool:
        try:
            assert person.time_off_calendar is not None
            url = self._secret(person.time_off_calendar).get_secret_value()
            answer = await _fetch(url, etag)
            if answer is None:
                return False
            text, tag = answer
            async with self._pool.connection() as connection:
                now = await one_of(connection, "now")
            assert now is not None
            found = absences(text, ZoneInfo(person.zone), now["now"])
        except (aiohttp.ClientError, TimeoutError, CalendarError, WrongConfiguration) as error:
            # The address is a secret: the error's own words may hold it.
            why = error if isinstance(error, CalendarError | WrongConfiguration) else ""
            log.warning(
                "a calendar of absences could not be read: its absences stay as they were",
                person=person.id,
                error=type(error).__name__,
                why=str(why),
            )
            return False
        done = await self._roster.import_time_off(person.id, found, CALENDAR)
        async with self._pool.connection() as connection:
            await run(connection, "calendar_read", person=person.id, etag=tag)
        for says in done.proposal.refused:
            log.warning("an absence meets quiet hours", person=person.id, says=says)
        if done.proposal.gaps:
            log.warning("absences leave hours without anybody", person=person.id)
        return bool(done.added or done.removed)


async def _fetch(url: str, etag: str | None) -> tuple[str, str | None] | None:
    """The calendar and its tag; None where it has not changed."""
    headers = {"accept": "text/calendar"} | ({"if-none-match": etag} if etag else {})
    async with (
        aiohttp.ClientSession(timeout=PATIENCE) as http,
        http.get(url, headers=headers) as response,
    ):
        if response.status == 304:
            return None
        response.raise_for_status()
        raw = bytearray()
        async for part in response.content.iter_chunked(65_536):
            raw += part
            if len(raw) > LARGEST:
                raise CalendarError(f"longer than {LARGEST:,} bytes")
        return raw.decode("utf-8", "replace"), response.headers.get("etag")
