"""What a card shows, without a word of how a chat draws it.

A card is built from an episode by `services.alert.domain` and drawn by `services.alert.chat`. What may
not be shown (private or sensitive words in a shared place) is already left out here, so that no
destination can leak it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CardState(StrEnum):
    """Where the episode stands."""

    open = "open"
    claimed = "claimed"
    answered = "answered"
    closed = "closed"
    withdrawn = "withdrawn"
    relabelled = "relabelled"
    merged = "merged"

    @property
    def live(self) -> bool:
        """Whether somebody still waits, so that the card has buttons."""
        return self in (CardState.open, CardState.claimed)


class CardAct(StrEnum):
    """What can be pressed."""

    claim = "claim"
    no_reply_needed = "no_reply_needed"
    not_for_us = "not_for_us"


@dataclass(frozen=True, slots=True)
class CardLine:
    """One later inbound message, shown in the card's thread."""

    item_id: str
    who: str
    at: datetime
    words: str | None
    """None where the words are masked."""


@dataclass(frozen=True, slots=True)
class Card:
    """The one live message in the team's chat that stands for an episode."""

    episode_id: str
    version: int
    """Rises with every change; a delivery of an older version may be dropped."""
    state: CardState
    headline: str
    """The lock screen's line: at most 90 characters of plain text, no private or sensitive words."""
    brand: str
    platform: str
    account: str
    """The brand account's handle or id."""
    who: str
    """The counterpart's shown name and handle."""
    words: str | None
    """What they wrote; None where it is masked."""
    masked: str | None
    """Why the words are masked, in words ("private message", "sensitive: self harm")."""
    why: str
    """Why this is here, in a responder's words."""
    public: bool
    """Whether an answer would be public."""
    due_at: datetime | None
    zone: str
    """IANA zone in which times of day are shown."""
    permalink: str | None
    claimed_by: str | None = None
    """The person's name."""
    ended: str | None = None
    """How it ended, in words ("answered by Mia after 4 min")."""
    urgent: bool = False
    sensitive: tuple[str, ...] = ()
    checklist: tuple[str, ...] = ()
    thread: tuple[CardLine, ...] = ()
    stale: bool = False
    """State may be stale: shown on the card."""
    acts: tuple[CardAct, ...] = ()
