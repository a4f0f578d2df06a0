"""Home tabs of the Slack app: published when somebody opens theirs, and when it would show something else."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable

from psycopg import OperationalError

from services.alert.chat.slack_blocks import Block
from services.alert.chat.slack_home import home_of, home_view, not_listed_view
from services.alert.ports import Episodes
from services.alert.roster import Roster
from services.alert.store.sql import all_of, one_of, run
from services.contracts.configuration import Configuration
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

WATCHED_FOR_SECONDS = 12 * 3_600.0
"""A tab that was opened longer ago is on no screen any more; opening it publishes it anew."""
APART_SECONDS = 10.0
"""At most so often is one person's tab published because something changed."""
AT_ONCE = 20
"""Tabs in a round: Slack takes about a hundred a minute."""
LOOK_SECONDS = 10.0

Publish = Callable[[str, Block], Awaitable[None]]

log = get_logger(__name__)


class HomeTabs:
    """Keeps the tabs up to date.

    Invariants: a change is published by one replica; what could not be published is tried again; one
    person's tab is published at most every `APART_SECONDS`, unless they open it.
    """

    def __init__(
        self,
        pool: Pool,
        episodes: Episodes,
        roster: Roster,
        configuration: Callable[[], Configuration],
        clock: Clock,
        publish: Publish,
    ) -> None:
        self._pool = pool
        self._episodes = episodes
        self._roster = roster
        self._configuration = configuration
        self._clock = clock
        self._publish = publish
        self._wake = asyncio.Event()

    def changed(self) -> None:
        """Somebody did something: look now, not in a while."""
        self._wake.set()

    async def opened(self, member: str) -> None:
        """A member looks at their tab."""
        async with self._pool.connection() as connection:
            await run(connection, "home_opened", member=member)
        await self.round()

    async def round(self) -> int:
        """Publish what would show something else by now; how many were."""
        async with self._pool.connection() as connection:
            watched = await all_of(
                connection,
                "home_watched",
                seconds=WATCHED_FOR_SECONDS,
                apart=APART_SECONDS,
                limit=AT_ONCE,
            )
        if not watched:
            return 0
        views = await self._views([row["member"] for row in watched])
        published = 0
        for row in watched:
            view = views[row["member"]]
            shows = _digest(view)
            if shows != row["shows"]:
                published += await self._put(row["member"], view, shows)
        return published

    async def _put(self, member: str, view: Block, shows: str) -> bool:
        async with self._pool.connection() as connection:
            mine = await one_of(connection, "home_take", member=member, shows=shows)
        if mine is None:
            return False  # another replica publishes it
        try:
            await self._publish(member, view)
        except (Transient, Permanent) as error:
            log.warning("slack_home_not_published", error=str(error))
            if isinstance(error, Transient):
                async with self._pool.connection() as connection:
                    await run(connection, "home_failed", member=member, shows=shows)
            return False
        return True

    async def _views(self, members: list[str]) -> dict[str, Block]:
        rows = await self._episodes.open()
        on_call = await self._roster.on_call_now()
        people = {one.slack: one for one in self._configuration().people if one.slack}
        views = {}
        for member in members:
            person = people.get(member)
            if person is None:
                views[member] = not_listed_view(member)
                continue
            shifts = await self._roster.my_shifts(person.id)
            views[member] = home_view(home_of(person, on_call, shifts, rows))
        return views

    async def keep(self) -> None:
        """Until cancelled: look every so often, and at once where something was done here."""
        while True:
            try:
                await self.round()
                async with self._pool.connection() as connection:
                    await run(connection, "home_forget", seconds=WATCHED_FOR_SECONDS)
            except OperationalError as error:
                log.warning("home tabs wait for the database", error=str(error))
            except Exception:
                # What a tab cannot show must not end the process that pages.
                log.exception("home tabs could not be drawn")
            await self._rest()

    async def _rest(self) -> None:
        self._wake.clear()
        looking = asyncio.ensure_future(self._clock.sleep(LOOK_SECONDS))
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({looking, woken}, return_when=asyncio.FIRST_COMPLETED)
            # What a press changed is folded and committed within a moment.
            await self._clock.sleep(1.0)
        finally:
            looking.cancel()
            woken.cancel()


def _digest(view: Block) -> str:
    said = json.dumps(view, sort_keys=True, ensure_ascii=True).encode()
    return hashlib.blake2s(said, digest_size=12).hexdigest()
