"""Spam waves: repetition *with* a spam sign. One card gathers them; a person labels the rest. Pure.

Repetition alone is never spam: a group is a wave only where most of it looks like spam by itself, and
no person has called one of it a conversation. To label all takes two presses, with samples in between,
and can be undone for 30 minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.alert.domain.boards.board import (
    LINES,
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
from services.alert.domain.boards.group import sample_line
from services.alert.domain.boards.places import Home, at_clock
from services.alert.domain.items import Item
from services.contracts.events import Label

FROM = 5
"""So many that look like spam make a wave."""
UNDONE_FOR = timedelta(minutes=30)
SETTLED = timedelta(seconds=30)
SAMPLES = 3
LABEL_ALL, CONFIRM, CANCEL, UNDO, NOT_SPAM = "label_all", "confirm", "cancel", "undo", "not_spam"


class WaveState(StrEnum):
    """How far people are with a wave."""

    gathered = "gathered"
    asking = "asking"
    labelling = "labelling"
    labelled = "labelled"
    undoing = "undoing"
    undone = "undone"
    dismissed = "dismissed"
    settled = "settled"
    """Labelled, and for too long to be undone."""
    over = "over"
    """No wave any more."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A group as numbers."""

    items: int
    people: int
    spam: int
    """That look like spam by themselves, or were called so."""
    held: int
    persons: int
    """That a person called a conversation."""
    quiet: bool = False
    """Nothing has come for a day."""


@dataclass(frozen=True, slots=True)
class Wave:
    """A wave as it stands."""

    id: int
    state: WaveState
    counted: Counted
    samples: tuple[Item, ...]
    """Some that look like spam."""
    targets: tuple[Item, ...] = ()
    """What "label all" would change: not spam yet, and nobody whom we might lose."""
    left_out: int = 0
    by: str = ""
    """Who labelled or undid, by name."""
    at: datetime | None = None
    """When they were labelled."""
    changed: int = 0
    """So many were labelled, or are to be."""


def is_wave(counted: Counted) -> bool:
    """Whether a group is a wave of spam rather than many people with one matter."""
    return counted.spam >= FROM and counted.spam * 2 > counted.items and not counted.persons


def may_be_labelled(item: Item, *, answered: bool) -> bool:
    """Whether "label all" may touch it. `answered`: we answered its author before.

    What was written to us is judged one by one; what a person judged already stays as they said.
    """
    if item.addressed or item.private or item.sensitive or item.held or not item.inbound:
        return False
    if item.known or answered:
        return False
    settled = item.relabel is not None or item.deleted_at is not None
    return not settled and item.final_label is not Label.spam


def may_be_undone(at: datetime | None, now: datetime) -> bool:
    """Whether the labels of `at` can still be taken back."""
    return at is not None and now < at + UNDONE_FOR


def state_now(
    state: WaveState, counted: Counted, labelled_at: datetime | None, now: datetime
) -> WaveState:
    """What time and news made of a wave that nobody pressed."""
    if state is WaveState.labelled and not may_be_undone(labelled_at, now):
        return WaveState.settled
    waiting = state in (WaveState.gathered, WaveState.asking)
    if waiting and (counted.quiet or not is_wave(counted)):
        return WaveState.over
    return state


def wave(home: Home, name: str, found: Wave, live: Board | None, now: datetime) -> list[Wanted]:
    """What the wave's card should be."""
    key = live.key if live else _key(home, found)
    over = _over(found)
    if over is not None:
        return [Wanted(key, ended(live.content, over))] if live else []
    content = _content(home, name, found)
    if live is None:
        return [Wanted(key, content)]
    # A wave that only grows is not drawn anew at once; a press shows at once.
    pressed = live.content.acts[:1] != content.acts[:1] or live.content.note != content.note
    pressed = pressed or not words_of(live.content) <= words_of(content)
    if pressed or now - live.changed_at >= SETTLED:
        return [Wanted(key, content)]
    return []


def _key(home: Home, found: Wave) -> BoardKey:
    return BoardKey(BoardKind.wave, home.brand, home.destination, str(found.id))


def _over(found: Wave) -> str | None:
    match found.state:
        case WaveState.dismissed:
            return f"Not spam, says {found.by}: {found.counted.people} people, much the same"
        case WaveState.undone:
            return f"{found.by} took {found.changed} labels back"
        case WaveState.settled:
            return f"{found.changed} more labelled as spam by {found.by}"
        case WaveState.over:
            return f"The wave is over: {found.counted.items} from {found.counted.people} accounts"
    return None


def _content(home: Home, name: str, found: Wave) -> Content:
    counted = found.counted
    head = f"Wave: {counted.items} look like one spam, {counted.people} accounts · {name}"
    facts = [BoardLine(_facts(found))]
    samples = [sample_line(home, item, _as(item)) for item in found.samples[:SAMPLES]]
    acts: tuple[BoardAct, ...]
    match found.state:
        case WaveState.asking:
            listed = [sample_line(home, item, _as(item)) for item in found.targets[:LINES]]
            title = f"Would be labelled as spam: {found.changed}, of which {len(listed)} are shown"
            sections: Sequence[Section] = (Section("", tuple(facts)), Section(title, tuple(listed)))
            acts = (
                BoardAct(CONFIRM, f"Yes, all {found.changed} are spam", first=True),
                BoardAct(CANCEL, "No"),
            )
            note = (
                f"Left out: {found.left_out} that were written to us or come from people we know. "
                "It can be undone for 30 minutes; the classifier learns from it, and forgets it again."
            )
        case WaveState.labelling | WaveState.undoing:
            sections, acts = (Section("", tuple(facts)),), ()
            doing = "Labelling" if found.state is WaveState.labelling else "Taking back"
            note = f"{doing} {found.changed}, by {found.by}."
        case WaveState.labelled:
            until = at_clock(found.at + UNDONE_FOR, home.zone) if found.at else ""
            sections = (Section("", tuple(facts)),)
            acts = (BoardAct(UNDO, "Undo"),)
            note = f"{found.changed} labelled as spam by {found.by}. Undo until {until}."
        case _:
            sections = (Section("", tuple(facts)), Section("Some of them", tuple(samples)))
            many = len(found.targets)
            label = (BoardAct(LABEL_ALL, f"Label the other {many} as spam"),) if many else ()
            acts = (*label, BoardAct(NOT_SPAM, "Not spam"))
            note = "What looks like spam was kept away from you already. Samples come first."
    return Content(
        headline=line_of(head),
        zone=home.zone,
        sections=tuple(sections),
        acts=acts,
        note=note,
        subjects=tuple(item.id for item in (*found.samples, *found.targets)[:LINES]),
    )


def _facts(found: Wave) -> str:
    counted = found.counted
    parts = [f"{counted.spam} look like spam"]
    if counted.held:
        parts.append(f"{counted.held} of them were written to us and are held back")
    if found.targets and found.state is not WaveState.labelled:
        parts.append(f"{len(found.targets)} others were taken for people")
    return "; ".join(parts)


def _as(item: Item) -> str:
    return f"taken for {item.final_label.value}" if item.final_label else ""
