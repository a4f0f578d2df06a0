""" "I'm here" at a shift's start: the question, as a direct message with one press. Pure.

Whom to ask, and when to go on to the next way or person, is the rota's decision
(`services.alert.ports.ShiftStarts`); this only shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.alert.domain.boards.board import (
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
from services.alert.domain.boards.places import at_clock

HERE = "here"


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask this person, once for the same number; a higher number asks again."""

    person: str
    destination: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class ShiftStart:
    """A shift that has begun and whose person is asked whether they are there."""

    rota: str
    person: str
    """Whose shift it is."""
    begin: datetime
    end: datetime
    asks: tuple[Ask, ...]
    """Everybody asked so far."""
    here_by: str | None = None
    """Who said "I'm here"."""
    over: bool = False
    """Nobody is asked any more: somebody is there, or the shift has ended."""

    @property
    def period(self) -> str:
        """What makes its question its own."""
        return f"{self.rota}:{self.begin.isoformat()}"


def shift_start(one: ShiftStart, name: str, zone: str) -> list[Wanted]:
    """The question, in each destination that it went to. No channel sees it: it is between two."""
    content = Content(
        headline=line_of(f"{name}'s shift in {one.rota} has begun: are you there?"),
        zone=zone,
        sections=(
            Section(
                "",
                (
                    BoardLine(
                        f"From {at_clock(one.begin, zone)} to {at_clock(one.end, zone)}. "
                        "Without a press somebody else is asked."
                    ),
                ),
            ),
        ),
        acts=(BoardAct(HERE, "I'm here", first=True),),
        subjects=(one.rota, one.begin.isoformat()),
    )
    if one.over or one.here_by is not None:
        content = ended(content, f"{name}'s shift in {one.rota}: somebody is there")
    found = []
    for destination in dict.fromkeys(ask.destination for ask in one.asks):
        key = BoardKey(BoardKind.shift_start, "", destination, one.period)
        pings = tuple(
            Ping(ask.person, ask.number) for ask in one.asks if ask.destination == destination
        )
        found.append(Wanted(key, content, () if content.over else pings, posted=False))
    return found
