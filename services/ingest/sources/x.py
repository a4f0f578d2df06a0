"""X: the account activity webhook.

Signature and challenge are HMAC-SHA256 under the app's consumer secret, in base64. X signs no time, so an
old request cannot be told from a new one: event ids drop what was seen. X delivers twice at times (and
again when it recovers lost activity), and sends own posts in the same stream.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from services.contracts import identity
from services.contracts.events import Action, Author, Kind, Media, Mention
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Deletion, Item, Receipt
from services.ingest.domain.outcome import Ignored, IgnoreReason, Parsed, Rejected, RejectReason
from services.ingest.domain.text import unescaped
from services.ingest.sources import x_payloads as payloads
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

SIGNATURE = "x-twitter-webhooks-signature"
_APP_NAME = re.compile(r"<a [^>]*>([^<]*)</a>")


def _permalink(user: payloads.User, post: str) -> str:
    return f"https://x.com/{user.handle or 'i'}/status/{post}"


def _kinds(
    tweet: payloads.Tweet, mentions: Iterable[payloads.Mention], own: frozenset[str]
) -> set[Kind]:
    """In which roles somebody else's post reaches us."""
    kinds = set()
    if tweet.reply_to_user in own:
        kinds.add(Kind.reply)
    if tweet.quoted is not None and tweet.quoted.user.id in own:
        kinds.add(Kind.quote)
    if any(mention.id in own for mention in mentions):
        kinds.add(Kind.mention)
    return kinds or {Kind.post}


def _answered(
    tweet: payloads.Tweet, mentions: Iterable[payloads.Mention], own: frozenset[str]
) -> str | None:
    """Whom our own post answers. Going on from an own post it answers the first it mentions."""
    if tweet.reply_to_user and tweet.reply_to_user not in own:
        return tweet.reply_to_user
    if tweet.reply_to is None:
        return None
    return next((mention.id for mention in mentions if mention.id not in own), None)


def _tweet(raw: Any, account: OwnAccount) -> Item:
    tweet = payloads.Tweet.model_validate(raw)
    own = account.own_ids
    mentions, links, media = tweet.parts()
    ours = tweet.user.id in own
    if tweet.reposted is not None:
        kinds: set[Kind] = {Kind.repost}
    elif ours:
        kinds = {Kind.reply if tweet.reply_to else Kind.post}
    else:
        kinds = _kinds(tweet, mentions, own)
    answers = _answered(tweet, mentions, own) if ours and tweet.reposted is None else None
    edited = tweet.first_id != tweet.id
    return Item(
        native_id=tweet.first_id,
        author=tweet.user.author(),
        kinds=frozenset(kinds),
        action=Action.edited if edited else Action.created,
        version=tweet.id if edited else None,
        root=(tweet.reposted.id if tweet.reposted else tweet.reply_to) or tweet.first_id,
        in_reply_to=tweet.reply_to,
        answers=answers,
        addressed=Kind.reply in kinds,
        app_id=_app_name(tweet.source),
        text=tweet.words,
        language=tweet.language if tweet.language != "und" else None,
        links=links,
        media=media,
        mentions=tuple(Mention(id=one.id, handle=one.handle) for one in mentions),
        permalink=_permalink(tweet.user, tweet.id),
        happened_at=tweet.timestamp or tweet.created_at,
        address=_address(tweet) if tweet.reposted is None else None,
    )


def _address(tweet: payloads.Tweet) -> dict[str, str]:
    """An answer goes to the newest version; `first` is what the item is called where that is another."""
    return {"post": tweet.id, **({"first": tweet.first_id} if tweet.first_id != tweet.id else {})}


def parse_post(raw: Any, account: OwnAccount, receipt: Receipt) -> Parsed:
    """A post that was found in a conversation; its activity, where there is one, is the same event."""

    def read() -> Item:
        item = _tweet(raw, account)
        if item.in_reply_to and item.kinds == {Kind.post}:
            return replace(item, kinds=frozenset({Kind.reply}))
        return item

    return read_change(read, account, receipt, "tweet")


def _app_name(source: str | None) -> str | None:
    """X names the posting app as a link; an account's automation lists it by its name."""
    match = _APP_NAME.fullmatch(source or "")
    return match[1] if match else source


def parse_gone(raw: Any, account: OwnAccount, receipt: Receipt) -> Parsed:
    """A post that X no longer has; its deletion by webhook, where there is one, is the same event."""
    return read_change(lambda: _deleted(raw, account), account, receipt, "tweet_delete")


def _deleted(raw: Any, account: OwnAccount) -> Item:
    gone = payloads.Delete.model_validate(raw)
    return Deletion(
        gone.status.id, author_id=gone.status.user_id, happened_at=gone.timestamp
    ).item()


def _favorite(raw: Any, account: OwnAccount) -> Item:
    like = payloads.Favorite.model_validate(raw)
    return Item(
        native_id=f"favorite-{like.id}",
        author=like.user.author(),
        kinds=frozenset({Kind.reaction}),
        root=like.status.id,
        in_reply_to=like.status.id,
        answers=like.status.user.id,
        happened_at=like.timestamp or like.created_at,
    )


def _follow(raw: Any, account: OwnAccount) -> Item | Ignored:
    follow = payloads.Follow.model_validate(raw)
    if follow.type != "follow":
        return Ignored(IgnoreReason.signal, "unfollow")
    said = {"source": follow.source.id, "target": follow.target.id, "at": str(follow.created_at)}
    native_id = "follow-" + identity.content_hash(said)
    return Item(
        native_id=native_id,
        author=Author(id=follow.source.id, handle=follow.source.handle, name=follow.source.name),
        kinds=frozenset({Kind.follow}),
        root=native_id,
        answers=follow.target.id,
        happened_at=follow.created_at,
    )


def _direct(raw: Any, account: OwnAccount, users: Mapping[str, Any]) -> Item | Rejected:
    direct = payloads.Direct.model_validate(raw)
    if direct.create is None:
        return Rejected(RejectReason.unsupported, f"direct message {direct.type}"[:80], account.id)
    create = direct.create
    user = payloads.DirectUser.model_validate(users.get(create.sender_id) or {})
    attached = create.data.attachment.media if create.data.attachment else None
    return Item(
        native_id=direct.id,
        author=Author(id=create.sender_id, **user.model_dump()),
        kinds=frozenset({Kind.direct}),
        answers=create.target.recipient_id,
        private=True,
        app_id=create.source_app_id,
        text=unescaped(create.data.text),
        links=tuple(url.expanded or url.url or "" for url in create.data.entities.urls),
        media=(Media(kind=attached.type, url=attached.url),) if attached else (),
        happened_at=direct.created_at,
        address={"participant": create.sender_id},
    )


_READERS: dict[str, Callable[[Any, OwnAccount], Item | Ignored]] = {
    "tweet_create_events": _tweet,
    "tweet_delete_events": _deleted,
    "favorite_events": _favorite,
    "follow_events": _follow,
}
_SIGNALS = {
    "direct_message_indicate_typing_events": IgnoreReason.signal,
    "direct_message_mark_read_events": IgnoreReason.signal,
    "block_events": IgnoreReason.administrative,
    "mute_events": IgnoreReason.administrative,
    "user_event": IgnoreReason.administrative,
}
_BESIDES = frozenset({"for_user_id", "users", "apps", "user_has_blocked", "is_blocked_by"})


@dataclass(frozen=True)
class XSource:
    """/webhooks/x"""

    secrets: Mapping[str, bytes]
    """Consumer secret by account id."""
    accounts: Mapping[str, OwnAccount]
    name: str = "x"
    media_types: frozenset[str] = frozenset({"application/json"})
    # X does not send an event again because of a 4xx, but counts failures against the webhook. The payload
    # is in the dead letters, so "taken" is the truth.
    unreadable_status: int = 200
    taken_status: int = 200

    def verify(self, delivery: Delivery, now: datetime) -> Accounts:
        """Every account whose app's secret made this signature. Raises Refused."""
        given = delivery.headers.get(SIGNATURE)
        if not given:
            raise Refused(RefusalReason.signature_missing)
        # Every secret is tried, so that the time taken does not tell which one it was.
        spoken_for = {
            account_id: self.accounts[account_id]
            for account_id, secret in self.secrets.items()
            if same(_signature(secret, delivery.body), given.encode())
        }
        if not spoken_for:
            raise Refused(RefusalReason.signature_wrong)
        return spoken_for

    def parse(self, delivery: Delivery, accounts: Accounts, receipt: Receipt) -> list[Parsed]:
        """Every activity of the payload."""
        payload = json_object(delivery.body)
        if isinstance(payload, Rejected):
            return [payload]
        for_user = payload.get("for_user_id")
        if for_user is None and isinstance(payload.get("user_event"), dict):
            return [Ignored(IgnoreReason.administrative, "user_event")]
        account = accounts.get(str(for_user))
        if account is None:
            return [Rejected(RejectReason.unknown_account, f"for_user_id {for_user!s}"[:80])]
        return list(_activities(payload, account, receipt))

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """As X would, with the secret of the account that the payload is for (else of the first)."""
        secret = next(iter(self.secrets.values()))
        payload = json_object(body)
        if isinstance(payload, dict):
            secret = self.secrets.get(str(payload.get("for_user_id")), secret)
        return {"content-type": "application/json", SIGNATURE: _signature(secret, body).decode()}

    def challenge(self, query: Mapping[str, str]) -> Challenge:
        """The CRC. X names no app in it: with several apps, `?account=` in each one's address tells."""
        token = query.get("crc_token")
        secret = self.secrets.get(query.get("account") or next(iter(self.secrets)))
        if not token or secret is None:
            raise Refused(RefusalReason.token_wrong)
        answer = {"response_token": _signature(secret, token.encode()).decode()}
        return Challenge("application/json", orjson.dumps(answer))


def _signature(secret: bytes, message: bytes) -> bytes:
    return b"sha256=" + base64.b64encode(hmac.digest(secret, message, "sha256"))


def _activities(payload: dict[str, Any], account: OwnAccount, receipt: Receipt) -> Iterator[Parsed]:
    users = payload.get("users")
    known = users if isinstance(users, dict) else {}
    for key, value in payload.items():
        if key in _BESIDES:
            continue
        if key in _SIGNALS:
            yield Ignored(_SIGNALS[key], key)
            continue
        reader = _READERS.get(key)
        if reader is None and key != "direct_message_events":
            yield Rejected(RejectReason.unsupported, f"no such event: {key}"[:80], account.id)
            continue
        events = as_list(value, key)
        if isinstance(events, Rejected):
            yield events
            continue
        for raw in events:
            read = (
                partial(reader, raw, account) if reader else partial(_direct, raw, account, known)
            )
            yield read_change(read, account, receipt, key)
