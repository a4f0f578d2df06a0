"""Is this silence longer than chance explains? Learned from what each hour of the week brought before.

Events of an hour of the week are taken as Poisson with an unknown rate: a weak gamma prior around the
account's average, sharpened by what that hour brought, older weeks counting less. No event in a stretch
of hours then has a probability that needs no tuning per account: a busy one is quiet after minutes, a
small one after days, and one whose nights are always empty never at night.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HOURS = 7 * 24
WEEK = timedelta(weeks=1)
HALVED_AFTER = 3.0
"""Weeks until an hour counts half."""
ENOUGH_DAYS = 7.0
"""Days of history before anything is said."""
PRIOR_EVENTS = 0.5
"""What the account's average weighs, in events: hours differ widely, so little."""
UNLIKELY = 1e-5
"""Once in some years for an account that is looked at every hour."""
AT_LEAST = timedelta(minutes=30)
"""Silence that nobody is told of, however busy the account."""
LOOKED_BACK = timedelta(days=3)
"""A longer silence is told long before."""


@dataclass(frozen=True, slots=True)
class HourCount:
    """What one past hour brought; hours without a row brought nothing."""

    hour: datetime
    """Its beginning, in UTC."""
    events: int


@dataclass(frozen=True, slots=True)
class Habit:
    """What an account is used to: (weighted events, weighted weeks) for every hour of the week."""

    events: Mapping[int, float]
    weeks: float
    days: float

    @property
    def mean(self) -> float:
        """Events in an average hour."""
        return sum(self.events.values()) / (HOURS * self.weeks) if self.weeks else 0.0


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing since `since`, where `expected` events were to come."""

    since: datetime
    expected: float


def hour_of_week(at: datetime) -> int:
    """0 is Monday's first hour in UTC."""
    return at.weekday() * 24 + at.hour


def habit(counts: Sequence[HourCount], now: datetime) -> Habit:
    """Learn from the hours before the present silence; younger weeks count more."""
    if not counts:
        return Habit({}, 0.0, 0.0)
    first = min(one.hour for one in counts)
    events: dict[int, float] = defaultdict(float)
    for one in counts:
        events[hour_of_week(one.hour)] += one.events * _weight(now - one.hour)
    span = (now - first) / WEEK
    whole = math.ceil(span)
    weeks = sum(_weight(WEEK * n) * min(1.0, span - n) for n in range(whole))
    return Habit(dict(events), weeks, (now - first) / timedelta(days=1))


def _weight(age: timedelta) -> float:
    return float(0.5 ** (age / WEEK / HALVED_AFTER))


def quiet(learned: Habit, last_event: datetime, now: datetime) -> Quiet | None:
    """Whether nothing since `last_event` is more than chance. Never without enough history."""
    if learned.days < ENOUGH_DAYS or now - last_event < AT_LEAST or learned.mean == 0.0:
        return None
    prior_weeks = PRIOR_EVENTS / learned.mean
    chance, expected = 0.0, 0.0
    at = max(last_event, now - LOOKED_BACK)
    while at < now:
        until = min(now, at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))
        part = (until - at) / timedelta(hours=1)
        shape = PRIOR_EVENTS + learned.events.get(hour_of_week(at), 0.0)
        weeks = prior_weeks + learned.weeks
        # Of a Poisson whose rate is Gamma(shape, weeks): no event in `part` of an hour.
        chance += shape * math.log(weeks / (weeks + part))
        expected += shape / weeks * part
        at = until
    return Quiet(last_event, expected) if chance < math.log(UNLIKELY) else None
