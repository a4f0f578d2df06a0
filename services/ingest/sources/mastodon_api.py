"""Mastodon's API: the stream, the two feeds, the thread's root. What it all means is in mastodon.py."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import orjson
from httpx_sse import EventSource, SSEError
from pydantic import SecretStr

from services.contracts.configuration.accounts import MastodonSettings
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Parsed
from services.ingest.domain.threads import Thread
from services.ingest.sources import mastodon_threads
from services.ingest.sources.http_answers import as_ours, retry_after
from services.ingest.sources.mastodon import parse_event, status_to_root
from services.ingest.sources.mastodon_missing import Missing
from services.ingest.sources.pulled import Event, Look, Page, PullReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

NOTIFICATIONS, STATUSES = "notifications", "statuses"
SILENCE = 60.0
"""Seconds without a byte after which a stream counts as dead: servers send a heartbeat every 15."""
ROOTS_KEPT = 5_000
LOOK_ELSEWHERE = 3600.0
"""Seconds between questions for an own account of another server that this one has not met."""
PEOPLE_ASKED = 40
"""Relationships in one question."""
REQUESTS_LEFT = 60
"""Of the server's rate limit: below it the rest is for the feeds, and roots wait for a later event."""


class MastodonAccountFeed:
    """One account's ears on its server."""

    name = "mastodon"
    feeds = (STATUSES, NOTIFICATIONS)
    look_interval = 6.0
    """Twenty requests of the 300 that five minutes allow, and more where statuses are missing."""

    def __init__(
        self, account: OwnAccount, settings: MastodonSettings, token: SecretStr, clock: Clock
    ) -> None:
        self.account = account
        self.backfill_limit = settings.backfill_limit
        self._base = str(settings.url).rstrip("/")
        self._clock = clock
        self._streaming: str | None = None
        self._requests_left: int | None = None
        self._roots: OrderedDict[str, str] = OrderedDict()
        self._elsewhere = list(account.elsewhere)
        self._looked_elsewhere = 0.0
        self._http = httpx.AsyncClient(
            base_url=self._base,
            headers={"authorization": f"Bearer {token.get_secret_value()}"},
            timeout=httpx.Timeout(10.0),
        )

    async def identify(self) -> None:
        """See PulledSource."""
        found, _ = await self._get("/api/v1/accounts/verify_credentials")
        who = str(found.get("id")) if isinstance(found, dict) else ""
        if who != self.account.native_id:
            raise Permanent(
                PullReason.wrong_account,
                f"the token is of account {who or 'nobody'}, presence.yaml says {self.account.id}",
            )
        await self._find_own_elsewhere()

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[AsyncIterator[Event]]:
        """The `user` stream: notifications, own statuses, edits, deletes."""
        url = f"{await self._streaming_host()}/api/v1/streaming/user"
        timeout = httpx.Timeout(10.0, read=SILENCE)
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        try:
            async with self._http.stream("GET", url, headers=headers, timeout=timeout) as response:
                if response.status_code != 200:
                    # Next time ask anew where the stream is: servers move it.
                    self._streaming = None
                self._check(response)
                yield self._events(EventSource(response))
        except httpx.HTTPError as error:
            raise as_ours(error) from error

    async def _events(self, source: EventSource) -> AsyncIterator[Event]:
        try:
            async for sse in source.aiter_sse():
                if sse.data:
                    yield _event(sse.event, sse.data)
        except SSEError as error:
            raise Transient(PullReason.unexpected, "the stream is no event stream") from error
        except httpx.HTTPError as error:
            raise as_ours(error) from error
        raise Transient(PullReason.disconnected, "the server closed the stream")

    async def _streaming_host(self) -> str:
        """Where this server streams: it may be another host. Never from https to a bare http."""
        if self._streaming is not None:
            return self._streaming
        found = self._base
        try:
            told, _ = await self._get("/api/v2/instance")
            url = told["configuration"]["urls"]["streaming"]
            parts = urlsplit(str(url))
        except (Permanent, KeyError, TypeError, ValueError):
            # Pleroma, and Mastodon before 4: the stream is on the server itself.
            pass
        else:
            scheme = {"wss": "https", "ws": "http"}.get(parts.scheme, parts.scheme)
            if parts.netloc and scheme in {"https", urlsplit(self._base).scheme}:
                found = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._streaming = found
        return found

    async def page(self, feed: str, after: str | None) -> Page:
        """Page forward: `min_id` gives what follows immediately, where `since_id` skips a long gap.

        After "" (the feed was empty) there is nothing to page from: then back from the newest.
        """
        if after != "":
            return await self._page(feed, {"min_id": after} if after else {})
        newest = page = await self._page(feed, {})
        pages = [page]
        while page.events and sum(len(one.events) for one in pages) < self.backfill_limit:
            page = await self._page(feed, {"max_id": str(page.events[0].payload.get("id"))})
            pages.append(page)
        events = [event for one in reversed(pages) for event in one.events]
        body = orjson.dumps([event.payload for event in events])
        return Page(events, newest.position, body)

    async def _page(self, feed: str, query: dict[str, str]) -> Page:
        if feed == STATUSES:
            path = f"/api/v1/accounts/{quote(self.account.native_id)}/statuses"
            limit, event = "40", "update"
        else:
            path, limit, event = "/api/v1/notifications", "80", "notification"
        found, body = await self._get(path, {"limit": limit, **query})
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise Transient(PullReason.unexpected, f"{feed}: no list")
        # Newest first, in both directions.
        events = [Event(event, one, orjson.dumps(one)) for one in reversed(found)]
        position = str(found[0].get("id") or "") or None if found else None
        return Page(events, position, body)

    async def parse(self, event: Event, receipt: Receipt) -> Parsed:
        """See PulledSource."""
        status = status_to_root(event.name, event.payload)
        root = await self._root(status) if status else None
        return parse_event(event.name, event.payload, self.account, receipt, root=root)

    def asks_to_refetch(self, event: Event) -> bool:
        """Requests that a person accepted became notifications, without events of their own."""
        return event.name == "notifications_merged"

    async def close(self) -> None:
        """See PulledSource."""
        await self._http.aclose()

    async def _root(self, status: str) -> str | None:
        """The thread's first status; None where it cannot be told now (the parent stands in for it)."""
        if status in self._roots:
            self._roots.move_to_end(status)
            return self._roots[status]
        if self._requests_left is not None and self._requests_left < REQUESTS_LEFT:
            return None
        try:
            found, _ = await self._get(f"/api/v1/statuses/{quote(status)}/context")
            ancestors = [str(one["id"]) for one in found["ancestors"]]
        except (Permanent, Transient, KeyError, TypeError):
            # A person waits: the event goes on, and alert merges when the real root is learned.
            return None
        if not ancestors:
            return None
        self._remember(ancestors[0], [*ancestors, status])
        return ancestors[0]

    def _remember(self, root: str, statuses: list[str]) -> None:
        for one in statuses:
            self._roots[one] = root
        while len(self._roots) > ROOTS_KEPT:
            self._roots.popitem(last=False)

    async def look(self, thread: Thread) -> Look:
        """See ThreadSource."""
        if self._requests_left is not None and self._requests_left < REQUESTS_LEFT:
            raise Transient(PullReason.rate_limited, "the rest of the limit is for live events")
        if self._elsewhere and self._clock.monotonic() - self._looked_elsewhere >= LOOK_ELSEWHERE:
            await self._find_own_elsewhere()
        missing = Missing(self._is_shown_to_anybody, self._is_blocked_by, thread.customers)
        return await mastodon_threads.look(self._get_if_there, missing, thread, self._remember)

    async def _is_shown_to_anybody(self, status: str) -> bool | None:
        """Asked without our token. See `Shown`."""
        request = self._http.build_request("GET", f"/api/v1/statuses/{quote(status, safe='')}")
        del request.headers["authorization"]
        try:
            response = await self._http.send(request)
            if response.status_code in (401, 403):
                return None
            self._check(response)
        except httpx.HTTPError as error:
            raise as_ours(error) from error
        except Permanent as error:
            if error.reason is PullReason.gone:
                return False
            raise
        return True

    async def _is_blocked_by(self, accounts: Collection[str]) -> bool | None:
        """See `Blocked`."""
        query = "&".join(f"id[]={quote(one, safe='')}" for one in sorted(accounts)[:PEOPLE_ASKED])
        try:
            told, _ = await self._get(f"/api/v1/accounts/relationships?{query}")
        except Permanent as error:
            if error.reason in (PullReason.credentials, PullReason.gone):
                return None
            raise
        if not isinstance(told, list):
            return None
        return any(isinstance(one, dict) and one.get("blocked_by") is True for one in told)

    async def _find_own_elsewhere(self) -> None:
        """The brand's accounts on other servers, by the ids that this server gave them.

        One that this server has never met has no id here, and nobody here has met it.
        """
        self._looked_elsewhere = self._clock.monotonic()
        for address in list(self._elsewhere):
            found = await self._get_if_there(f"/api/v1/accounts/lookup?acct={quote(address)}")
            if isinstance(found, dict) and found.get("id"):
                self._elsewhere.remove(address)
                own_ids = self.account.own_ids | {str(found["id"])}
                self.account = replace(self.account, own_ids=own_ids)

    async def _get_if_there(self, path: str) -> Any:
        try:
            return (await self._get(path))[0]
        except Permanent as error:
            if error.reason is PullReason.gone:
                return None
            raise

    async def _get(self, path: str, query: dict[str, str] | None = None) -> tuple[Any, bytes]:
        try:
            response = await self._http.get(path, params=query)
        except httpx.HTTPError as error:
            raise as_ours(error) from error
        left = response.headers.get("x-ratelimit-remaining", "")
        self._requests_left = int(left) if left.isascii() and left.isdigit() else None
        self._check(response)
        try:
            return orjson.loads(response.content), response.content
        except orjson.JSONDecodeError as error:
            raise Transient(PullReason.unexpected, f"{path}: no JSON") from error

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in (401, 403):
            raise Permanent(PullReason.credentials, f"the server refuses the token ({status})")
        if status == 429:
            wait = retry_after(response.headers, self._clock.now())
            raise Transient(PullReason.rate_limited, "429", retry_after=wait)
        if status >= 500:
            wait = retry_after(response.headers, self._clock.now(), default=0.0)
            raise Transient(PullReason.server_error, str(status), retry_after=wait or None)
        reason = PullReason.gone if status in (404, 410) else PullReason.unexpected
        raise Permanent(reason, f"{response.request.url.path}: {status}")


def _event(name: str, data: str) -> Event:
    """A `delete` carries a bare id, all others JSON. Unreadable data goes on as it is, to be rejected."""
    body = data.encode("utf-8", "replace")
    if name == "delete":
        return Event(name, data, body)
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = data
    # mastodon-mock and some clients write the dot as an underscore.
    return Event("status.update" if name == "status_update" else name, payload, body)
