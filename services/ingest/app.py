"""Wires ingest: the one place where its parts meet."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import SecretStr

from services.contracts.configuration import Configuration
from services.contracts.configuration import Ingest as IngestConfiguration
from services.contracts.topics import (
    EPISODES,
    INTAKE_DLQ,
    NOTICES,
    NOTIFICATIONS,
    OUTCOMES,
    REPLIES,
    Group,
    topic_named,
)
from services.ingest.collector import Collector
from services.ingest.domain.rate import Rate
from services.ingest.intake import Intake, Limit
from services.ingest.listener import Listener
from services.ingest.metrics import Metrics
from services.ingest.replay_mark import key_of
from services.ingest.sources.registry import PULLED, build_pulled, build_sources, source_labels
from services.ingest.speaking.desk import SOURCE, Desk
from services.ingest.speaking.handlers import ReplyHandler
from services.ingest.speaking.registry import build_speakers
from services.ingest.spooling import Spooling
from services.ingest.store.event_store import PostgresEventStore, intake_pool
from services.ingest.store.hours import Hours
from services.ingest.store.leases import Account, PostgresLeases
from services.ingest.store.reply_store import PostgresReplyStore
from services.ingest.store.spool import Spool
from services.ingest.store.thread_store import PostgresThreadStore
from services.ingest.store.token_notices import PostgresTokenNotices
from services.ingest.tenure import replica
from services.ingest.token_watch import TokenWatch
from services.ingest.watch import Watch
from services.ingest.watching import EpisodeHandler
from services.runtime import configuration as presence_yaml
from services.runtime import logs
from services.runtime.asgi import App, Router
from services.runtime.broker import (
    LEISURELY,
    create_broker,
    create_producer,
    subscribe_batch,
    wait_until,
)
from services.runtime.clock import SystemClock
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.errors import Transient
from services.runtime.health import Health, TopicsCheck
from services.runtime.lines import Lines, announce
from services.runtime.metrics import LineMetrics, create_registry, metrics_app
from services.runtime.postgres import create_pool, problem_at
from services.runtime.process import Workers, run
from services.runtime.settings import ServiceSettings, load, secret

log = logs.get_logger(__name__)

FORGET_EVERY = 3600.0


class IngestSettings(ServiceSettings):
    """What ingest reads from the environment, beside the secrets that presence.yaml names."""

    database_url: SecretStr
    """PostgreSQL, as postgresql://user:password@host/name"""
    ingest_port: int = 8001
    link_secret: SecretStr | None = None
    """Signs replays; without it nothing can be replayed."""


class Ingest:
    """The service, as services.runtime.process runs it."""

    name = "ingest"

    def __init__(self, settings: IngestSettings, configuration: Configuration) -> None:
        self.host, self.port = settings.host, settings.ingest_port
        self.health = Health()
        self.workers = Workers()
        self._url = settings.database_url.get_secret_value()
        self._clock = SystemClock()
        self._retention = configuration.retention
        registry = create_registry()
        metrics = Metrics(registry)
        sources = build_sources(configuration, secret, settings.link_secret)
        metrics.initialise({*sources, *PULLED, SOURCE}, source_labels(configuration))
        self._pool = create_pool(self._url, name="ingest")
        self._intake_pool = intake_pool(self._url)
        self._store = PostgresEventStore(self._intake_pool)
        self._producer = create_producer(settings, service="ingest")
        self._announce = partial(announce, self._producer)
        self._collector = collector = Collector(self._producer, self._store, metrics, self._clock)
        link_secret = settings.link_secret
        ours = configuration.ingest
        self._spool = Spool(Path(ours.spool.path), ours.spool.max_bytes)
        self._spooling = (
            Spooling(self._spool, ours.spool.sources, collector, metrics, self._clock)
            if ours.spool.sources
            else None
        )
        intake = Intake(
            sources,
            collector,
            metrics,
            self._clock,
            body_limit=ours.body_limit,
            tolerance=ours.signature_age,
            limits=_limits(ours),
            spooling=self._spooling,
            replay_key=key_of(link_secret.get_secret_value().encode()) if link_secret else None,
        )
        self._threads = PostgresThreadStore(self._pool)
        leases, holder = PostgresLeases(self._pool), replica()
        pulled = build_pulled(configuration, secret, self._clock)
        self._listeners = [
            Listener(
                source,
                collector,
                self._store,
                self._producer,
                metrics,
                self._clock,
                leases=leases,
                holder=holder,
                threads=self._threads,
                slowest=ours.threads.slowest,
            )
            for source in pulled
        ]
        self._watch = Watch(
            [Account(*labels) for labels in source_labels(configuration)],
            collector.arrivals,
            Hours(self._pool),
            self._announce,
            metrics,
            self._clock,
        )
        self._token_watch = TokenWatch(
            pulled,
            PostgresTokenNotices(self._pool),
            self._announce,
            metrics,
            self._clock,
        )
        self._replies = PostgresReplyStore(self._pool)
        self._desk = Desk(
            build_speakers(configuration, secret, self._clock),
            self._replies,
            collector,
            self._producer,
            metrics,
            self._clock,
        )
        self._settings = settings
        self._lines = Lines(self.name, settings, LineMetrics(registry), self._announce, self._clock)
        replies = self._lines.add(Group.ingest, REPLIES)
        # Its own: replies that are stopped by a person do not stop the threads.
        threads = self._lines.add(Group.ingest_threads, EPISODES, vital=False)
        self._broker = create_broker(
            settings, service=self.name, registry=registry, consumption=replies
        )
        guard = DeadLetterGuard(
            service=self.name,
            topic=REPLIES,
            consumption=replies,
            announce=self._announce,
        )
        subscribe_batch(
            self._broker,
            REPLIES,
            ReplyHandler(
                self._replies, self._producer, metrics, guard, self._clock, self._desk.wake
            ),
            group=Group.ingest,
            consumption=replies,
            clock=self._clock,
            waits=LEISURELY,
        )
        subscribe_batch(
            self._broker,
            EPISODES,
            EpisodeHandler(self._threads, ours.threads),
            group=Group.ingest_threads,
            consumption=threads,
            clock=self._clock,
            waits=LEISURELY,
        )
        router = Router()
        router.route("/webhooks/", intake)
        router.route("/health/live", self.health.live)
        router.route("/health/ready", self.health.ready)
        router.route("/metrics", metrics_app(registry, self.health))
        self.app: App = router
        self._topics = TopicsCheck(
            settings,
            (
                NOTIFICATIONS,
                NOTICES,
                INTAKE_DLQ,
                REPLIES,
                topic_named(REPLIES.dlq),
                OUTCOMES,
                EPISODES,
            ),
            self._clock,
        )
        self.health.add("kafka", self._topics)
        self.health.add("postgres", self._database_problem)
        self.health.add("intake", self._intake_problem)
        self.health.add("replies", self._lines.problem)

    async def start(self) -> None:
        """Producing begins at once: intake does not wait for PostgreSQL, migrations do."""
        self._producer.start()
        if self._spooling is not None:
            self._spool.open()
            self.workers.start("spool", self._spooling.run())
        await wait_until(self._database_problem, clock=self._clock, says="PostgreSQL")
        await self._pool.open()
        await self._intake_pool.open()
        await self._store.migrate()
        await wait_until(self._topics, clock=self._clock, says="Kafka and its topics")
        self.workers.start("forget", self._forget())
        self.workers.start("watch", self._watch.run())
        self.workers.start("tokens", self._token_watch.run())
        for listener in self._listeners:
            self.workers.start("listener", listener.run())
        self.workers.start("desk", self._desk.run())
        await self._lines.stay_stopped()
        await self._broker.start()
        self.workers.start("lines", self._lines.watch())

    async def stop(self) -> None:
        """Deliver what is queued and close."""
        await self._lines.close()
        await self._broker.stop()
        await self._spool.close()
        await self._producer.close()
        await self._intake_pool.close()
        await self._pool.close()

    async def _database_problem(self) -> str | None:
        return await problem_at(self._url)

    async def _intake_problem(self) -> str | None:
        """For a moment only: out of rotation nothing would come that could prove Kafka back."""
        return "Kafka did not acknowledge a moment ago" if self._collector.kafka.refusing else None

    async def _forget(self) -> None:
        """Drop what is older than the retention, every hour."""
        while True:
            try:
                gone = await self._store.forget(
                    events=self._retention.event_ids, payloads=self._retention.payloads
                )
                gone += await self._replies.forget(self._retention.event_ids)
                gone += await self._threads.forget(self._retention.event_ids)
                log.info("forgot what is past its retention", rows=gone)
            except Transient as error:
                log.warning("could not forget; tried again in an hour", says=str(error))
            await self._clock.sleep(FORGET_EVERY)


def _limits(ours: IngestConfiguration) -> dict[str, Limit]:
    return {
        one.source: Limit(
            one.body or ours.body_limit, Rate(one.rate, one.burst) if one.rate else None
        )
        for one in ours.limits
    }


def main() -> int:
    """`presence ingest`: run until SIGTERM. Raises WrongConfiguration."""
    settings = load(IngestSettings)
    logs.configure(settings.log_format, "ingest", settings.log_level)
    return run(Ingest(settings, presence_yaml.load(settings.config).configuration))
