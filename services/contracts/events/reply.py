"""What a person wrote for a customer, and what became of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.contracts.base import Contract, Moment, StrEnum


class Reply(Contract):
    """What a person wrote for a customer and pressed send on."""

    schema_version: Literal[1] = 1
    reply_id: str
    item_id: str
    """The item it answers."""
    text: str = Field(min_length=1)
    private: bool
    author: str
    """The person's id in presence.yaml."""
    written_at: Moment
    expires_at: Moment
    """By default 10 minutes after writing; an expired reply is refused, never sent late."""
    seen_until: str | None = None
    """The newest item the author had seen when sending."""
    cancelled: bool | None = None
    """A second record of the same reply takes it back, where sending has not begun."""


class OutcomeState(StrEnum):
    """What became of a reply."""

    posted = "posted"
    refused = "refused"
    rate_limited = "rate_limited"
    unknown = "unknown"
    """Sent, and nobody can tell whether it arrived: a person decides."""


class Outcome(Contract):
    """What ingest did with a reply."""

    schema_version: Literal[1] = 1
    reply_id: str
    item_id: str
    state: OutcomeState
    at: Moment
    permalink: str | None = None
    posted_item_id: str | None = None
    says: str | None = None
    """The platform's own words for a refusal."""
    until: Moment | None = None
    """For rate_limited: when it is tried again."""
