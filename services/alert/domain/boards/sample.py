"""The daily digest: what was dropped, by a random sample that people judge, and what waits for nobody.

Pure. The sample estimates how many people were lost, with its interval (Wilson's, 95 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import sqrt
from zoneinfo import ZoneInfo

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
)
from services.alert.domain.boards.places import Home, at_clock
from services.alert.domain.cards import PLATFORMS, who_in_words
from services.alert.domain.items import Item
from services.alert.domain.wall_clock import instant

WAS_A_PERSON, RIGHT = "was_a_person", "right"
SIZE = 10
"""Messages of a day that people are asked about: a minute's work."""
AT = time(9)
"""By the clock on the wall, in the rota's zone; later where nobody is on call then."""
LONGEST = timedelta(days=7)
"""So far back a digest reaches where none was made for days."""
Z = 1.96


@dataclass(frozen=True, slots=True)
class Drawn:
    """A dropped message of the sample."""

    item: Item
    label: str
    """What it was dropped as."""
    judged: str | None
    """WAS_A_PERSON, RIGHT, or not yet."""


@dataclass(frozen=True, slots=True)
class Day:
    """What a digest counts."""

    day: date
    """Of its making."""
    dropped: int
    chatter: int
    history: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many people are among the dropped."""

    judged: int
    people: int
    lost: int
    low: int
    high: int

    @property
    def says(self) -> str:
        """`1 of 10 was a person: about 41 of them, 7 to 160 (95 %)`."""
        was = "was a person" if self.people == 1 else "were people"
        return (
            f"{self.people} of {self.judged} {was}: "
            f"about {self.lost} lost, {self.low} to {self.high} (95 %)"
        )


def due(now: datetime, zone_name: str, last: date | None) -> tuple[date, datetime] | None:
    """The day whose digest is due and the midnight that ends it; None before 9:00 or once it is made."""
    zone = ZoneInfo(zone_name)
    today = now.astimezone(zone).date()
    if last == today or now < instant(zone, today, AT):
        return None
    return today, instant(zone, today, time(0))


def begins(end: datetime, last_end: datetime | None) -> datetime:
    """Where a digest begins: at the end of the one before."""
    if last_end is None:
        return end - timedelta(days=1)
    return max(last_end, end - LONGEST)


def estimate(judged: int, people: int, dropped: int) -> Estimate | None:
    """Wilson's score interval of the share, times what was dropped; None while nothing is judged."""
    if judged == 0:
        return None
    share = people / judged
    base = 1 + Z * Z / judged
    middle = (share + Z * Z / (2 * judged)) / base
    half = Z * sqrt(share * (1 - share) / judged + Z * Z / (4 * judged * judged)) / base
    low = max(people, int((middle - half) * dropped))
    # Who was judged to be none of them is known: they can't be among the lost.
    high = min(dropped - (judged - people), -int(-(middle + half) * dropped // 1))
    return Estimate(judged, people, round(share * dropped), low, max(low, high))


def digest(
    home: Home,
    name: str,
    day: Day,
    drawn: Sequence[Drawn],
    chatter: Sequence[Item],
    was: Board | None,
) -> Wanted | None:
    """The card of one day; None where there is nothing to say."""
    key = BoardKey(BoardKind.sample, home.brand, home.destination, day.day.isoformat())
    people = sum(one.judged == WAS_A_PERSON for one in drawn)
    judged = sum(one.judged is not None for one in drawn)
    guess = estimate(judged, people, day.dropped)
    if was is None and not (day.dropped or day.chatter or day.history):
        return None
    if was is not None and drawn and judged == len(drawn) and guess is not None:
        return Wanted(key, ended(was.content, f"Sample of {day.day:%d.%m.}: {guess.says}"))
    return Wanted(key, _content(home, name, day, drawn, chatter, guess))


def _content(
    home: Home,
    name: str,
    day: Day,
    drawn: Sequence[Drawn],
    chatter: Sequence[Item],
    guess: Estimate | None,
) -> Content:
    waiting = [one for one in drawn if one.judged is None]
    counted = [
        BoardLine(f"{day.dropped} dropped as spam or news" + (f"; {guess.says}" if guess else "")),
        BoardLine(f"{day.chatter} that wait for nobody"),
    ]
    if day.history:
        older = f"{day.history} older ones, listed under open episodes; nobody was paged"
        counted.append(BoardLine(older))
    sections = [Section("", tuple(counted))]
    if waiting:
        asked = f"Was one of these a person? {len(waiting)} drawn at random"
        sections.append(Section(asked, tuple(_asked(home, one) for one in waiting)))
    if chatter:
        closest = tuple(_line(home, item, "") for item in chatter)
        sections.append(Section("Closest to needing an answer", closest))
    return Content(
        headline=line_of(f"Yesterday at {name}: {day.dropped} dropped, {day.chatter} chatter"),
        zone=home.zone,
        sections=tuple(sections),
        acts=(BoardAct(RIGHT, f"All {len(waiting)} are right"),) if len(waiting) > 1 else (),
        note="Was a person: it becomes a card at once, and the classifier learns from it."
        if waiting
        else "",
        subjects=tuple(one.item.id for one in drawn),
    )


def _asked(home: Home, one: Drawn) -> BoardLine:
    acts = (
        BoardAct(WAS_A_PERSON, "Was a person", one.item.id),
        BoardAct(RIGHT, f"Right, {one.label}", one.item.id),
    )
    return _line(home, one.item, f"dropped as {one.label}", acts)


def _line(home: Home, item: Item, note: str, acts: tuple[BoardAct, ...] = ()) -> BoardLine:
    hidden = home.shared and (item.private or bool(item.sensitive))
    platform = PLATFORMS.get(item.platform, item.platform)
    parts = [who_in_words(item), platform, at_clock(item.source_time, home.zone), note]
    text = " · ".join(part for part in parts if part)
    return BoardLine(text, None if hidden else item.shown.text, acts, item.shown.permalink)


def superseded(board: Board) -> Wanted:
    """A newer digest is there: what was not judged is no longer asked."""
    return Wanted(board.key, ended(board.content, f"{board.content.headline} (not all judged)"))
