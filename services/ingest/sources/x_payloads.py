"""The parts of X's account activity payloads that Presence reads."""

from __future__ import annotations

from pydantic import Field

from services.contracts.events import Author, Media
from services.ingest.domain.native import Instant, Native, NativeId
from services.ingest.domain.text import unescaped


class User(Native):
    id: NativeId = Field(alias="id_str")
    handle: str | None = Field(None, alias="screen_name")
    name: str | None = None
    followers: int | None = Field(None, alias="followers_count", ge=0)
    verified: bool | None = None
    created_at: Instant = None
    avatar: str | None = Field(None, alias="profile_image_url_https")

    def author(self) -> Author:
        return Author(
            id=self.id,
            handle=self.handle,
            name=self.name,
            followers=self.followers,
            verified=self.verified,
            created_at=self.created_at,
            avatar=self.avatar,
        )


class Mention(Native):
    id: NativeId = Field(alias="id_str")
    handle: str | None = Field(None, alias="screen_name")


class Url(Native):
    url: str | None = None
    expanded: str | None = Field(None, alias="expanded_url")


class Medium(Native):
    type: str = "photo"
    url: str | None = Field(None, alias="media_url_https")
    alt: str | None = Field(None, alias="ext_alt_text")


class Entities(Native):
    mentions: tuple[Mention, ...] = Field((), alias="user_mentions")
    urls: tuple[Url, ...] = ()
    media: tuple[Medium, ...] = ()


class Extended(Native):
    text: str = Field("", alias="full_text")
    entities: Entities = Entities()
    more: Entities = Field(Entities(), alias="extended_entities")


class Writer(Native):
    id: NativeId = Field(alias="id_str")


class Referred(Native):
    """A post that another one quotes, reposts or likes."""

    id: NativeId = Field(alias="id_str")
    user: Writer


class EditHistory(Native):
    initial: NativeId | None = Field(None, alias="initial_tweet_id")


class Tweet(Native):
    id: NativeId = Field(alias="id_str")
    user: User
    created_at: Instant = None
    timestamp: Instant = Field(None, alias="timestamp_ms")
    text: str = ""
    full_text: str | None = None
    extended: Extended | None = Field(None, alias="extended_tweet")
    entities: Entities = Entities()
    more: Entities = Field(Entities(), alias="extended_entities")
    reply_to: NativeId | None = Field(None, alias="in_reply_to_status_id_str")
    reply_to_user: NativeId | None = Field(None, alias="in_reply_to_user_id_str")
    reposted: Referred | None = Field(None, alias="retweeted_status")
    quoted: Referred | None = Field(None, alias="quoted_status")
    language: str | None = Field(None, alias="lang")
    source: str | None = None
    edits: EditHistory | None = Field(None, alias="edit_history")

    @property
    def first_id(self) -> str:
        """The id under which the post began: every edit gives it another."""
        return (self.edits.initial if self.edits else None) or self.id

    @property
    def words(self) -> str:
        """The whole text; `text` alone is cut at 140 characters in the extended form."""
        if self.extended is not None and self.extended.text:
            return unescaped(self.extended.text)
        return unescaped(self.full_text or self.text)

    def parts(self) -> tuple[tuple[Mention, ...], tuple[str, ...], tuple[Media, ...]]:
        """Mentions, links and media, from whichever form holds them."""
        extended = self.extended
        entities = extended.entities if extended else self.entities
        media = (extended.more.media if extended else self.more.media) or entities.media
        links = tuple(url.expanded or url.url or "" for url in entities.urls)
        shown = tuple(Media(kind=one.type, url=one.url, alt=one.alt) for one in media)
        return entities.mentions, links, shown


class Status(Native):
    id: NativeId
    user_id: NativeId | None = None


class Delete(Native):
    status: Status
    timestamp: Instant = Field(None, alias="timestamp_ms")


class Favorite(Native):
    id: NativeId
    created_at: Instant = None
    timestamp: Instant = Field(None, alias="timestamp_ms")
    status: Referred = Field(alias="favorited_status")
    user: User


class FollowUser(Native):
    id: NativeId
    handle: str | None = Field(None, alias="screen_name")
    name: str | None = None


class Follow(Native):
    type: str
    created_at: Instant = Field(None, alias="created_timestamp")
    target: FollowUser
    source: FollowUser


class DirectMedia(Native):
    media: Medium | None = None


class DirectData(Native):
    text: str = ""
    entities: Entities = Entities()
    attachment: DirectMedia | None = None


class DirectTarget(Native):
    recipient_id: NativeId


class DirectCreate(Native):
    target: DirectTarget
    sender_id: NativeId
    source_app_id: NativeId | None = None
    data: DirectData = Field(alias="message_data")


class DirectUser(Native):
    handle: str | None = Field(None, alias="screen_name")
    name: str | None = None
    followers: int | None = Field(None, alias="followers_count")
    verified: bool | None = None
    created_at: Instant = Field(None, alias="created_timestamp")
    avatar: str | None = Field(None, alias="profile_image_url_https")


class Direct(Native):
    type: str
    id: NativeId
    created_at: Instant = Field(None, alias="created_timestamp")
    create: DirectCreate | None = Field(None, alias="message_create")
