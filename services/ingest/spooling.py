"""Verified payloads wait on disk for Kafka, where their platform would not send them again.

Only for the sources that presence.yaml names (`ingest.spool`). While anything waits, what follows waits
behind it: a source's events keep their order.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from services.contracts.events import Notification
from services.ingest.collector import Collector
from services.ingest.domain.address import Heard
from services.ingest.domain.outcome import (
    Ignored,
    IgnoreReason,
    Parsed,
    Rejected,
    RejectReason,
)
from services.ingest.metrics import Metrics
from services.ingest.sources.source import meaningful
from services.ingest.store.event_store import Original
from services.ingest.store.spool import Spool
from services.ingest.work import Taken
from services.runtime.backoff import Backoff, retry
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

_BACKOFF = Backoff(initial=0.5, cap=5.0)


class Spooling:
    """See the module."""

    def __init__(
        self,
        spool: Spool,
        sources: Collection[str],
        collector: Collector,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._spool = spool
        self._sources = frozenset(sources)
        self._collector = collector
        self._metrics = metrics
        self._clock = clock
        for source in self._sources:
            metrics.spooled.labels(source)

    def serves(self, source: str) -> bool:
        """Whether this source's payloads may wait here."""
        return source in self._sources

    async def take(self, parsed: Sequence[Parsed], original: Original) -> Taken:
        """To Kafka, else to the disk. Raises Transient where neither takes it."""
        if self._spool.empty and not self._collector.kafka.refusing:
            try:
                return await self._collector.take(parsed, original)
            except Transient as error:
                log.warning("Kafka did not take it; it waits on disk", says=str(error))
        await self._spool.append(encode(parsed, original))
        self._metrics.spooled.labels(original.source).inc()
        self._metrics.spool_bytes.set(self._spool.size)
        return Taken(spooled=len(parsed))

    async def run(self) -> None:
        """Hand everything on as soon as Kafka takes it, until cancelled."""
        await self._spool.drain(self._deliver)

    async def _deliver(self, chunk: Sequence[bytes]) -> None:
        await retry(
            partial(self._take_all, [decode(frame) for frame in chunk]),
            backoff=_BACKOFF,
            deadline=float("inf"),
            clock=self._clock,
        )
        self._metrics.spool_bytes.set(self._spool.size)

    async def _take_all(self, entries: Sequence[tuple[list[Parsed], Original]]) -> None:
        """Together, in order. Where one fails all come again: what was taken is a duplicate then."""
        taken = await asyncio.gather(
            *(self._collector.take(parsed, original) for parsed, original in entries),
            return_exceptions=True,
        )
        for one in taken:
            if isinstance(one, BaseException):
                raise one


def encode(parsed: Sequence[Parsed], original: Original) -> bytes:
    """One frame."""
    return orjson.dumps(
        {
            "source": original.source,
            "content_type": original.content_type,
            "received_at": original.received_at.isoformat(),
            "headers": meaningful(original.headers),
            "body": base64.b64encode(original.body).decode(),
            "parsed": [_encoded(one) for one in parsed],
        }
    )


def _encoded(one: Parsed) -> dict[str, Any]:
    match one:
        case Heard():
            return {"notification": one.to_bytes().decode(), "address": dict(one.address)}
        case Notification():
            return {"notification": one.to_bytes().decode()}
        case Rejected():
            return {"rejected": [one.reason.value, one.detail, one.account_id]}
        case Ignored():
            return {"ignored": [one.reason.value, one.what]}


def decode(frame: bytes) -> tuple[list[Parsed], Original]:
    """What `encode` wrote, perhaps an earlier version's: what it cannot read is dead-lettered."""
    read = orjson.loads(frame)
    original = Original(
        read["source"],
        base64.b64decode(read["body"]),
        datetime.fromisoformat(read["received_at"]),
        read["content_type"],
        read.get("headers", {}),
    )
    return [_decoded(one) for one in read["parsed"]], original


def _decoded(one: dict[str, Any]) -> Parsed:
    try:
        if "address" in one:
            read: dict[str, Any] = orjson.loads(one["notification"])
            return Heard.model_validate({**read, "address": one["address"]})
        if "notification" in one:
            return Notification.model_validate_json(one["notification"])
        if "rejected" in one:
            reason, detail, account_id = one["rejected"]
            return Rejected(RejectReason(reason), detail, account_id)
        reason, what = one["ignored"]
        return Ignored(IgnoreReason(reason), what)
    except ValueError as error:
        return Rejected(RejectReason.failed, f"spooled, and unreadable now: {type(error).__name__}")
