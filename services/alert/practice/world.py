"""A practice's world: the parts of alert, over the practice's database and its one channel.

What it is not given it cannot do: there is no pool of the real database here, no Kafka, no board, no group,
no rota that is watched, no Home tab, and its figures go into a registry that nobody reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from prometheus_client import CollectorRegistry

from services.alert.boards import LiveBoards
from services.alert.chat.delivery import DeliveryPipeline
from services.alert.chat.destinations import open_pipelines
from services.alert.chat.links import Links
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.practice.destination import PracticeChannel
from services.alert.chat.slack_interactions import SlackInteractions
from services.alert.chat.teams_interactions import TeamsInteractions
from services.alert.domain.practice.team import Reached, practised
from services.alert.metrics import AlertMetrics
from services.alert.practice.runs import Run, Runs
from services.alert.practice.simulation import PractisedOutgoing, Simulation
from services.alert.rounds import cancel, every
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.announcements import Announcements
from services.alert.store.answers import Answers
from services.alert.store.doings import Doings
from services.alert.store.escalating import Escalating
from services.alert.store.folding import Folding
from services.alert.store.outbox import PostgresOutbox
from services.alert.store.reminders import Reminders
from services.alert.store.sql import Connection, all_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.runtime.clock import Clock
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

Loop = Callable[[], Coroutine[Any, Any, None]]


class World:
    """One run's episodes, acts, timers and cards, from its start to its end."""

    def __init__(
        self,
        run: Run,
        pool: Pool,
        active: Callable[[], Configuration],
        place: PracticeChannel,
        clock: Clock,
        reached: frozenset[Reached],
        links: Links,
        pace: float,
    ) -> None:
        """`pool`: the practice's own; `active`: the team's configuration, of which it makes its own.

        `pace`: seconds between looks, where nobody wakes it.
        """
        self.run = run
        self._pool = pool
        self._active = active
        self._place = place
        self._clock = clock
        self._reached = reached
        self._pace = pace
        self._made: tuple[Configuration, Configuration] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = [asyncio.Event() for _ in range(3)]
        self.runs = Runs(pool)
        registry = CollectorRegistry()
        metrics = AlertMetrics(registry, self.configuration())
        shared = (pool, self.configuration, metrics, self._changed)
        self.episodes = PostgresEpisodes(*shared)
        self.answers, self.doings = Answers(*shared), Doings(*shared)
        self._outgoing, self._reminders = PractisedOutgoing(*shared), Reminders(*shared)
        self._folding = Folding(pool, self.configuration)
        self._escalating = Escalating(pool, self.configuration, metrics)
        simulation = Simulation(pool, self.runs, run.number, self._outgoing)
        self._announcements = Announcements(pool, simulation)
        self._pipelines: list[DeliveryPipeline] = open_pipelines(
            {place.section.id: place.channel},
            PostgresOutbox(pool, self.configuration, metrics),
            clock=clock,
            metrics=DeliveryMetrics(registry),
        )
        self.slack = self._slack_presses()
        self.teams = self._teams_presses(links)

    def configuration(self) -> Configuration:
        """The team's configuration as this practice has it."""
        real = self._active()
        if self._made is None or self._made[0] is not real:
            run = self.run
            own = practised(
                real, self._place.section, run.people, run.began_at, run.ends_at, self._reached
            )
            self._made = real, own
        return self._made[1]

    def _slack_presses(self) -> SlackInteractions | None:
        if self._place.slack is None:
            return None
        return SlackInteractions(
            self.episodes,
            self.configuration,
            [self._place.slack],
            self._clock,
            answers=self.answers,
            doings=self.doings,
        )

    def _teams_presses(self, links: Links) -> TeamsInteractions | None:
        if self._place.bot is None:
            return None
        return TeamsInteractions(
            self.episodes,
            self.configuration,
            [self._place.bot],
            self._clock,
            LiveBoards(self._pool, ()),
            self.answers,
            self.doings,
            links,
        )

    def start(self) -> None:
        """Begin to work."""
        self._tasks = [
            asyncio.create_task(loop(), name=f"practice: {name}")
            for name, loop in self._loops().items()
        ]

    def _loops(self) -> dict[str, Loop]:
        fold, effects, told = self._wake
        clock, pace = self._clock, self._pace
        loops: dict[str, Loop] = {
            "play": lambda: every(clock, pace, self._play),
            "fold": lambda: every(clock, pace, self._fold, fold),
            "timers": lambda: every(clock, pace, self._fire, effects),
            "answers": lambda: every(clock, pace, self._send),
            "announce": lambda: every(clock, pace, self._announce, told),
        }
        for pipeline in self._pipelines:
            loops[f"deliver to {pipeline.destination.id}"] = pipeline.run
        return loops

    def failed(self) -> BaseException | None:
        """What ended one of its loops: a practice that broke is begun anew from its rows."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                return task.exception() or RuntimeError(f"{task.get_name()} ended")
        return None

    async def stop(self) -> None:
        """End the loops; what is in hand is finished or found again."""
        await cancel(self._tasks)
        if self.slack is not None:
            await self.slack.drain()

    def name_of(self, person_id: str | None) -> str | None:
        """A person's name."""
        person = self.configuration().person(person_id) if person_id else None
        return person.name if person else person_id

    async def tell(self, connection: Connection, text: str) -> None:
        """A line for the channel, in the caller's transaction."""
        (clock,) = await all_of(connection, "now")
        writing = Writing(clock["now"])
        writing.tell(f"practice-{self.run.number}", self._place.section.id, text)
        await writing.flush(connection)

    def _changed(self) -> None:
        for event in self._wake:
            event.set()
        for pipeline in self._pipelines:
            pipeline.wake()

    async def _play(self) -> bool:
        played = await self.runs.play(self.run.number)
        if played:
            self._changed()
        return played > 0

    async def _fold(self) -> bool:
        done = await self._folding.round()
        if done.events:
            self._changed()
        return done.more and done.events > 0

    async def _fire(self) -> bool:
        fired = await self._escalating.fire_due()
        if fired:
            self._changed()
        return fired > 0

    async def _send(self) -> bool:
        await self._outgoing.round()
        await self._reminders.round()
        return False

    async def _announce(self) -> bool:
        sent = await self._announcements.send()
        if sent:
            self._changed()
        return sent > 0
