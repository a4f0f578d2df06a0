"""The real ingest service in the test's process, and what it wrote to Kafka."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr

from services.contracts.configuration import Configuration
from services.contracts.events import Notification
from services.contracts.topics import NOTIFICATIONS
from services.ingest.app import Ingest, IngestSettings
from services.runtime import topic_administration
from tests.ingest.brand import LINK_SECRET, configuration


def unique(prefix: str) -> str:
    """An id that no other test uses: topics are shared by the whole run."""
    return f"{prefix}{uuid.uuid4().int % 10**12}"


def settings_for(kafka: str, database: str) -> IngestSettings:
    """Settings, with the topics in place."""
    settings = IngestSettings(
        kafka=kafka, database_url=SecretStr(database), link_secret=LINK_SECRET, host="127.0.0.1"
    )
    topic_administration.apply(settings, partitions=_partitions(settings))
    return settings


def _partitions(settings: IngestSettings) -> int:
    """As many as another test of this run may have made."""
    return next((one.partitions for one in topic_administration.status(settings) if one.exists), 3)


def with_accounts(*accounts: dict[str, Any]) -> Configuration:
    """presence.yaml with these accounts only."""
    raw = configuration().model_dump(mode="json", by_alias=True, exclude_none=True)
    return Configuration.model_validate({**raw, "accounts": list(accounts)})


@asynccontextmanager
async def running(
    settings: IngestSettings, file: Configuration
) -> AsyncIterator[httpx.AsyncClient]:
    """The service, wired as in production; requests go straight to its ASGI app."""
    service = Ingest(settings, file)
    await service.start()
    transport = httpx.ASGITransport(app=service.app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as http:
            yield http
    finally:
        await service.workers.stop()
        await service.stop()


class Records:
    """Reads presence.notifications from its beginning; only those of one account are shown."""

    def __init__(self, kafka: str, account_id: str, topic: str = NOTIFICATIONS.name) -> None:
        self._account = account_id
        self._consumer = Consumer(
            {"bootstrap.servers": kafka, "group.id": unique("reader-"), "enable.auto.commit": False}
        )
        known = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, 0) for number in known])
        self.found: list[Notification] = []

    def _poll(self, seconds: float) -> None:
        for message in self._consumer.consume(500, seconds):
            value = message.value()
            if message.error() is None and isinstance(value, bytes):
                raw = orjson.loads(value)
                if raw.get("account_id") == self._account:
                    self.found.append(Notification.model_validate(raw))

    async def until(
        self, right: Callable[[list[Notification]], bool], within: float = 20.0
    ) -> list[Notification]:
        """Read on until it is right; the last state where it does not become so."""
        give_up = asyncio.get_running_loop().time() + within
        while not right(self.found) and asyncio.get_running_loop().time() < give_up:
            await asyncio.to_thread(self._poll, 0.2)
        return self.found

    async def settled(self) -> list[Notification]:
        """What is there when nothing more comes for a while."""
        for _ in range(5):
            await asyncio.to_thread(self._poll, 0.2)
        return self.found

    def close(self) -> None:
        """Leave."""
        self._consumer.close()
