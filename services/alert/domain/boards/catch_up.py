"""The catch-up card: what waited while we were closed, or while Presence itself was away.

A pure decision. One card and one ping take the place of a page an episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from services.alert.domain.boards.board import (
    Board,
    BoardKey,
    BoardKind,
    Content,
    Ping,
    Section,
    Wanted,
    ended,
    line_of,
    shown,
)
from services.alert.domain.boards.places import Home
from services.alert.domain.boards.waiting import Waiting, in_order, line_for
from services.alert.domain.response_time import span_in_words

JOINS_FOR = timedelta(minutes=30)
"""What turns up so long after the card was made joins it; later it gets a card of its own."""


class Waited(StrEnum):
    """Why an episode waited."""

    closed = "closed"
    """The rota kept closed hours: intended absence."""
    outage = "outage"
    """Presence did not look at its timers, and the episode's own window went by."""


_HEADS = {Waited.closed: "While we were closed", Waited.outage: "After an outage"}
_TITLES = {
    Waited.closed: "Waited through closed hours",
    Waited.outage: "Past their time when Presence came back",
}
NOTE = "One card in the place of a page each. Whatever is still open pages again by its policy."


def catch_up(
    home: Home, name: str, waiting: Sequence[Waiting], was: Board | None, now: datetime
) -> list[Wanted]:
    """What the brand's card should be. `waiting`: what is still open of all that waited."""
    live = was if was is not None and not was.content.over else None
    if not waiting:
        if live is None:
            return []
        many = len(live.content.subjects)
        says = f"Caught up: {many} waited, all were seen to" if many > 1 else "Caught up"
        return [Wanted(live.key, ended(live.content, says))]
    known = set(live.content.subjects) if live else set()
    fresh = [one for one in waiting if one.card.episode_id not in known]
    if live is not None and (not fresh or now - live.made_at < JOINS_FOR):
        subjects = tuple(
            dict.fromkeys((*live.content.subjects, *(one.card.episode_id for one in waiting)))
        )
        return [Wanted(live.key, _content(home, name, waiting, subjects, live.made_at))]
    found = []
    if live is not None:
        found.append(Wanted(live.key, ended(live.content, "Caught up: goes on in a newer card")))
    key = BoardKey(BoardKind.catch_up, home.brand, home.destination, now.isoformat())
    subjects = tuple(one.card.episode_id for one in waiting)
    pings = tuple(Ping(person) for person in home.people)
    found.append(Wanted(key, _content(home, name, waiting, subjects, now), pings))
    return found


def _content(
    home: Home, name: str, waiting: Sequence[Waiting], subjects: tuple[str, ...], made: datetime
) -> Content:
    sections = []
    for why in Waited:
        lines = [line_for(one, home.zone) for one in in_order(waiting) if one.why == why]
        if lines:
            listed = shown(lines, "… and {} more in the list of open episodes")
            sections.append(Section(_TITLES[why], listed))
    closed = all(one.why == Waited.closed for one in waiting)
    head = _HEADS[Waited.closed if closed else Waited.outage]
    oldest = span_in_words(made - min(one.opened_at for one in waiting))
    return Content(
        headline=line_of(f"{head}: {len(waiting)} wait, oldest {oldest} · {name}"),
        zone=home.zone,
        sections=tuple(sections),
        note=NOTE,
        subjects=subjects,
        urgent=any(one.card.urgent for one in waiting),
    )
