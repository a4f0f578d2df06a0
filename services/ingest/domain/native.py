"""The small values of platforms' payloads: ids as numbers or strings, times in four notations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints


class Native(BaseModel):
    """The base of what we read of a platform's payload: unknown fields are none of our business."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds control characters")
    return value


NativeId = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=400),
    AfterValidator(_printable),
]
"""A platform's id: opaque, printable, number or string in the payload."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_X_DATE = re.compile(r"\w{3} (\w{3}) (\d{2}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2}) (\d{4})")
_MILLISECONDS_FROM = 100_000_000_000
"""Unix times from here on are in milliseconds (in seconds it would be the year 5138)."""


def _from_x_date(match: re.Match[str]) -> datetime:
    month, day, hour, minute, second, sign, ahead, minutes, year = match.groups()
    offset = timedelta(hours=int(ahead), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    return datetime(
        int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second),
        tzinfo=timezone(offset),
    )  # fmt: skip


def instant(value: Any) -> datetime | None:
    """A platform's time in UTC; None for what is none (the item then counts from its receipt).

    Unix seconds or milliseconds (as number or digits), RFC 3339 with a zone, or X's
    `Wed Oct 10 20:19:24 +0000 2018`. A person waiting matters more than a clock that cannot be read.
    """
    try:
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else None
        if isinstance(value, bool):
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, int | float):
            seconds = value / 1000 if value >= _MILLISECONDS_FROM else value
            return datetime.fromtimestamp(seconds, UTC)
        if isinstance(value, str):
            match = _X_DATE.fullmatch(value)
            moment = _from_x_date(match) if match else datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
    return None


Instant = Annotated[datetime | None, BeforeValidator(instant)]
"""See `instant`."""
