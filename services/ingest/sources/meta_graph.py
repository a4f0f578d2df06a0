"""Meta's gaps: what pages and Instagram accounts got while no webhook reached us, read from Graph.

Meta replays nothing. So after every (re)start, and every ten minutes, comments and messages since the
cursor are read. Each is put into the form of the webhook that would have told it: one reading of both, the
same ids, so that what came both ways is one event; and a dead letter of it can be replayed as any other.

The brand's own items are a feed of their own and come first. Graph lists by the age of *posts*, so comments
are looked for under the posts of the last `LOOK_BACK`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import SecretStr

from services.contracts.configuration.accounts import MetaSettings
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.native import instant
from services.ingest.domain.outcome import Parsed, Rejected, RejectReason
from services.ingest.domain.threads import Thread
from services.ingest.sources import meta_threads
from services.ingest.sources.gone import GONE, parse_gone
from services.ingest.sources.meta import account_key, read_entry
from services.ingest.sources.meta_forms import (
    COMMENT,
    REPLY,
    comment_change,
    instagram_change,
    post_change,
)
from services.ingest.sources.meta_graph_api import GraphApi, following, token_ends
from services.ingest.sources.meta_spoken_of import RATINGS, TAGGED, spoken_of
from services.ingest.sources.pulled import Event, Look, Page, PullReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent
from services.runtime.logs import get_logger

log = get_logger(__name__)

OWN, PEOPLE = "graph-own", "graph-people"
READ_EVERY = 600.0
"""Seconds. Webhooks are the live way; a page's calls are limited by the day."""
LOOK_BACK = timedelta(days=30)
OVERLAP = timedelta(minutes=5)
"""Graph shows some things late; what is read twice is one event."""
SETTLED = timedelta(minutes=1)
"""What is younger is still on its way by webhook."""
HISTORY = timedelta(days=1)
"""How much is taken as history when an account is read for the first time."""
SHARED_FOR = 30.0
"""Seconds in which the two feeds share one reading."""
CHUNK = 100
COMMENTS = 50
"""Of one post or media, in a request."""
_MESSAGE = "id,created_time,from,to,message,attachments"


@dataclass(frozen=True, slots=True)
class _Told:
    """One thing that Graph tells, in the webhook's form."""

    at: datetime
    own: bool
    entry: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Window:
    """What one reading brought."""

    at: float
    begin: datetime
    told: Sequence[_Told]


class MetaGraphFeed:
    """One page's or Instagram account's gaps."""

    name = "meta"
    feeds = (OWN, PEOPLE)
    look_interval = 30.0
    """Seconds. What a page may ask is counted by the hour, and less where few people follow it."""

    def __init__(
        self,
        account: OwnAccount,
        settings: MetaSettings,
        token: SecretStr,
        app_secret: SecretStr,
        clock: Clock,
    ) -> None:
        self.account = account
        self.backfill_limit = settings.backfill_limit
        self._kind, self._id = account_key(account).split(":", 1)
        self._api = GraphApi(str(settings.api_url), token, app_secret, clock)
        self._clock = clock
        self._window: _Window | None = None
        self._next_read = dict.fromkeys(self.feeds, 0.0)
        self._read_to: dict[str, datetime] = {}
        self._pending: dict[str, tuple[str, Sequence[_Told]]] = {}
        self._unread: set[str] = set()

    async def identify(self) -> None:
        """See PulledSource. What follows is a new connection: everything is read at once."""
        self._next_read = dict.fromkeys(self.feeds, 0.0)
        self._window = None
        self._read_to.clear()
        self._pending.clear()
        try:
            found = await self._api.get(f"/{self._id}", {"fields": "id"})
        except Permanent as error:
            if error.reason not in (PullReason.unexpected, PullReason.gone):
                raise
            raise Permanent(
                PullReason.wrong_account,
                f"this token sees no {self._kind} {self._id}: {error.detail}",
            ) from error
        if str(found.get("id")) != self._id:
            raise Permanent(PullReason.wrong_account, f"Meta answers as {found.get('id')!s}"[:80])

    async def token_expires(self) -> datetime | None:
        """See ExpiringSource. One call, as `presence doctor` makes it."""
        return token_ends(await self._api.inspect_token())

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[AsyncIterator[Event]]:
        """Graph has none: only the word, every ten minutes, that it is time to read."""
        yield self._ticks()

    async def _ticks(self) -> AsyncIterator[Event]:
        while True:
            await self._clock.sleep(READ_EVERY)
            yield Event("read", None, b"")

    def asks_to_refetch(self, event: Event) -> bool:
        """Every event is such a word."""
        return True

    async def page(self, feed: str, after: str | None) -> Page:
        """What was said since `after` (a Unix time), the oldest first; nothing before it is time to read."""
        now = self._clock.now()
        if after is None:
            told = [one for one in await self._since(now - HISTORY) if one.at < now - OVERLAP]
            return self._as_page([one for one in told if self._is_of(one, feed)], now)
        position, rest = self._pending.pop(feed, ("", ()))
        if position == after and rest:
            return self._chunk(feed, rest)
        if self._clock.monotonic() < self._next_read[feed]:
            return Page([], None, b"")
        begin = max((instant(after) or now) - OVERLAP, self._read_to.get(feed, _EVER))
        found = [one for one in await self._since(begin) if one.at >= begin]
        found = [one for one in found if self._is_of(one, feed) and one.at <= now - SETTLED]
        self._next_read[feed] = self._clock.monotonic() + READ_EVERY - 1
        # The cursor stands at the last thing said; in a quiet week we need not read from there again.
        self._read_to[feed] = now - OVERLAP
        return self._chunk(feed, found) if found else Page([], None, b"")

    def _chunk(self, feed: str, told: Sequence[_Told]) -> Page:
        """A part; everything of one second stays together, since the position is a second."""
        end = CHUNK
        while end < len(told) and told[end].at == told[end - 1].at:
            end += 1
        page = self._as_page(told[:end], told[:end][-1].at)
        if told[end:] and page.position is not None:
            self._pending[feed] = page.position, told[end:]
        return page

    def _as_page(self, told: Sequence[_Told], position: datetime) -> Page:
        payloads = [{"object": self._kind, "entry": [one.entry]} for one in told]
        events = [Event("entry", one, orjson.dumps(one)) for one in payloads]
        body = orjson.dumps({"object": self._kind, "entry": [one.entry for one in told]})
        return Page(events, str(int(position.timestamp())), body)

    @staticmethod
    def _is_of(told: _Told, feed: str) -> bool:
        return told.own == (feed == OWN)

    async def parse(self, event: Event, receipt: Receipt) -> Parsed:
        """As the webhook's."""
        if event.name == GONE:
            return parse_gone(event.payload, self.account, receipt)
        entry = event.payload["entry"][0]
        accounts = {account_key(self.account): self.account}
        found = list(read_entry(self._kind, entry, accounts, receipt))
        if len(found) != 1:
            return Rejected(RejectReason.malformed, f"{len(found)} changes", self.account.id)
        return found[0]

    async def look(self, thread: Thread) -> Look:
        """See ThreadSource."""
        return await meta_threads.look(self._api, self._kind, self._id, thread, self._clock.now())

    async def close(self) -> None:
        """See PulledSource."""
        await self._api.close()

    async def _since(self, begin: datetime) -> Sequence[_Told]:
        """All that was said since `begin`, in order. Both feeds of one round share one reading."""
        read = self._window
        if read and read.begin <= begin and self._clock.monotonic() - read.at < SHARED_FOR:
            return read.told
        found: list[_Told] = []
        if self._kind == "page":
            await self._page_feed(begin, found)
            for edge in (RATINGS, TAGGED):
                await self._spoken_of(edge, begin, found)
        else:
            await self._instagram_media(begin, found)
        await self._messages(begin, found)
        found.sort(key=lambda one: one.at)
        self._window = _Window(self._clock.monotonic(), begin, found)
        return found

    def _full(self, found: Sequence[_Told]) -> bool:
        """Newest first, so what is left out is the oldest; the listener tells that a gap is not closed."""
        own = sum(one.own for one in found)
        return max(own, len(found) - own) >= self.backfill_limit

    async def _page_feed(self, begin: datetime, found: list[_Told]) -> None:
        since = int(begin.timestamp())
        modifiers = f"filter(stream).order(reverse_chronological).since({since}).limit({COMMENTS})"
        comments = f"comments.{modifiers}{{{COMMENT}}}"
        query = {
            "fields": f"id,from,message,created_time,permalink_url,{comments}",
            "since": str(int((begin - LOOK_BACK).timestamp())),
            "limit": "25",
        }
        async for posts in self._api.pages(f"/{self._id}/feed", query):
            for post in posts:
                at = instant(post.get("created_time"))
                if at is not None and at >= begin:
                    found.append(self._said(at, post, post_change(post)))
                async for comment in self._nested(post, "comments"):
                    at = instant(comment.get("created_time"))
                    if at is None or at < begin:
                        break
                    found.append(self._said(at, comment, comment_change(comment, post)))
            if self._full(found):
                return

    async def _instagram_media(self, begin: datetime, found: list[_Told]) -> None:
        replies = f"replies.limit(50){{{REPLY}}}"
        query = {
            "fields": f"id,timestamp,comments.limit({COMMENTS}){{{REPLY},{replies}}}",
            "limit": "25",
        }
        async for media in self._api.pages(f"/{self._id}/media", query):
            for one in media:
                seen = 0
                async for comment in self._nested(one, "comments"):
                    self._instagram_comment(comment, one, begin, found)
                    seen += 1
                    at = instant(comment.get("timestamp"))
                    if seen >= COMMENTS and at is not None and at < begin:
                        # Newest first. Older ones matter for answers beneath them, a page of them.
                        break
                    async for reply in self._nested(comment, "replies"):
                        answer = {"parent_id": comment.get("id"), **reply}
                        self._instagram_comment(answer, one, begin, found)
            oldest = instant(media[-1].get("timestamp")) if media else None
            if self._full(found) or (oldest is not None and oldest < begin - LOOK_BACK):
                return

    def _instagram_comment(
        self, comment: dict[str, Any], media: dict[str, Any], begin: datetime, found: list[_Told]
    ) -> None:
        at = instant(comment.get("timestamp"))
        if at is None or at < begin:
            return
        found.append(self._said(at, comment, instagram_change(comment, media)))

    async def _messages(self, begin: datetime, found: list[_Told]) -> None:
        """Conversations come with the newest message's first, and so do the messages in each."""
        query = {"fields": f"id,updated_time,messages.limit(25){{{_MESSAGE}}}", "limit": "25"}
        if self._kind == "instagram":
            query["platform"] = "instagram"
        try:
            async for conversations in self._api.pages(f"/{self._id}/conversations", query):
                for one in conversations:
                    updated = instant(one.get("updated_time"))
                    if updated is not None and updated < begin:
                        return
                    async for message in self._nested(one, "messages"):
                        at = instant(message.get("created_time"))
                        if at is None or at < begin:
                            break
                        found.append(self._sent(at, message))
                if self._full(found):
                    return
        except Permanent as error:
            self._without("messages", error)

    async def _spoken_of(self, edge: str, begin: datetime, found: list[_Told]) -> None:
        try:
            async for at, said, change in spoken_of(self._api, self._id, edge, begin):
                found.append(self._said(at, said, change))
                if self._full(found):
                    return
        except Permanent as error:
            self._without(edge, error)

    def _without(self, what: str, error: Permanent) -> None:
        """The others are read all the same: a page that has no messaging is no broken token."""
        if error.reason is PullReason.credentials and "permission" not in error.detail:
            raise error
        if what not in self._unread:
            log.warning(f"{what} of gaps cannot be read", account=self._id, says=str(error))
        self._unread.add(what)

    async def _nested(self, parent: dict[str, Any], edge: str) -> AsyncIterator[dict[str, Any]]:
        """A list inside of an object, and its further pages where the reader goes on."""
        found = parent.get(edge)
        while isinstance(found, dict):
            for one in found.get("data") or ():
                if isinstance(one, dict):
                    yield one
            query = following(found)
            if query is None:
                return
            found = await self._api.get(f"/{parent.get('id')}/{edge}", query)

    def _said(self, at: datetime, said: dict[str, Any], change: dict[str, Any]) -> _Told:
        sender = said.get("from")
        own = isinstance(sender, dict) and str(sender.get("id")) in self.account.own_ids
        entry = {"id": self._id, "time": int(at.timestamp()), "changes": [change]}
        return _Told(at, own, entry)

    def _sent(self, at: datetime, message: dict[str, Any]) -> _Told:
        sender = str((message.get("from") or {}).get("id"))
        own = sender in self.account.own_ids
        others = [str(one.get("id")) for one in _data(message.get("to"))]
        messaging = {
            "sender": {"id": sender},
            "recipient": {"id": next(iter(others), self._id)},
            "timestamp": int(at.timestamp() * 1000),
            "message": {
                "mid": message.get("id"),
                "text": message.get("message") or "",
                "is_echo": own,
                "attachments": list(_attachments(message)),
            },
        }
        entry = {"id": self._id, "time": int(at.timestamp()), "messaging": [messaging]}
        return _Told(at, own, entry)


_EVER = datetime.min.replace(tzinfo=UTC)


def _data(edge: Any) -> Iterable[dict[str, Any]]:
    found = edge.get("data") if isinstance(edge, dict) else None
    return [one for one in found or () if isinstance(one, dict)]


def _attachments(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for one in _data(message.get("attachments")):
        for kind, key in (("image", "image_data"), ("video", "video_data")):
            if isinstance(one.get(key), dict):
                yield {"type": kind, "payload": {"url": one[key].get("url")}}
                break
        else:
            yield {"type": "file", "payload": {"url": one.get("file_url")}}
