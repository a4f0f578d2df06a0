"""The handoff card at a shift's end: what the incoming person takes over. A pure decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.alert.domain.boards.board import (
    Board,
    BoardAct,
    BoardKey,
    BoardKind,
    BoardLine,
    Content,
    Ping,
    Section,
    Wanted,
    ended,
    line_of,
    shown,
)
from services.alert.domain.boards.places import at_clock
from services.alert.domain.boards.waiting import Waiting, in_order, line_for
from services.alert.domain.cards import cut, one_line

LASTS = timedelta(hours=4)
"""So long a handoff's card is kept up to date."""
TAKE_OVER, TAKE_ALL = "take_over", "take_all"


@dataclass(frozen=True, slots=True)
class Handoff:
    """A change of who is on call."""

    rota: str
    outgoing: str
    incoming: str
    at: datetime

    @property
    def period(self) -> str:
        """What makes its card its own."""
        return f"{self.rota}:{self.at.isoformat()}"


@dataclass(frozen=True, slots=True)
class Promise:
    """What somebody said would be done, and by when."""

    what: str
    due_at: datetime
    by: str
    """The person's name."""


def changed(was: str | None, now: str | None, *, closed: bool) -> bool:
    """Whether a shift has ended: somebody else is there. In closed hours it waits for the opening."""
    return was is not None and now is not None and was != now and not closed


def handoff(
    one: Handoff,
    names: tuple[str, str],
    place: tuple[str, str],
    zone: str,
    waiting: Sequence[Waiting],
    promises: dict[str, Promise],
    was: Board | None,
    now: datetime,
) -> list[Wanted]:
    """The card of a handoff in one place.

    `names`: outgoing and incoming. `place`: brand and destination. `waiting`: what is still open of
    the rota's episodes, and not yet the incoming person's.
    """
    key = BoardKey(BoardKind.handoff, *place, one.period)
    done = "Handed off: everything was taken" if waiting == [] else "Handed off"
    if was is not None:
        if was.content.over:
            return []
        known = set(was.content.subjects)
        waiting = [each for each in waiting if each.card.episode_id in known]
        if not waiting or now - one.at >= LASTS:
            return [Wanted(key, ended(was.content, f"{done} · {names[0]} → {names[1]}"))]
        content = _content(one, names, zone, waiting, promises)
        return [Wanted(key, replace(content, subjects=was.content.subjects))]
    if not waiting or now - one.at >= LASTS:
        return []
    content = _content(one, names, zone, waiting, promises)
    sensitive = any(each.card.sensitive for each in waiting)
    return [Wanted(key, content, (Ping(one.incoming),), sensitive=sensitive)]


def _content(
    one: Handoff,
    names: tuple[str, str],
    zone: str,
    waiting: Sequence[Waiting],
    promises: dict[str, Promise],
) -> Content:
    outgoing, incoming = names
    promised = [each for each in waiting if each.card.episode_id in promises]
    promised.sort(key=lambda each: promises[each.card.episode_id].due_at)
    rest = [each for each in waiting if each.card.episode_id not in promises]
    claimed = in_order(each for each in rest if each.claimed_by is not None)
    unclaimed = in_order(each for each in rest if each.claimed_by is None)
    parts = (
        ("Promised", [_promised(each, promises[each.card.episode_id], zone) for each in promised]),
        (f"Claimed by {outgoing} and not answered", [_line(each, zone) for each in claimed]),
        ("Waiting for anybody", [_line(each, zone) for each in unclaimed]),
    )
    sections = tuple(
        Section(title, shown(lines, "… and {} more in the list of open episodes"))
        for title, lines in parts
        if lines
    )
    still_open = sum(each.card.state.live for each in waiting)
    owed = len(waiting) - still_open
    counted = f"{still_open} open" + (f", {owed} promised" if owed else "")
    return Content(
        headline=line_of(f"Handoff {outgoing} → {incoming}: {counted}"),
        zone=zone,
        sections=sections,
        acts=(BoardAct(TAKE_ALL, f"{incoming} takes all", first=True),) if still_open else (),
        note=f"{incoming} is on call from {at_clock(one.at, zone)}; the next steps page them.",
        subjects=tuple(each.card.episode_id for each in waiting),
        urgent=any(each.card.urgent or each.card.sensitive for each in waiting),
    )


def _line(each: Waiting, zone: str, note: str = "") -> BoardLine:
    line = line_for(each, zone, note)
    act = BoardAct(TAKE_OVER, "I take it", each.card.episode_id)
    return replace(line, acts=(act,))


def _promised(each: Waiting, promise: Promise, zone: str) -> BoardLine:
    what = cut(one_line(promise.what), 120)
    # What was promised may tell what a private message said.
    words = "a promise" if each.card.masked else f"“{what}”"
    note = f"{one_line(promise.by)} promised {words} by {at_clock(promise.due_at, zone)}"
    line = _line(each, zone, note)
    # In an answered matter there is nothing to claim: when it is due, it wakes who is on call.
    return line if each.card.state.live else replace(line, acts=())
