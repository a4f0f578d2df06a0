"""The small values of platforms' payloads: ids as numbers or strings, times in four notations."""

from __future__ import annotations

from datetime import UTC, datetime
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

_MONTHS = {
    name: f"{number:02}"
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_X_DATE_LENGTH = len("Wed Oct 10 20:19:24 +0000 2018")
_MILLISECONDS_FROM = 100_000_000_000
"""Unix times from here on are in milliseconds (in seconds it would be the year 5138)."""


def _from_x_date(value: str) -> datetime:
    """Rearranged as RFC 3339: reading that takes a third of the time of a pattern. Raises ValueError."""
    _, month, day, clock, zone, year = value.split(" ")
    number = _MONTHS.get(month)
    if number is None:
        raise ValueError("no such month")
    return datetime.fromisoformat(f"{year}-{number}-{day}T{clock}{zone}")


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
            in_words = len(value) == _X_DATE_LENGTH and value[:1].isalpha()
            moment = _from_x_date(value) if in_words else datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
    return None


Instant = Annotated[datetime | None, BeforeValidator(instant)]
"""See `instant`."""
