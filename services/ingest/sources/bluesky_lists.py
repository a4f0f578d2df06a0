"""Entries of Bluesky's lists, what is known of them, and positions, as far as reading takes it. Pure."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from services.ingest.domain.native import instant
from services.ingest.sources.bluesky import POST
from services.ingest.sources.bluesky_payloads import NOT_BEFORE
from services.ingest.sources.pulled import Event

OVERLAP = timedelta(hours=1)
"""A post that claims to be older than it is stands that far down the list and is found by every look."""
EVER = datetime(1970, 1, 1, tzinfo=UTC)
REMEMBERED = 10_000
"""Entries of a list that are known not to be new."""
ASKED_FOR = 10
"""Vanished records that are asked for after one look; the others after the next."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list, as far as listing needs it."""

    key: str
    at: datetime | None
    """Where it stands in the list."""
    uri: str | None
    root: str | None
    event: Event


class Known:
    """The newest keys, a bounded number of them."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._keys[key] = None
            self._keys.move_to_end(key)
        while len(self._keys) > REMEMBERED:
            self._keys.popitem(last=False)


class ListLook:
    """What the stream of one connection has seen of one list."""

    def __init__(self, entries: list[Entry], *, complete: bool) -> None:
        self.known = Known()
        self.recent: dict[str, Entry] = {}
        self.until: datetime | None = None
        """When the look before the last one began: what the last one did not show came later."""
        times = [one.at for one in entries if one.at is not None]
        # What is older moves up when something is deleted, and is history.
        self._from = None if complete else min(times, default=None)
        self.take(entries)
        self.vanished(entries)

    def take(self, entries: list[Entry]) -> list[Entry]:
        """The entries that are new."""
        new = [one for one in entries if one.key not in self.known]
        self.known.add(one.key for one in entries)
        return [one for one in new if one.at is None or self._from is None or one.at >= self._from]

    def vanished(self, entries: list[Entry]) -> list[Entry]:
        """What an earlier look saw among these and this one does not. Remembers these for the next."""
        here = {one.uri for one in entries}
        times = [one.at for one in entries if one.at is not None]
        oldest = min(times, default=None)
        missing = [
            one
            for uri, one in self.recent.items()
            if uri not in here and one.at is not None and (oldest is None or one.at > oldest)
        ]
        self.recent = {one.uri: one for one in (*missing, *entries) if one.uri is not None}
        return missing[:ASKED_FOR]


def read_position(after: str) -> tuple[datetime | None, datetime]:
    """The newest entry's time, and from when on the list is known whole: what is older is history."""
    newest, _, rest = after.partition("#")
    known = instant(newest)
    begun = instant(rest.partition("#")[2])
    if begun is None:
        # Of an earlier version; or of an empty list, all of which is new.
        begun = known - OVERLAP if known else EVER
    return known, begun


def not_before(one: Entry, known: datetime | None) -> Entry:
    """An entry that was not there when `known` was the newest, whatever it claims."""
    if known is None or one.at is None or one.at >= known:
        return one
    payload = {**one.event.payload, NOT_BEFORE: known.isoformat()}
    return replace(one, event=Event(one.event.name, payload, orjson.dumps(payload)))


def entry_of(name: str, payload: Any) -> Entry:
    """Whatever it is. Its meaning, or that it has none, is for `parse_event` to say."""
    body = orjson.dumps(payload)
    one = payload if isinstance(payload, dict) else {}
    post = one.get("post") if name == POST else one
    post = post if isinstance(post, dict) else {}
    reason = one.get("reason")
    repost = reason if name == POST and isinstance(reason, dict) else {}
    uri = repost.get("uri") if repost else post.get("uri")
    at = instant((repost or post).get("indexedAt"))
    record = post.get("record")
    if not isinstance(uri, str):
        return Entry(hashlib.sha256(body).hexdigest(), at, None, None, Event(name, payload, body))
    key = f"{uri} {reason}" if isinstance(reason, str) else uri
    root = _root(record) if not repost else None
    return Entry(key, at, uri, root, Event(name, payload, body))


def _root(record: Any) -> str | None:
    """The thread's root by the record's own word."""
    try:
        return str(record["reply"]["root"]["uri"])
    except (KeyError, TypeError):
        return None
