"""What an HTTP server's answers mean to a pulled source."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from services.ingest.domain.native import instant
from services.ingest.sources.pulled import PullReason
from services.runtime.errors import Transient


def retry_after(headers: httpx.Headers, now: datetime, default: float = 30.0) -> float:
    """Seconds that the server asks to wait: `Retry-After` in either form, else Mastodon's reset time."""
    asked = headers.get("retry-after", "")
    if asked.isascii() and asked.isdigit():
        return float(asked)
    reset = instant(headers.get("x-ratelimit-reset"))
    if asked:
        try:
            reset = parsedate_to_datetime(asked).astimezone(UTC)
        except ValueError:
            reset = None
    return max(0.0, (reset - now).total_seconds()) if reset else default


def as_ours(error: httpx.HTTPError) -> Transient:
    """A request that got no answer, with the one bounded reason."""
    if isinstance(error, httpx.TimeoutException):
        return Transient(PullReason.timeout, type(error).__name__)
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return Transient(PullReason.disconnected, type(error).__name__)
    return Transient(PullReason.unreachable, type(error).__name__)
