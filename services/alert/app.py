"""Wires alert: the one place where its parts meet. No client and no connection at import."""

from __future__ import annotations

import asyncio
from functools import partial

from psycopg import OperationalError
from pydantic import Field, SecretStr

from services.alert.absence_calendars import AbsenceCalendars
from services.alert.boards import LiveBoards
from services.alert.chat.links import Links
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.deliveries import Deliveries
from services.alert.doors import Doors, Inside
from services.alert.handlers import SERVICE
from services.alert.intake import IntakeProgress, TopicEnds
from services.alert.metrics import AlertMetrics
from services.alert.practice.part import open_part
from services.alert.presence_score import PresenceScore
from services.alert.read_at_start import ReadAtStart
from services.alert.rota_watch import RotaWatch
from services.alert.store import configurations
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.announcements import Announcements
from services.alert.store.answering import Outgoing
from services.alert.store.answers import Answers
from services.alert.store.boards.kinds import open_keepers
from services.alert.store.boards.troubles import Troubles
from services.alert.store.doings import Doings
from services.alert.store.escalating import Escalating
from services.alert.store.figures import Figures
from services.alert.store.folding import Folding
from services.alert.store.grouping import Grouping
from services.alert.store.in_force import InForce
from services.alert.store.inbox import Inbox
from services.alert.store.next_ways import NextWays
from services.alert.store.outbox import PostgresOutbox
from services.alert.store.overrides import PostgresRoster
from services.alert.store.reminders import Reminders
from services.alert.store.shift_starts import PostgresShiftStarts
from services.alert.store.texts import Texts
from services.alert.subscriptions import Subscriptions
from services.alert.sweep import Sweep, WakeUps
from services.alert.team_file import TeamFile, checks, destination_secrets
from services.contracts.configuration import Configuration
from services.contracts.topics import (
    CLASSIFIED,
    CORRECTIONS,
    EPISODES,
    NOTICES,
    OUTCOMES,
    REPLIES,
    Group,
    topic_named,
)
from services.runtime import configuration as presence_yaml
from services.runtime import logs
from services.runtime.asgi import App, Router
from services.runtime.broker import create_broker, create_producer, wait_until
from services.runtime.clock import Clock, SystemClock
from services.runtime.configuration import LoadedConfiguration
from services.runtime.errors import WrongConfiguration
from services.runtime.health import Health, TopicsCheck
from services.runtime.lines import Lines, announce
from services.runtime.metrics import LineMetrics, create_registry, dead_letters_counter, metrics_app
from services.runtime.postgres import create_pool, migrate, problem_at
from services.runtime.process import Workers, run
from services.runtime.settings import ServiceSettings, load, secret

log = logs.get_logger(__name__)

LOOK_FOR_A_VERSION = 1.0
"""Seconds between looks at what is in force; the sweep looks again before it fires a step."""


class AlertSettings(ServiceSettings):
    """What alert reads from the environment, beside the secrets that presence.yaml names."""

    database_url: SecretStr
    """PostgreSQL, as postgresql://user:password@host/name"""
    public_url: str = Field(min_length=1)
    """Where people reach alert's pages: links in cards begin with it."""
    link_secret: SecretStr
    """Signs those links; at least 32 characters."""
    alert_port: int = Field(8003, ge=0, le=65_535)


class AlertService:
    """What `services.runtime.process.run` runs."""

    name = SERVICE

    def __init__(
        self, settings: AlertSettings, loaded: LoadedConfiguration, clock: Clock | None = None
    ) -> None:
        self.host, self.port = settings.host, settings.alert_port
        self.health = Health()
        self.workers = Workers()
        self._settings = settings
        self._loaded = loaded
        self._in_force = InForce(loaded.configuration)
        self._clock = clock or SystemClock()
        self._url = settings.database_url.get_secret_value()
        self._registry = create_registry()
        self._metrics = AlertMetrics(self._registry, loaded.configuration)
        self._dead_letters = dead_letters_counter(self._registry, CLASSIFIED, OUTCOMES, NOTICES)
        self._pool = create_pool(self._url, name=SERVICE, max_size=12)
        self._producer = create_producer(settings, service=SERVICE)
        self._announce = partial(announce, self._producer)
        lines = LineMetrics(self._registry)
        self._lines = Lines(SERVICE, settings, lines, self._announce, self._clock)
        self._consumption = self._lines.add(Group.alert, CLASSIFIED)
        self._outcomes = self._lines.add(Group.alert_outcomes, OUTCOMES)
        self._notices = self._lines.add(Group.alert_notices, NOTICES)
        self._broker = create_broker(
            settings, service=SERVICE, registry=self._registry, consumption=self._consumption
        )
        self._ends = TopicEnds(settings, CLASSIFIED, Group.alert)
        self._wake = WakeUps()
        self._intake: IntakeProgress | None = None
        self._score = PresenceScore(self._pool, self._registry, self._clock)
        self._outbox = PostgresOutbox(self._pool, self.active, self._metrics, self._may_page)
        self._episodes = PostgresEpisodes(
            self._pool, self.active, self._metrics, self._wake.changed
        )
        self._roster = PostgresRoster(self._pool, lambda: self._in_force.file, self._wake.changed)
        self._starts = PostgresShiftStarts(
            self._pool, self.active, self._roster, self._wake.changed
        )
        self._boards = LiveBoards(
            self._pool,
            open_keepers(self._pool, self.active, self._episodes, self._metrics, self._starts),
            self._wake.changed,
        )
        self._read_at_start = ReadAtStart(loaded.configuration, Troubles(self._pool), self._clock)
        self._file = TeamFile(
            settings.config, loaded.sha256, self._pool, self._clock.now, (destination_secrets,)
        )
        shared = (self._pool, self.active, self._metrics, self._wake.changed)
        self._answers, self._doings = Answers(*shared), Doings(*shared)
        self._outgoing, self._reminders = Outgoing(*shared), Reminders(*shared)
        self._links = _links(settings, self._clock)
        self._deliveries = Deliveries(
            self.active,
            self._outbox,
            secret=secret,
            links=self._links,
            clock=self._clock,
            metrics=DeliveryMetrics(self._registry),
        )
        self._wake.deliveries = [self._deliveries.wake]
        self._practice = open_part(
            self._url,
            loaded.configuration,
            self.active,
            self._links,
            settings.link_secret,
            self._clock,
        )
        self._doors = Doors(self._inside(), loaded.configuration)
        self.app: App = self._routes()
        dlq = topic_named(CLASSIFIED.dlq)
        self._topics = TopicsCheck(
            settings,
            (
                CLASSIFIED,
                dlq,
                NOTICES,
                CORRECTIONS,
                EPISODES,
                REPLIES,
                OUTCOMES,
                topic_named(OUTCOMES.dlq),
                topic_named(NOTICES.dlq),
            ),
            self._clock,
        )
        self.health.add("kafka", self._topics)
        self.health.add("postgres", self._database_problem)
        self.health.add("consumer", self._lines.problem)

    def active(self) -> Configuration:
        """The configuration in force, run-time changes of the rota included."""
        return self._in_force()

    def _may_page(self) -> bool:
        return self._intake is not None and self._intake.may_page

    def _inside(self) -> Inside:
        return Inside(
            pool=self._pool,
            configuration=self.active,
            clock=self._clock,
            links=self._links,
            deliveries=self._deliveries,
            episodes=self._episodes,
            boards=self._boards,
            answers=self._answers,
            doings=self._doings,
            roster=self._roster,
            starts=self._starts,
            practice=self._practice,
        )

    def _routes(self) -> Router:
        router = Router(fallback=self._doors.pages)
        router.route("/health/live", self.health.live)
        router.route("/health/ready", self.health.ready)
        router.route("/metrics", metrics_app(self._registry, self.health))
        return router

    async def start(self) -> None:
        """Wait for PostgreSQL and Kafka; rewind where the group is ahead; consume; sweep."""
        await wait_until(self._database_problem, clock=self._clock, says="PostgreSQL")
        await self._pool.open()
        await migrate(self._pool, "alert", "services.alert.store.migrations")
        await configurations.store(self._pool, self._loaded)
        async with self._pool.connection() as connection:
            await self._in_force.refresh(connection)
        await wait_until(self._topics, clock=self._clock, says="Kafka and its topics")
        self._producer.start()
        cluster = await asyncio.to_thread(self._ends.cluster)
        inbox = Inbox(self._pool, cluster)
        recorded = await inbox.progress(CLASSIFIED.name)
        await asyncio.to_thread(self._ends.rewind, recorded)
        intake = IntakeProgress(self._ends, inbox, CLASSIFIED, self._clock)
        await intake.begin()
        self._intake = intake
        self._subscribe(inbox)
        await self._lines.stay_stopped()
        self._start_workers(inbox, intake)
        await self._broker.start()

    def _subscribe(self, inbox: Inbox) -> None:
        subscriptions = Subscriptions(
            self._broker,
            self._producer,
            self._announce,
            self._dead_letters,
            self._clock,
            self._wake,
        )
        subscriptions.classified(inbox, self._consumption)
        subscriptions.notices(self._pool, self._notices)
        subscriptions.outcomes(self._outgoing, self._outcomes)

    def _start_workers(self, inbox: Inbox, intake: IntakeProgress) -> None:
        sweep = Sweep(
            folding=Folding(self._pool, self.active),
            grouping=Grouping(self._pool),
            escalating=Escalating(self._pool, self.active, self._metrics, self._in_force.refresh),
            next_ways=NextWays(self._pool, self.active, self._metrics, self._in_force.refresh),
            announcements=Announcements(self._pool, self._producer),
            figures=Figures(self._pool, self._metrics),
            outgoing=self._outgoing,
            reminders=self._reminders,
            inbox=inbox,
            intake=intake,
            producer=self._producer,
            metrics=self._metrics,
            dead_letters=self._dead_letters,
            configuration=self.active,
            clock=self._clock,
            wake=self._wake,
            boards=self._boards,
            texts=Texts(self._pool),
        )
        for name, loop in sweep.loops().items():
            self.workers.start(name, loop())
        watch = RotaWatch(
            self._pool,
            self.active,
            self._clock,
            self._wake.changed,
            self._starts,
            AbsenceCalendars(self._pool, self.active, self._roster, secret),
        )
        for name, loop in watch.loops().items():
            self.workers.start(name, loop())
        self.workers.start("presence score", self._score.run())
        self.workers.start("deliver", self._deliveries.run())
        for name, work in self._doors.workers():
            self.workers.start(name, work)
        if self._practice is not None:
            self.workers.start("practice", self._practice.run())
        self.workers.start("configuration", self._watch_for_a_version())

    async def stop(self) -> None:
        """The batch in hand is finished and committed; then everything closes."""
        await self._doors.drain()
        await self._lines.close()
        await self._broker.stop()
        await self._producer.close()
        if self._practice is not None:
            await self._practice.close()
        await self._deliveries.close()
        await self._pool.close()

    async def _database_problem(self) -> str | None:
        return await problem_at(self._url)

    async def _watch_for_a_version(self) -> None:
        """Store a changed presence.yaml; use what any replica stored, and changes of the rota."""
        while True:
            await self._clock.sleep(LOOK_FOR_A_VERSION)
            try:
                await self._file.look()
                async with self._pool.connection() as connection:
                    changed = await self._in_force.refresh(connection)
                changed = await self._read_at_start.look(self.active()) or changed
            except OperationalError as error:
                log.warning("the active configuration could not be read", error=str(error))
                continue
            except Exception:
                # Whatever it is, pages go on by what is in force.
                log.exception("the active configuration could not be looked at")
                continue
            if changed:
                self._wake.changed()


def _links(settings: AlertSettings, clock: Clock) -> Links:
    try:
        return Links(settings.public_url, settings.link_secret, clock)
    except ValueError as error:
        raise WrongConfiguration(str(error)) from None


def create_service() -> AlertService:
    """From the environment and presence.yaml. Raises WrongConfiguration."""
    settings = load(AlertSettings)
    logs.configure(settings.log_format, SERVICE, settings.log_level)
    return AlertService(settings, presence_yaml.load(settings.config, checks(SystemClock().now())))


def main() -> int:
    """Run until told to stop; returns the exit code."""
    return run(create_service())
