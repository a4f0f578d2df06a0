"""The variants, each a process of its own: `servers VARIANT PORT KAFKA DATABASE`.

`forward` puts the body on the bus as it came: the floor. `bare` and `fastapi` do what intake does for a
payload (the same verification, the same parsing, the same record) and nothing around it: no deduplication,
no dead letters, no metrics, no limits. `bare+postgres` and `fastapi+postgres` also drop repetitions and keep
the original in PostgreSQL, with Presence's own store, one request at a time: as one would write it first.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import uvicorn
import uvloop
from fastapi import FastAPI, HTTPException, Request
from prometheus_client import CollectorRegistry

from services.contracts.topics import NOTIFICATIONS
from services.ingest.collector import Collector
from services.ingest.domain.item import Receipt
from services.ingest.intake import Intake
from services.ingest.metrics import Metrics
from services.ingest.sources.source import Delivery, Refused, notifications_of
from services.ingest.store.event_store import (
    EventStore,
    MemoryEventStore,
    Original,
    PostgresEventStore,
    intake_pool,
)
from services.runtime.asgi import App, Receive, Router, Scope, Send, answer, answer_json, read_body
from services.runtime.broker import create_producer
from services.runtime.clock import SystemClock
from services.runtime.process import settle_memory
from services.runtime.producer import KafkaProducer, Record
from services.runtime.settings import ServiceSettings
from tests.ingest.brand import SECRETS, sources

SIGNATURE = b"x-twitter-webhooks-signature"
SECRET = SECRETS["X_ONE"].encode()


def _right(given: bytes, body: bytes) -> bool:
    digest = hmac.new(SECRET, body, hashlib.sha256).digest()
    return hmac.compare_digest(b"sha256=" + base64.b64encode(digest), given)


async def forward(producer: KafkaProducer, _database: str) -> App:
    """Body, HMAC, produce, acknowledgement, answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, 1_048_576)
        given = next((value for name, value in scope["headers"] if name == SIGNATURE), b"")
        if not _right(given, body):
            await answer(send, 401)
            return
        key = orjson.loads(body)["for_user_id"]
        await producer.publish([Record(NOTIFICATIONS.name, key, body)])
        await answer_json(send, 200, {"accepted": 1})

    return app


def _records(headers: dict[str, str], body: bytes) -> list[Record]:
    """What intake would produce. Raises Refused."""
    source, now, delivery = sources()["x"], datetime.now(UTC), Delivery(headers, body)
    parsed = source.parse(delivery, source.verify(delivery, now), Receipt(now))
    return [
        Record(
            NOTIFICATIONS.name,
            one.key,
            one.to_bytes(),
            (("event-id", one.event_id.encode()), ("schema-version", b"1")),
            one.received_at,
        )
        for one in notifications_of(parsed)
    ]


Put = Callable[[dict[str, str], bytes], Awaitable[int]]
"""Takes one request; returns how many notifications were new. Raises Refused."""


def _put(producer: KafkaProducer, store: EventStore | None = None) -> Put:
    async def put(headers: dict[str, str], body: bytes) -> int:
        records = _records(headers, body)
        if store is None:
            await producer.publish(records)
            return len(records)
        by_id = {record.headers[0][1].decode(): record for record in records}
        known = await store.known(list(by_id))
        new = [one for one in by_id if one not in known]
        await producer.publish([by_id[one] for one in new])
        original = Original("x", body, datetime.now(UTC))
        return len(await store.record([(original, new)])) if new else 0

    return put


def _bare(put: Put) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, 1_048_576)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        try:
            accepted = await put(headers, body)
        except Refused:
            await answer(send, 401)
            return
        await answer_json(send, 200, {"accepted": accepted})

    return app


def _fastapi(put: Put) -> App:
    app = FastAPI()

    @app.post("/webhooks/x")
    async def webhook(request: Request) -> dict[str, int]:
        body = await request.body()
        try:
            return {"accepted": await put(dict(request.headers), body)}
        except Refused:
            raise HTTPException(401) from None

    # The one place where the types of the two worlds meet.
    made: Any = app
    found: App = made
    return found


async def bare(producer: KafkaProducer, _database: str) -> App:
    """The same work without a framework."""
    return _bare(_put(producer))


async def bare_postgres(producer: KafkaProducer, database: str) -> App:
    """With repetitions dropped and originals kept in PostgreSQL, one request at a time."""
    return _bare(_put(producer, await _store(database)))


async def fastapi(producer: KafkaProducer, _database: str) -> App:
    """The same work behind a FastAPI route."""
    return _fastapi(_put(producer))


async def fastapi_postgres(producer: KafkaProducer, database: str) -> App:
    """As `bare_postgres`, behind a FastAPI route."""
    return _fastapi(_put(producer, await _store(database)))


async def _store(database: str) -> EventStore:
    pool = intake_pool(database)
    await pool.open()
    store = PostgresEventStore(pool, patience=5.0)
    await store.migrate()
    return store


def _intake(producer: KafkaProducer, store: EventStore) -> App:
    clock, metrics = SystemClock(), Metrics(CollectorRegistry())
    # As the process that serves it does once it has started.
    settle_memory()
    known = sources()
    metrics.initialise(known)
    router = Router()
    collector = Collector(producer, store, metrics, clock)
    intake = Intake(
        known, collector, metrics, clock, body_limit=1_048_576, tolerance=timedelta(minutes=5)
    )
    router.route("/webhooks/", intake)
    return router


async def ours(producer: KafkaProducer, _database: str) -> App:
    """Presence's intake without a database: parsed into notifications, deduplicated in memory."""
    return _intake(producer, MemoryEventStore())


async def ours_whole(producer: KafkaProducer, database: str) -> App:
    """As it runs: originals and ids in PostgreSQL as well."""
    return _intake(producer, await _store(database))


VARIANTS: dict[str, Callable[[KafkaProducer, str], Awaitable[App]]] = {
    "forward": forward,
    "bare": bare,
    "bare+postgres": bare_postgres,
    "fastapi": fastapi,
    "fastapi+postgres": fastapi_postgres,
    "presence": ours,
    "presence+postgres": ours_whole,
}


async def serve(variant: str, port: int, kafka: str, database: str) -> None:
    """Until SIGTERM."""
    producer = create_producer(ServiceSettings(kafka=kafka), service="benchmark")
    producer.start()
    app = await VARIANTS[variant](producer, database)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, lifespan="off", access_log=False, log_config=None
    )
    await uvicorn.Server(config).serve()
    await producer.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
