"""Incidents: the system suggests one, a person declares and ends it. Pure decisions.

In an incident topics are groups with counts, a group pages once a step, and those who joined are paged
in the place of the rota. Every customer keeps their own episode and clock; sensitive ones page as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

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
    words_of,
)
from services.alert.domain.boards.group import Alike, counts, sample_line
from services.alert.domain.boards.places import Home, at_clock
from services.alert.domain.response_time import span_in_words

STRETCH = timedelta(minutes=30)
"""Arrivals are counted over so long."""
TIMES = 3
"""So many times the usual for this hour of the week is a surge …"""
ARRIVALS = 20
"""… where it is at least so many …"""
GROUP = 10
"""… or so many people with the same matter."""
QUIET = timedelta(hours=2)
"""So long nothing is suggested after a person said something of the last suggestion."""
SETTLED = timedelta(seconds=30)
DECLARE, DISMISS, END, JOIN, LEAVE = "declare", "dismiss", "end", "join", "leave"


class IncidentState(StrEnum):
    """How far it is."""

    suggested = "suggested"
    declared = "declared"
    dismissed = "dismissed"
    ended = "ended"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it stands."""

    id: int
    name: str
    state: IncidentState
    says: str
    """Why it was suggested."""
    since: datetime
    by: str
    """The name of who pressed last."""
    declared_by: str
    people: tuple[str, ...]
    """Names of those who joined."""
    topics: tuple[Alike, ...] = ()
    """Groups, the largest first, each with a sample; id 0 for all that are alone."""


def surge(came: int, usual: Sequence[int], largest_group: int) -> str | None:
    """Why this is a surge, in words; None where it is none.

    `usual`: what came in the same stretch of the weeks before, of those that are known. Without any only
    a group says something.
    """
    minutes = int(STRETCH.total_seconds()) // 60
    if largest_group >= GROUP:
        return f"{largest_group} people with the same matter in {minutes} min"
    if not usual or came < ARRIVALS:
        return None
    mean = sum(usual) / len(usual)
    if came < TIMES * max(mean, 1):
        return None
    return f"{came} in {minutes} min, usually {mean:.0f} at this hour"


def incident(
    home: Home, brand: str, found: Incident, live: Board | None, now: datetime
) -> list[Wanted]:
    """What the incident's card should be."""
    over = _over(found, now)
    if over is not None:
        return [Wanted(live.key, ended(live.content, over))] if live else []
    key = BoardKey(BoardKind.incident, home.brand, home.destination, str(found.id))
    content = _content(home, brand, found)
    if live is None:
        # Nobody is pinged: in a surge those on call have their five pings already.
        return [Wanted(key, content)]
    pressed = live.content.acts != content.acts or live.content.note != content.note
    if pressed or not words_of(live.content) <= words_of(content):
        told = None
        if live.content.acts != content.acts and found.state is IncidentState.declared:
            told = f"{found.declared_by} declared an incident: {found.name}"
        return [Wanted(live.key, content, told=told)]
    if now - live.changed_at >= SETTLED:
        return [Wanted(live.key, content)]
    return []


def _over(found: Incident, now: datetime) -> str | None:
    if found.state is IncidentState.dismissed:
        return f"No incident, says {found.by or 'nobody else'}: {found.says}"
    if found.state is IncidentState.ended:
        took = span_in_words(now - found.since)
        return f"Incident ended by {found.by} after {took}: {found.name}"
    return None


def _content(home: Home, brand: str, found: Incident) -> Content:
    declared = found.state is IncidentState.declared
    people = sum(one.people for one in found.topics)
    since = at_clock(found.since, home.zone)
    lines = [_topic(home, one) for one in found.topics]
    if declared:
        head = f"Incident: {found.name} · {people} people since {since} · {brand}"
        acts: tuple[BoardAct, ...] = (
            BoardAct(JOIN, "Page me", first=True),
            BoardAct(LEAVE, "Not me any more"),
            BoardAct(END, "End the incident"),
        )
        paged = ", ".join(found.people) or "whoever is on call"
        note = (
            f"Declared by {found.declared_by}. Pages go to {paged}, once for a group and step. "
            "Sensitive messages page as ever; everybody keeps a clock of their own."
        )
    else:
        head = f"An incident? {found.says} · {brand}"
        acts = (
            BoardAct(DECLARE, "Declare an incident", first=True),
            BoardAct(DISMISS, "No incident"),
        )
        note = (
            "Nothing changes until a person declares it: then a group pages once, not each of it."
        )
    return Content(
        headline=line_of(head),
        zone=home.zone,
        sections=(Section("Topics", shown(lines, "… and {} more topics")),) if lines else (),
        acts=acts,
        note=note,
        subjects=(str(found.id),),
        urgent=True,
    )


def _topic(home: Home, topic: Alike) -> BoardLine:
    if not topic.id:
        return BoardLine(f"{topic.people} alone with their matter: {counts(topic)}")
    text = f"{topic.people} people: {counts(topic)}"
    if not topic.samples:
        return BoardLine(text)
    first = sample_line(home, topic.samples[0])
    return BoardLine(text, first.words, url=first.url)
