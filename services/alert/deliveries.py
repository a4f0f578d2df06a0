"""One pipeline for each destination of the configuration in force, also after it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.alert.chat.delivery import DeliveryPipeline
from services.alert.chat.destinations import Channel, Secret, open_destinations, open_pipelines
from services.alert.chat.links import Links
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.slack import SlackDestination
from services.alert.chat.teams_bot import TeamsBotDestination
from services.alert.rounds import cancel
from services.alert.store.outbox import PostgresOutbox
from services.alert.store.sql import AWAY
from services.contracts.configuration import Configuration, Destination
from services.runtime.clock import Clock
from services.runtime.errors import WrongConfiguration
from services.runtime.logs import get_logger

log = get_logger(__name__)

LOOK = 1.0
"""Seconds between looks at whether the destinations are still those of the configuration."""


class Deliveries:
    """Opens, changes and closes destinations as the team's file says; runs their pipelines.

    Invariants: a destination that cannot be opened (its secret is not here) leaves the one that was there
    at work; what waits for a destination that left the file goes to another; a pipeline that ends by
    itself ends the process, like every worker.
    """

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        outbox: PostgresOutbox,
        *,
        secret: Secret,
        links: Links,
        clock: Clock,
        metrics: DeliveryMetrics,
    ) -> None:
        """Opens what the configuration names now. Raises WrongConfiguration."""
        self._configuration = configuration
        self._outbox = outbox
        self._secret = secret
        self._links = links
        self._clock = clock
        self._metrics = metrics
        self.channels: dict[str, Channel] = {}
        """Every open destination by its id; changed in place."""
        self.slack: list[SlackDestination] = []
        """Those of Slack, in the file's order; changed in place."""
        self.teams: list[TeamsBotDestination] = []
        """Those of a Teams bot, likewise."""
        self._sections: dict[str, Destination] = {}
        self._refused: dict[str, Destination] = {}
        self._pipelines: dict[str, DeliveryPipeline] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._open(configuration().destinations)

    def wake(self) -> None:
        """Something was put into the outbox."""
        for pipeline in self._pipelines.values():
            pipeline.wake()

    async def run(self) -> None:
        """Deliver until cancelled. What is in hand is finished first."""
        try:
            while True:
                await self.follow()
                for destination, pipeline in self._pipelines.items():
                    if destination not in self._tasks:
                        name = f"deliver to {destination}"
                        self._tasks[destination] = asyncio.create_task(pipeline.run(), name=name)
                await self._rest()
        finally:
            await self._end(*self._tasks)

    async def follow(self) -> bool:
        """Bring what is open in line with the configuration in force; whether anything changed."""
        wanted = {section.id: section for section in self._configuration().destinations}
        gone = [one for one in self.channels if one not in wanted]
        new = [
            section
            for one, section in wanted.items()
            if self._sections.get(one) != section and self._refused.get(one) != section
        ]
        for one in gone:
            await self._end(one)
            await self._close(one)
            log.info("a destination left the configuration", destination=one)
        for section in new:
            await self._renew(section)
        if gone or new:
            self._list(wanted)
        try:
            await self._outbox.abandon(tuple(wanted))
        except AWAY as error:
            log.warning("waiting for PostgreSQL", error=str(error))
        return bool(gone or new)

    async def close(self) -> None:
        """Release connections."""
        for channel in self.channels.values():
            await channel.destination.close()

    async def _renew(self, section: Destination) -> None:
        before = self.channels.get(section.id)
        try:
            opened = self._opened([section])
        except WrongConfiguration as error:
            # Refused once and told: what was open, if anything, goes on.
            self._refused[section.id] = section
            log.error("a destination cannot be opened", destination=section.id, error=str(error))
            return
        await self._end(section.id)
        if before is not None:
            await before.destination.close()
        self._take(opened, [section])
        log.info("a destination was opened", destination=section.id)

    def _open(self, sections: tuple[Destination, ...]) -> None:
        self._take(self._opened(sections), sections)
        self._list({section.id: section for section in sections})

    def _opened(self, sections: tuple[Destination, ...] | list[Destination]) -> dict[str, Channel]:
        part = self._configuration().model_copy(update={"destinations": tuple(sections)})
        return open_destinations(part, secret=self._secret, links=self._links, clock=self._clock)

    def _take(
        self, opened: dict[str, Channel], sections: tuple[Destination, ...] | list[Destination]
    ) -> None:
        self.channels.update(opened)
        self._sections.update({section.id: section for section in sections})
        pipelines = open_pipelines(opened, self._outbox, clock=self._clock, metrics=self._metrics)
        self._pipelines.update({one.destination.id: one for one in pipelines})

    def _list(self, wanted: dict[str, Destination]) -> None:
        inside = [self.channels[one].destination for one in wanted if one in self.channels]
        # Presses on cards that stand are still answered through the last one of their kind.
        self.slack[:] = [one for one in inside if isinstance(one, SlackDestination)] or self.slack
        self.teams[:] = [
            one for one in inside if isinstance(one, TeamsBotDestination)
        ] or self.teams

    async def _close(self, destination: str) -> None:
        await self.channels.pop(destination).destination.close()
        del self._sections[destination], self._pipelines[destination]
        self._refused.pop(destination, None)

    async def _end(self, *destinations: str) -> None:
        tasks = [task for one in destinations if (task := self._tasks.pop(one, None)) is not None]
        await cancel(tasks)

    async def _rest(self) -> None:
        """Until the next look. Raises what a pipeline raised."""
        sleeping = asyncio.ensure_future(self._clock.sleep(LOOK))
        try:
            done, _ = await asyncio.wait(
                {sleeping, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            sleeping.cancel()
        for task in done - {sleeping}:
            task.result()
            raise RuntimeError(f"a pipeline ended by itself: {task.get_name()}")
