"""The end of a quiet start: how often an account would have paged, and what would page less. Pure.

A new account posts cards without pages. After its quiet time one card says what paging would have
meant, and paging begins only when a person switches it on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

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
)
from services.alert.domain.boards.places import Home

SWITCH_ON = "switch_on"
REFRESHED = timedelta(days=1)
"""So often the card is counted anew, and the channel reminded, until a person has decided."""
NIGHT_BEGINS, NIGHT_ENDS = 22, 7
"""Hours of the clock on the wall, in the rota's zone."""
STEP = 0.05


@dataclass(frozen=True, slots=True)
class WouldPage:
    """An episode that would have paged."""

    pages: tuple[datetime, ...]
    needs_answer: float | None
    """The highest of its questions; None where it was stored before scores were kept."""
    mattered: bool
    """A person answered or claimed it, or it still waits: losing it would be a mistake."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """What `classify.needs_answer` at this value would have paged."""

    value: float
    pages: int
    lost: int
    """Episodes that mattered and would not have opened."""


def at_night(moment: datetime, zone: str) -> bool:
    """Whether a page at this moment wakes somebody."""
    hour = moment.astimezone(ZoneInfo(zone)).hour
    return hour >= NIGHT_BEGINS or hour < NIGHT_ENDS


def thresholds(found: Sequence[WouldPage], now_at: float) -> list[Threshold]:
    """The present threshold and higher ones, each with what it would have meant."""
    values = [now_at]
    while values[-1] + STEP < 0.96:
        values.append(round(values[-1] + STEP, 2))
    result = []
    for value in values:
        kept = [one for one in found if one.needs_answer is None or one.needs_answer >= value]
        lost = [one for one in found if one not in kept and one.mattered]
        result.append(Threshold(value, sum(len(one.pages) for one in kept), len(lost)))
    return result


def suggested(every: Sequence[Threshold]) -> Threshold:
    """The highest that loses nobody, where it spares a tenth of the pages; else the present one."""
    now = every[0]
    safe = [one for one in every if one.lost == 0]
    best = safe[-1] if safe else now
    return best if best.pages <= now.pages * 0.9 else now


def would_have_paged(
    home: Home,
    account: tuple[str, str],
    shown_as: str,
    since: datetime,
    found: Sequence[WouldPage],
    needs_answer: float,
    was: Board | None,
    now: datetime,
) -> list[Wanted]:
    """The account's card. `account`: platform and id; `since`: its first notification."""
    if was is not None and now - was.changed_at < REFRESHED:
        return []
    key = BoardKey(BoardKind.would_have_paged, home.brand, home.destination, ":".join(account))
    content = _content(home, shown_as, since, found, needs_answer, now)
    if was is None:
        return [Wanted(key, content, tuple(Ping(person) for person in home.people))]
    told = f"{shown_as} still pages nobody: switch it on at its card. {content.headline}"
    return [Wanted(key, content, told=told)]


def switched_on(board: Board, by: str) -> Wanted:
    """A person has decided."""
    return Wanted(board.key, ended(board.content, f"Paging switched on by {by}"))


def _content(
    home: Home,
    shown_as: str,
    since: datetime,
    found: Sequence[WouldPage],
    needs_answer: float,
    now: datetime,
) -> Content:
    pages = [moment for one in found for moment in one.pages]
    night = sum(at_night(moment, home.zone) for moment in pages)
    days = max(1, (now - since).days)
    every = thresholds(found, needs_answer)
    best = suggested(every)
    if best.value == needs_answer:
        advice = f"Suggested: keep needs_answer at {needs_answer:g}"
    else:
        advice = (
            f"Suggested: needs_answer {best.value:g} instead of {needs_answer:g}: "
            f"{best.pages} pages, and nobody lost who was answered"
        )
    table = [
        BoardLine(
            f"needs_answer {one.value:g}: {one.pages} pages"
            + (f", {one.lost} people lost" if one.lost else "")
        )
        for one in every[::2][:5]
    ]
    counted = f"{len(found)} episodes in {days} days, {len(pages) / days:.1f} pages a day"
    return Content(
        headline=line_of(f"{shown_as} would have paged {len(pages)} times, {night} at night"),
        zone=home.zone,
        sections=(
            Section("", (BoardLine(counted), BoardLine(advice))),
            Section("What a threshold would have meant", tuple(table)),
        ),
        acts=(BoardAct(SWITCH_ON, "Switch paging on", first=True),),
        note="Until somebody switches it on, only sensitive routes page for this account.",
        subjects=(shown_as,),
    )
