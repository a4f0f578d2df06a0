"""The parts of Bluesky's lists and records that Presence reads."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, ValidationError

from services.contracts.events import Author, Media
from services.ingest.domain.native import Instant, Native, NativeId

NOT_BEFORE = "presenceNotBefore"
"""Our own word in an entry: an earlier look at the list did not show it."""


class Label(Native):
    val: str = ""
    neg: bool = False


class Verification(Native):
    verified: str | None = Field(None, alias="verifiedStatus")
    trusted: str | None = Field(None, alias="trustedVerifierStatus")


class Profile(Native):
    did: NativeId
    handle: str | None = None
    name: str | None = Field(None, alias="displayName")
    avatar: str | None = None
    created_at: Instant = Field(None, alias="createdAt")
    labels: tuple[Label, ...] = ()
    verification: Verification | None = None

    def author(self) -> Author:
        told = self.verification
        return Author(
            id=self.did,
            # What the network could not resolve is no handle.
            handle=self.handle if self.handle != "handle.invalid" else None,
            name=self.name,
            verified=None if told is None else "valid" in (told.verified, told.trusted),
            bot=True if any(one.val == "bot" and not one.neg for one in self.labels) else None,
            created_at=self.created_at,
            avatar=self.avatar,
        )


class Reference(Native):
    uri: NativeId
    cid: str | None = None


class ReplyRef(Native):
    root: Reference
    parent: Reference


class Labels(Native):
    values: tuple[Label, ...] = ()


class Image(Native):
    alt: str | None = None


class External(Native):
    uri: str


class Quoted(Native):
    """`record` of app.bsky.embed.record; with media it lies one level deeper."""

    uri: NativeId | None = None
    record: Reference | None = None


class Embed(Native):
    type: str = Field("", alias="$type")
    images: tuple[Image, ...] = ()
    alt: str | None = None
    external: External | None = None
    record: Quoted | None = None
    media: Embed | None = None

    @property
    def quoted(self) -> str | None:
        """The at-uri of a quoted record."""
        if self.record is None:
            return None
        return self.record.record.uri if self.record.record else self.record.uri

    def attachments(self) -> tuple[Media, ...]:
        """Named; what they hold lies on the author's server."""
        found = tuple(Media(kind="image", alt=one.alt) for one in self.images)
        if self.type == "app.bsky.embed.video":
            found = (*found, Media(kind="video", alt=self.alt))
        return found + (self.media.attachments() if self.media else ())

    def links(self) -> tuple[str, ...]:
        """The link card."""
        own = (self.external.uri,) if self.external else ()
        return own + (self.media.links() if self.media else ())


Embed.model_rebuild()


class Post(Native):
    text: str = ""
    facets: Any = None
    reply: ReplyRef | None = None
    embed: Embed | None = None
    langs: tuple[str, ...] = ()
    labels: Labels | None = None
    created_at: Instant = Field(None, alias="createdAt")


class Gesture(Native):
    subject: Any = None
    created_at: Instant = Field(None, alias="createdAt")


class Notification(Native):
    uri: NativeId
    cid: NativeId | None = None
    author: Profile
    reason: str
    subject: NativeId | None = Field(None, alias="reasonSubject")
    record: dict[str, Any]
    labels: tuple[Label, ...] = ()
    indexed_at: Instant = Field(None, alias="indexedAt")
    not_before: Instant = Field(None, alias=NOT_BEFORE)

    @property
    def happened_at(self) -> datetime | None:
        """`indexedAt` is what the author's app claims, where that is earlier."""
        return max((at for at in (self.indexed_at, self.not_before) if at), default=None)


class PostView(Native):
    uri: NativeId
    cid: NativeId | None = None
    author: Profile
    record: dict[str, Any]
    labels: tuple[Label, ...] = ()
    indexed_at: Instant = Field(None, alias="indexedAt")


class FeedReason(Native):
    type: str = Field("", alias="$type")
    by: Profile | None = None
    uri: NativeId | None = None
    indexed_at: Instant = Field(None, alias="indexedAt")


class FeedEntry(Native):
    post: PostView
    reason: FeedReason | None = None


class Gone(Native):
    uri: NativeId
    root: NativeId | None = None


def read_post(raw: dict[str, Any]) -> Post:
    """A record is whatever its author's client wrote: an embed that we do not know hides no words."""
    try:
        return Post.model_validate(raw)
    except ValidationError as error:
        broken = {one["loc"][0] for one in error.errors(include_url=False, include_input=False)}
        if not broken <= {"embed", "labels", "langs"}:
            raise
        return Post.model_validate({key: one for key, one in raw.items() if key not in broken})
