"""Live and ready, each as a route.

Live: the process answers. Ready: topics as registered, consumer assigned and polling, dependencies
answer. A service that is not ready says which dependency fails, in words.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from services.contracts.topics import Topic
from services.runtime import kafka_settings
from services.runtime.asgi import Receive, Scope, Send, answer_json
from services.runtime.clock import Clock
from services.runtime.logs import KAFKA_LOGGER
from services.runtime.settings import ServiceSettings

Check = Callable[[], Awaitable[str | None]]
"""None when all is well, else what is wrong, in words."""

CHECK_TIMEOUT = 2.0


class Health:
    """Named checks, asked at each request, with a bound on time."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self.starting = False
        self.stopping = False

    def add(self, name: str, check: Check) -> None:
        """Make readiness depend on `check`."""
        self._checks[name] = check

    async def problems(self) -> dict[str, str]:
        """What is wrong, by name; empty when ready."""

        async def ask(check: Check) -> str | None:
            try:
                return await asyncio.wait_for(check(), CHECK_TIMEOUT)
            except TimeoutError:
                return f"no answer within {CHECK_TIMEOUT:.0f} s"

        names = list(self._checks)
        found = await asyncio.gather(*(ask(self._checks[name]) for name in names))
        problems = {name: says for name, says in zip(names, found, strict=True) if says}
        if self.starting or self.stopping:
            problems["process"] = "starting" if self.starting else "stopping"
        return problems

    async def live(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """`/health/live`."""
        await answer_json(send, 200, {"live": True})

    async def ready(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """`/health/ready`: 200, or 503 with what is wrong."""
        problems = await self.problems()
        body = {"ready": not problems, "problems": problems}
        await answer_json(send, 503 if problems else 200, body)


class TopicsCheck:
    """Kafka answers and has the registered topics. The answer is kept for ten seconds."""

    KEEP = 10.0

    def __init__(self, settings: ServiceSettings, topics: tuple[Topic, ...], clock: Clock) -> None:
        self._settings = settings
        self._topics = topics
        self._clock = clock
        self._client: AdminClient | None = None
        self._kept: tuple[float, str | None] | None = None

    def _look(self) -> str | None:
        if self._client is None:
            self._client = AdminClient(
                {
                    "bootstrap.servers": self._settings.kafka,
                    **kafka_settings.security(self._settings),
                },
                logger=logging.getLogger(KAFKA_LOGGER),
            )
        try:
            there = self._client.list_topics(timeout=CHECK_TIMEOUT - 0.5).topics
        except KafkaException as error:
            return f"Kafka does not answer: {error.args[0].str()}"
        missing = [topic.name for topic in self._topics if topic.name not in there]
        if missing:
            return f"topics are missing: {', '.join(missing)} (run `presence topics apply`)"
        return None

    async def __call__(self) -> str | None:
        """None, or what is wrong."""
        now = self._clock.monotonic()
        if self._kept and self._kept[1] is None and now - self._kept[0] < self.KEEP:
            return None
        found = await asyncio.to_thread(self._look)
        self._kept = (now, found)
        return found
