"""The small values of presence.yaml: durations, zones, times of day, names of secrets."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from services.contracts.base import StrEnum

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\d+[dhms])+")
_DURATION_PATTERN = r"^(\d+[dhms])+$"


def parse_duration(value: Any) -> Any:
    """`15m`, `1h30m`, `7d`, `45s` as a timedelta; anything else goes on to pydantic's own error."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError("write a duration as 45s, 15m, 1h30m or 7d")
    seconds = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([dhms])", value))
    return timedelta(seconds=seconds)


def write_duration(value: timedelta) -> str:
    """The shortest way to write it: the inverse of parse_duration."""
    rest = int(value.total_seconds())
    parts = []
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN, "examples": ["15m", "1h30m"]}),
]


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{value!r} is no IANA time zone (like Europe/Berlin)") from error
    return value


Zone = Annotated[str, AfterValidator(_known_zone)]
"""The name of an IANA time zone."""

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
"""A name within presence.yaml: lower case letters, digits, `_`, `-`, `.`."""

SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
"""The name of an environment variable that holds a secret (or, with `_FILE` added, its file)."""

_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")


def _parse_time(value: Any) -> Any:
    if isinstance(value, time):
        return value
    # YAML 1.1 reads an unquoted 9:30 as the number 570 (base 60).
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    if isinstance(value, str) and (match := _TIME_OF_DAY.fullmatch(value)):
        hour, minute = int(match[1]), int(match[2])
        if hour < 24:
            return time(hour, minute)
    raise ValueError("write a time of day as 09:00")


TimeOfDay = Annotated[
    time,
    BeforeValidator(_parse_time),
    PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}:\d{2}$", "examples": ["09:00"]}),
]


class Weekday(StrEnum):
    """A day of the week; `Weekday.index` is 0 for Monday, as in datetime.weekday()."""

    monday = "monday"
    tuesday = "tuesday"
    wednesday = "wednesday"
    thursday = "thursday"
    friday = "friday"
    saturday = "saturday"
    sunday = "sunday"

    @property
    def index(self) -> int:  # type: ignore[override]
        """0 for Monday to 6 for Sunday."""
        return list(Weekday).index(self)


class Section(BaseModel):
    """The base of every part of presence.yaml: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
