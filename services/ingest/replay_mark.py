"""How a replayed payload says so: a header that only holders of the link secret can write.

Without it a native payload is live. With a wrong one the request is refused, never taken for live.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

from services.contracts.events import Origin
from services.ingest.domain.item import Receipt
from services.ingest.sources.source import RefusalReason, Refused, same

HEADER = "presence-replay"


def key_of(link_secret: bytes) -> bytes:
    """A key of its own: a signed link must never pass for a replay, nor the reverse."""
    return hmac.new(link_secret, b"presence replay", hashlib.sha256).digest()


def _signature(key: bytes, timestamp: str, page: str, body: bytes) -> str:
    message = f"{timestamp}.{page}.".encode() + body
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def mark(key: bytes, body: bytes, now: datetime, *, may_page: bool) -> str:
    """The header's value: `t=<unix seconds>,page=<0|1>,v1=<hex>`."""
    timestamp, page = str(int(now.timestamp())), "1" if may_page else "0"
    return f"t={timestamp},page={page},v1={_signature(key, timestamp, page, body)}"


def receipt(
    key: bytes | None, value: str | None, body: bytes, now: datetime, tolerance: timedelta
) -> Receipt:
    """How this request came in: live without the header. Raises Refused for a wrong or old one."""
    if value is None:
        return Receipt(received_at=now)
    parts = dict(part.partition("=")[::2] for part in value.split(","))
    timestamp, page = parts.get("t", ""), parts.get("page", "")
    if key is None or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise Refused(RefusalReason.replay_mark_wrong)
    expected = _signature(key, timestamp, page, body)
    if not same(expected.encode(), parts.get("v1", "").encode()):
        raise Refused(RefusalReason.replay_mark_wrong)
    if abs(now.timestamp() - int(timestamp)) > tolerance.total_seconds():
        raise Refused(RefusalReason.timestamp_old)
    return Receipt(received_at=now, origin=Origin.replay, may_page=page == "1")
