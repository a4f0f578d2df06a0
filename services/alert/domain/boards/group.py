"""A group of customers who write much the same: one card with counts beside a card each. Pure.

Every customer keeps their own episode and clock; this card says how many there are and hands out the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alert.domain.boards.board import (
    Board,
    BoardAct,
    BoardKey,
    BoardKind,
    BoardLine,
    Content,
    Section,
    Wanted,
    ended,
    line_of,
    words_of,
)
from services.alert.domain.boards.places import Home, at_clock
from services.alert.domain.boards.queue import TAKE_NEXT
from services.alert.domain.boards.waiting import Waiting, line_for
from services.alert.domain.cards import PLATFORMS, who_in_words
from services.alert.domain.items import Item
from services.alert.domain.response_time import span_in_words

FROM = 5
"""From so many open episodes of one kind on a card stands for them together."""
SAMPLES = 3
SETTLED = timedelta(seconds=30)
"""A growing group is not redrawn more often."""


@dataclass(frozen=True, slots=True)
class Alike:
    """A group in one place."""

    id: int
    people: int
    waiting: int
    """Open and unclaimed."""
    claimed: int
    answered: int
    oldest: datetime
    """The opening of the one who waits longest; of all where nobody does."""
    next: tuple[Waiting, ...] = ()
    samples: tuple[Item, ...] = ()


def group_of(board: Board) -> int:
    """The group that it stands for."""
    return int(board.key.period.partition("@")[0])


def group(
    home: Home, name: str, alike: Alike | None, live: Board | None, now: datetime
) -> list[Wanted]:
    """What the group's card should be."""
    still = alike.waiting + alike.claimed if alike else 0
    if live is None:
        if alike is None or still < FROM:
            return []
        period = f"{alike.id}@{now.isoformat()}"
        key = BoardKey(BoardKind.group, home.brand, home.destination, period)
        return [Wanted(key, _content(home, name, alike, now))]
    if alike is None or not still:
        people = f"all {alike.people} people" if alike else "everybody"
        return [Wanted(live.key, ended(live.content, f"The group was seen to: {people}"))]
    content = _content(home, name, alike, now)
    gone = not set(live.content.subjects) <= set(content.subjects)
    gone = gone or not words_of(live.content) <= words_of(content)
    if gone or now - live.changed_at >= SETTLED:
        return [Wanted(live.key, content)]
    return []


def sample_line(home: Home, item: Item, note: str = "") -> BoardLine:
    """One message as an example."""
    hidden = home.shared and (item.private or bool(item.sensitive))
    platform = PLATFORMS.get(item.platform, item.platform)
    parts = [who_in_words(item), platform, at_clock(item.source_time, home.zone), note]
    text = " · ".join(part for part in parts if part)
    return BoardLine(text, None if hidden else item.shown.text, url=item.shown.permalink)


def counts(alike: Alike) -> str:
    """`31 wait, 4 claimed, 3 answered`."""
    parts = [f"{alike.waiting} wait"]
    parts += [f"{alike.claimed} claimed"] if alike.claimed else []
    parts += [f"{alike.answered} answered"] if alike.answered else []
    return ", ".join(parts)


def _content(home: Home, name: str, alike: Alike, now: datetime) -> Content:
    oldest = span_in_words(now - alike.oldest)
    samples = tuple(sample_line(home, item) for item in alike.samples[:SAMPLES])
    sections = [Section("What they write", samples)] if samples else []
    if alike.next:
        upcoming = tuple(line_for(one, home.zone) for one in alike.next)
        sections.append(Section("Next", upcoming))
    return Content(
        headline=line_of(
            f"{alike.people} people, much the same: {counts(alike)}, oldest {oldest} · {name}"
        ),
        zone=home.zone,
        sections=tuple(sections),
        acts=(BoardAct(TAKE_NEXT, "Take next", first=True),) if alike.waiting else (),
        note="Each of them keeps a card and a clock of their own.",
        subjects=tuple(one.card.episode_id for one in alike.next),
    )
