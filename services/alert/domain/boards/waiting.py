"""Open episodes as lines of a board."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.alert.domain.boards.board import BoardAct, BoardLine
from services.alert.domain.boards.places import at_clock
from services.alert.domain.card import Card
from services.alert.domain.cards import PLATFORMS, one_line

TAKE = "take"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open episode as the board's destination may show it."""

    card: Card
    brand: str
    opened_at: datetime
    claimed_by: str | None
    """The person's id."""
    url: str | None
    """Where its own card stands in the chat."""
    why: str = ""
    """What put it on the board: the board's own word."""


def in_order(waiting: Iterable[Waiting]) -> list[Waiting]:
    """Sensitive first, then urgent, then the oldest due."""
    return sorted(
        waiting,
        key=lambda one: (
            not one.card.sensitive,
            not one.card.urgent,
            one.card.due_at or one.opened_at,
            one.card.episode_id,
        ),
    )


def line_for(one: Waiting, zone: str, note: str = "") -> BoardLine:
    """Who, where, since when, by when; the way to its card; and a press that takes it.

    Times of day, not ages: the line stays true, and the board is not sent anew every minute.
    """
    card = one.card
    marks = [mark for mark, on in (("⚠️", card.sensitive), ("🔺", card.urgent)) if on]
    who = " ".join([*marks, one_line(card.who)])
    parts = [
        who,
        PLATFORMS.get(card.platform, card.platform),
        f"since {at_clock(one.opened_at, zone)}",
    ]
    if card.due_at is not None:
        parts.append(f"answer by {at_clock(card.due_at, zone)}")
    if card.claimed_by:
        parts.append(f"{one_line(card.claimed_by)} has it")
    if card.masked:
        parts.append(card.masked)
    if note:
        parts.append(note)
    acts = () if one.claimed_by else (BoardAct(TAKE, "I take it", card.episode_id, first=True),)
    return BoardLine(" · ".join(parts), card.words, acts, one.url)
