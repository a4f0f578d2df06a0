"""Held back: what was written to us and looks like spam or news, for people to judge. A pure decision.

Every 15 minutes while somebody is on call one card says how many wait; a judgement shows on it at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    shown,
)
from services.alert.domain.boards.places import Home, at_clock
from services.alert.domain.cards import PLATFORMS, who_in_words
from services.alert.domain.items import Item
from services.alert.domain.response_time import span_in_words

EVERY = timedelta(minutes=15)
RELEASE, CONFIRM, RELEASE_ALL, CONFIRM_ALL = "release", "confirm", "release_all", "confirm_all"
NOTE = (
    "A person: becomes a card and pages at once, with the clock from when they wrote. "
    "Right: it stays away from people; nobody is told."
)


def held_back(
    home: Home,
    name: str,
    items: Sequence[Item],
    was: Board | None,
    now: datetime,
) -> list[Wanted]:
    """What the brand's card should be. `was`: the newest one there, over or not."""
    live = was if was is not None and not was.content.over else None
    ids = tuple(item.id for item in items)
    if not items:
        return [_judged(live)] if live else []
    due = was is None or now - was.made_at >= EVERY
    there = bool(home.people)
    if live is None:
        return [_fresh(home, name, items, now)] if due and there else []
    known = set(live.content.subjects)
    waiting = [item for item in items if item.id in known]
    if due and there and not set(ids) <= known:
        older = ended(live.content, "Held back: goes on in a newer card below")
        return [Wanted(live.key, older), _fresh(home, name, items, now)]
    if not waiting:
        return [_judged(live)]
    aged = there and now - live.changed_at >= EVERY
    if len(waiting) < len(known) or aged:
        return [Wanted(live.key, content(home, name, waiting, now))]
    hidden = _redacted(live, waiting)
    return [Wanted(live.key, hidden)] if hidden != live.content else []


def targets(board: Board, act: str, target: str) -> tuple[str, ...]:
    """The items that a press is about: one, or all that the board counted when it was pressed."""
    if act in (RELEASE_ALL, CONFIRM_ALL):
        return board.content.subjects
    return (target,) if target in board.content.subjects else ()


def _judged(board: Board) -> Wanted:
    return Wanted(board.key, ended(board.content, "Held back: every message was judged"))


def _fresh(home: Home, name: str, items: Sequence[Item], now: datetime) -> Wanted:
    key = BoardKey(BoardKind.held_back, home.brand, home.destination, now.isoformat())
    return Wanted(key, content(home, name, items, now))


def content(home: Home, name: str, items: Sequence[Item], now: datetime) -> Content:
    """The card: the oldest first."""
    ordered = sorted(items, key=lambda item: (item.source_time, item.id))
    oldest = span_in_words(now - ordered[0].source_time)
    many = len(items)
    lines = [_line(home, item) for item in ordered]
    return Content(
        headline=line_of(f"Held back: {many}, oldest {oldest} · {name}"),
        zone=home.zone,
        sections=(
            Section(
                "Written to us, looks like spam or news", shown(lines, "… and {} more of the kind")
            ),
        ),
        acts=(
            BoardAct(CONFIRM_ALL, f"All {many} are right"),
            BoardAct(RELEASE_ALL, f"All {many} are people"),
        )
        if many > 1
        else (),
        note=NOTE,
        subjects=tuple(item.id for item in ordered),
    )


def _line(home: Home, item: Item) -> BoardLine:
    label = item.final_label.value if item.final_label else "spam"
    platform = PLATFORMS.get(item.platform, item.platform)
    at = at_clock(item.source_time, home.zone)
    hidden = home.shared and (item.private or bool(item.sensitive))
    why = "; ".join(item.shown.why[:1]) if not hidden else "private message"
    parts = [who_in_words(item), platform, at, f"looks like {label}", why]
    return BoardLine(
        " · ".join(part for part in parts if part),
        None if hidden else item.shown.text,
        (
            BoardAct(RELEASE, "A person", item.id, first=True),
            BoardAct(CONFIRM, f"Right, {label}", item.id),
        ),
        item.shown.permalink,
    )


def _redacted(board: Board, items: Sequence[Item]) -> Content:
    """The same card with the words as they are today: what its author edited or took back follows."""
    today: Mapping[str, Item] = {item.id: item for item in items}

    def line(one: BoardLine) -> BoardLine:
        item = today.get(one.acts[0].target) if one.acts else None
        if item is None or one.words is None:
            return one
        return replace(one, words=item.shown.text)

    sections = tuple(
        replace(part, lines=tuple(line(one) for one in part.lines))
        for part in board.content.sections
    )
    return replace(board.content, sections=sections)
