"""Meta: webhooks of Facebook pages, Instagram professional accounts and Messenger.

One app serves many accounts; a request may hold several entries of several accounts. The signature is
HMAC-SHA256 of the raw body under the app secret, in hex. Meta signs no time, keeps no order, delivers at
least once and tries again for up to 36 hours.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from services.contracts import identity
from services.contracts.events import Action, Author, Kind, Media
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Deletion, Item, Receipt, unknown_author
from services.ingest.domain.native import instant
from services.ingest.domain.outcome import (
    Ignored,
    IgnoreReason,
    Parsed,
    Rejected,
    RejectReason,
    Unreadable,
)
from services.ingest.sources import meta_payloads as payloads
from services.ingest.sources.source import (
    Accounts,
    Challenge,
    Delivery,
    RefusalReason,
    Refused,
    as_list,
    json_object,
    read_change,
    same,
)

SIGNATURE = "x-hub-signature-256"
_PLATFORMS = {"page": "facebook", "instagram": "instagram"}


_SIGNALS = frozenset(
    {
        "read", "delivery", "reaction", "optin", "referral", "account_linking", "pass_thread_control",
        "take_thread_control", "request_thread_control", "app_roles", "policy_enforcement",
        "messaging_seen", "message_reads",
    }
)  # fmt: skip
_QUIET_FIELDS = frozenset({"story_insights", "live_videos", "picture", "name", "about", "hours"})
_POST_ITEMS = frozenset({"post", "status", "photo", "video", "share", "album", "event", "note"})
_ACTIONS = {
    "add": Action.created,
    "edited": Action.edited,
    "edit": Action.edited,
    "remove": Action.deleted,
    "delete": Action.deleted,
}


def _read_feed(value: Any, account: OwnAccount, at: datetime | None) -> Item | Ignored | Rejected:
    feed = payloads.Feed.model_validate(value)
    action = _ACTIONS.get(feed.verb)
    if action is None:
        return Ignored(IgnoreReason.signal, f"feed {feed.verb}"[:40])
    if feed.item in ("reaction", "like"):
        return _reaction(feed, action)
    if feed.item == "comment":
        return _comment(feed, action, account, at)
    if feed.item in _POST_ITEMS:
        return _post(feed, action, at, frozenset({Kind.post}))
    return Rejected(RejectReason.unsupported, f"feed item {feed.item}"[:80], account.id)


def _comment(feed: payloads.Feed, action: Action, account: OwnAccount, at: datetime | None) -> Item:
    """Every commenter is a conversation of their own under the post.

    The payload names the parent of an own comment but not its author: whom it answers is told by the
    item that `in_reply_to` names.
    """
    if feed.comment_id is None:
        raise Unreadable("a comment without comment_id")
    root = feed.post_id or feed.parent_id or feed.comment_id
    happened = feed.created_at if action is Action.created else at or feed.created_at
    if action is Action.deleted:
        author_id = feed.author(feed.comment_id).id if feed.sender or feed.sender_id else None
        return Deletion(
            feed.comment_id, author_id, root, happened, frozenset({Kind.comment})
        ).item()
    return Item(
        native_id=feed.comment_id,
        author=feed.author(feed.comment_id),
        kinds=frozenset({Kind.comment}),
        action=action,
        root=root,
        in_reply_to=feed.parent_id or feed.post_id,
        addressed=root.startswith(f"{account.native_id}_"),
        app_id=feed.app_id,
        text=feed.message,
        links=(feed.link or "",),
        media=feed.media(),
        permalink=feed.post.permalink if feed.post else None,
        happened_at=happened,
        address={"comment": feed.comment_id},
    )


def _post(feed: payloads.Feed, action: Action, at: datetime | None, kinds: frozenset[Kind]) -> Item:
    native_id = feed.comment_id or feed.post_id
    if native_id is None:
        raise Unreadable("a post without post_id")
    happened = feed.created_at if action is Action.created else at or feed.created_at
    root = feed.post_id or native_id
    if action is Action.deleted:
        author_id = feed.author(native_id).id if feed.sender or feed.sender_id else None
        return Deletion(native_id, author_id, root, happened, kinds).item()
    return Item(
        native_id=native_id,
        author=feed.author(native_id),
        kinds=kinds,
        action=action,
        root=root,
        app_id=feed.app_id,
        text=feed.message,
        links=(feed.link or "",),
        media=feed.media(),
        permalink=feed.post.permalink if feed.post else None,
        happened_at=happened,
        address={"post": native_id},
    )


def _reaction(feed: payloads.Feed, action: Action) -> Item | Ignored:
    if action is Action.edited:
        return Ignored(IgnoreReason.signal, "feed reaction edit")
    target = feed.comment_id or feed.post_id
    if target is None:
        raise Unreadable("a reaction to nothing")
    author = feed.author(target)
    said = {"on": target, "by": author.id, "type": feed.reaction_type}
    return Item(
        native_id="reaction-" + identity.content_hash(said),
        author=author,
        kinds=frozenset({Kind.reaction}),
        action=action,
        root=feed.post_id or target,
        in_reply_to=target,
        happened_at=feed.created_at,
    )


def _read_mention(value: Any, account: OwnAccount, at: datetime | None) -> Item | Ignored:
    feed = payloads.Feed.model_validate(value)
    action = _ACTIONS.get(feed.verb)
    if action is None:
        return Ignored(IgnoreReason.signal, f"mention {feed.verb}"[:40])
    return _post(feed, action, at, frozenset({Kind.mention}))


def _read_rating(value: Any, account: OwnAccount, at: datetime | None) -> Item | Ignored:
    rating = payloads.Rating.model_validate(value)
    action = _ACTIONS.get(rating.verb)
    if action is None:
        return Ignored(IgnoreReason.signal, f"rating {rating.verb}"[:40])
    return Item(
        native_id=rating.story,
        author=(
            Author(id=rating.reviewer_id, name=rating.reviewer_name)
            if rating.reviewer_id
            else unknown_author(rating.story)
        ),
        kinds=frozenset({Kind.review}),
        action=action,
        root=rating.story,
        text=rating.text if action is not Action.deleted else "",
        happened_at=rating.created_at or at,
        address={"post": rating.story},
    )


def _read_instagram_comment(value: Any, account: OwnAccount, at: datetime | None) -> Item:
    comment = payloads.InstagramComment.model_validate(value)
    sender = comment.sender
    return Item(
        native_id=comment.id,
        author=(
            Author(id=sender.id, handle=sender.username) if sender else unknown_author(comment.id)
        ),
        kinds=frozenset({Kind.comment}),
        root=comment.media.id,
        in_reply_to=comment.parent_id or comment.media.id,
        addressed=True,
        text=comment.text,
        happened_at=at,
        # Instagram's threads have one level: an answer to an answer goes under the first comment.
        address={"comment": comment.id, "under": comment.parent_id or comment.id},
    )


def _read_instagram_mention(value: Any, account: OwnAccount, at: datetime | None) -> Item:
    """Instagram tells only where; who and what would take a Graph read."""
    mention = payloads.InstagramMention.model_validate(value)
    native_id = mention.comment_id or mention.media_id
    return Item(
        native_id=native_id,
        author=unknown_author(native_id),
        kinds=frozenset({Kind.mention}),
        root=mention.media_id,
        happened_at=at,
        address={
            "mentioned_in": mention.media_id,
            **({"mentioned_by": mention.comment_id} if mention.comment_id else {}),
        },
    )


_Reader = Callable[[Any, OwnAccount, datetime | None], Item | Ignored | Rejected]
_CHANGES: dict[str, dict[str, _Reader]] = {
    "page": {"feed": _read_feed, "mention": _read_mention, "ratings": _read_rating},
    "instagram": {
        "comments": _read_instagram_comment,
        "live_comments": _read_instagram_comment,
        "mentions": _read_instagram_mention,
    },
}


def _read_message(raw: Any, account: OwnAccount) -> Item | Ignored | Rejected:
    event = payloads.Messaging.model_validate(raw)
    outbound = event.sender.id in account.own_ids
    author = Author(id=event.sender.id)
    item = Item(
        native_id="?",
        author=author,
        kinds=frozenset({Kind.direct}),
        answers=event.recipient.id if outbound else None,
        private=True,
        happened_at=event.timestamp,
        address={"person": event.sender.id},
    )
    if event.message is not None:
        return _message(item, event.message)
    if event.edit is not None:
        edit = event.edit
        return replace(
            item, native_id=edit.mid, action=Action.edited, version=edit.count, text=edit.text
        )
    if event.postback is not None:
        pressed = {"by": event.sender.id, "at": str(event.timestamp), "title": event.postback.title}
        native_id = event.postback.mid or "postback-" + identity.content_hash(pressed)
        return replace(item, native_id=native_id, text=event.postback.title)
    found = _SIGNALS & set(raw)
    if found:
        return Ignored(IgnoreReason.signal, min(found))
    return Rejected(RejectReason.unsupported, f"messaging {sorted(raw)}"[:120], account.id)


def _message(item: Item, message: payloads.Message) -> Item:
    """A message; an echo is the page's own, and automated where its app is listed as a machine."""
    if message.is_deleted:
        return replace(item, native_id=message.mid, action=Action.deleted)
    return replace(
        item,
        native_id=message.mid,
        in_reply_to=message.reply_to.mid if message.reply_to else None,
        app_id=message.app_id,
        text=message.text,
        media=tuple(
            Media(kind=one.type, url=one.payload.url if one.payload else None)
            for one in message.attachments
        ),
    )


@dataclass(frozen=True)
class MetaApp:
    """One app of Meta's: its secrets and the accounts that it serves, by `object:id`."""

    secret: bytes
    verify_token: bytes
    accounts: Mapping[str, OwnAccount]


@dataclass(frozen=True)
class MetaSource:
    """/webhooks/meta"""

    apps: tuple[MetaApp, ...]
    name: str = "meta"
    media_types: frozenset[str] = frozenset({"application/json"})
    # Meta sends what fails again for 36 hours, together with everything that follows, and drops the
    # subscription when that goes on. The payload is in the dead letters, so "taken" is the truth.
    unreadable_status: int = 200
    taken_status: int = 200

    def verify(self, delivery: Delivery, now: datetime) -> Accounts:
        """The accounts of every app whose secret made this signature. Raises Refused."""
        given = delivery.headers.get(SIGNATURE)
        if not given:
            raise Refused(RefusalReason.signature_missing)
        spoken_for: dict[str, OwnAccount] = {}
        verified = False
        for app in self.apps:
            if same(_signature(app.secret, delivery.body), given.encode()):
                verified = True
                spoken_for.update(app.accounts)
        if not verified:
            raise Refused(RefusalReason.signature_wrong)
        return spoken_for

    def parse(self, delivery: Delivery, accounts: Accounts, receipt: Receipt) -> list[Parsed]:
        """Every change and message of every entry."""
        payload = json_object(delivery.body)
        if isinstance(payload, Rejected):
            return [payload]
        kind = payload.get("object")
        if not isinstance(kind, str) or kind not in _PLATFORMS:
            return [Rejected(RejectReason.unsupported, f"object {kind!s}"[:80])]
        entries = as_list(payload.get("entry"), "entry")
        if isinstance(entries, Rejected):
            return [entries]
        return [one for entry in entries for one in read_entry(kind, entry, accounts, receipt)]

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """As Meta would, with the secret of the first entry's app (else of the first app)."""
        app = self.apps[0]
        payload = json_object(body)
        if isinstance(payload, dict):
            entries = payload.get("entry")
            first = entries[0] if isinstance(entries, list) and entries else None
            key = f"{payload.get('object')}:{first.get('id') if isinstance(first, dict) else None}"
            app = next((one for one in self.apps if key in one.accounts), app)
        return {
            "content-type": "application/json",
            SIGNATURE: _signature(app.secret, body).decode(),
        }

    def challenge(self, query: Mapping[str, str]) -> Challenge:
        """The subscription's verification."""
        token = query.get("hub.verify_token", "").encode()
        right = [same(app.verify_token, token) for app in self.apps]
        if query.get("hub.mode") != "subscribe" or not any(right) or "hub.challenge" not in query:
            raise Refused(RefusalReason.token_wrong)
        return Challenge("text/plain; charset=utf-8", query["hub.challenge"].encode())


def _signature(secret: bytes, body: bytes) -> bytes:
    return b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()


def account_key(account: OwnAccount) -> str:
    """`object:id`, as an entry names its account."""
    kind = next(kind for kind, platform in _PLATFORMS.items() if platform == account.platform)
    return f"{kind}:{account.native_id}"


def read_entry(kind: str, entry: Any, accounts: Accounts, receipt: Receipt) -> Iterator[Parsed]:
    """Every change and message of one entry."""
    if not isinstance(entry, dict):
        yield Rejected(RejectReason.malformed, f"entry: a {type(entry).__name__}, not an object")
        return
    account = accounts.get(f"{kind}:{entry.get('id')}")
    if account is None:
        yield Rejected(RejectReason.unknown_account, f"{kind} {entry.get('id')!s}"[:80])
        return
    at = instant(entry.get("time"))
    if not {"changes", "messaging", "standby"} & set(entry):
        yield Rejected(RejectReason.unsupported, f"entry {sorted(entry)}"[:120], account.id)
    changes = as_list(entry.get("changes", []), "changes")
    if isinstance(changes, Rejected):
        yield changes
    else:
        for change in changes:
            yield _change(kind, change, account, receipt, at)
    # `standby` is the same for a page whose conversation another app handles at the moment.
    for channel in ("messaging", "standby"):
        messages = as_list(entry.get(channel, []), channel)
        if isinstance(messages, Rejected):
            yield messages
            continue
        for raw in messages:
            read = partial(_read_message, raw, account)
            yield read_change(read, account, receipt, channel)


def _change(
    kind: str, change: Any, account: OwnAccount, receipt: Receipt, at: datetime | None
) -> Parsed:
    name = change.get("field") if isinstance(change, dict) else None
    if not isinstance(name, str):
        return Rejected(RejectReason.malformed, "changes: without a field", account.id)
    if name in _QUIET_FIELDS:
        return Ignored(IgnoreReason.signal, name)
    reader = _CHANGES[kind].get(name)
    if reader is None:
        return Rejected(RejectReason.unsupported, f"{kind} field {name}"[:80], account.id)
    return read_change(lambda: reader(change.get("value"), account, at), account, receipt, name)
