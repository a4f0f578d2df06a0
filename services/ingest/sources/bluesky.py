"""Bluesky (AT Protocol): what its notifications and its author feed mean.

Pure: how they are fetched is in bluesky_api.py. An item's native id is its at-uri, whose authority is the
DID of its author: whom a post answers, and whether that is us, stands in the reference itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from services.contracts.events import Action, Kind, Mention
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Details
from services.ingest.domain.item import Deletion, Item, Receipt
from services.ingest.domain.outcome import (
    Ignored,
    IgnoreReason,
    Parsed,
    Rejected,
    RejectReason,
    Unreadable,
)
from services.ingest.sources import bluesky_payloads as payloads
from services.ingest.sources.bluesky_text import read_text
from services.ingest.sources.event_replay import EventReplay
from services.ingest.sources.source import (
    read_change,
)

APP = "https://bsky.app"
NOTIFICATION, POST, GONE = "notification", "post", "gone"
"""The events: an entry of the notification list, one of the own feed, a record that is no longer there."""
IN_THREAD, EDITED_IN_THREAD = "thread", "thread.edited"
"""A post that stands in a thread which was read again."""
FEED_POST = "app.bsky.feed.post"

_WORDS = frozenset({"mention", "reply", "quote"})
_GESTURES = {
    "like": Kind.reaction,
    "like-via-repost": Kind.reaction,
    "repost": Kind.repost,
    "repost-via-repost": Kind.repost,
    "follow": Kind.follow,
}
_SIGNALS = frozenset({"starterpack-joined", "contact-match", "subscribed-post"})
_ADMINISTRATIVE = frozenset({"verified", "unverified"})


def repo_of(uri: str) -> str:
    """The DID in an at-uri: whose record it is. Raises Unreadable where it names none."""
    scheme, _, rest = uri.partition("://")
    did = rest.partition("/")[0]
    if scheme != "at" or not did.startswith("did:"):
        raise Unreadable("an at-uri without a DID")
    return did


def permalink(uri: str) -> str | None:
    """The page of a post; of anything else its author's."""
    repo, _, path = uri.removeprefix("at://").partition("/")
    collection, _, key = path.partition("/")
    return f"{APP}/profile/{repo}" + (f"/post/{key}" if collection == FEED_POST and key else "")


def parse_event(event: str, payload: Any, account: OwnAccount, receipt: Receipt) -> Parsed:
    """One entry of a list, or a record that is gone. Never raises."""
    readers: dict[str, Callable[[], Item | Ignored | Rejected]] = {
        NOTIFICATION: partial(_read_notification, payload, account),
        POST: partial(_read_own, payload, account),
        GONE: partial(_read_gone, payload),
        IN_THREAD: partial(_read_in_thread, payload, account),
        EDITED_IN_THREAD: partial(_read_in_thread, payload, account, edited=True),
    }
    if event not in readers:
        return Rejected(RejectReason.unsupported, f"event {event}"[:80], account.id)
    return read_change(readers[event], account, receipt, event)


def _read_notification(payload: Any, account: OwnAccount) -> Item | Ignored | Rejected:
    told = payloads.Notification.model_validate(payload)
    if told.reason in _ADMINISTRATIVE:
        return Ignored(IgnoreReason.administrative, told.reason)
    if told.reason in _SIGNALS:
        return Ignored(IgnoreReason.signal, told.reason)
    if told.reason in _GESTURES:
        return _gesture(told, _GESTURES[told.reason])
    if told.reason not in _WORDS:
        return Rejected(RejectReason.unsupported, f"reason {told.reason}"[:80], account.id)
    if repo_of(told.uri) != told.author.did:
        raise Unreadable("uri: not in its author's repository")
    item = _post(told.uri, told.author, told.record, told.labels, account)
    kinds = item.kinds - {Kind.post} | {Kind(told.reason)}
    address = _address(told)
    return replace(item, kinds=kinds, happened_at=told.happened_at, address=address)


def _read_in_thread(payload: Any, account: OwnAccount, *, edited: bool = False) -> Item | Ignored:
    """As its notification or our own feed would tell it, where they do: it is the same event."""
    post = payloads.PostView.model_validate(payload)
    if repo_of(post.uri) != post.author.did:
        raise Unreadable("uri: not in its author's repository")
    item = _post(post.uri, post.author, post.record, post.labels, account)
    item = replace(item, happened_at=post.indexed_at, address=_address(post))
    if post.author.did in account.own_ids:
        item = replace(item, kinds=item.kinds - {Kind.mention})
    return replace(item, action=Action.edited, version=post.cid) if edited else item


def _address(told: payloads.Notification | payloads.PostView) -> Details | None:
    """Strong references: an answer names its parent and its thread's root by uri and by content."""
    if told.cid is None:
        return None
    record = payloads.read_post(told.record)
    root = record.reply.root if record.reply and record.reply.root.cid else None
    return {
        "uri": told.uri,
        "cid": told.cid,
        "root_uri": root.uri if root else told.uri,
        "root_cid": (root.cid if root else None) or told.cid,
    }


def _gesture(told: payloads.Notification, kind: Kind) -> Item:
    """A like, a repost, a follow: a record of its own, without words.

    The record names the post also where `reasonSubject` is somebody's repost of it.
    """
    record = payloads.Gesture.model_validate(told.record)
    subject = told.subject
    if isinstance(record.subject, Mapping):
        subject = payloads.Reference.model_validate(record.subject).uri
    return Item(
        native_id=told.uri,
        author=told.author.author(),
        kinds=frozenset({kind}),
        root=subject or told.uri,
        in_reply_to=subject,
        permalink=permalink(subject or told.uri),
        happened_at=told.happened_at,
        claimed_at=record.created_at,
    )


def _read_own(payload: Any, account: OwnAccount) -> Item | Ignored:
    """An entry of our author feed: a post, a reply, or a repost of somebody's post."""
    entry = payloads.FeedEntry.model_validate(payload)
    post, reason = entry.post, entry.reason
    if reason is not None and reason.type.endswith("#reasonRepost"):
        if reason.by is None or reason.by.did not in account.own_ids:
            return Ignored(IgnoreReason.not_ours, "repost")
        return Item(
            # Older servers do not tell the repost's own uri.
            native_id=reason.uri or f"repost-{post.uri}",
            author=reason.by.author(),
            kinds=frozenset({Kind.repost}),
            root=post.uri,
            in_reply_to=post.uri,
            permalink=permalink(post.uri),
            happened_at=reason.indexed_at,
        )
    if post.author.did not in account.own_ids or repo_of(post.uri) != post.author.did:
        return Ignored(IgnoreReason.not_ours, "post")
    item = _post(post.uri, post.author, post.record, post.labels, account)
    return replace(item, kinds=item.kinds - {Kind.mention}, happened_at=post.indexed_at)


def posted_post(uri: str, record: dict[str, Any], account: OwnAccount) -> Item:
    """A post of ours by its record alone. Raises ValueError where it is none."""
    item = _post(uri, payloads.Profile(did=account.native_id), record, (), account)
    return replace(item, kinds=item.kinds - {Kind.mention}, happened_at=item.claimed_at)


def _post(
    uri: str,
    profile: payloads.Profile,
    raw: dict[str, Any],
    labels: tuple[payloads.Label, ...],
    account: OwnAccount,
) -> Item:
    """What every post tells, whoever wrote it and in whichever list it came."""
    record = payloads.read_post(raw)
    text = read_text(record.text, record.facets)
    links = text.links + (record.embed.links() if record.embed else ())
    mentioned = [did for did, _ in text.mentions]
    parent = record.reply.parent.uri if record.reply else None
    root = record.reply.root.uri if record.reply else uri
    answered = repo_of(parent) if parent else None
    quoted = record.embed.quoted if record.embed else None
    kinds = {Kind.reply if parent else Kind.post}
    if account.native_id in mentioned:
        kinds.add(Kind.mention)
    if quoted and repo_of(quoted) in account.own_ids:
        kinds.add(Kind.quote)
    return Item(
        native_id=uri,
        author=profile.author(),
        kinds=frozenset(kinds),
        root=root,
        in_reply_to=parent,
        answers=_counterpart(answered, root, mentioned, account) if parent else None,
        addressed=bool(parent) and bool({answered, repo_of(root)} & account.own_ids),
        automated=any(one.val == "bot" and not one.neg for one in profile.labels),
        text=text.plain,
        title=_warning(record, labels),
        language=record.langs[0] if record.langs else None,
        links=links,
        media=record.embed.attachments() if record.embed else (),
        mentions=tuple(Mention(id=did, handle=handle) for did, handle in text.mentions),
        permalink=permalink(uri),
        claimed_at=record.created_at,
    )


def _counterpart(
    answered: str | None, root: str, mentioned: list[str], account: OwnAccount
) -> str | None:
    """Whom our own reply is for: going on from an own post, whose thread it is, else whom it names."""
    candidates = [answered, repo_of(root), *mentioned]
    return next((did for did in candidates if did and did not in account.own_ids), None)


def _warning(record: payloads.Post, labels: tuple[payloads.Label, ...]) -> str | None:
    """What the author or a moderation service marked the post as: the reader is warned, not kept from it."""
    own = record.labels.values if record.labels else ()
    values = dict.fromkeys(
        one.val.lstrip("!") for one in (*own, *labels) if one.val and not one.neg
    )
    return f"Labelled: {', '.join(values)}" if values else None


def _read_gone(payload: Any) -> Item:
    gone = payloads.Gone.model_validate(payload)
    return Deletion(gone.uri, repo_of(gone.uri), gone.root).item()


@dataclass(frozen=True)
class BlueskyReplay(EventReplay):
    """/webhooks/bluesky: replays only; Bluesky itself posts nowhere.

    `event` is `notification`, `post` or `gone`.
    """

    name: str = "bluesky"

    def read(self, body: Mapping[str, Any], account: OwnAccount, receipt: Receipt) -> Parsed:
        """See EventReplay."""
        return parse_event(str(body.get("event")), body.get("payload"), account, receipt)
