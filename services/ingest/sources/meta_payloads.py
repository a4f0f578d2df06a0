"""The parts of Meta's webhook payloads that Presence reads."""

from __future__ import annotations

from pydantic import Field

from services.contracts.events import Author, Media
from services.ingest.domain.item import unknown_author
from services.ingest.domain.native import Instant, Native, NativeId


class From(Native):
    id: NativeId
    name: str | None = None
    username: str | None = None


class Post(Native):
    permalink: str | None = Field(None, alias="permalink_url")


class Feed(Native):
    """A change of a page's feed: a post, comment or reaction, or a mention of the page."""

    item: str | None = None
    verb: str = "add"
    comment_id: NativeId | None = None
    post_id: NativeId | None = None
    parent_id: NativeId | None = None
    sender: From | None = Field(None, alias="from")
    sender_id: NativeId | None = None
    sender_name: str | None = None
    message: str = ""
    reaction_type: str | None = None
    created_at: Instant = Field(None, alias="created_time")
    post: Post | None = None
    photo: str | None = None
    video: str | None = None
    link: str | None = None
    app_id: NativeId | None = None

    def author(self, native_id: str) -> Author:
        """Meta leaves `from` out where the app may not know people: then each is somebody unknown."""
        if self.sender is not None:
            return Author(id=self.sender.id, name=self.sender.name)
        if self.sender_id is not None:
            return Author(id=self.sender_id, name=self.sender_name)
        return unknown_author(native_id)

    def media(self) -> tuple[Media, ...]:
        named = (("photo", self.photo), ("video", self.video))
        return tuple(Media(kind=kind, url=url) for kind, url in named if url)


class Rating(Native):
    verb: str = "add"
    reviewer_id: NativeId | None = None
    reviewer_name: str | None = None
    text: str = Field("", alias="review_text")
    story: NativeId = Field(alias="open_graph_story_id")
    created_at: Instant = Field(None, alias="created_time")


class InstagramMedia(Native):
    id: NativeId


class InstagramComment(Native):
    id: NativeId
    sender: From | None = Field(None, alias="from")
    media: InstagramMedia
    parent_id: NativeId | None = None
    text: str = ""


class InstagramMention(Native):
    media_id: NativeId
    comment_id: NativeId | None = None


class Party(Native):
    id: NativeId


class Payload(Native):
    url: str | None = None


class Attachment(Native):
    type: str = "file"
    payload: Payload | None = None


class MessageReference(Native):
    mid: NativeId | None = None


class Message(Native):
    mid: NativeId
    text: str = ""
    is_echo: bool = False
    is_deleted: bool = False
    app_id: NativeId | None = None
    attachments: tuple[Attachment, ...] = ()
    reply_to: MessageReference | None = None


class MessageEdit(Native):
    mid: NativeId
    text: str = ""
    count: NativeId | None = Field(None, alias="num_edit")


class Postback(Native):
    mid: NativeId | None = None
    title: str = ""


class Messaging(Native):
    sender: Party
    recipient: Party
    timestamp: Instant = None
    message: Message | None = None
    edit: MessageEdit | None = Field(None, alias="message_edit")
    postback: Postback | None = None
