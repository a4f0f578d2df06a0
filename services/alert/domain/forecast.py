"""How many people keep the target: Erlang C by hour of the week, against who is on call.

Arrivals in an hour are taken as random (Poisson) and handling times as exponential; nobody gives up
waiting, since a message stays where it is. A person answers one conversation at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.alert.domain import rota as rotas
from services.contracts.configuration import Configuration, Rota

HOURS = 7 * 24
MOST = 500
"""People beyond which nobody is counted any more."""
QUARTER = timedelta(minutes=15)


def erlang_c(people: int, load: float) -> float:
    """The share of arrivals that wait at all, with `load` = arrivals per handling time (Erlang).

    1 where the load is not below the people: the queue then grows without end.
    """
    if load <= 0:
        return 0.0
    if people <= load:
        return 1.0
    blocked = 1.0
    for n in range(1, people + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked / (1 - load / people * (1 - blocked))


def waits_within(people: int, per_hour: float, handling: timedelta, within: timedelta) -> float:
    """The share of arrivals that somebody begins to handle within that time."""
    load = per_hour * handling / timedelta(hours=1)
    if load <= 0:
        return 1.0
    if within < timedelta(0) or people <= load:
        return 0.0
    return 1 - erlang_c(people, load) * math.exp(-(people - load) * (within / handling))


def answered_within(people: int, per_hour: float, handling: timedelta, target: timedelta) -> float:
    """The share that is answered within the target: begun early enough for a usual handling time."""
    return waits_within(people, per_hour, handling, target - handling)


def needed(per_hour: float, handling: timedelta, target: timedelta, share: float) -> int | None:
    """The fewest people who keep `share` within the target; None where no number does.

    0 where nobody writes.
    """
    if per_hour <= 0:
        return 0
    if handling >= target:
        return None
    people = max(1, math.floor(per_hour * handling / timedelta(hours=1)))
    while people <= MOST:
        if answered_within(people, per_hour, handling, target) >= share:
            return people
        people += 1
    return None


@dataclass(frozen=True, slots=True)
class HourOfWeek:
    """What an hour of the week needs, and who is there."""

    weekday: int
    """0 for Monday."""
    hour: int
    arrivals: float
    needed: int | None
    """None: no number of people keeps the target."""
    there: int
    """People on call at every time of the hour."""
    closed: bool
    """Every rota keeps closed hours throughout it."""
    kept: float
    """The share that is answered in time with who is there."""

    @property
    def short(self) -> bool:
        """Whether more people are needed than are there."""
        return not self.closed and (self.needed is None or self.needed > self.there)


def forecast(
    team: Configuration,
    covering: Sequence[Rota],
    arrivals: Sequence[float],
    handling: timedelta,
    target: timedelta,
    share: float,
    begin: datetime,
) -> list[HourOfWeek]:
    """The 168 hours of the week that begins on the Monday after `begin`, in the first rota's zone.

    `arrivals`: by hour of the week, Monday 00:00 first. Raises ValueError for another number of them.
    """
    if len(arrivals) != HOURS:
        raise ValueError(f"{len(arrivals)} hours of arrivals: a week has {HOURS}")
    zone = ZoneInfo(covering[0].zone)
    found = []
    for place, per_hour in enumerate(arrivals):
        there, closed = _staffed(team, covering, _hour(begin, zone, place))
        found.append(
            HourOfWeek(
                weekday=place // 24,
                hour=place % 24,
                arrivals=per_hour,
                needed=needed(per_hour, handling, target, share),
                there=there,
                closed=closed,
                kept=answered_within(there, per_hour, handling, target) if there else 0.0,
            )
        )
    return found


def _hour(begin: datetime, zone: ZoneInfo, place: int) -> datetime:
    local = begin.astimezone(zone)
    monday = local.date() + timedelta(days=-local.weekday() % 7)
    day = monday + timedelta(days=place // 24)
    return datetime(day.year, day.month, day.day, place % 24, tzinfo=zone)


def _staffed(team: Configuration, covering: Sequence[Rota], hour: datetime) -> tuple[int, bool]:
    """People on call at every quarter of an hour, and whether all of it is closed."""
    counts, all_closed = [], True
    for quarter in range(4):
        at = hour + quarter * QUARTER
        open_rotas = [rota for rota in covering if not rotas.closed(rota, team.hours, at)]
        held = [rotas.on_call(rota, at) for rota in open_rotas]
        counts.append(len({one.person for one in held if one is not None}))
        all_closed = all_closed and not open_rotas
    return min(counts), all_closed
