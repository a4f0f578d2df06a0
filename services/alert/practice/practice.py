"""Practice within alert: finds the run that is under way, plays it to its end, and gives presses to it.

Everything here may fail and nothing real does: a practice that breaks is begun anew from its rows, a database
that is not there means that nobody practises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.alert.chat.links import PracticeLinks
from services.alert.chat.practice.destination import PracticeChannel
from services.alert.practice.database import drop_world, exists, keep_world, open_pool
from services.alert.practice.runs import Run, Runs
from services.alert.practice.world import World
from services.contracts.configuration import Configuration
from services.runtime.clock import Clock
from services.runtime.logs import get_logger

log = get_logger(__name__)

LOOK_FOR_A_DATABASE = 2.0
FORGET_EVERY = 3600.0

OVER = "This practice is over: nothing was changed. What came of it: presence practice debrief"


class Practice:
    """One replica's part in the run that is under way.

    Invariants: it holds a pool of the practice's database and of no other; whatever it raises stays here;
    every step of a run's end is a row, so that any replica goes on where another one died.
    """

    def __init__(
        self,
        url: str,
        active: Callable[[], Configuration],
        channels: dict[str, PracticeChannel],
        links: PracticeLinks,
        clock: Clock,
        pace: float = 0.5,
    ) -> None:
        """`url`: of the practice's own database; `active`: the team's configuration in force.

        `pace`: seconds between looks at what is due.
        """
        self.links = links
        self.channels = channels
        self._url = url
        self._active = active
        self._clock = clock
        self._pace = pace
        self._pool = open_pool(url)
        self._runs = Runs(self._pool)
        self._opened = False
        self._world: World | None = None
        self._takes_presses = False
        self._turn = asyncio.Lock()
        self._forget_at = 0.0

    async def run(self) -> None:
        """Until cancelled. Never raises."""
        try:
            while True:
                await self._clock.sleep(await self._look())
        finally:
            await self._leave()

    async def _look(self) -> float:
        async with self._turn:
            return await self._round()

    async def _round(self) -> float:
        """One look; seconds until the next."""
        try:
            if not self._opened:
                if not await exists(self._url):
                    return LOOK_FOR_A_DATABASE
                await self._pool.open()
                self._opened = True
            if not await self._runs.there():
                return LOOK_FOR_A_DATABASE
            await self._follow(await self._runs.live())
            await self._forget()
        except Exception as error:
            # Training must never take the real thing down with it.
            log.warning("the practice stumbled", error=f"{type(error).__name__}: {error}"[:200])
            await self._leave()
            return LOOK_FOR_A_DATABASE
        return self._pace

    async def _follow(self, run: Run | None) -> None:
        """Bring this replica to where the run is."""
        world = self._world
        if world is not None and (run is None or run.number != world.run.number):
            await self._leave()
            world = None
        self._takes_presses = run is not None and run.state == "running"
        if run is None:
            return
        if world is not None and (error := world.failed()) is not None:
            await self._leave()
            raise error
        if world is None:
            world = await self._enter(run)
        if world is not None:
            await self._end_if_over(world, run)

    async def _enter(self, run: Run) -> World | None:
        place = self.channels.get(run.destination)
        if place is None:
            log.warning("practice: no such destination any more", destination=run.destination)
            return None
        await keep_world(self._pool)
        reached = await self._runs.reached(run.number)
        world = World(
            run,
            self._pool,
            self._active,
            place,
            self._clock,
            reached,
            self.links,
            self._pace,
        )
        world.start()
        self._world = world
        log.info("practice", run=run.number, destination=run.destination)
        return world

    async def _end_if_over(self, world: World, run: Run) -> None:
        if run.state == "running":
            why = await self._runs.over(run.number)
            if why is not None:
                self._takes_presses = False
                await self._runs.close(run.number, why, world.name_of, world.tell)
                log.info("practice over", run=run.number, why=why)
        elif await self._runs.told(run.number):
            await self._leave()
            await self._runs.end(run.number)
            await drop_world(self._pool)

    async def _forget(self) -> None:
        now = self._clock.monotonic()
        if now < self._forget_at:
            return
        self._forget_at = now + FORGET_EVERY
        await self._runs.forget(self._active().practice.keep)

    async def _leave(self) -> None:
        world, self._world = self._world, None
        if world is not None:
            await world.stop()

    async def world(self) -> World | None:
        """Where presses go: the run's world, entered now if this replica has not seen it yet."""
        if self._world is None or self._world.failed() is not None:
            await self._look()
        return self._world if self._takes_presses else None

    async def close(self) -> None:
        """Release connections."""
        await self._leave()
        for place in self.channels.values():
            await place.channel.destination.close()
        if self._opened:
            await self._pool.close()
