"""RSS and Atom: what a document holds, and which of it is new. Pure; rss_feed.py fetches.

Feeds name their entries badly: a GUID may change with every publication, or be missing; a link may be
the same for all. So an entry is known by its GUID, else by its link and title or its title and text,
but by those only when the entry that had them is gone from the document: two entries that stand side
by side are two.
"""

from __future__ import annotations

import calendar
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import feedparser
import orjson
from pydantic import Field

from services.contracts.events import Action, Author, Kind, Media
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import TITLE_LIMIT, Item, Receipt
from services.ingest.domain.native import Instant, Native, NativeId
from services.ingest.domain.outcome import Parsed
from services.ingest.domain.text import from_html, web_links
from services.ingest.sources.source import read_change

ENTRIES_READ = 1_000
"""Of one document; the rest is older in every feed that we know of."""
ENTRIES_KNOWN = 2_000
"""Entries remembered, so that one which comes back is not new."""


class NoFeed(ValueError):
    """The document is neither RSS nor Atom, or too broken to hold anything."""


class _Enclosure(Native):
    kind: str
    url: str


class Entry(Native):
    """One entry, as text."""

    id: NativeId
    action: Action = Action.created
    version: str | None = None
    title: str = ""
    text: str = ""
    link: str | None = None
    links: tuple[str, ...] = ()
    author: str | None = None
    publisher: str = Field("", description="The feed's own title.")
    language: str | None = None
    media: tuple[_Enclosure, ...] = ()
    claimed_at: Instant = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of an entry. Short hashes: a cursor is read and written whole."""

    id: str
    by_link: str
    """Of the link and the title."""
    content: str
    """Of the title and the text."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was read."""

    entries: Sequence[Entry]
    """Oldest first, where the feed is newest first as nearly all are."""
    interval: float | None
    """Seconds between two readings that the feed asks for."""


def _hash(*parts: str | None) -> str:
    return hashlib.sha256("\x1f".join(part or "" for part in parts).encode()).hexdigest()[:20]


def read(body: bytes, headers: Mapping[str, str], url: str) -> Document:
    """The document of an answer. Raises NoFeed."""
    told = {"content-type": headers.get("content-type", ""), "content-location": url}
    try:
        # A stream, always: a string would be opened as an address or a file.
        found = feedparser.parse(io.BytesIO(body), response_headers=told, sanitize_html=False)
        entries = [_entry(one, found.feed) for one in found.entries[:ENTRIES_READ]]
    except Exception as error:
        # The library reads hostile text in many ways and fails in as many. Nothing is lost: the
        # document is fetched again in its turn.
        raise NoFeed(type(error).__name__) from error
    if not found.get("version") and not entries:
        raise NoFeed("neither RSS nor Atom")
    if found.bozo and not entries:
        raise NoFeed("broken XML, and no entry in it can be read")
    return Document(entries[::-1], _interval(found.feed))


def _entry(one: Mapping[str, Any], feed: Mapping[str, Any]) -> Entry:
    title, _ = _words(one.get("title_detail"))
    details = [*(one.get("content") or []), one.get("summary_detail")]
    text, links = next((found for found in map(_words, details) if found[0]), ("", ()))
    link = str(one.get("link") or "") or None
    guid = str(one.get("id") or "")
    name = guid or link or _hash(title, text)
    enclosures = [*(one.get("enclosures") or []), *(one.get("media_content") or [])]
    when = one.get("published_parsed") or (one.get("updated_parsed") if "updated" in one else None)
    return Entry(
        id=f"entry-{_hash(name)}",
        title=title[:TITLE_LIMIT],
        text=text,
        link=link,
        links=web_links([link, *links]),
        author=str(one.get("author") or "").strip() or None,
        publisher=_words(feed.get("title_detail"))[0],
        language=str(one.get("language") or feed.get("language") or "") or None,
        media=tuple(
            _Enclosure(
                kind=str(each.get("type") or "file"), url=str(each.get("href") or each["url"])
            )
            for each in enclosures
            if each.get("href") or each.get("url")
        ),
        claimed_at=_moment(when),
    )


def _words(detail: Any) -> tuple[str, tuple[str, ...]]:
    if not isinstance(detail, Mapping):
        return "", ()
    value = str(detail.get("value") or "")
    return (value.strip(), ()) if detail.get("type") == "text/plain" else from_html(value)


def _moment(parsed: Any) -> datetime | None:
    """feedparser gives UTC as a struct_time. Dates of nonsense are no date."""
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC) if parsed else None
    except (ValueError, TypeError, OverflowError, OSError):
        return None


_PERIODS = {
    "hourly": 3_600,
    "daily": 86_400,
    "weekly": 604_800,
    "monthly": 2_592_000,
    "yearly": 31_536_000,
}


def _interval(feed: Mapping[str, Any]) -> float | None:
    """`ttl` is in minutes (RSS 2.0); `sy:updateFrequency` is times a `sy:updatePeriod`."""
    ttl = _number(feed.get("ttl"))
    if ttl:
        return ttl * 60.0
    period = _PERIODS.get(str(feed.get("sy_updateperiod") or "").strip().lower())
    return period / (_number(feed.get("sy_updatefrequency")) or 1) if period else None


def _number(written: Any) -> int:
    text = str(written or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0


def news(entries: Iterable[Entry], known: Sequence[Known]) -> tuple[list[Entry], list[Known]]:
    """What is new or changed, under the ids it was first known by; and what to remember from now on."""
    here = {one.id: one for one in entries}
    remembered = {one.id: one for one in known}
    gone = {one.id: one for one in known if one.id not in here}
    fresh: list[Entry] = []
    for entry in here.values():
        link, content = _by_link(entry), _content(entry)
        earlier = remembered.get(entry.id) or _moved(gone.values(), link, content)
        if earlier is None:
            fresh.append(entry)
        elif earlier.content != content:
            change = {"id": earlier.id, "action": Action.edited, "version": content or None}
            # The version may be empty where an entry lost its words: the item hashes those itself.
            fresh.append(entry.model_copy(update=change))
        own = earlier.id if earlier else entry.id
        # One that is gone stands for one that came: two that came are not both the same.
        gone.pop(own, None)
        # Last, as the newest: what is forgotten first is what was not seen for longest.
        remembered.pop(own, None)
        remembered[own] = Known(own, link, content)
    return fresh, list(remembered.values())[-ENTRIES_KNOWN:]


def _moved(gone: Iterable[Known], link: str, content: str) -> Known | None:
    same_link = (one for one in gone if link and one.by_link == link)
    same_words = (one for one in gone if content and one.content == content)
    return next(same_link, None) or next(same_words, None)


def _by_link(entry: Entry) -> str:
    return _hash(entry.link, entry.title) if entry.link else ""


def _content(entry: Entry) -> str:
    return _hash(entry.title, entry.text) if entry.title or entry.text else ""


def parse_entry(payload: Any, account: OwnAccount, receipt: Receipt) -> Parsed:
    """An article. Never raises. Its time is our receipt: what the feed says is only a claim."""
    return read_change(
        lambda: _item(Entry.model_validate(payload), account), account, receipt, "entry"
    )


def _item(entry: Entry, account: OwnAccount) -> Item:
    writer = entry.author or entry.publisher or account.id
    return Item(
        native_id=entry.id,
        author=Author(id=f"by-{_hash(writer)}", name=writer),
        kinds=frozenset({Kind.article}),
        action=entry.action,
        version=entry.version,
        root=entry.id,
        text=entry.text,
        title=entry.title,
        language=entry.language,
        links=entry.links,
        media=tuple(Media(kind=one.kind, url=one.url) for one in entry.media),
        permalink=entry.link,
        claimed_at=entry.claimed_at,
    )


@dataclass(frozen=True, slots=True)
class Position:
    """How far a feed was read: its validators, and the entries that are known."""

    known: Sequence[Known] = ()
    etag: str | None = None
    modified: str | None = None

    def written(self) -> str:
        """As the cursor keeps it."""
        known = [[one.id, one.by_link, one.content] for one in self.known]
        made = {"etag": self.etag, "modified": self.modified, "known": known}
        return orjson.dumps(made).decode()


def position(written: str | None) -> Position:
    """The inverse; an empty one for None and for a feed that had nothing."""
    if not written:
        return Position()
    read_ = orjson.loads(written)
    return Position([Known(*one) for one in read_["known"]], read_["etag"], read_["modified"])
