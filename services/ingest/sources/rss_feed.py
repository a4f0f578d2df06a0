"""Fetching a feed: conditional, bounded, in its turn. What a document means is in rss.py."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import httpx
import orjson

from services.contracts.configuration.accounts import FeedSettings
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Parsed
from services.ingest.sources.http_answers import as_ours, retry_after
from services.ingest.sources.polling import Turn, quiet_stream
from services.ingest.sources.pulled import Event, Page, PullReason
from services.ingest.sources.rss import NoFeed, Position, news, parse_entry, position, read
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

ARTICLES = "articles"
FEED_LIMIT = 5 * 1024 * 1024
"""Bytes, unpacked."""
SHORTEST, LONGEST = 60.0, 6 * 3_600.0
"""Seconds between two requests, whatever a feed asks for."""
AFTER_FAILURE = 300.0
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})")


class RssFeed:
    """One feed of presence.yaml."""

    name = "rss"
    feeds = (ARTICLES,)
    # One document is all there is; it cannot go on for ever.
    backfill_limit = 1_000_000

    def __init__(self, account: OwnAccount, settings: FeedSettings, clock: Clock) -> None:
        self.account = account
        self._url = str(settings.url)
        self._every = max(SHORTEST, settings.every.total_seconds())
        self._clock = clock
        self._turn = Turn(clock, self._every)
        self._asked = 0.0
        """Seconds, by the document: a 304 does not repeat it."""
        self._moved_to: str | None = None
        self._unchanged: tuple[str, Position] | None = None
        """Newer validators of a position that stayed, as nothing in the document was new."""
        self._http = httpx.AsyncClient(
            headers={
                "user-agent": "Presence (feed reader)",
                "accept": "application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.5",
            },
            timeout=httpx.Timeout(20.0),
            follow_redirects=True,
            max_redirects=5,
        )

    async def identify(self) -> None:
        """There is no credential to check."""

    def stream(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Nothing streams."""
        return quiet_stream()

    async def page(self, feed: str, after: str | None) -> Page:
        """The entries that are new since `after`; none before the feed's turn has come."""
        if after is not None and not self._turn.has_come:
            return Page([], after, b"")
        live = after is not None and self._turn.in_time
        before = position(after)
        if self._unchanged is not None and self._unchanged[0] == after:
            before = self._unchanged[1]
        try:
            response, body = await self._fetch(before)
        except (Transient, Permanent) as error:
            wait = getattr(error, "retry_after", None) or AFTER_FAILURE
            self._turn.refused(wait)
            raise
        if response.status_code == 304:
            self._set_interval(response.headers)
            self._turn.answered()
            return Page([], after, b"")
        try:
            # Megabytes of XML take seconds: not on the loop that answers webhooks.
            found = await asyncio.to_thread(read, body, response.headers, str(response.url))
        except NoFeed as error:
            self._turn.refused(AFTER_FAILURE)
            raise Transient(
                PullReason.unexpected, f"{self._url}: {error}", retry_after=AFTER_FAILURE
            ) from error
        self._asked = found.interval or 0.0
        self._set_interval(response.headers)
        self._turn.answered()
        fresh, known = news(found.entries, before.known)
        now = Position(known, response.headers.get("etag"), response.headers.get("last-modified"))
        if not fresh and after is not None:
            self._unchanged = (after, now)
            return Page([], after, b"")
        payloads = [one.model_dump(mode="json") for one in fresh]
        events = [Event("entry", one, orjson.dumps(one)) for one in payloads]
        return Page(events, now.written(), orjson.dumps(payloads), live=live)

    async def parse(self, event: Event, receipt: Receipt) -> Parsed:
        """See PulledSource."""
        return parse_entry(event.payload, self.account, receipt)

    def asks_to_refetch(self, event: Event) -> bool:
        """Never: nothing streams."""
        return False

    async def close(self) -> None:
        """See PulledSource."""
        await self._http.aclose()

    async def _fetch(self, before: Position) -> tuple[httpx.Response, bytes]:
        headers = {}
        if before.etag:
            headers["if-none-match"] = before.etag
        if before.modified:
            headers["if-modified-since"] = before.modified
        try:
            async with self._http.stream("GET", self._url, headers=headers) as response:
                self._check(response)
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > FEED_LIMIT:
                        says = f"{self._url}: over {FEED_LIMIT} bytes"
                        raise Permanent(PullReason.unexpected, says)
                return response, bytes(body)
        except httpx.TooManyRedirects as error:
            raise Permanent(PullReason.unexpected, f"{self._url}: moves in circles") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Permanent(PullReason.unexpected, f"{self._url}: moved to no address") from error
        except httpx.HTTPError as error:
            raise as_ours(error) from error

    def _check(self, response: httpx.Response) -> None:
        if self._url.startswith("https:") and response.url.scheme != "https":
            raise Permanent(PullReason.unexpected, f"{self._url}: moved from https to http")
        self._tell_move(response)
        status, now = response.status_code, self._clock.now()
        if status in (200, 304):
            return
        if status == 429 or status >= 500:
            reason = PullReason.rate_limited if status == 429 else PullReason.server_error
            asked = retry_after(response.headers, now, default=AFTER_FAILURE)
            wait = min(max(SHORTEST, asked), LONGEST)
            raise Transient(reason, f"{self._url}: {status}", retry_after=wait)
        if status in (401, 403):
            raise Permanent(PullReason.credentials, f"{self._url}: not public ({status})")
        says = "gone: take it out of presence.yaml" if status == 410 else str(status)
        raise Permanent(PullReason.unexpected, f"{self._url}: {says}")

    def _tell_move(self, response: httpx.Response) -> None:
        """Permanent moves from the first one on, as long as they are permanent."""
        moved_to = None
        for hop, after in itertools.pairwise([*response.history, response]):
            if hop.status_code not in (301, 308):
                break
            moved_to = str(after.url)
        if moved_to is not None and moved_to != self._moved_to:
            log.warning(
                "a feed has moved for good: change its url in presence.yaml",
                account=self.account.id, url=self._url, to=moved_to,
            )  # fmt: skip
        self._moved_to = moved_to

    def _set_interval(self, headers: httpx.Headers) -> None:
        """The longest that anybody asks for: presence.yaml, the feed, the server's cache."""
        age = _MAX_AGE.search(headers.get("cache-control", "").lower())
        cached = float(age[1]) if age else 0.0
        self._turn.interval = min(max(self._every, self._asked, cached), LONGEST)
