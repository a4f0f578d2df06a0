"""Who is on call: a pure function of the rota (with its overrides) and an instant.

Shifts are half-open, `[start, end)`, between handoffs at a wall-clock time; instants are computed
late, so a change of a zone's rules moves nothing that is stored.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from services.alert.domain.wall_clock import Span, instant, is_open, open_spans, weekly_spans
from services.contracts.configuration import Every, Hours, Layer, Rota, Rotation, Who

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Shift:
    """One turn of one member."""

    person: str
    begin: datetime
    end: datetime
    number: int
    """0 for the rotation's first shift."""


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who answers now, and why it is them."""

    person: str
    because: str
    """`override`, or the layer's id."""
    until: datetime


def _day_handoff(rotation: Rotation, number: int) -> date | None:
    """The day of handoff `number` for rotations that count in days; None for those in hours."""
    first = rotation.starts
    if rotation.every is Every.daily:
        return first + timedelta(days=number)
    if rotation.every is Every.weekly:
        first += timedelta(days=(rotation.weekday.index - first.weekday()) % 7)
        return first + timedelta(weeks=number)
    if rotation.every is Every.monthly:
        years, month = divmod(first.month - 1 + number, 12)
        year = first.year + years
        longest = calendar.monthrange(year, month + 1)[1]
        return date(year, month + 1, min(first.day, longest))
    if rotation.length is not None and rotation.length % timedelta(days=1) == timedelta(0):
        return first + number * rotation.length
    return None


def handoff(rotation: Rotation, zone: ZoneInfo, number: int) -> datetime:
    """The instant of handoff `number`: shift `number` begins and shift `number - 1` ends."""
    day = _day_handoff(rotation, number)
    if day is not None:
        return instant(zone, day, rotation.handoff)
    return instant(zone, rotation.starts, rotation.handoff) + number * (rotation.length or HOUR)


def shift_at(rotation: Rotation, zone: ZoneInfo, at: datetime) -> Shift | None:
    """The shift that holds `at`; None before the rotation starts."""
    if at < handoff(rotation, zone, 0):
        return None
    low, high = 0, 1
    while handoff(rotation, zone, high) <= at:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if handoff(rotation, zone, middle) <= at:
            low = middle
        else:
            high = middle
    return shift(rotation, zone, low)


def shift(rotation: Rotation, zone: ZoneInfo, number: int) -> Shift:
    """Shift `number` of a rotation."""
    return Shift(
        rotation.members[number % len(rotation.members)],
        handoff(rotation, zone, number),
        handoff(rotation, zone, number + 1),
        number,
    )


def _restricted(layer: Layer, zone: ZoneInfo, at: datetime) -> Span | None:
    """The span of the layer's hours that holds `at`; None outside of them."""
    if not layer.restriction:
        return Span(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    first = next(weekly_spans(zone, layer.restriction, at), None)
    return first if first is not None and first.begin <= at else None


def _covering(rota: Rota, at: datetime) -> tuple[Layer, Shift, Span] | None:
    """The highest layer that covers `at`, its shift, and its hours around it."""
    zone = ZoneInfo(rota.zone)
    for layer in reversed(rota.layers):
        hours = _restricted(layer, zone, at)
        found = shift_at(layer.rotation, zone, at) if hours else None
        if hours is not None and found is not None:
            return layer, found, hours
    return None


def on_call(rota: Rota, at: datetime) -> OnCall | None:
    """Who is on call at `at`: an override, else the highest layer that covers it; None: a gap.

    Closed hours are the caller's question (see `closed`): a person is on the rota then, and not paged.
    Of two overrides that overlap the later one in the file holds.
    """
    for override in reversed(rota.overrides):
        if override.begin <= at < override.end:
            return OnCall(override.person, "override", override.end.astimezone(UTC))
    found = _covering(rota, at)
    if found is None:
        return None
    layer, held, hours = found
    return OnCall(held.person, layer.id, min(held.end, hours.end))


def neighbour(rota: Rota, at: datetime, who: Who) -> str | None:
    """The person who is (`on_call`), comes `next` or was `previous` in turn.

    Next and previous are taken from the covering layer, skipping whoever is on call now; None where
    there is nobody else.
    """
    now = on_call(rota, at)
    if who is Who.on_call:
        return now.person if now else None
    found = _covering(rota, at)
    if found is None:
        return None
    layer, held, _ = found
    members = layer.rotation.members
    step = 1 if who is Who.next else -1
    for distance in range(1, len(members) + 1):
        member = members[(held.number + step * distance) % len(members)]
        if now is None or member != now.person:
            return member
    return None


def closed(rota: Rota, hours: Sequence[Hours], at: datetime) -> bool:
    """Whether `at` lies in the rota's closed hours: intended absence, no page, no gap."""
    kept = next((one for one in hours if one.id == rota.open_hours), None)
    return kept is not None and not is_open(kept, at)


def gaps(rota: Rota, hours: Sequence[Hours], begin: datetime, end: datetime) -> list[Span]:
    """The times within `[begin, end)` that are neither covered nor closed."""
    edges = sorted({begin, end, *_edges(rota, hours, begin, end)})
    found: list[Span] = []
    for start, stop in pairwise(edges):
        if on_call(rota, start) is not None or closed(rota, hours, start):
            continue
        if found and found[-1].end == start:
            found[-1] = Span(found[-1].begin, stop)
        else:
            found.append(Span(start, stop))
    return found


def _edges(rota: Rota, hours: Sequence[Hours], begin: datetime, end: datetime) -> list[datetime]:
    """Every instant within `(begin, end)` at which coverage or opening may change."""
    zone = ZoneInfo(rota.zone)
    edges = [edge for one in rota.overrides for edge in (one.begin, one.end)]
    for layer in rota.layers:
        edges.append(handoff(layer.rotation, zone, 0))
        if layer.restriction:
            for span in weekly_spans(zone, layer.restriction, begin):
                if span.begin >= end:
                    break
                edges += span
    for kept in hours:
        if kept.id == rota.open_hours:
            for span in open_spans(kept, begin):
                if span.begin >= end:
                    break
                edges += span
    return [edge for edge in edges if begin < edge < end]


def next_opening(rota: Rota, hours: Sequence[Hours], at: datetime) -> datetime:
    """The first instant from `at` on that is not in closed hours."""
    kept = next((one for one in hours if one.id == rota.open_hours), None)
    if kept is None:
        return at
    first = next(open_spans(kept, at), None)
    return at if first is None else max(at, first.begin)


@dataclass(frozen=True, slots=True)
class Watch:
    """A stretch of time in which the same holds."""

    begin: datetime
    end: datetime
    person: str | None
    """None: nobody, which outside of closed hours is a gap."""
    because: str
    """`override`, the layer's id, `closed` or `gap`."""


def plan(rota: Rota, hours: Sequence[Hours], begin: datetime, end: datetime) -> list[Watch]:
    """Who watches when within `[begin, end)`: stretches that tile it, no two neighbours alike.

    In closed hours whoever is on the rota is not paged, so nobody is named.
    """
    edges = [*_edges(rota, hours, begin, end), end]
    found: list[Watch] = []
    at = begin
    while at < end:
        held = on_call(rota, at)
        until = min(edge.astimezone(UTC) for edge in edges if edge > at)
        if closed(rota, hours, at):
            person, because = None, "closed"
        elif held is None:
            person, because = None, "gap"
        else:
            person, because, until = held.person, held.because, min(until, held.until)
        if found and (found[-1].person, found[-1].because) == (person, because):
            found[-1] = Watch(found[-1].begin, until, person, because)
        else:
            found.append(Watch(at, until, person, because))
        at = until
    return found
