"""How the rota's load is shared: hours on call, and how many of them are nights, weekends, holidays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.alert.domain.rota import plan
from services.alert.domain.wall_clock import Span, instant
from services.contracts.configuration import Configuration, Hours, Rota

NIGHT_BEGINS, NIGHT_ENDS = time(22), time(6)
"""Where the person lives."""
SATURDAY = 5
IsHoliday = Callable[[date], bool]


@dataclass(frozen=True, slots=True)
class Load:
    """Hours on call. Nights, weekends and holidays are counted within them, and may overlap."""

    hours: float = 0.0
    nights: float = 0.0
    weekends: float = 0.0
    holidays: float = 0.0

    def __add__(self, other: Load) -> Load:
        return Load(
            self.hours + other.hours,
            self.nights + other.nights,
            self.weekends + other.weekends,
            self.holidays + other.holidays,
        )


def days_of(zone: ZoneInfo, span: Span) -> Iterator[tuple[date, Span]]:
    """A span cut at the midnights of a zone."""
    day = span.begin.astimezone(zone).date()
    at = span.begin
    while at < span.end:
        following = instant(zone, day + timedelta(days=1), time(0))
        if following > at:
            until = min(span.end, following)
            yield day, Span(at, until)
            at = until
        day += timedelta(days=1)


def _night(zone: ZoneInfo, day: date, part: Span) -> float:
    """Seconds of a day's part that are night."""
    early = Span(part.begin, min(part.end, instant(zone, day, NIGHT_ENDS)))
    late = Span(max(part.begin, instant(zone, day, NIGHT_BEGINS)), part.end)
    return max(0.0, early.seconds) + max(0.0, late.seconds)


def load_of(zone: ZoneInfo, span: Span, is_holiday: IsHoliday) -> Load:
    """What one stretch on call weighs for somebody who lives in this zone."""
    total = Load()
    for day, part in days_of(zone, span):
        hours = part.seconds / 3600
        total += Load(
            hours,
            nights=_night(zone, day, part) / 3600,
            weekends=hours if day.weekday() >= SATURDAY else 0.0,
            holidays=hours if is_holiday(day) else 0.0,
        )
    return total


def balance(
    rota: Rota,
    hours: Sequence[Hours],
    begin: datetime,
    end: datetime,
    *,
    zones: Mapping[str, ZoneInfo],
    is_holiday: IsHoliday,
) -> dict[str, Load]:
    """Everybody's load of one rota within `[begin, end)`, members without any included.

    `zones` says where people live; who is not in it lives in the rota's zone. Closed hours weigh
    nothing: nobody is paged in them.
    """
    found = {member: Load() for layer in rota.layers for member in layer.rotation.members}
    for watch in plan(rota, hours, begin.astimezone(UTC), end.astimezone(UTC)):
        if watch.person is not None:
            zone = zones.get(watch.person) or ZoneInfo(rota.zone)
            load = load_of(zone, Span(watch.begin, watch.end), is_holiday)
            found[watch.person] = found.get(watch.person, Load()) + load
    return found


def homes(configuration: Configuration) -> dict[str, ZoneInfo]:
    """Where people live; who left the default lives where the rota does."""
    return {one.id: ZoneInfo(one.zone) for one in configuration.people if one.zone != "UTC"}


def spread(loads: Iterable[Load]) -> float:
    """Hours between who carries most and who carries least."""
    hours = [load.hours for load in loads]
    return max(hours, default=0.0) - min(hours, default=0.0)
