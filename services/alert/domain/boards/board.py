"""A board: the live message that stands for something other than one episode.

Like `services.alert.domain.card` it says what is shown, without a word of how a chat draws it. A board is
made for one destination, so what that place may not show is left out before it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.alert.domain.cards import HEADLINE, cut, one_line

LINES = 10
"""Lines that one board shows; the others are counted. A chat has room for 50 blocks."""


class BoardKind(StrEnum):
    """What a board stands for. A press is dispatched by the kind and the act."""

    held_back = "held_back"
    catch_up = "catch_up"
    notice = "notice"
    audit = "audit"
    handoff = "handoff"
    impersonation = "impersonation"
    would_have_paged = "would_have_paged"
    sample = "sample"
    shift_start = "shift_start"
    queue = "queue"
    group = "group"
    wave = "wave"
    incident = "incident"


@dataclass(frozen=True, slots=True)
class BoardAct:
    """Something that can be pressed."""

    name: str
    """Within the board's kind: letters, digits and underscores."""
    label: str
    """Our own words on the button, short."""
    target: str = ""
    """What it is about, where the board lists several: an item's or an episode's id, opaque."""
    first: bool = False
    """Drawn as the one to press."""


@dataclass(frozen=True, slots=True)
class BoardLine:
    """One of the things that a board lists."""

    text: str
    """Who, where, since when: a line of plain text, which may hold outside text."""
    words: str | None = None
    """What a person wrote, where this place may show it."""
    acts: tuple[BoardAct, ...] = ()
    url: str | None = None
    """Where it is read in full."""


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a title."""

    title: str
    lines: tuple[BoardLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """What a board shows. An equal content needs no update."""

    headline: str
    """The lock screen's line: at most 90 characters of plain text, no private or sensitive words."""
    zone: str
    """IANA zone in which times of day are shown."""
    sections: tuple[Section, ...] = ()
    acts: tuple[BoardAct, ...] = ()
    """Acts on the whole board."""
    note: str = ""
    """Small print in our own words: what a press does."""
    subjects: tuple[str, ...] = ()
    """The ids of everything that it stands for, also of what it does not show. Never drawn."""
    urgent: bool = False
    over: bool = False
    """Nothing is to be done any more: one line, without words and without acts."""


@dataclass(frozen=True, slots=True)
class BoardKey:
    """What makes a board this one and no other."""

    kind: BoardKind
    brand: str
    """The brand's id; empty for what concerns the whole installation."""
    destination: str
    period: str
    """The stretch of time, the shift or the episode that it is about."""


@dataclass(frozen=True, slots=True)
class Board:
    """A board as it stands."""

    id: str
    version: int
    """Rises with every change; a delivery of an older version may be dropped."""
    key: BoardKey
    content: Content
    made_at: datetime
    changed_at: datetime

    @property
    def kind(self) -> BoardKind:
        """What it stands for."""
        return self.key.kind


@dataclass(frozen=True, slots=True)
class Ping:
    """Wake this person for a board: by a direct message or a mention. Once for the same number."""

    person: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a board's own decision asks for: this content under this key, and who is woken for it."""

    key: BoardKey
    content: Content
    pings: tuple[Ping, ...] = ()
    posted: bool = True
    """False: there is no channel for it, only the pings."""
    told: str | None = None
    """A line to the channel, once for the same words: an update in place makes no sound."""
    sensitive: bool = False
    """It is about something sensitive: its pings are not counted, and none is put off."""
    facts: dict[str, str] = field(default_factory=dict)
    """For the audit record."""


def line_of(text: str) -> str:
    """A headline: at most 90 characters on one line."""
    return cut(one_line(text), HEADLINE)


def ended(content: Content, says: str) -> Content:
    """The board after its end: one line that says how, and no word that anybody wrote."""
    return replace(
        content, headline=line_of(says), sections=(), acts=(), note="", urgent=False, over=True
    )


def gone_home(board: Board, place: str) -> Board:
    """A copy that stood in for a board whose own place takes messages again: it says where, and no more."""
    says = f"Goes on in {place}: {board.content.headline}"
    return replace(board, content=ended(board.content, says))


def words_of(content: Content) -> set[str]:
    """Everything of theirs that it shows: what is not in its successor must leave the chat at once."""
    return {line.words for part in content.sections for line in part.lines if line.words}


def shown(lines: list[BoardLine], more: str) -> tuple[BoardLine, ...]:
    """The first LINES of them, and in `more`'s words ("{} more in the list") how many there are beyond."""
    if len(lines) <= LINES:
        return tuple(lines)
    return (*lines[:LINES], BoardLine(more.format(len(lines) - LINES)))
