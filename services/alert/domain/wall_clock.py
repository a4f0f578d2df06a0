"""Wall-clock time to instants, over daylight-saving changes, and the hours that a team keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.contracts.configuration import Hours, Interval

DAY = timedelta(days=1)
HORIZON = timedelta(days=370)
"""How far ahead opening hours are looked for: beyond a year of holidays there are none."""


LONGEST_SPAN = 8 * 86_400
"""Seconds after which hours that never close are cut into several spans that touch."""


class Span(NamedTuple):
    """`[begin, end)`, both in UTC."""

    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.begin).total_seconds()


def instant(zone: ZoneInfo, day: date, at: time) -> datetime:
    """The instant of a wall-clock time.

    A time that the clocks skip is the first instant after the gap; one that they show twice is the
    first of both.
    """
    wall = datetime.combine(day, at)
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # In a gap the two folds read the offsets before and after it: the change lies between.
    low = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    high = first
    after = high.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == after:
            high = middle
        else:
            low = middle
    return high


def weekly_spans(
    zone: ZoneInfo, week: Iterable[Interval], begin: datetime, holidays: Sequence[date] = ()
) -> Iterator[Span]:
    """The intervals of each day from a day before `begin` on, joined where they touch, in order.

    An interval whose end is not after its begin ends the next day. A holiday drops the intervals
    that begin on it. Ends HORIZON after `begin`.
    """
    intervals = list(week)
    free = set(holidays)
    pending: Span | None = None
    day = begin.astimezone(zone).date() - DAY
    last = day + HORIZON
    while day <= last:
        for span in sorted(_spans_of(zone, intervals, day)) if day not in free else ():
            if pending is None or span.begin > pending.end:
                if pending is not None and pending.end > begin:
                    yield pending
                pending = span
            else:
                pending = Span(pending.begin, max(pending.end, span.end))
        # A joined span is let go once nothing of the next day can touch it, or (always open) weekly.
        if pending is not None and (
            pending.end < instant(zone, day + DAY, time(0)) or pending.seconds > LONGEST_SPAN
        ):
            if pending.end > begin:
                yield pending
            pending = None
        day += DAY
    if pending is not None and pending.end > begin:
        yield pending


def _spans_of(zone: ZoneInfo, week: Sequence[Interval], day: date) -> Iterator[Span]:
    for interval in week:
        if day.weekday() in {weekday.index for weekday in interval.days}:
            ends = day if interval.end > interval.begin else day + DAY
            span = Span(instant(zone, day, interval.begin), instant(zone, ends, interval.end))
            if span.end > span.begin:
                yield span


def open_spans(hours: Hours, begin: datetime) -> Iterator[Span]:
    """When these hours are open from `begin` on; the first may have begun earlier."""
    return weekly_spans(ZoneInfo(hours.zone), hours.week, begin, hours.holidays)


def is_open(hours: Hours, at: datetime) -> bool:
    """Whether `at` lies within these hours."""
    first = next(open_spans(hours, at), None)
    return first is not None and first.begin <= at < first.end
