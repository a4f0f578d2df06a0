"""The queue: what waits for a person who was pinged as often as one may be. A pure decision.

One card takes the place of a ping an episode; "take next" claims the next in order for who presses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alert.domain.boards.board import (
    Board,
    BoardAct,
    BoardKey,
    BoardKind,
    Content,
    Section,
    Wanted,
    ended,
    line_of,
    words_of,
)
from services.alert.domain.boards.places import Home
from services.alert.domain.boards.waiting import Waiting, line_for
from services.alert.domain.response_time import span_in_words

TAKE_NEXT = "take_next"
LISTED = 3
"""Lines of what comes next: the rest are counted."""
SETTLED = timedelta(seconds=30)
"""A growing queue is not redrawn more often: updates must not crowd out cards."""


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for one person in one place."""

    person: str
    name: str
    many: int
    oldest: datetime
    """Of the first questions, the earliest."""
    next: tuple[Waiting, ...]
    """In order: sensitive, urgent, then the oldest due."""


def queue_of(board: Board) -> str:
    """The person whose queue it is."""
    return board.key.period.partition("@")[0]


def queue(home: Home, waits: Queue | None, live: Board | None, now: datetime) -> list[Wanted]:
    """What the person's card should be: one that is changed in place until nobody waits."""
    if waits is None or not waits.many:
        if live is None:
            return []
        return [Wanted(live.key, ended(live.content, "The queue is empty: everybody was taken"))]
    if live is None:
        period = f"{waits.person}@{now.isoformat()}"
        key = BoardKey(BoardKind.queue, home.brand, home.destination, period)
        return [Wanted(key, _content(home, waits, now))]
    content = _content(home, waits, now)
    gone = not set(live.content.subjects) <= set(content.subjects)
    gone = gone or not words_of(live.content) <= words_of(content)
    if gone or now - live.changed_at >= SETTLED:
        return [Wanted(live.key, content)]
    return []


def _content(home: Home, waits: Queue, now: datetime) -> Content:
    first = waits.next[:LISTED]
    oldest = span_in_words(now - waits.oldest)
    return Content(
        headline=line_of(f"{waits.many} waiting, oldest {oldest}: take next · {waits.name}"),
        zone=home.zone,
        sections=(Section("Next", tuple(line_for(one, home.zone) for one in first)),),
        acts=(BoardAct(TAKE_NEXT, "Take next", first=True),),
        note=(
            f"{waits.name} was pinged as often as one person is in ten minutes. "
            "Whoever presses gets the next one: sensitive, urgent, then the oldest due."
        ),
        subjects=tuple(one.card.episode_id for one in first),
        # It goes out before the cards that it stands for: the way to work through them.
        urgent=True,
    )
