"""The two readings of a response time, and the instant at which a budget is used up."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.alert.domain.wall_clock import open_spans
from services.contracts.configuration import Hours


def business_seconds(hours: Hours | None, begin: datetime, end: datetime) -> float | None:
    """Seconds of `[begin, end)` within business hours; None where none are configured, never 0."""
    if hours is None:
        return None
    total = timedelta()
    for span in open_spans(hours, begin):
        if span.begin >= end:
            break
        total += min(span.end, end) - max(span.begin, begin)
    return total.total_seconds()


def due_at(hours: Hours | None, begin: datetime, budget: timedelta) -> datetime:
    """When `budget` is used up, counted in `hours` (none: around the clock).

    Where the hours hold no such time within a year (holidays throughout), it is counted around the
    clock: better paged on a holiday than never.
    """
    if hours is None:
        return begin + budget
    left = budget
    for span in open_spans(hours, begin):
        start = max(span.begin, begin)
        if start + left <= span.end:
            return start + left
        left -= span.end - start
    return begin + budget


def time_left(due: datetime | None, now: datetime) -> str:
    """How long is left, for a lock screen: `12 min left`, `3 min over`."""
    if due is None:
        return ""
    minutes = int((due - now).total_seconds() // 60)
    word = "left" if minutes >= 0 else "over"
    return f"{span_in_words(timedelta(minutes=abs(minutes)))} {word}"


def span_in_words(span: timedelta) -> str:
    """`45 s`, `12 min`, `3 h 5 min`, `2 d`."""
    seconds = max(0, int(span.total_seconds()))
    if 0 < seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"
