"""Response times of a period: how long people waited, those who still wait included. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.contracts.events import CloseReason

QUANTILES = (0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Case:
    """One episode, as far as a report needs it."""

    platform: str
    account_id: str
    opened_at: datetime
    due_at: datetime
    first: bool
    """Of its conversation; later ones are next responses."""
    counts: bool
    """A conversation, or sensitive: spam and news are measured nowhere."""
    reason: CloseReason | None = None
    ended_at: datetime | None = None
    wall: float | None = None
    business: float | None = None
    """Seconds; None where no business hours are configured."""

    @property
    def answered(self) -> bool:
        """By a person, visibly to the customer."""
        return self.reason is CloseReason.answered and self.counts

    @property
    def waits(self) -> bool:
        """Nobody has answered and nobody has closed it."""
        return self.reason is None and self.counts


@dataclass(frozen=True, slots=True)
class Written:
    """What one account wrote by hand."""

    all: int
    to_somebody: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one platform or account, or of all."""

    answered: int
    waiting: int
    closed: Mapping[str, int]
    """Without an answer, by reason: they stand beside every percentage and are in none."""
    first: tuple[float | None, ...]
    """Seconds at QUANTILES; None: not reached yet by as many."""
    next: tuple[float | None, ...]
    met: int
    missed: int
    """Answered late, or late and not answered yet."""
    written: Written = field(default_factory=lambda: Written(0, 0))

    @property
    def in_time(self) -> float | None:
        """Share of those whose time is up or who were answered."""
        return _share(self.met, self.met + self.missed)

    @property
    def answered_share(self) -> float | None:
        """Of the conversations that wait or were answered."""
        return _share(self.answered, self.answered + self.waiting)

    @property
    def conversation_share(self) -> float | None:
        """Of what the brand wrote: to somebody, not to everybody."""
        return _share(self.written.to_somebody, self.written.all)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def quantile(observed: Sequence[float], censored: Sequence[float], share: float) -> float | None:
    """The time within which `share` were answered, by Kaplan and Meier.

    `censored` are the ages of those who still wait: that they have waited so long counts, and that they
    may wait longer too. None where not as many were answered yet as it takes.
    """
    steps = sorted([(at, 0) for at in observed] + [(at, 1) for at in censored])
    waiting, unanswered = len(steps), 1.0
    for at, still_waits in steps:
        if not still_waits:
            unanswered *= (waiting - 1) / waiting
            if 1.0 - unanswered >= share - 1e-9:
                return at
        waiting -= 1
    return None


def figures(
    cases: Sequence[Case],
    now: datetime,
    written: Written,
    seconds: Callable[[Case], float | None],
    age: Callable[[Case], float | None],
) -> Figures:
    """`seconds` and `age` read the clock that the report is about: the wall's or business hours'."""
    closed = Counter(
        one.reason.value for one in cases if one.reason and one.reason is not CloseReason.answered
    )
    done, waiting = [one for one in cases if one.answered], [one for one in cases if one.waits]
    late = [one for one in done if one.ended_at is not None and one.ended_at > one.due_at]
    overdue = [one for one in waiting if one.due_at < now]

    def times(*, first: bool) -> tuple[float | None, ...]:
        observed = [at for one in done if one.first is first and (at := seconds(one)) is not None]
        censored = [at for one in waiting if one.first is first and (at := age(one)) is not None]
        return tuple(quantile(observed, censored, share) for share in QUANTILES)

    return Figures(
        answered=len(done),
        waiting=len(waiting),
        closed=dict(sorted(closed.items())),
        first=times(first=True),
        next=times(first=False),
        met=len(done) - len(late),
        missed=len(late) + len(overdue),
        written=written,
    )


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open."""

    begin: datetime
    end: datetime


def hours_of(spans: Iterable[Span], period: Span) -> float:
    """Hours of the period that any of the spans covers; what overlaps counts once."""
    total, reached = timedelta(), period.begin
    for one in sorted(spans, key=lambda span: span.begin):
        begin, end = max(one.begin, reached), min(one.end, period.end)
        if end > begin:
            total += end - begin
            reached = end
    return total / timedelta(hours=1)


def days_of(spans: Iterable[Span], period: Span, zone: str) -> frozenset[date]:
    """The days, in `zone`, that any of the spans touches within the period."""
    found = set()
    for one in spans:
        at = max(one.begin, period.begin).astimezone(ZoneInfo(zone)).date()
        last = min(one.end, period.end).astimezone(ZoneInfo(zone)).date()
        while at <= last:
            found.add(at)
            at += timedelta(days=1)
    return frozenset(found)
