"""Dead letters: what can't be handled is kept with its reason, in `<topic>.dlq`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import cast

import orjson
from confluent_kafka import Message

from services.contracts.topics import INTAKE_DLQ, Header
from services.runtime.producer import Record

TRUNCATE_OVER = 900_000
"""Bytes; a larger original is cut, with the hash of all of it in a header."""


class DeadLetterReason(StrEnum):
    """Why a record was put aside; also the metric's label."""

    malformed = "malformed"
    """Not the JSON or the shape that the topic promises."""
    unknown_account = "unknown_account"
    unsupported = "unsupported"
    """Authentic and well-formed, of a kind that we don't know."""
    too_large = "too_large"
    failed = "failed"
    """Our own code failed on this one record and not on its neighbours."""


def _header(name: Header, value: str) -> tuple[str, bytes]:
    return name.value, value.encode("utf-8", "replace")


def record_headers(message: Message) -> list[tuple[str, bytes]]:
    """The record's own headers that have a value; confluent types them as any of three shapes."""
    found = cast("list[tuple[str, str | bytes | None]]", message.headers() or [])
    return [(n, v.encode() if isinstance(v, str) else v) for n, v in found if v is not None]


def _kept(value: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    if len(value) <= TRUNCATE_OVER:
        return value, []
    digest = hashlib.sha256(value).hexdigest()
    return value[:TRUNCATE_OVER], [_header(Header.origin_sha256, digest)]


def dead_letter(
    message: Message, reason: DeadLetterReason, detail: str, *, service: str, now: datetime
) -> Record:
    """The record for `<topic>.dlq`: original key and bytes, its own headers, the reason and source."""
    topic = message.topic() or ""
    value, hashed = _kept(message.value() or b"")
    own = {header.value for header in Header if header is not Header.event_id}
    kept = [(n, v) for n, v in record_headers(message) if n not in own or n == Header.trace]
    _, timestamp = message.timestamp()
    key = message.key()
    return Record(
        topic=f"{topic}.dlq",
        key=key.decode("utf-8", "replace") if isinstance(key, bytes) else key,
        value=value,
        headers=(
            *dict(kept).items(),
            _header(Header.reason, reason.value),
            _header(Header.detail, detail[:1000]),
            _header(Header.origin_topic, topic),
            _header(Header.origin_partition, str(message.partition())),
            _header(Header.origin_offset, str(message.offset())),
            _header(Header.origin_timestamp, str(timestamp)),
            _header(Header.failed_at, now.astimezone(UTC).isoformat()),
            _header(Header.service, service),
            *hashed,
        ),
    )


def intake_dead_letter(
    body: bytes,
    reason: DeadLetterReason,
    detail: str,
    *,
    key: str,
    source: str,
    now: datetime,
    headers: Mapping[str, str],
    trace: str,
) -> Record:
    """The record for `presence.intake.dlq`: an authentic payload that ingest could not read.

    `headers`: those of its request that it takes to read it again.
    """
    value, hashed = _kept(body)
    own = (_header(Header.origin_headers, orjson.dumps(headers).decode()),) if headers else ()
    return Record(
        topic=INTAKE_DLQ.name,
        key=key,
        value=value,
        headers=(
            _header(Header.reason, reason.value),
            _header(Header.detail, detail[:1000]),
            _header(Header.origin_topic, source),
            _header(Header.failed_at, now.astimezone(UTC).isoformat()),
            _header(Header.service, "ingest"),
            _header(Header.trace, trace),
            *own,
            *hashed,
        ),
    )
