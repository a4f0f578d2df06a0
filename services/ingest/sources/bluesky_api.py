"""Bluesky's two lists as a pulled source: notifications, and the account's own feed.

Neither list can be read forward, and neither is in the order of arrival: the network sorts by what a post
claims where that is earlier. So every look reads back from the newest, beyond what is known by `OVERLAP`
(after a gap and every quarter of an hour by `DEEP`), and what is known already is left out. What turns up
below what was known then was written since: its claim to be older is no source time.

There is no stream either. It is made of looks, one every `poll_interval`; what vanished from the newest
entries is asked for by its uri, and told as gone where the network no longer has the record (an entry also
vanishes when its author is blocked or muted).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import orjson

from services.contracts.configuration.accounts import BlueskySettings
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Parsed
from services.ingest.domain.threads import Thread
from services.ingest.sources import bluesky_threads
from services.ingest.sources.bluesky import GONE, NOTIFICATION, POST, parse_event
from services.ingest.sources.bluesky_lists import (
    EVER,
    OVERLAP,
    Entry,
    Known,
    ListLook,
    entry_of,
    not_before,
    read_position,
)
from services.ingest.sources.bluesky_session import Answered, BlueskySession
from services.ingest.sources.pulled import Event, Look, Page, PullReason
from services.runtime.clock import Clock
from services.runtime.errors import Transient

NOTIFICATIONS, POSTS = "notifications", "posts"
DEEP = timedelta(days=3)
"""And so far down by every deep one; the ids of events are kept for longer."""
DEEP_EVERY = 900.0
"""Seconds between deep looks; one follows every gap."""
NOT_INDEXED = "Profile not found"
"""The AppView's words for an account that it has not met: a new one, or one that has just moved."""
PAGE = 100


class BlueskyAccountFeed:
    """One account's ears."""

    name = "bluesky"
    feeds = (POSTS, NOTIFICATIONS)
    look_interval = 6.0
    """Fifty requests of the 3,000 that five minutes allow, and more where posts are missing."""

    def __init__(
        self,
        account: OwnAccount,
        settings: BlueskySettings,
        session: BlueskySession,
        clock: Clock,
    ) -> None:
        self.account = account
        self.backfill_limit = settings.backfill_limit
        self.session = session
        self._every = settings.poll_interval.total_seconds()
        self._clock = clock
        # By the position that a page was given under: when it is asked for again, it was taken.
        self._given: dict[str, tuple[str, list[str]]] = {}
        self._taken = {feed: Known() for feed in self.feeds}
        self._deep_at: dict[str, float] = {}

    async def identify(self) -> None:
        """See PulledSource. What follows is a new connection: the first look is a deep one."""
        self._deep_at.clear()
        await self.session.sign_in()

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[AsyncIterator[Event]]:
        """What is there when it opens belongs to the gap; what comes after is the stream's."""
        looks = {}
        for feed in self.feeds:
            entries, complete = await self._newest(feed)
            looks[feed] = ListLook(entries, complete=complete)
        yield self._events(looks)

    async def _events(self, looks: dict[str, ListLook]) -> AsyncIterator[Event]:
        since = self._clock.now()
        while True:
            await self._clock.sleep(self._wait())
            began = self._clock.now()
            for feed, look in looks.items():
                entries = await self._back_to(feed, since - OVERLAP, look.known)
                for one in look.take(entries):
                    yield not_before(one, look.until).event
                look.until = since
                for one in look.vanished(entries):
                    uri = str(one.uri)
                    gone = await self._gone(uri)
                    look.recent.pop(uri, None)
                    if gone:
                        told = {"uri": uri, "root": one.root}
                        yield Event(GONE, told, orjson.dumps(told))
            since = began

    def _wait(self) -> float:
        """Seconds to the next look: jittered, and later where the rate limit is nearly used up."""
        wait = self._every * random.uniform(0.8, 1.2)
        if self.session.full_until is None:
            return wait
        return max(wait, (self.session.full_until - self._clock.now()).total_seconds())

    async def _gone(self, uri: str) -> bool:
        """Whether the network no longer has the record."""
        repo, _, rest = uri.removeprefix("at://").partition("/")
        collection, _, key = rest.partition("/")
        try:
            await self.session.get(
                "com.atproto.repo.getRecord", repo=repo, collection=collection, rkey=key
            )
        except Answered as answer:
            return answer.code == "RecordNotFound" or "Could not locate record" in answer.detail
        return False

    async def look(self, thread: Thread) -> Look:
        """See ThreadSource."""
        if self._wait() > 2 * self._every:
            raise Transient(PullReason.rate_limited, "the rest of the limit is for live events")
        return await bluesky_threads.look(self.session, self._gone, thread)

    async def page(self, feed: str, after: str | None) -> Page:
        """See PulledSource. `after` is the newest entry's time, and what tells two such pages apart."""
        if after is None:
            entries, complete = await self._newest(feed)
            times = [one.at for one in entries if one.at is not None]
            begun = EVER if complete or not times else min(times)
            return self._page(feed, entries, None, begun)
        position, keys = self._given.get(feed, ("", []))
        if position and position == after:
            self._taken[feed].add(keys)
        known, begun = read_position(after)
        now = self._clock.monotonic()
        deep = now >= self._deep_at.get(feed, now)
        floor = lowest = known - OVERLAP if known else None
        if known is not None and floor is not None and deep:
            lowest = min(floor, max(known - DEEP, begun))
        found = [
            one
            for one in await self._back_to(feed, floor, None, lowest)
            if one.key not in self._taken[feed]
            and (lowest is None or one.at is None or one.at >= lowest)
        ]
        if deep:
            self._deep_at[feed] = now + DEEP_EVERY
        return self._page(feed, [not_before(one, known) for one in found], known, begun)

    def _page(
        self, feed: str, entries: list[Entry], known: datetime | None, begun: datetime
    ) -> Page:
        if not entries:
            return Page([], None, b"[]")
        times = [one.at for one in entries if one.at is not None]
        newest = max([*times, *([known] if known else [])], default=self._clock.now())
        keys = [one.key for one in entries]
        mark = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:12]
        position = f"{newest.isoformat()}#{mark}#{begun.isoformat()}"
        self._given[feed] = position, keys
        events = [one.event for one in entries]
        return Page(events, position, orjson.dumps([event.payload for event in events]))

    async def _newest(self, feed: str) -> tuple[list[Entry], bool]:
        """The newest page and what a later look back would reach; and whether that is all there is."""
        entries, cursor = await self._list(feed, None)
        times = [one.at for one in entries if one.at is not None]
        if cursor is None or not times:
            return entries[::-1], cursor is None
        return await self._back_to(feed, max(times) - 2 * OVERLAP, None), False

    async def _back_to(
        self,
        feed: str,
        floor: datetime | None,
        known: Known | None,
        lowest: datetime | None = None,
    ) -> list[Entry]:
        """From the newest back to `floor` (None: to the start), or to a whole page of `known` ones.

        Oldest first. The first page is always read: what stands low in the list is often on it. Below the
        floor it goes on to `lowest`, as far as a quarter of `backfill_limit`: that part is no gap.
        """
        found: dict[str, Entry] = {}
        cursor: str | None = None
        limit = self.backfill_limit
        while len(found) < limit:
            entries, cursor = await self._list(feed, cursor)
            for one in entries:
                found.setdefault(one.key, one)
            times = [one.at for one in entries if one.at is not None]
            if floor is not None and times and min(times) < floor:
                if lowest is None or lowest >= floor:
                    break
                floor, limit = lowest, min(limit, len(found) + self.backfill_limit // 4)
                if min(times) < floor:
                    break
            if cursor is None:
                break
            # A page may be empty and not the last one: the network filters after it has counted.
            if known is not None and entries and all(one.key in known for one in entries):
                break
        return list(found.values())[::-1]

    async def _list(self, feed: str, cursor: str | None) -> tuple[list[Entry], str | None]:
        query: dict[str, str | int] = {"limit": PAGE}
        if cursor is not None:
            query["cursor"] = cursor
        if feed == POSTS:
            method, holds = "app.bsky.feed.getAuthorFeed", "feed"
            query |= {"actor": self.account.native_id, "filter": "posts_with_replies"}
        else:
            # Not left to the account's own setting, which may hide all but those it follows.
            method, holds = "app.bsky.notification.listNotifications", "notifications"
            query["priority"] = "false"
        try:
            found = await self.session.get(method, **query)
        except Answered as answer:
            if feed == POSTS and answer.says == NOT_INDEXED:
                says = "the network has not indexed the account's profile yet: it takes minutes"
                raise Transient(PullReason.unexpected, says) from answer
            raise
        listed = found.get(holds) if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise Transient(PullReason.unexpected, f"{method}: no list")
        following = found.get("cursor")
        more = isinstance(following, str) and following and following != cursor
        name = POST if feed == POSTS else NOTIFICATION
        return [entry_of(name, one) for one in listed], following if more else None

    async def parse(self, event: Event, receipt: Receipt) -> Parsed:
        """See PulledSource."""
        return parse_event(event.name, event.payload, self.account, receipt)

    def asks_to_refetch(self, event: Event) -> bool:
        """No event does."""
        return False

    async def close(self) -> None:
        """See PulledSource."""
        await self.session.close()
