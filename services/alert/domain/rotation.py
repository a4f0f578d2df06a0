"""Rotations: members that take turns, handed off at a wall-clock time.

Shifts are half-open, `[start, end)`, and tile time: exactly one shift of a rotation at any instant,
over every change of the clocks.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.alert.domain.wall_clock import instant
from services.contracts.configuration import Every, Rotation

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Shift:
    """One turn of one member."""

    person: str
    begin: datetime
    end: datetime
    number: int
    """0 for the rotation's first shift."""


def _day_handoff(rotation: Rotation, number: int) -> date | None:
    """The day of handoff `number` for rotations that count in days; None for those in hours."""
    first = rotation.starts
    if rotation.every is Every.daily:
        return first + timedelta(days=number)
    if rotation.every is Every.weekly:
        return _first_weekday(rotation) + timedelta(weeks=number)
    if rotation.every is Every.monthly:
        years, month = divmod(first.month - 1 + number, 12)
        year = first.year + years
        longest = calendar.monthrange(year, month + 1)[1]
        return date(year, month + 1, min(first.day, longest))
    if rotation.length is not None and rotation.length % DAY == timedelta(0):
        return first + number * rotation.length
    return None


def _first_weekday(rotation: Rotation) -> date:
    ahead = (rotation.weekday.index - rotation.starts.weekday()) % 7
    return rotation.starts + timedelta(days=ahead)


def handoff(rotation: Rotation, zone: ZoneInfo, number: int) -> datetime:
    """The instant of handoff `number`: shift `number` begins and shift `number - 1` ends."""
    day = _day_handoff(rotation, number)
    if day is not None:
        return instant(zone, day, rotation.handoff)
    return instant(zone, rotation.starts, rotation.handoff) + number * (rotation.length or HOUR)


def _about(rotation: Rotation, zone: ZoneInfo, at: datetime) -> int:
    """About the number of the shift that holds `at`, at least 0."""
    day, first = at.astimezone(zone).date(), rotation.starts
    if rotation.every is Every.monthly:
        number = (day.year - first.year) * 12 + day.month - first.month
    elif rotation.every is Every.weekly:
        number = (day - _first_weekday(rotation)).days // 7
    elif _day_handoff(rotation, 0) is not None:
        number = (day - first) // (rotation.length or DAY)
    else:
        number = (at - handoff(rotation, zone, 0)) // (rotation.length or HOUR)
    return max(0, number)


def shift_at(rotation: Rotation, zone: ZoneInfo, at: datetime) -> Shift | None:
    """The shift that holds `at`; None before the rotation starts."""
    if at < handoff(rotation, zone, 0):
        return None
    number = _about(rotation, zone, at)
    while handoff(rotation, zone, number) > at:
        number -= 1
    while handoff(rotation, zone, number + 1) <= at:
        number += 1
    return shift(rotation, zone, number)


def shift(rotation: Rotation, zone: ZoneInfo, number: int) -> Shift:
    """Shift `number` of a rotation."""
    return Shift(
        rotation.members[number % len(rotation.members)],
        handoff(rotation, zone, number),
        handoff(rotation, zone, number + 1),
        number,
    )
