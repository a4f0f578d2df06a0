"""Wires classify together: settings → service. No client and no connection at import."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from services.classify.handlers import SERVICE, BatchHandler
from services.classify.http import classify_app
from services.classify.metrics import Metrics
from services.classify.model import create_challenger, create_classifier
from services.classify.shadow import Shadow
from services.classify.teaching import Teaching
from services.contracts.configuration import Configuration
from services.contracts.topics import (
    CLASSIFIED,
    CORRECTIONS,
    NOTICES,
    NOTIFICATIONS,
    SHADOW,
    Group,
    Topic,
    topic_named,
)
from services.runtime import configuration, logs
from services.runtime.asgi import App, Router
from services.runtime.broker import create_broker, create_producer, subscribe_batch, wait_until
from services.runtime.clock import Clock, SystemClock
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.health import Health, TopicsCheck
from services.runtime.lines import Lines, announce
from services.runtime.logs import get_logger
from services.runtime.metrics import LineMetrics, create_registry, metrics_app
from services.runtime.process import Workers, run
from services.runtime.settings import ServiceSettings, load, optional_secret

if TYPE_CHECKING:
    from services.classify.llm import SecondOpinion

log = get_logger(__name__)


class ClassifySettings(ServiceSettings):
    """Classify's environment."""

    classify_port: int = Field(8002, ge=0, le=65_535)


class ClassifyService:
    """What `services.runtime.process.run` runs.

    Building it loads the model, so a bad one is refused before anything is consumed.
    """

    name = SERVICE

    def __init__(
        self, settings: ClassifySettings, file: Configuration, clock: Clock | None = None
    ) -> None:
        self.host = settings.host
        self.port = settings.classify_port
        self.health = Health()
        self.workers = Workers()
        self._settings = settings
        self._clock = clock or SystemClock()
        self._registry = create_registry()
        self._producer = create_producer(settings, service=SERVICE)
        tell = partial(announce, self._producer)
        self._lines = Lines(SERVICE, settings, LineMetrics(self._registry), tell, self._clock)
        consumption = self._lines.add(Group.classify, NOTIFICATIONS)
        self._broker = create_broker(
            settings, service=SERVICE, registry=self._registry, consumption=consumption
        )
        metrics = Metrics(self._registry)
        self._teaching = Teaching(settings, file.classify.learning, metrics.learned)
        classifier = create_classifier(file, lessons=self._teaching, spent=metrics.spent)
        metrics.expect(classifier.engine)
        challenger = create_challenger(file)
        self._shadow = challenger and Shadow(
            challenger, file.classify.shadow.share, self._producer, metrics, self._clock
        )
        self._second_opinion: SecondOpinion | None = None
        if file.classify.llm.url is not None:
            # An HTTP client costs time and memory that a service without one need not spend.
            from services.classify.llm import SecondOpinion

            self._second_opinion = SecondOpinion(
                classifier,
                file.classify.llm,
                optional_secret(file.classify.llm.key),
                self._clock,
                spent=metrics.spent,
                count=metrics.asked_llm,
            )
        handler = BatchHandler(
            classifier,
            self._producer,
            metrics,
            DeadLetterGuard(
                service=SERVICE,
                topic=NOTIFICATIONS,
                consumption=consumption,
                announce=tell,
            ),
            self._clock,
            judged=self._shadow.offer if self._shadow else lambda _: None,
            review=self._second_opinion.review if self._second_opinion else None,
        )
        subscribe_batch(
            self._broker,
            NOTIFICATIONS,
            handler,
            group=Group.classify,
            consumption=consumption,
            clock=self._clock,
        )
        self.app: App = self._routes(classify_app(classifier, file.classify.needs_answer))
        self._topics = TopicsCheck(
            settings,
            (NOTIFICATIONS, CLASSIFIED, CORRECTIONS, SHADOW, _dlq(), NOTICES),
            self._clock,
        )
        self.health.add("kafka", self._topics)
        self.health.add("corrections", self._teaching.problem)
        self.health.add("consumer", self._lines.problem)

    def _routes(self, classify: App) -> Router:
        router = Router()
        router.route("/health/live", self.health.live)
        router.route("/health/ready", self.health.ready)
        router.route("/metrics", metrics_app(self._registry, self.health))
        router.route("/v1/classify", classify)
        return router

    async def start(self) -> None:
        """Wait for Kafka, learn what was corrected, then consume; stopped where the limit had tripped."""
        await wait_until(self._topics, clock=self._clock, says="Kafka and its topics")
        self._producer.start()
        self._teaching.start()
        await self._teaching.caught_up()
        await self._lines.stay_stopped()
        await self._broker.start()
        self.workers.start("lines", self._lines.watch())

    async def stop(self) -> None:
        """The batch in hand is finished and committed, then the producer closes."""
        await self._lines.close()
        await self._broker.stop()
        await self._teaching.stop()
        if self._shadow:
            await self._shadow.stop()
        if self._second_opinion:
            await self._second_opinion.close()
        await self._producer.close()


def _dlq() -> Topic:
    return topic_named(NOTIFICATIONS.dlq)


def create_service() -> ClassifyService:
    """From the environment and presence.yaml. Raises WrongConfiguration."""
    settings = load(ClassifySettings)
    logs.configure(settings.log_format, SERVICE, settings.log_level)
    return ClassifyService(settings, configuration.load(settings.config).configuration)


def main() -> int:
    """Run until told to stop; returns the exit code."""
    return run(create_service())
