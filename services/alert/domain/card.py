"""What a card shows, without a word of how a chat draws it.

A card is built from an episode by `services.alert.domain` and drawn by `services.alert.chat`. What may
not be shown (private or sensitive words in a shared place) is already left out here, so that no
destination can leak it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    answer = "answer"
    no_reply_needed = "no_reply_needed"
    not_for_us = "not_for_us"
    snooze = "snooze"
    hand_over = "hand_over"
    note = "note"
    promise = "promise"
    answered_in_private = "answered_in_private"
    reopen = "reopen"


class LineAct(StrEnum):
    """What can be pressed about an answer or a promise, by its own id."""

    undo = "undo"
    approve = "approve"
    edit = "edit"
    reject = "reject"
    it_is_there = "it_is_there"
    send_again = "send_again"
    kept = "kept"


class StatusKind(StrEnum):
    """What goes on beside the state of an episode."""

    review = "review"
    pending = "pending"
    sent = "sent"
    limited = "limited"
    refused = "refused"
    stopped = "stopped"
    unknown = "unknown"
    snoozed = "snoozed"
    promised = "promised"


@dataclass(frozen=True, slots=True)
class CardStatus:
    """One thing that goes on: an answer on its way, a snooze, a promise."""

    kind: StatusKind
    who: str
    """The person's name."""
    at: datetime | None = None
    """When it goes out, is tried again, ends or is due."""
    says: str | None = None
    """The platform's words, or what was promised."""
    beyond_due: bool = False
    """A snooze past the time by which somebody should have answered."""
    ref: str | None = None
    """The answer's or the promise's id."""


@dataclass(frozen=True, slots=True)
class CardLine:
    """One later inbound message, shown in the card's thread."""

    item_id: str
    who: str
    at: datetime
    words: str | None
    """None where the words are masked."""
    says: str | None = None
    """Heads the line in place of "… wrote again": a line of ours, which has words only if it quotes some."""
    url: str | None = None
    mention: str | None = None
    """The person whom it should reach, as the chat knows them."""
    about: str | None = None
    """The answer's id that `asks` are about."""
    asks: tuple[LineAct, ...] = ()


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
    status: tuple[CardStatus, ...] = ()
    """What goes on beside its state."""


def gone_home(card: Card, place: str) -> Card:
    """A copy that stood in for a card whose own place takes messages again: it says where, and no more."""
    ended = f"goes on in {place}"
    return replace(card, state=CardState.merged, ended=ended, acts=(), status=(), thread=())
