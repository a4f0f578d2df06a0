"""YouTube comments: what a comment thread of the Data API means. Pure; youtube_api.py fetches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from services.contracts.events import Action, Author, Kind
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Item, Receipt, unknown_author
from services.ingest.domain.native import Instant, Native, NativeId
from services.ingest.domain.outcome import Parsed, Unreadable
from services.ingest.sources.source import read_change


class _Channel(Native):
    value: NativeId


class _Snippet(Native):
    authorDisplayName: str | None = None  # noqa: N815
    authorProfileImageUrl: str | None = None  # noqa: N815
    authorChannelId: _Channel | None = None  # noqa: N815
    channelId: NativeId | None = None  # noqa: N815
    videoId: NativeId | None = None  # noqa: N815
    parentId: NativeId | None = None  # noqa: N815
    textDisplay: str = ""  # noqa: N815
    textOriginal: str | None = None  # noqa: N815
    publishedAt: Instant = None  # noqa: N815
    updatedAt: Instant = None  # noqa: N815


class Comment(Native):
    """A `youtube#comment`."""

    id: NativeId
    snippet: _Snippet

    @property
    def author_id(self) -> str | None:
        """The writer's channel; YouTube leaves it out where the channel is gone."""
        return self.snippet.authorChannelId.value if self.snippet.authorChannelId else None

    @property
    def was_edited(self) -> bool:
        """Whether its words changed after it was published."""
        published, updated = self.snippet.publishedAt, self.snippet.updatedAt
        return published is not None and updated is not None and updated > published


class _Thread(Native):
    """Of the thread that a comment belongs to: what says whom it answers."""

    id: NativeId
    video: NativeId | None = None
    channel: NativeId | None = None
    author: NativeId | None = None
    handles: dict[str, str] = Field(default_factory=dict)
    """Channel ids by the handle that an answer begins with."""


class _Told(Native):
    action: Action
    comment: Comment
    thread: _Thread


def events_of(thread: Mapping[str, Any], replies: list[Any]) -> Iterator[dict[str, Any]]:
    """The comments of a `youtube#commentThread`, each with what its thread tells about it.

    An edited comment is both created and edited: the first may never have been seen. Never raises on a
    part that is no object: that part is left to `parse_comment`, which rejects it.
    """
    snippet = _object(thread.get("snippet"))
    top = snippet.get("topLevelComment")
    comments = [top, *replies]
    about = {
        "id": thread.get("id"),
        "video": snippet.get("videoId"),
        "channel": snippet.get("channelId"),
        "author": _author_of(top),
        "handles": {
            str(_object(_object(one).get("snippet")).get("authorDisplayName")): _author_of(one)
            for one in comments
            if _author_of(one)
        },
    }
    for one in comments:
        yield {"action": "created", "comment": one, "thread": about}
        words = _object(_object(one).get("snippet"))
        if words.get("updatedAt") != words.get("publishedAt"):
            yield {"action": "edited", "comment": one, "thread": about}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _author_of(comment: Any) -> str | None:
    channel = _object(_object(_object(comment).get("snippet")).get("authorChannelId"))
    return str(channel["value"]) if channel.get("value") else None


def parse_comment(payload: Any, account: OwnAccount, receipt: Receipt) -> Parsed:
    """One comment. Never raises."""
    return read_change(
        lambda: _item(_Told.model_validate(payload), account), account, receipt, "comment"
    )


def _item(told: _Told, account: OwnAccount) -> Item:
    comment, thread, words = told.comment, told.thread, told.comment.snippet
    edited = told.action is Action.edited
    happened = words.updatedAt if edited else words.publishedAt
    on_ours = (words.channelId or thread.channel) == account.native_id
    kinds = {Kind.comment if on_ours else Kind.mention}
    is_reply = words.parentId is not None
    if is_reply and thread.author in account.own_ids:
        kinds.add(Kind.reply)
    author = unknown_author(comment.id)
    if comment.author_id is not None:
        handle = (words.authorDisplayName or "").removeprefix("@") or None
        author = Author(id=comment.author_id, handle=handle, avatar=words.authorProfileImageUrl)
    video = words.videoId or thread.video
    return Item(
        native_id=comment.id,
        author=author,
        kinds=frozenset(kinds),
        action=told.action,
        version=happened.isoformat() if edited and happened else None,
        root=thread.id,
        in_reply_to=words.parentId,
        answers=_answered(words, thread) if is_reply else None,
        addressed=on_ours or Kind.reply in kinds,
        text=words.textOriginal or words.textDisplay,
        permalink=f"https://www.youtube.com/watch?v={video}&lc={comment.id}" if video else None,
        happened_at=happened,
        address={
            "comment": comment.id,
            "thread": thread.id,
            **({"handle": f"@{author.handle}"} if is_reply and author.handle else {}),
        },
    )


def posted_comment(told: Any, thread: str, account: OwnAccount) -> Item:
    """YouTube's answer to a comment of ours. Raises ValueError where it is none."""
    told = _Told.model_validate({"action": "created", "comment": told, "thread": {"id": thread}})
    if told.comment.author_id not in account.own_ids:
        raise Unreadable("a comment of another channel")
    return _item(told, account)


def _answered(words: _Snippet, thread: _Thread) -> str | None:
    """YouTube's threads are flat: an answer to an answer begins with its writer's handle."""
    first = (words.textOriginal or words.textDisplay).lstrip().split(maxsplit=1)
    handle = first[0].rstrip(",:") if first else ""
    return thread.handles.get(handle) or thread.author
