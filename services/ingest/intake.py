"""The webhook route: a raw ASGI callable, no framework work per request.

    known source? → method → Kafka up? → content type → bounded body → authentic? → parse → take → answer

| status | when | what the sender does |
|---|---|---|
| 200 / 202 | acknowledged by Kafka, dead letters included | nothing |
| 400 | the sender's own request is cut short | sends it again |
| 401 | signature missing, wrong or old; a wrong replay mark | mends its secret or clock |
| 403 | a challenge with a wrong token | mends its token |
| 404 | no such source | mends the address |
| 405 | neither GET nor POST, or a GET where the platform asks nothing | |
| 408 | the body took more than 10 s | sends it again |
| 413 | the body is over `ingest.body_limit` | it was not read to its end |
| 415 | not the content type, or compressed | |
| 422 | authentic, nothing in it was readable, and a person writes the sender (dead-lettered as well) | |
| 429 | the account sends faster than `ingest.limits` allows; with Retry-After | sends it again |
| 503 | Kafka did not acknowledge in time, or too much is in hand; with Retry-After | sends it again |

Sources that `ingest.spool` names hear 2xx without Kafka too: when the payload is on disk.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl

from services.ingest import replay_mark
from services.ingest.collector import Collector
from services.ingest.domain.outcome import Parsed, Rejected, RejectReason
from services.ingest.domain.rate import Bucket, Rate
from services.ingest.metrics import Metrics
from services.ingest.sources.source import Accounts, Delivery, Refused, Source
from services.ingest.spooling import Spooling
from services.ingest.store.event_store import Original
from services.ingest.work import Taken
from services.runtime.asgi import (
    BodyTooLarge,
    ClientGone,
    Receive,
    Scope,
    Send,
    answer,
    answer_json,
    read_body,
)
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

BODY_WITHIN = 10.0
"""Seconds for the whole body to come."""
IN_HAND = 256
"""Requests at once. With the body limit this bounds memory; what is beyond hears 503 unread."""
RETRY_AFTER = 2


class Stop(Exception):
    """The request ends here, with this status."""

    def __init__(self, status: int, says: str, **headers: str) -> None:
        super().__init__(says)
        self.status = status
        self.says = says
        self.headers = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]


@dataclass(frozen=True, slots=True)
class Limit:
    """What one source may send: bytes in a body, and how often."""

    body: int
    rate: Rate | None = None


class Intake:
    """`/webhooks/{source}`."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        collector: Collector,
        metrics: Metrics,
        clock: Clock,
        *,
        body_limit: int,
        tolerance: timedelta,
        replay_key: bytes | None = None,
        limits: Mapping[str, Limit] | None = None,
        spooling: Spooling | None = None,
    ) -> None:
        self._sources = sources
        self._collector = collector
        self._metrics = metrics
        self._clock = clock
        self._limits = {name: Limit(body_limit) for name in sources} | dict(limits or {})
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._spooling = spooling
        self._tolerance = tolerance
        self._replay_key = replay_key
        self._in_hand = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        source = self._sources.get(scope["presence.rest"])
        if source is None:
            await answer_json(send, 404, {"error": "no such source"})
            return
        begun = self._clock.monotonic()
        status = 500
        self._in_hand += 1
        try:
            status, body, headers = await self._handle(source, scope, receive)
            if isinstance(body, dict):
                await answer_json(send, status, body, headers=headers)
            else:
                await answer(send, status, body[1], content_type=body[0], headers=headers)
        except Stop as stop:
            status = stop.status
            # What was not read of the body must not be taken for the next request.
            headers = [*stop.headers, (b"connection", b"close")]
            await answer_json(send, status, {"error": stop.says}, headers=headers)
        except ClientGone:
            status = 400
        finally:
            self._in_hand -= 1
            self._metrics.answered(source.name, status, self._clock.monotonic() - begun)

    async def _handle(
        self, source: Source, scope: Scope, receive: Receive
    ) -> tuple[int, dict[str, object] | tuple[bytes, bytes], list[tuple[bytes, bytes]]]:
        if scope["method"] == "GET":
            return 200, self._challenge(source, scope), []
        if scope["method"] != "POST":
            raise Stop(405, "POST a signed payload here", allow="GET, POST")
        spools = self._spooling is not None and self._spooling.serves(source.name)
        if (self._collector.kafka.refusing and not spools) or self._in_hand > IN_HAND:
            raise Stop(503, "try again in a moment", retry_after=str(RETRY_AFTER))
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        _check_content(source, headers)
        body = await self._body(scope, receive, self._limits[source.name].body)
        taken = await self._take(source, Delivery(headers, body))
        status = source.taken_status
        if taken.dead_letters and not (
            taken.accepted or taken.duplicates or taken.ignored or taken.spooled
        ):
            status = source.unreadable_status
        return status, _shown(taken), []

    def _challenge(self, source: Source, scope: Scope) -> tuple[bytes, bytes]:
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        try:
            challenge = source.challenge(query)
        except Refused as refused:
            self._metrics.refused.labels(source.name, refused.reason.value).inc()
            raise Stop(403, refused.reason.value) from None
        if challenge is None:
            raise Stop(405, "POST a signed payload here", allow="POST")
        return challenge.content_type.encode(), challenge.body

    async def _body(self, scope: Scope, receive: Receive, limit: int) -> bytes:
        try:
            async with asyncio.timeout(BODY_WITHIN):
                return await read_body(scope, receive, limit)
        except BodyTooLarge:
            raise Stop(413, f"the limit is {limit} bytes") from None
        except TimeoutError:
            raise Stop(408, f"the body took more than {BODY_WITHIN:.0f} s") from None

    async def _take(self, source: Source, delivery: Delivery) -> Taken:
        now = self._clock.now()
        mark = delivery.headers.get(replay_mark.HEADER)
        try:
            receipt = replay_mark.receipt(
                self._replay_key, mark, delivery.body, now, self._tolerance
            )
            accounts = source.verify(delivery, now)
        except Refused as refused:
            self._metrics.refused.labels(source.name, refused.reason.value).inc()
            log.warning("refused", source=source.name, reason=refused.reason.value)
            raise Stop(401, refused.reason.value) from None
        self._check_rate(source, accounts)
        parsed: list[Parsed]
        try:
            parsed = source.parse(delivery, accounts, receipt)
        except Exception as error:
            # A defect of ours. The sender did nothing wrong and the payload must not be lost.
            log.exception("a payload could not be read; it is dead-lettered", source=source.name)
            parsed = [Rejected(RejectReason.failed, type(error).__name__)]
        content_type = delivery.headers.get("content-type", "")
        original = Original(source.name, delivery.body, now, content_type, delivery.headers)
        try:
            if self._spooling is not None and self._spooling.serves(source.name):
                return await self._spooling.take(parsed, original)
            return await self._collector.take(parsed, original)
        except Transient as error:
            log.warning(
                "not taken, the sender is asked to come again", source=source.name, says=str(error)
            )
            wait = max(RETRY_AFTER, math.ceil(error.retry_after or 0))
            raise Stop(503, "try again in a moment", retry_after=str(wait)) from None

    def _check_rate(self, source: Source, accounts: Accounts) -> None:
        """After the signature: nobody else can use up what an account may send."""
        rate = self._limits[source.name].rate
        if rate is None:
            return
        key = source.name, " ".join(sorted(accounts))
        now = self._clock.monotonic()
        self._buckets[key], wait = rate.take(self._buckets.get(key) or rate.full(now), now)
        if wait:
            raise Stop(429, "more than ingest.limits allows", retry_after=str(math.ceil(wait)))


def _check_content(source: Source, headers: Mapping[str, str]) -> None:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in source.media_types:
        raise Stop(415, f"send {' or '.join(sorted(source.media_types))}")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Stop(415, "send it uncompressed: what is signed is the body as it comes")


def _shown(taken: Taken) -> dict[str, object]:
    shown: dict[str, object] = {
        "accepted": taken.accepted,
        "duplicates": taken.duplicates,
        "dead_letters": taken.dead_letters,
        "ignored": taken.ignored,
    }
    if taken.spooled:
        shown["spooled"] = taken.spooled
    if taken.says:
        shown["says"] = list(taken.says)
    return shown
