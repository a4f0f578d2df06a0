"""The events that cross a service boundary. docs/architecture.md says who writes and reads which."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import orjson
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


class Label(StrEnum):
    """What the item is: a person who talks to or about the brand, a scam or promotion, or news."""

    conversation = "conversation"
    spam = "spam"
    news = "news"


class Sensitive(StrEnum):
    """What overrides every label and takes its own route."""

    self_harm = "self_harm"
    threat = "threat"
    safety = "safety"
    medical = "medical"
    minor = "minor"
    legal = "legal"
    press = "press"
    discrimination = "discrimination"
    data_leak = "data_leak"


class Urgency(StrEnum):
    """How soon a person is needed."""

    low = "low"
    normal = "normal"
    high = "high"


class Reason(Contract):
    """One named piece of evidence, in words a responder understands."""

    layer: str
    """metadata, structure, spam_sign, repetition, text, sensitive, correction."""
    name: str
    says: str
    weight: float = 0.0
    """Its share of the decision, positive towards the label."""


class Verdict(Contract):
    """What classify found."""

    label: Label
    scores: dict[Label, float]
    """One score a label, adding up to 1."""
    needs_answer: float = Field(ge=0, le=1)
    urgency: Urgency = Urgency.normal
    sensitive: SortedSet[Sensitive] = frozenset()
    impersonates: str | None = None
    """The brand account id that the author's handle or name looks like."""
    language: str = "und"
    """BCP 47; `und` where it cannot be told."""
    similarity: str | None = None
    """A signature of 32 hex digits: near-duplicates differ in few of its 128 bits (docs/classifier.md)."""
    held: bool = False
    """Looks like spam or news but is addressed to us: counted and shown, never dropped."""
    reasons: tuple[Reason, ...] = ()
    engine: str
    model: str
    """Name and content hash of the model."""

    @model_validator(mode="after")
    def _scores_every_label(self) -> Verdict:
        if set(self.scores) != set(Label):
            raise ValueError("scores must name every label exactly once")
        return self


class ClassifiedNotification(Contract):
    """A notification with its verdict, or with none where nothing is to be judged."""

    schema_version: Literal[1] = 1
    notification: Notification
    verdict: Verdict | None = None
    classified_at: Moment

    @staticmethod
    def bytes_around(
        notification: bytes, verdict: Verdict | None, classified_at: datetime
    ) -> bytes:
        """The wire form around the bytes of a notification that was read: to write it anew costs the most.

        `classified_at` is aware. Fields of a newer version go along; readers drop them.
        """
        judged = b',"verdict":' + verdict.to_bytes() if verdict is not None else b""
        at = orjson.dumps(classified_at, option=orjson.OPT_UTC_Z)
        return b'{"schema_version":1,"notification":%b%b,"classified_at":%b}' % (
            notification,
            judged,
            at,
        )


class Corrected(Contract):
    """What a correction says of its item, so that classify can learn from the correction alone."""

    platform: str
    author: str
    """The platform's immutable id of who wrote it."""
    language: str = "und"
    similarity: str | None = None
    """The item's signature, as in its verdict."""
    addressed: bool = False
    private: bool = False
    sensitive: bool = False
    """Flagged when it was judged: its correction holds for the item itself and teaches nothing else."""
    text: str | None = None
    """For `presence train --corrections`; never of what is private, sensitive or deleted."""


class Correction(Contract):
    """A person's relabel of one item. Compacted by item id: the last one holds."""

    schema_version: Literal[1] = 1
    item_id: str
    from_label: Label
    to_label: Label
    by: str
    """The person's id in presence.yaml."""
    at: Moment
    reason: str | None = None
    about: Corrected | None = None
    """None in what was written before classify learned from corrections."""
    retracted: bool | None = None
    """Taken back: the classifier's own word holds again, and nothing is learned."""


class Opinion(Contract):
    """What one model says of an item, before anybody's corrections."""

    label: Label
    scores: dict[Label, float]
    needs_answer: float = Field(ge=0, le=1)
    model: str


class Comparison(Contract):
    """A challenger beside the model that serves, on one item. Changes nothing; holds no text."""

    schema_version: Literal[1] = 1
    item_id: str
    champion: Opinion
    """Of the model that serves: what went out."""
    challenger: Opinion
    language: str = "und"
    addressed: bool = False
    at: Moment


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


class NoticeKind(StrEnum):
    """What the engineers or the team should know about the pipeline itself."""

    silence = "silence"
    caught_up = "caught_up"
    token = "token"  # noqa: S105
    source_down = "source_down"
    source_up = "source_up"
    dead_letter_limit = "dead_letter_limit"
    dead_letter_resumed = "dead_letter_resumed"
    offset_out_of_range = "offset_out_of_range"
    classifier_degraded = "classifier_degraded"
    gap = "gap"
    """Something was left out and is not read later: a person looks at the platform itself."""
    destination_down = "destination_down"
    """A chat takes no messages; `source` is the destination's id."""
    destination_up = "destination_up"


class Notice(Contract):
    """Something about a source or a service, not about a customer."""

    schema_version: Literal[1] = 1
    kind: NoticeKind
    service: str
    source: str
    account_id: str | None = None
    says: str
    """One line: what is wrong and what to do."""
    at: Moment
    until: Moment | None = None

    @property
    def key(self) -> str:
        """Source and account."""
        return f"{self.source}:{self.account_id or ''}"


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
