"""Quiet hours: when a page to everybody leaves somebody out. They may never cover a shift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from services.alert.domain.rota import Watch
from services.alert.domain.wall_clock import Span, weekly_spans
from services.contracts.configuration import Person


def covered(person: Person, watches: Sequence[Watch]) -> Span | None:
    """The first time that lies in a person's shift and in their quiet hours; None: there is none."""
    theirs = [one for one in watches if one.person == person.id]
    if not theirs or not person.quiet_hours:
        return None
    for span in _until(quiet_spans(person, theirs[0].begin), theirs[-1].end):
        for watch in theirs:
            begin, end = max(span.begin, watch.begin), min(span.end, watch.end)
            if begin < end:
                return Span(begin, end)
    return None


def quiet_spans(person: Person, begin: datetime) -> Iterator[Span]:
    """A person's quiet hours from `begin` on, in their zone."""
    return weekly_spans(ZoneInfo(person.zone), person.quiet_hours, begin)


def is_quiet(person: Person, at: datetime) -> bool:
    """Whether this person is not to be woken by a page to everybody."""
    first = next(quiet_spans(person, at), None) if person.quiet_hours else None
    return first is not None and first.begin <= at


def _until(spans: Iterable[Span], end: datetime) -> Iterator[Span]:
    for span in spans:
        if span.begin >= end:
            return
        yield span
