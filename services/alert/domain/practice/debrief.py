"""What is said at the end of a practice: how fast, what was missed, and what others would have done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from services.alert.domain.practice.script import Senior
from services.alert.domain.response_time import span_in_words

OPEN = "open"
NAMED = 3
"""So many of the missed ones are named in the chat."""


@dataclass(frozen=True, slots=True)
class Handled:
    """One episode of the practice and what became of it."""

    who: str
    words: str | None
    """The first message; None where it was private or sensitive."""
    opened_at: datetime
    due_at: datetime
    how: str
    """`answered`, `open`, or the reason of its closing."""
    by: str | None = None
    """The name of whoever ended it."""
    claimed_after: float | None = None
    """Seconds, as all times here."""
    ended_after: float | None = None
    said: str | None = None
    """What would have been posted."""
    classifier: str | None = None
    relabelled: str | None = None
    """The label that somebody gave it instead."""
    senior: Senior | None = None

    @property
    def in_time(self) -> bool:
        """Whether somebody dealt with it before the answer was due."""
        budget = (self.due_at - self.opened_at).total_seconds()
        return self.how != OPEN and self.ended_after is not None and self.ended_after <= budget


@dataclass(frozen=True, slots=True)
class Debrief:
    """The practice in figures, and each of its episodes."""

    at: datetime
    """When it was drawn up: whose answer is not due by then is still waiting, and not missed."""
    handled: tuple[Handled, ...]

    @property
    def in_time(self) -> tuple[Handled, ...]:
        """Those that somebody dealt with before their answer was due."""
        return tuple(one for one in self.handled if one.in_time)

    @property
    def waiting(self) -> tuple[Handled, ...]:
        """Those for whom there was still time at the end."""
        return tuple(one for one in self.handled if one.how == OPEN and one.due_at > self.at)

    @property
    def answered(self) -> tuple[Handled, ...]:
        """Those that somebody answered."""
        return tuple(one for one in self.handled if one.how == "answered")

    @property
    def missed(self) -> tuple[Handled, ...]:
        """Those that nobody dealt with in time."""
        there_is_time = self.waiting
        return tuple(one for one in self.handled if not one.in_time and one not in there_is_time)

    @property
    def median(self) -> float | None:
        """Seconds from question to answer, of those that were answered."""
        took = [one.ended_after for one in self.answered if one.ended_after is not None]
        return median(took) if took else None

    def in_a_line(self, number: int) -> str:
        """For the channel."""
        if not self.handled:
            return f"Debrief: nobody had asked anything yet. In full: presence practice debrief {number}"
        took = f", median {in_words(self.median)}" if self.median is not None else ""
        names = ", ".join(one.who for one in self.missed[:NAMED])
        more = f" and {len(self.missed) - NAMED} more" if len(self.missed) > NAMED else ""
        missed = f" Missed: {names}{more}." if self.missed else " Nobody was missed."
        return (
            f"Debrief: {len(self.answered)} of {len(self.handled)} answered{took}, "
            f"{len(self.in_time)} dealt with in time.{missed}"
            f" In full: presence practice debrief {number}"
        )

    def as_json(self) -> dict[str, Any]:
        """For people's scripts; seconds, and times in UTC."""
        return {
            "episodes": len(self.handled),
            "answered": len(self.answered),
            "in_time": len(self.in_time),
            "missed": len(self.missed),
            "waiting": len(self.waiting),
            "median_seconds": self.median,
            "handled": [{**_as_json(one), "missed": one in self.missed} for one in self.handled],
        }


def _as_json(one: Handled) -> dict[str, Any]:
    senior = one.senior
    return {
        "who": one.who,
        "words": one.words,
        "opened_at": one.opened_at.isoformat(),
        "due_at": one.due_at.isoformat(),
        "in_time": one.in_time,
        "how": one.how,
        "by": one.by,
        "claimed_after": one.claimed_after,
        "ended_after": one.ended_after,
        "said": one.said,
        "classifier": one.classifier,
        "relabelled": one.relabelled,
        "senior": senior
        and {"how": senior.how, "by": senior.by, "after": senior.after, "said": senior.said},
    }


def in_words(seconds: float | None) -> str:
    """`3 min`; a dash where there is no time."""
    return "—" if seconds is None else span_in_words(timedelta(seconds=seconds))
