"""Who is on call: a pure function of the rota (with its changes) and an instant.

Instants are computed late, so a change of a zone's rules moves nothing that is stored.
Precedence: override, swap, higher layer, lower layer; the next in turn stands in for somebody away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from services.alert.domain.rotation import Shift, handoff, shift_at
from services.alert.domain.wall_clock import Span, is_open, open_spans, weekly_spans
from services.contracts.configuration import Hours, Layer, Rota, Rotation, Who


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who answers now, and why it is them."""

    person: str
    because: str
    """`override`, `swap`, or the layer's id."""
    until: datetime
    """When somebody else may answer: the shift ends, or a change begins or ends."""
    instead_of: str | None = None
    """Who would answer but for a swap or time off."""
    set_by: str | None = None
    """Who set the change at run time; None: it stands in the file, or there is none."""


def zone_of(rota: Rota, layer: Layer) -> ZoneInfo:
    """The zone in which a layer's handoffs and hours are meant."""
    return ZoneInfo(layer.zone or rota.zone)


ALWAYS = Span(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def _hours_around(layer: Layer, zone: ZoneInfo, at: datetime) -> tuple[Span | None, Span | None]:
    """The span of the layer's hours that holds `at`, if one does, and the next that begins later."""
    if not layer.restriction:
        return ALWAYS, None
    spans = weekly_spans(zone, layer.restriction, at)
    first = next(spans, None)
    if first is None or first.begin > at:
        return None, first
    return first, next(spans, None)


@dataclass(frozen=True, slots=True)
class _Covering:
    """What the layers alone say."""

    layer: Layer
    held: Shift
    person: str
    """The shift's, or whoever stands in."""
    until: datetime


def away(rota: Rota, at: datetime) -> frozenset[str]:
    """Who has time off."""
    return frozenset(one.person for one in rota.time_off if one.holds(at))


def _covering(rota: Rota, at: datetime) -> _Covering | None:
    """The highest layer that covers `at` and has somebody who is not away."""
    gone = away(rota, at)
    later: list[datetime] = []
    for layer in reversed(rota.layers):
        zone = zone_of(rota, layer)
        hours, following = _hours_around(layer, zone, at)
        held = shift_at(layer.rotation, zone, at)
        if held is None:
            later.append(handoff(layer.rotation, zone, 0))
            continue
        person = _next_present(layer.rotation, held.number, gone)
        if hours is not None and person is not None:
            return _Covering(layer, held, person, min([held.end, hours.end, *later]))
        if following is not None and person is not None:
            later.append(following.begin)
    return None


def _next_present(rotation: Rotation, number: int, gone: frozenset[str]) -> str | None:
    members = rotation.members
    turns = (members[(number + ahead) % len(members)] for ahead in range(len(members)))
    return next((member for member in turns if member not in gone), None)


def _change_edges(rota: Rota) -> Iterator[datetime]:
    """Every instant at which a change of the rota begins or ends."""
    for period in (*rota.overrides, *rota.swaps, *rota.time_off):
        yield from (period.begin, period.end)
    for swap in rota.swaps:
        if swap.back is not None:
            yield from (swap.back.begin, swap.back.end)


def on_call(rota: Rota, at: datetime) -> OnCall | None:
    """Who is on call at `at`: override, swap, the highest layer that covers it; None: a gap.

    Closed hours are the caller's question (see `closed`): a person is on the rota then, and not paged.
    Of two overrides that overlap the later one holds; swaps apply one after the other, so that a shift
    that was swapped can be swapped on.
    """
    edges = [edge.astimezone(UTC) for edge in _change_edges(rota) if edge > at]
    for override in reversed(rota.overrides):
        if override.holds(at):
            set_by = getattr(override, "set_by", None)
            return OnCall(override.person, "override", min(edges), set_by=set_by)
    found = _covering(rota, at)
    if found is None:
        return None
    person, because, set_by = found.person, found.layer.id, None
    for swap in rota.swaps:
        taker = None
        if swap.holds(at) and person == swap.instead_of:
            taker = swap.person
        elif swap.back is not None and swap.back.holds(at) and person == swap.person:
            taker = swap.instead_of
        if taker is not None:
            person, because, set_by = taker, "swap", getattr(swap, "set_by", None)
    stood_in = found.held.person if found.held.person != person else None
    return OnCall(person, because, min([found.until, *edges]), stood_in, set_by)


def neighbour(rota: Rota, at: datetime, who: Who) -> str | None:
    """The person who is (`on_call`), comes `next` or was `previous` in turn.

    Next and previous are taken from the covering layer, skipping whoever is on call now or away; None
    where there is nobody else.
    """
    now = on_call(rota, at)
    if who is Who.on_call:
        return now.person if now else None
    found = _covering(rota, at)
    if found is None:
        return None
    gone = away(rota, at)
    members = found.layer.rotation.members
    step = 1 if who is Who.next else -1
    for distance in range(1, len(members) + 1):
        member = members[(found.held.number + step * distance) % len(members)]
        if (now is None or member != now.person) and member not in gone:
            return member
    return None


def others_in_turn(rota: Rota, at: datetime) -> tuple[str, ...]:
    """The covering layer's other members who are not away, in the order of their turns from now on."""
    now, found = on_call(rota, at), _covering(rota, at)
    if found is None:
        return ()
    members, begin = found.layer.rotation.members, found.held.number
    turns = [members[(begin + ahead) % len(members)] for ahead in range(len(members))]
    gone = away(rota, at) | ({now.person} if now else set())
    return tuple(member for member in dict.fromkeys(turns) if member not in gone)


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
    edges = list(_change_edges(rota))
    for layer in rota.layers:
        zone = zone_of(rota, layer)
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
    """`override`, `swap`, the layer's id, `closed` or `gap`."""
    instead_of: str | None = None
    set_by: str | None = None
    """As in OnCall."""

    def joins(self, other: Watch) -> bool:
        """Whether the same holds in both."""
        return (self.person, self.because, self.instead_of, self.set_by) == (
            other.person,
            other.because,
            other.instead_of,
            other.set_by,
        )


def plan(rota: Rota, hours: Sequence[Hours], begin: datetime, end: datetime) -> list[Watch]:
    """Who watches when within `[begin, end)`: stretches that tile it, no two neighbours alike.

    In closed hours whoever is on the rota is not paged, so nobody is named.
    """
    edges = sorted({edge.astimezone(UTC) for edge in (*_edges(rota, hours, begin, end), end)})
    found: list[Watch] = []
    at, place = begin, 0
    while at < end:
        while edges[place] <= at:
            place += 1
        watch = _watch(rota, hours, at, edges[place])
        if found and found[-1].joins(watch):
            watch = replace(watch, begin=found.pop().begin)
        found.append(watch)
        at = watch.end
    return found


def _watch(rota: Rota, hours: Sequence[Hours], at: datetime, until: datetime) -> Watch:
    if closed(rota, hours, at):
        return Watch(at, until, None, "closed")
    held = on_call(rota, at)
    if held is None:
        return Watch(at, until, None, "gap")
    until = min(until, held.until)
    return Watch(at, until, held.person, held.because, held.instead_of, held.set_by)
