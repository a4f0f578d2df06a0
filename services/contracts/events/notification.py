"""What happened on a platform, in the same form for every platform."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from services.contracts import identity
from services.contracts.base import Contract, Moment, SortedSet, StrEnum


class Action(StrEnum):
    """What happened to the item."""

    created = "created"
    edited = "edited"
    deleted = "deleted"


class Kind(StrEnum):
    """In what role the item reached the brand. One item may have several."""

    mention = "mention"
    reply = "reply"
    direct = "direct"
    comment = "comment"
    quote = "quote"
    repost = "repost"
    reaction = "reaction"
    follow = "follow"
    review = "review"
    article = "article"
    post = "post"


class Direction(StrEnum):
    """Who wrote it: somebody else, or one of the brand's own accounts (by account id only)."""

    inbound = "inbound"
    outbound = "outbound"


class Origin(StrEnum):
    """How it came: as it happened, from a gap's backfill, or replayed from a file."""

    live = "live"
    backfill = "backfill"
    replay = "replay"


class Author(Contract):
    """The writer as the platform describes them."""

    id: str
    """The platform's immutable id."""
    handle: str | None = None
    name: str | None = None
    followers: int | None = Field(None, ge=0)
    verified: bool | None = None
    bot: bool | None = None
    created_at: Moment | None = None
    known: bool = False
    """On one of the team's lists of authors, or answered before."""
    avatar: str | None = None


class ConversationRef(Contract):
    """Where the item belongs, as far as the platform says it in the payload."""

    root: str | None = None
    """Native id of the thread's first item, or of the oldest known ancestor; none for direct messages."""
    counterpart_id: str | None = None
    """The person on the other side; on an outbound item the author it answers. None: a broadcast."""


class Mention(Contract):
    """An account named in the text."""

    id: str
    handle: str | None = None


class Media(Contract):
    """An attachment, named and never loaded."""

    kind: str
    url: str | None = None
    alt: str | None = None


class Notification(Contract):
    """One event on a platform, in the same form for every platform."""

    schema_version: Literal[1] = 1
    event_id: str
    item_id: str
    action: Action = Action.created
    kinds: SortedSet[Kind]
    direction: Direction
    origin: Origin = Origin.live
    brand: str
    platform: str
    account_id: str
    """The brand's account that this reached, by the platform's immutable id."""
    conversation: ConversationRef
    in_reply_to: str | None = None
    """The item id of what this answers."""
    author: Author
    addressed: bool = False
    """A direct message, email, review, comment on our post, or reply to us: never dropped on text."""
    private: bool = False
    automated: bool = False
    """Marked by the platform, by `Auto-Submitted`, or listed under the account's `automation`."""
    text: str = ""
    title: str | None = None
    """An email's subject, an article's headline, a content warning."""
    language_hint: str | None = None
    links: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    mentions: tuple[Mention, ...] = ()
    permalink: str | None = None
    source_time: Moment
    """Recorded by a server on our side of the sender; never after `received_at`."""
    claimed_time: Moment | None = None
    """What the sender claims."""
    received_at: Moment
    """Set once, kept on re-ingestion."""
    may_page: bool = True
    """False for a replay that was not asked to page and for the silent seeding of a new source."""
    overheard: bool | None = None
    """True: found by reading the thread of an open episode again. It neither names nor answers us, so nobody
    waits for us behind it; what it may be is an impostor who answers our customer (`in_reply_to`)."""

    @model_validator(mode="after")
    def _time_runs_forward(self) -> Notification:
        if self.source_time > self.received_at:
            raise ValueError("source_time is after received_at: clamp the future to receipt")
        return self

    @property
    def key(self) -> str:
        """The record key on presence.notifications and presence.classified."""
        return identity.counterpart_key(
            self.platform, self.account_id, self.conversation.counterpart_id, self.item_id
        )

    @property
    def needs_verdict(self) -> bool:
        """Outbound items, edits, deletes, reactions, reposts and follows pass classify without one."""
        silent = {Kind.reaction, Kind.follow}
        return (
            self.direction is Direction.inbound
            and self.action is Action.created
            and not (self.kinds and self.kinds <= silent)
        )
