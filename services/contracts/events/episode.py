"""The steps of an episode's life."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.contracts.base import Contract, Moment, StrEnum


class EpisodeChange(StrEnum):
    """A step in an episode's life."""

    opened = "opened"
    paged = "paged"
    claimed = "claimed"
    released = "released"
    answered = "answered"
    closed = "closed"
    withdrawn = "withdrawn"
    reopened = "reopened"
    relabelled = "relabelled"
    moved = "moved"
    """The opening moved after a refold."""
    merged = "merged"


class CloseReason(StrEnum):
    """How an episode ended."""

    answered = "answered"
    no_reply_needed = "no_reply_needed"
    do_not_feed = "do_not_feed"
    handled_elsewhere = "handled_elsewhere"
    duplicate = "duplicate"
    withdrawn = "withdrawn"
    relabelled = "relabelled"
    merged = "merged"


class EpisodeEvent(Contract):
    """One step in an episode's life, for whoever wants the lifecycle. Never holds a text."""

    schema_version: Literal[1] = 1
    event_id: str
    episode_id: str
    conversation_id: str
    change: EpisodeChange
    at: Moment
    """When it happened in the world (source time for openings and answers)."""
    recorded_at: Moment
    brand: str
    platform: str
    account_id: str
    by: str | None = None
    """The person's id, where a person acted."""
    reason: CloseReason | None = None
    wall_seconds: float | None = Field(None, ge=0)
    """First or next response, in wall-clock seconds."""
    business_seconds: float | None = Field(None, ge=0)
    """The same in business seconds; none where no hours are configured."""
    items: tuple[str, ...] | None = None
    """Ids of the items that wait (or waited) for the answer, the oldest first."""
