"""Mastodon and what speaks its API (GoToSocial, Pleroma, Pixelfed): what its events mean.

Pure: how the events are fetched is in mastodon_api.py. Ids are local to the server; the account that we
listen with is the scope of every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import Field

from services.contracts.events import Action, Author, Kind, Media, Mention
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Deletion, Item, Receipt
from services.ingest.domain.native import Instant, Native, NativeId
from services.ingest.domain.outcome import (
    Ignored,
    IgnoreReason,
    Parsed,
    Rejected,
    RejectReason,
    Unreadable,
)
from services.ingest.domain.text import from_html
from services.ingest.sources.event_replay import EventReplay
from services.ingest.sources.source import (
    read_change,
)


class _Account(Native):
    id: NativeId
    handle: str | None = Field(None, alias="acct")
    name: str | None = Field(None, alias="display_name")
    followers: int | None = Field(None, alias="followers_count")
    bot: bool | None = None
    created_at: Instant = None
    avatar: str | None = None

    def author(self) -> Author:
        # Pleroma hides counts as -1.
        followers = self.followers if self.followers is not None and self.followers >= 0 else None
        return Author(**{**self.model_dump(), "followers": followers})


class _Mention(Native):
    id: NativeId
    handle: str | None = Field(None, alias="acct")


class _Medium(Native):
    type: str = "unknown"
    url: str | None = None
    alt: str | None = Field(None, alias="description")


class _Application(Native):
    name: str | None = None


class _Status(Native):
    id: NativeId
    account: _Account
    created_at: Instant = None
    edited_at: Instant = None
    in_reply_to_id: NativeId | None = None
    in_reply_to_account_id: NativeId | None = None
    visibility: str = "public"
    warning: str = Field("", alias="spoiler_text")
    content: str = ""
    language: str | None = None
    mentions: tuple[_Mention, ...] = ()
    media: tuple[_Medium, ...] = Field((), alias="media_attachments")
    url: str | None = None
    application: _Application | None = None
    reblog: _Reposted | None = None


class _Reposted(Native):
    id: NativeId
    account: _Account


class _Notification(Native):
    id: NativeId
    type: str
    created_at: Instant = None
    account: _Account
    status: _Status | None = None


_Status.model_rebuild()

_WORDS = {
    "mention": Kind.mention,
    "quote": Kind.quote,
    "status": Kind.post,
}
_REACTIONS = frozenset({"favourite", "pleroma:emoji_reaction", "reaction"})
_SIGNALS = frozenset({"poll", "pleroma:chat_mention"})
_ADMINISTRATIVE = frozenset(
    {"admin.sign_up", "admin.report", "severed_relationships", "moderation_warning", "move"}
)
_QUIET_EVENTS = frozenset(
    {"filters_changed", "announcement", "announcement.reaction", "announcement.delete", "conversation",
     "encrypted_message", "notifications_merged", "respond"}
)  # fmt: skip


IN_THREAD, EDITED_IN_THREAD = "thread", "thread.update"
"""Events of our own: a status that stands in a thread which was read again."""


def status_to_root(event: str, payload: Any) -> str | None:
    """The id of the status whose thread the root belongs to; None where it has no ancestor."""
    status = payload.get("status", payload) if isinstance(payload, dict) else None
    if event == "delete" or not isinstance(status, dict) or not status.get("in_reply_to_id"):
        return None
    return str(status.get("id"))


def parse_event(
    event: str, payload: Any, account: OwnAccount, receipt: Receipt, *, root: str | None = None
) -> Parsed:
    """One event of the `user` stream (or of a page, under the same names). Never raises.

    `root` is the thread's first status where the server told it.
    """
    if event in _QUIET_EVENTS:
        return Ignored(IgnoreReason.signal, event)
    readers: dict[str, Callable[[], Item | Ignored | Rejected]] = {
        "notification": partial(_read_notification, payload, account),
        "update": partial(_read_own, payload, account),
        "status.update": partial(_read_edit, payload, account),
        "delete": partial(_read_delete, payload),
        IN_THREAD: partial(_read_in_thread, payload, account),
        EDITED_IN_THREAD: partial(_read_in_thread, payload, account, edited=True),
    }
    if event not in readers:
        return Rejected(RejectReason.unsupported, f"event {event}"[:80], account.id)
    found = read_change(readers[event], account, receipt, event)
    return found if root is None else _rooted(found, root)


def _rooted(found: Parsed, root: str) -> Parsed:
    if isinstance(found, Rejected | Ignored) or found.conversation.root is None:
        return found
    conversation = found.conversation.model_copy(update={"root": root})
    return found.model_copy(update={"conversation": conversation})


def _status_item(status: _Status, account: OwnAccount, kinds: set[Kind]) -> Item:
    """What every status tells, whoever wrote it and however it reached us."""
    text, links = from_html(status.content)
    direct = status.visibility == "direct"
    others = [mention.id for mention in status.mentions if mention.id not in account.own_ids]
    answered = status.in_reply_to_account_id
    if answered in account.own_ids or answered is None:
        # Going on from an own status, or a direct message that starts: whom it names.
        answered = others[0] if others and (direct or status.in_reply_to_id) else None
    return Item(
        native_id=status.id,
        author=status.account.author(),
        kinds=frozenset({Kind.direct} if direct else kinds),
        root=None if direct else status.in_reply_to_id or status.id,
        in_reply_to=status.in_reply_to_id,
        answers=answered,
        addressed=direct or status.in_reply_to_account_id in account.own_ids,
        private=status.visibility in ("direct", "private"),
        automated=bool(status.account.bot),
        app_id=status.application.name if status.application else None,
        text=text,
        title=status.warning,
        language=status.language,
        links=links,
        media=tuple(Media(kind=one.type, url=one.url, alt=one.alt) for one in status.media),
        mentions=tuple(Mention(id=one.id, handle=one.handle) for one in status.mentions),
        permalink=status.url,
        happened_at=status.created_at,
        claimed_at=status.created_at,
        address={
            "status": status.id,
            "visibility": status.visibility,
            "acct": status.account.handle or "",
        },
    )


def _read_notification(payload: Any, account: OwnAccount) -> Item | Ignored | Rejected:
    told = _Notification.model_validate(payload)
    if told.type in _ADMINISTRATIVE:
        return Ignored(IgnoreReason.administrative, told.type)
    if told.type in _SIGNALS:
        return Ignored(IgnoreReason.signal, told.type)
    if told.type in ("follow", "follow_request"):
        native_id = f"follow-{told.id}"
        return _gesture(told, native_id, Kind.follow, native_id)
    if told.status is None:
        return Rejected(RejectReason.malformed, f"{told.type}: without status"[:80], account.id)
    if told.type in _REACTIONS:
        return _gesture(told, f"reaction-{told.id}", Kind.reaction, told.status.id)
    if told.type == "reblog":
        return _gesture(told, f"repost-{told.id}", Kind.repost, told.status.id)
    if told.type in ("update", "quoted_update"):
        return _edited(told.status, account, {Kind.mention})
    if told.type not in _WORDS:
        return Rejected(RejectReason.unsupported, f"notification {told.type}"[:80], account.id)
    kinds = {_WORDS[told.type]}
    if told.status.in_reply_to_account_id in account.own_ids:
        kinds.add(Kind.reply)
    item = _status_item(told.status, account, kinds)
    # The notification's time is our server's; the status may come from a server with any clock.
    return replace(item, happened_at=told.created_at or item.happened_at)


def _gesture(told: _Notification, native_id: str, kind: Kind, root: str) -> Item:
    """Something without words. A server gives it no id but its notification's."""
    return Item(
        native_id=native_id,
        author=told.account.author(),
        kinds=frozenset({kind}),
        root=root,
        in_reply_to=root if root != native_id else None,
        automated=bool(told.account.bot),
        happened_at=told.created_at,
    )


def _read_own(payload: Any, account: OwnAccount) -> Item | Ignored:
    """The home timeline: our own statuses, and those of whomever the account follows."""
    status = _Status.model_validate(payload)
    if status.account.id not in account.own_ids:
        return Ignored(IgnoreReason.not_ours, "update")
    if status.reblog is not None:
        return Item(
            native_id=status.id,
            author=status.account.author(),
            kinds=frozenset({Kind.repost}),
            root=status.reblog.id,
            in_reply_to=status.reblog.id,
            happened_at=status.created_at,
        )
    return _status_item(status, account, {Kind.reply if status.in_reply_to_id else Kind.post})


def posted_status(payload: Any, account: OwnAccount) -> Item:
    """The server's answer to a post of ours. Raises ValueError where it is none."""
    found = _read_own(payload, account)
    if isinstance(found, Ignored):
        raise Unreadable("a status of another account")
    return found


def _read_edit(payload: Any, account: OwnAccount) -> Item | Ignored:
    status = _Status.model_validate(payload)
    ours = status.account.id in account.own_ids
    names_us = any(mention.id in account.own_ids for mention in status.mentions)
    if not ours and not names_us and status.in_reply_to_account_id not in account.own_ids:
        return Ignored(IgnoreReason.not_ours, "status.update")
    if ours:
        return _edited(status, account, {Kind.reply if status.in_reply_to_id else Kind.post})
    return _edited(status, account, {Kind.mention})


def _read_in_thread(payload: Any, account: OwnAccount, *, edited: bool = False) -> Item | Ignored:
    """As its notification would tell it, where there is one: the two are the same event."""
    status = _Status.model_validate(payload)
    if status.reblog is not None:
        return Ignored(IgnoreReason.not_ours, IN_THREAD)
    kinds = set()
    if status.account.id in account.own_ids:
        kinds.add(Kind.reply if status.in_reply_to_id else Kind.post)
    elif any(mention.id in account.own_ids for mention in status.mentions):
        kinds.add(Kind.mention)
    if status.in_reply_to_account_id in account.own_ids:
        kinds.add(Kind.reply)
    kinds = kinds or {Kind.reply if status.in_reply_to_id else Kind.post}
    return _edited(status, account, kinds) if edited else _status_item(status, account, kinds)


def _edited(status: _Status, account: OwnAccount, kinds: set[Kind]) -> Item:
    at = status.edited_at
    return replace(
        _status_item(status, account, kinds),
        action=Action.edited,
        version=at.isoformat() if at else None,
        happened_at=at or status.created_at,
    )


def _read_delete(payload: Any) -> Item:
    """Only an id. Whether it is one of ours, the listener asks its store."""
    if not isinstance(payload, str | int) or not str(payload).strip():
        raise Unreadable("a delete without an id")
    return Deletion(str(payload).strip()).item()


@dataclass(frozen=True)
class MastodonReplay(EventReplay):
    """/webhooks/mastodon: replays only; Mastodon itself posts nowhere.

    `event` is one of the `user` stream; `root` may name the thread's.
    """

    name: str = "mastodon"

    def read(self, body: Mapping[str, Any], account: OwnAccount, receipt: Receipt) -> Parsed:
        """See EventReplay."""
        root = body.get("root")
        return parse_event(
            str(body.get("event")),
            body.get("payload"),
            account,
            receipt,
            root=root if isinstance(root, str) and root else None,
        )
