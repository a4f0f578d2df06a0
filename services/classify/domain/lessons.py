"""What the team's corrections teach: pure, and the same for every replica that read the same topic.

Invariants: the order in which corrections are read does not matter; a person's word on an item holds
for that item whatever else is said; what is sensitive, taken back, or beyond what one person is trusted
with teaches nothing else; a near-duplicate is never dropped for a lesson when it is too short to
compare, written by somebody the team knows, or private.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.evidence import Evidence, Layer, Shift
from services.classify.domain.similarity import SAME, distances, packed
from services.contracts.events import Correction, Label, Notification

LETTERS_TO_DROP: Final = 20
"""Below so many letters texts are alike by chance: nothing is dropped for a near-duplicate."""
SPAMMED_TWICE: Final = 2
_HOUR: Final = timedelta(hours=1)
_SIGNATURE: Final = re.compile(r"[0-9a-f]{32}")


class Lesson(NamedTuple):
    """A correction without its words."""

    item_id: str
    to: Label
    by: str
    at: datetime
    similarity: str | None = None
    author: tuple[str, str] | None = None
    """Platform and author id."""


class Told(NamedTuple):
    """A label that a person gave, and what to tell a responder."""

    label: Label
    says: str
    exact: bool
    """Said of this very item, not of one like it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What people said of one author's items."""

    spam: int = 0
    conversation: int = 0

    @property
    def known(self) -> bool:
        """Somebody the team talked to, and spam no more often than that."""
        return self.conversation > 0 and self.conversation >= self.spam


@dataclass(frozen=True, slots=True)
class Lessons:
    """Everything that is known from corrections, at one moment."""

    items: Mapping[str, Lesson] = field(default_factory=dict)
    alike: tuple[Lesson, ...] = ()
    """Those that hold for near-duplicates, in the order of `table`."""
    table: NDArray[np.uint64] | None = None
    authors: Mapping[tuple[str, str], Standing] = field(default_factory=dict)
    untrusted: int = 0

    def of(self, item: Notification, similarity: str | None, letters: int) -> Told | None:
        """What a person said of this item or of nearly the same text."""
        own = self.items.get(item.item_id)
        if own is not None:
            return Told(own.to, f"{own.by} said so of this very message", True)
        if similarity is None or self.table is None:
            return None
        near = distances(similarity, self.table)
        nearest = int(near.min())
        if nearest > SAME:
            return None
        candidates = [self.alike[place] for place in np.flatnonzero(near == nearest).tolist()]
        lesson = max(candidates, key=lambda one: (one.at, one.item_id))
        if lesson.to is not Label.conversation and not self._may_be_dropped(item, letters):
            return None
        says = f"{lesson.by} called nearly the same text {_AS_SAID[lesson.to]}"
        return Told(lesson.to, says, False)

    def _may_be_dropped(self, item: Notification, letters: int) -> bool:
        known = item.author.known or self.standing(item).known
        return letters >= LETTERS_TO_DROP and not item.private and not known

    def standing(self, item: Notification) -> Standing:
        """What people said of its author."""
        return self.authors.get((item.platform, item.author.id), _UNKNOWN)

    def evidence(self, item: Notification) -> list[Evidence]:
        """What its author's standing says for a label."""
        standing = self.standing(item)
        if standing.known:
            says = "someone whose message the team took for a conversation before"
            return [Evidence(Layer.correction, "known to the team", says, Shift(2.5))]
        if standing.spam >= SPAMMED_TWICE:
            says = f"the team called {standing.spam} messages of this account spam"
            return [Evidence(Layer.correction, "spammed before", says, Shift(spam=3.0))]
        return []


_UNKNOWN: Final = Standing()
_AS_SAID: Final = {
    Label.conversation: "a conversation",
    Label.spam: "spam",
    Label.news: "news",
}


def learn(corrections: Iterable[Correction], *, remember: int, trusted_per_hour: int) -> Lessons:
    """The last correction of each item, of which the newest `remember` count."""
    standing = [one for one in corrections if not one.retracted]
    standing.sort(key=lambda one: (one.at, one.item_id))
    standing = standing[-remember:]
    teaching = [_lesson(one) for one in standing if one.about and not one.about.sensitive]
    trusted = _trusted(teaching, trusted_per_hour)
    alike = tuple(lesson for lesson in trusted if lesson.similarity)
    return Lessons(
        items={one.item_id: _lesson(one) for one in standing},
        alike=alike,
        table=packed([lesson.similarity or "" for lesson in alike]) if alike else None,
        authors=_authors(trusted),
        untrusted=len(teaching) - len(trusted),
    )


def _lesson(correction: Correction) -> Lesson:
    about = correction.about
    return Lesson(
        correction.item_id,
        correction.to_label,
        correction.by,
        correction.at,
        _signature(about.similarity) if about else None,
        (about.platform, about.author) if about else None,
    )


def _signature(text: str | None) -> str | None:
    """None also where it was made by another recipe."""
    return text if text and _SIGNATURE.fullmatch(text) else None


def _trusted(lessons: Sequence[Lesson], per_hour: int) -> list[Lesson]:
    """Without what one person said beyond `per_hour` new things in an hour. `lessons` are in order.

    To label three hundred versions of one scam is to say one thing.
    """
    said: defaultdict[str, deque[Lesson]] = defaultdict(deque)
    kept: list[Lesson] = []
    for lesson in lessons:
        recent = said[lesson.by]
        while recent and recent[0].at <= lesson.at - _HOUR:
            recent.popleft()
        if _says_again(lesson, recent):
            kept.append(lesson)
        elif len(recent) < per_hour:
            recent.append(lesson)
            kept.append(lesson)
    return kept


def _says_again(lesson: Lesson, recent: Iterable[Lesson]) -> bool:
    if lesson.similarity is None:
        return False
    same = [one.similarity for one in recent if one.to is lesson.to and one.similarity]
    return bool(same) and int(distances(lesson.similarity, packed(same)).min()) <= SAME


def _authors(lessons: Iterable[Lesson]) -> dict[tuple[str, str], Standing]:
    found: dict[tuple[str, str], Standing] = {}
    for lesson in lessons:
        if lesson.author is None:
            continue
        before = found.get(lesson.author, _UNKNOWN)
        found[lesson.author] = Standing(
            before.spam + (lesson.to is Label.spam),
            before.conversation + (lesson.to is Label.conversation),
        )
    return found
