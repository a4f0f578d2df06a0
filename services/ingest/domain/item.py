"""From a platform's facts to a Notification: the one place where ids, direction and times are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from services.contracts import identity
from services.contracts.events import (
    Action,
    Author,
    ConversationRef,
    Direction,
    Kind,
    Media,
    Mention,
    Notification,
    Origin,
)
from services.ingest.domain.accounts import OwnAccount, squeezed
from services.ingest.domain.address import Details, Heard
from services.ingest.domain.text import clean, is_web_link, web_links

UNKNOWN_AUTHOR = "unknown"
TITLE_LIMIT = 1_000
NAME_LIMIT = 200
MEDIA_KEPT = 20
MENTIONS_KEPT = 100


@dataclass(frozen=True, slots=True)
class Receipt:
    """How and when something came in."""

    received_at: datetime
    origin: Origin = Origin.live
    may_page: bool = True
    reread: bool = False
    """Found by looking at a thread again; nothing brought it to us."""


@dataclass(frozen=True, slots=True)
class Item:
    """What a platform says about one event, before anything is decided about it."""

    native_id: str
    author: Author
    kinds: frozenset[Kind] = frozenset()
    action: Action = Action.created
    version: str | None = None
    """Of an edit, as the platform counts them; none: a hash of the content."""
    root: str | None = None
    """Native id of the thread's first item or oldest known ancestor; none for direct messages."""
    in_reply_to: str | None = None
    """Native id."""
    answers: str | None = None
    """Author id of what this answers: the counterpart, where it is the brand's own."""
    outbound: bool | None = None
    """Where the sender says so; none: by the author's id."""
    addressed: bool = False
    """A comment on our post or a reply to us; direct messages and reviews are so by kind."""
    private: bool = False
    automated: bool = False
    """The platform's own mark."""
    app_id: str | None = None
    text: str = ""
    title: str | None = None
    language: str | None = None
    links: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    mentions: tuple[Mention, ...] = ()
    permalink: str | None = None
    happened_at: datetime | None = None
    """By a server's clock on our side of the sender; none: unknown."""
    claimed_at: datetime | None = None
    address: Details | None = None
    """What the platform's API needs to answer it; none: it cannot be answered."""


def unknown_author(native_id: str) -> Author:
    """For an item whose writer the platform keeps from us: each its own person, never merged."""
    return Author(id=f"{UNKNOWN_AUTHOR}-{native_id}")


def _event_id(item: Item, item_id: str) -> str:
    match item.action:
        case Action.created:
            return identity.created(item_id)
        case Action.deleted:
            return identity.deleted(item_id)
        case Action.edited:
            version = item.version or identity.content_hash(
                {"text": item.text, "title": item.title, "links": list(item.links)}
            )
            return identity.edited(item_id, version)


def _author(author: Author, account: OwnAccount) -> Author:
    handle = clean(author.handle, NAME_LIMIT) or None
    name = clean(author.name, NAME_LIMIT) or None
    known = author.known or author.id in account.listed_authors
    avatar = author.avatar if author.avatar and is_web_link(author.avatar) else None
    if (handle, name, known, avatar) == (author.handle, author.name, author.known, author.avatar):
        return author
    # Made anew and not copied: a copy of a model takes five times as long.
    return Author(
        id=author.id,
        handle=handle,
        name=name,
        followers=author.followers,
        verified=author.verified,
        bot=author.bot,
        created_at=author.created_at,
        known=known,
        avatar=avatar,
    )


def _automated(item: Item, account: OwnAccount, outbound: bool) -> bool:
    if item.automated or not outbound:
        return item.automated
    return item.app_id in account.automatic_apps or squeezed(item.text) in account.automatic_texts


def _media(media: tuple[Media, ...]) -> tuple[Media, ...]:
    return tuple(
        one if one.url is None or is_web_link(one.url) else one.model_copy(update={"url": None})
        for one in media[:MEDIA_KEPT]
    )


_FOR_US = frozenset({Kind.mention, Kind.quote, Kind.direct, Kind.review})


def notification(item: Item, account: OwnAccount, receipt: Receipt) -> Notification:
    """The event as it travels.

    Direction comes from account ids alone. A time ahead of receipt is clamped to it, a missing one is
    the receipt. An item that can be answered is Heard. Raises ValueError where the facts make no event.
    """
    item_id = identity.item_id(account.platform, account.id, item.native_id)
    outbound = item.author.id in account.own_ids if item.outbound is None else item.outbound
    addressed = item.addressed or bool(item.kinds & {Kind.direct, Kind.review})
    happened = item.happened_at or receipt.received_at
    for_us = outbound or addressed or bool(item.kinds & _FOR_US)
    heard = item.address is not None and not outbound and item.action is not Action.deleted
    kind = partial(Heard, address=item.address) if heard else Notification
    return kind(
        event_id=_event_id(item, item_id),
        item_id=item_id,
        action=item.action,
        kinds=item.kinds,
        direction=Direction.outbound if outbound else Direction.inbound,
        origin=receipt.origin,
        brand=account.brand,
        platform=account.platform,
        account_id=account.id,
        conversation=ConversationRef(
            root=item.root, counterpart_id=item.answers if outbound else item.author.id
        ),
        in_reply_to=(
            identity.item_id(account.platform, account.id, item.in_reply_to)
            if item.in_reply_to
            else None
        ),
        author=_author(item.author, account),
        addressed=addressed and not outbound,
        private=item.private,
        automated=_automated(item, account, outbound),
        text=clean(item.text),
        title=clean(item.title, TITLE_LIMIT) or None,
        language_hint=clean(item.language, 35) or None,
        links=web_links(item.links),
        media=_media(item.media),
        mentions=item.mentions[:MENTIONS_KEPT],
        permalink=item.permalink if item.permalink and is_web_link(item.permalink) else None,
        source_time=min(happened, receipt.received_at),
        claimed_time=item.claimed_at,
        received_at=receipt.received_at,
        may_page=receipt.may_page,
        overheard=True if receipt.reread and not for_us else None,
    )


@dataclass(frozen=True, slots=True)
class Deletion:
    """All that platforms tell about something that is gone."""

    native_id: str
    author_id: str | None = None
    root: str | None = None
    happened_at: datetime | None = None
    kinds: frozenset[Kind] = field(default_factory=frozenset)

    def item(self) -> Item:
        """As an item whose text is gone; without an author it belongs to nobody in particular."""
        author = Author(id=self.author_id) if self.author_id else unknown_author(self.native_id)
        return Item(
            native_id=self.native_id,
            author=author,
            kinds=self.kinds,
            action=Action.deleted,
            root=self.root or self.native_id,
            happened_at=self.happened_at,
        )
