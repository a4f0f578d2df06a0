"""Wires alert: the one place where its parts meet. No client and no connection at import."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial

from psycopg import OperationalError
from pydantic import Field, SecretStr

from services.alert.absence_calendars import AbsenceCalendars
from services.alert.boards import LiveBoards
from services.alert.chat.destinations import (
    bot_tokens,
    open_destinations,
    open_pipelines,
    send_sign_in,
    sign_in_ways,
)
from services.alert.chat.links import Links
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_commands import SlackCommands
from services.alert.chat.slack_inbound import SlackInbound
from services.alert.chat.slack_interactions import SlackInteractions
from services.alert.chat.slack_socket import SlackSocket
from services.alert.chat.teams_bot import TeamsBotDestination
from services.alert.chat.teams_interactions import TeamsInteractions
from services.alert.console.app import create_app
from services.alert.handlers import SERVICE, InboxHandler, NoticeHandler, OutcomeHandler
from services.alert.home_tabs import HomeTabs
from services.alert.intake import IntakeProgress, TopicEnds
from services.alert.metrics import AlertMetrics
from services.alert.rota_watch import RotaWatch
from services.alert.store import configurations
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.announcements import Announcements
from services.alert.store.answering import Outgoing
from services.alert.store.answers import Answers
from services.alert.store.boards.kinds import open_keepers
from services.alert.store.boards.troubles import Troubles
from services.alert.store.doings import Doings, Reminders
from services.alert.store.escalating import Escalating
from services.alert.store.figures import Figures
from services.alert.store.folding import Folding
from services.alert.store.grouping import Grouping
from services.alert.store.in_force import InForce
from services.alert.store.inbox import Inbox
from services.alert.store.outbox import PostgresOutbox
from services.alert.store.overrides import PostgresRoster
from services.alert.store.shift_starts import PostgresShiftStarts
from services.alert.store.sources import Sources
from services.alert.sweep import Sweep, WakeUps
from services.alert.team_file import TeamFile, checks
from services.contracts.configuration import Configuration
from services.contracts.configuration import SlackDestination as SlackSection
from services.contracts.events import Notice
from services.contracts.topics import (
    CLASSIFIED,
    CORRECTIONS,
    EPISODES,
    NOTICES,
    OUTCOMES,
    REPLIES,
    topic_named,
)
from services.runtime import configuration as presence_yaml
from services.runtime import logs
from services.runtime.asgi import App, Router
from services.runtime.broker import create_broker, create_producer, subscribe_batch, wait_until
from services.runtime.clock import Clock, SystemClock
from services.runtime.configuration import LoadedConfiguration
from services.runtime.consumption import Consumption
from services.runtime.dead_letter_limit import DeadLetterGuard, is_tripped
from services.runtime.errors import WrongConfiguration
from services.runtime.health import Health, TopicsCheck
from services.runtime.metrics import create_registry, dead_letters_counter, metrics_app, observe_lag
from services.runtime.postgres import answers, create_pool, migrate
from services.runtime.process import Workers, run
from services.runtime.producer import KafkaProducer, Record
from services.runtime.settings import ServiceSettings, load, optional_secret, secret

log = logs.get_logger(__name__)

GROUP = "presence-alert"
NOTICES_GROUP = "presence-alert-notices"
OUTCOMES_GROUP = "presence-alert-outcomes"
LOOK_FOR_A_RESUME = 3.0
"""Seconds between looks at presence.notices while the line is stopped."""
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
        self._dead_letters = dead_letters_counter(self._registry)
        self._consumption = Consumption()
        self._outcomes = Consumption()
        self._consumption.beside(self._outcomes)
        observe_lag(self._registry, self._consumption)
        self._pool = create_pool(self._url, name=SERVICE, max_size=12)
        self._producer = create_producer(settings, service=SERVICE)
        self._broker = create_broker(
            settings, service=SERVICE, registry=self._registry, consumption=self._consumption
        )
        self._ends = TopicEnds(settings, CLASSIFIED, GROUP)
        self._wake = WakeUps()
        self._intake: IntakeProgress | None = None
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
        self._file = TeamFile(settings.config, loaded.sha256, self._pool, self._clock.now)
        shared = (self._pool, self.active, self._metrics, self._wake.changed)
        self._answers, self._doings = Answers(*shared), Doings(*shared)
        self._outgoing, self._reminders = Outgoing(*shared), Reminders(*shared)
        self._links = _links(settings, self._clock)
        self._channels = open_destinations(
            loaded.configuration, secret=secret, links=self._links, clock=self._clock
        )
        self._pipelines = open_pipelines(
            self._channels,
            self._outbox,
            clock=self._clock,
            metrics=DeliveryMetrics(self._registry, self._channels),
        )
        # A token that is not there is said before anything starts.
        self._app_tokens = _app_tokens(loaded.configuration)
        self._wake.deliveries = [pipeline.wake for pipeline in self._pipelines]
        self._slack: SlackInbound | None = None
        self._home: HomeTabs | None = None
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
            ),
            self._clock,
        )
        self.health.add("kafka", self._topics)
        self.health.add("postgres", self._database_problem)
        self.health.add("consumer", self._consumer_problem)

    def active(self) -> Configuration:
        """The configuration in force, run-time changes of the rota included."""
        return self._in_force()

    def _may_page(self) -> bool:
        return self._intake is not None and self._intake.may_page

    def _routes(self) -> Router:
        slack = [
            channel.destination
            for channel in self._channels.values()
            if isinstance(channel.destination, SlackDestination)
        ]
        if slack:
            self._slack = self._listen_to_slack(slack)
        console = create_app(
            episodes=self._episodes,
            configuration=self.active,
            links=self._links,
            answers=self._answers,
            doings=self._doings,
            slack=self._slack,
            slack_signing_secrets=_signing_secrets(self._loaded.configuration),
            send_sign_in=self._send_sign_in,
            may_sign_in=lambda one: bool(sign_in_ways(self._channels, self.active(), one.id)),
            api_token=optional_secret("PRESENCE_API_TOKEN"),
            roster=self._roster,
            clock=self._clock,
            boards=self._boards,
            teams=self._teams_bots(),
            teams_tokens=tuple(bot_tokens(self._loaded.configuration, self._clock)),
        )
        router = Router(fallback=console)
        router.route("/health/live", self.health.live)
        router.route("/health/ready", self.health.ready)
        router.route("/metrics", metrics_app(self._registry, self.health))
        return router

    def _teams_bots(self) -> TeamsInteractions | None:
        bots = [
            channel.destination
            for channel in self._channels.values()
            if isinstance(channel.destination, TeamsBotDestination)
        ]
        if not bots:
            return None
        return TeamsInteractions(
            self._episodes,
            self.active,
            bots,
            self._clock,
            self._boards,
            self._answers,
            self._doings,
            self._links,
        )

    async def _send_sign_in(self, person_id: str, url: str) -> None:
        await send_sign_in(self._channels, self.active(), person_id, url)

    def _listen_to_slack(self, slack: list[SlackDestination]) -> SlackInbound:
        """The same handlers, whichever way Slack's requests come."""
        interactions = SlackInteractions(
            self._episodes,
            self.active,
            slack,
            self._clock,
            boards=self._boards,
            answers=self._answers,
            doings=self._doings,
        )
        self._home = HomeTabs(
            self._pool,
            self._episodes,
            self._roster,
            self.active,
            self._clock,
            slack[0].publish_home,
        )
        commands = SlackCommands(
            self._episodes,
            self._roster,
            self.active,
            self._clock,
            incidents=self._boards,
            changed=self._home.changed,
        )
        return SlackInbound(
            interactions,
            self._clock,
            command=commands.answer,
            home=self._home.opened,
            later=slack[0].answer_later,
            changed=self._home.changed,
        )

    async def start(self) -> None:
        """Wait for PostgreSQL and Kafka; rewind where the group is ahead; consume; sweep."""
        await wait_until(self._database_answers, clock=self._clock, says="PostgreSQL")
        await self._pool.open()
        await migrate(self._pool, "alert", "services.alert.store.migrations")
        await configurations.store(self._pool, self._loaded)
        async with self._pool.connection() as connection:
            await self._in_force.refresh(connection)
        await wait_until(self._kafka_answers, clock=self._clock, says="Kafka and its topics")
        self._producer.start()
        cluster = await asyncio.to_thread(self._ends.cluster)
        inbox = Inbox(self._pool, cluster)
        recorded = await inbox.progress(CLASSIFIED.name)
        await asyncio.to_thread(self._ends.rewind, recorded)
        intake = IntakeProgress(self._ends, inbox, CLASSIFIED, self._consumption, self._clock)
        await intake.begin()
        self._intake = intake
        self._subscribe(inbox, intake)
        if await asyncio.to_thread(is_tripped, self._settings, SERVICE):
            self._consumption.stop_line(
                "alert is stopped by its dead-letter limit: `presence dlq resume alert`"
            )
        self._start_workers(inbox, intake)
        await self._broker.start()

    def _subscribe(self, inbox: Inbox, intake: IntakeProgress) -> None:
        def arrived(newest: datetime) -> None:
            intake.handled(newest)
            self._wake.fold.set()

        guard = DeadLetterGuard(
            service=SERVICE,
            topic=CLASSIFIED,
            consumption=self._consumption,
            announce=partial(_announce, self._producer),
        )
        handler = InboxHandler(
            inbox,
            self._producer,
            guard,
            self._dead_letters,
            self._clock,
            arrived=arrived,
        )
        subscribe_batch(
            self._broker,
            CLASSIFIED,
            handler,
            group=GROUP,
            consumption=self._consumption,
            clock=self._clock,
        )
        notices = NoticeHandler(
            Sources(self._pool), Troubles(self._pool), changed=self._wake.changed
        )
        subscribe_batch(
            self._broker,
            NOTICES,
            notices,
            group=NOTICES_GROUP,
            consumption=Consumption(),
            clock=self._clock,
        )

        self._subscribe_to_outcomes()

    def _subscribe_to_outcomes(self) -> None:
        """Outcomes have a line of their own: what holds up episodes does not hold up answers."""
        guard = DeadLetterGuard(
            service=SERVICE,
            topic=OUTCOMES,
            consumption=self._outcomes,
            announce=partial(_announce, self._producer),
        )
        outcomes = OutcomeHandler(
            self._outgoing, self._producer, guard, self._dead_letters, self._clock
        )
        subscribe_batch(
            self._broker,
            OUTCOMES,
            outcomes,
            group=OUTCOMES_GROUP,
            consumption=self._outcomes,
            clock=self._clock,
        )

    def _start_workers(self, inbox: Inbox, intake: IntakeProgress) -> None:
        sweep = Sweep(
            folding=Folding(self._pool, self.active),
            grouping=Grouping(self._pool),
            escalating=Escalating(self._pool, self.active, self._metrics, self._in_force.refresh),
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
        for pipeline in self._pipelines:
            self.workers.start(f"deliver to {pipeline.destination.id}", pipeline.run())
        if self._slack is not None and self._home is not None:
            self.workers.start("home tabs", self._home.keep())
            for name, token, base_url in self._app_tokens:
                socket = SlackSocket(token, base_url, self._slack, self._clock)
                self.workers.start(f"Slack socket {name}", socket.run())
        self.workers.start("resume", self._watch_for_a_resume())
        self.workers.start("configuration", self._watch_for_a_version())

    async def stop(self) -> None:
        """The batch in hand is finished and committed; then everything closes."""
        if self._slack is not None:
            await self._slack.drain()
        await self._broker.stop()
        await self._producer.close()
        for channel in self._channels.values():
            await channel.destination.close()
        await self._pool.close()

    async def _database_answers(self) -> bool:
        return await answers(self._url)

    async def _kafka_answers(self) -> bool:
        return await self._topics() is None

    async def _database_problem(self) -> str | None:
        return None if await answers(self._url) else "PostgreSQL does not answer"

    async def _consumer_problem(self) -> str | None:
        return self._consumption.problem() or self._outcomes.problem()

    async def _watch_for_a_resume(self) -> None:
        while True:
            await self._clock.sleep(LOOK_FOR_A_RESUME)
            lines = [one for one in (self._consumption, self._outcomes) if one.stopped is not None]
            if lines and not await asyncio.to_thread(is_tripped, self._settings, SERVICE):
                log.info("resumed by a person: one record is probed first")
                for line in lines:
                    line.resume_line()

    async def _watch_for_a_version(self) -> None:
        """Store a changed presence.yaml; use what any replica stored, and changes of the rota."""
        while True:
            await self._clock.sleep(LOOK_FOR_A_VERSION)
            try:
                await self._file.look()
                async with self._pool.connection() as connection:
                    changed = await self._in_force.refresh(connection)
            except OperationalError as error:
                log.warning("the active configuration could not be read", error=str(error))
                continue
            if changed:
                self._wake.changed()


def _links(settings: AlertSettings, clock: Clock) -> Links:
    try:
        return Links(settings.public_url, settings.link_secret, clock)
    except ValueError as error:
        raise WrongConfiguration(str(error)) from None


def _signing_secrets(configuration: Configuration) -> tuple[SecretStr, ...]:
    names = [
        section.signing_secret
        for section in configuration.destinations
        if isinstance(section, SlackSection)
    ]
    return tuple(secret(name) for name in dict.fromkeys(names))


def _app_tokens(configuration: Configuration) -> list[tuple[str, SecretStr, str]]:
    """One connection for each app: its token, by name, and where to ask for an address."""
    named = {
        section.app_token: str(section.base_url)
        for section in configuration.destinations
        if isinstance(section, SlackSection) and section.app_token is not None
    }
    return [(name, secret(name), base_url) for name, base_url in named.items()]


async def _announce(producer: KafkaProducer, notice: Notice) -> None:
    await producer.publish([Record(NOTICES.name, notice.key, notice.to_bytes())])


def create_service() -> AlertService:
    """From the environment and presence.yaml. Raises WrongConfiguration."""
    settings = load(AlertSettings)
    logs.configure(settings.log_format, SERVICE, settings.log_level)
    return AlertService(settings, presence_yaml.load(settings.config, checks(SystemClock().now())))


def main() -> int:
    """Run until told to stop; returns the exit code."""
    return run(create_service())
