"""YouTube's Data API v3: the newest comment threads of a channel, in turns that fit the key's quota.

The API has no stream and no position. Threads come newest first, a new reply moves no thread up, and an
answer holds only some of a thread's replies. So every turn reads the newest page, every 15 minutes the
newest five, and of each thread whose count of replies grew all its replies. What lies in the last three
days is offered again after a restart: dedupe by event id (14 days) knows it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import orjson
from pydantic import SecretStr

from services.contracts.configuration.accounts import YouTubeSettings
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.native import instant
from services.ingest.domain.outcome import Parsed
from services.ingest.domain.threads import Thread
from services.ingest.sources import youtube_threads
from services.ingest.sources.gone import GONE, parse_gone
from services.ingest.sources.http_answers import as_ours, retry_after
from services.ingest.sources.polling import Turn, quiet_stream
from services.ingest.sources.pulled import Event, Look, Page, PullReason
from services.ingest.sources.youtube import events_of, parse_comment
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

COMMENTS = "comments"
API = "https://www.googleapis.com/youtube/v3"
DEEP_EVERY, DEEP_PAGES = 900.0, 5
REPLY_PAGES = 10
REMEMBERED = 50_000
OVERLAP = timedelta(days=3)
"""Comments that were held for review appear later than they were written."""
UNSETTLED = timedelta(minutes=10)
"""What was written just before a channel was connected may be listed a moment later."""
BEFORE = datetime(2005, 1, 1, tzinfo=UTC)
QUOTA_ZONE = ZoneInfo("America/Los_Angeles")
"""Quotas begin anew at midnight there."""
_QUOTA = frozenset({"quotaExceeded", "dailyLimitExceeded"})
_GONE = frozenset({"commentThreadNotFound", "commentNotFound", "parentCommentNotFound"})
_TOO_FAST = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})


class YouTubeChannel:
    """One channel's comments."""

    name = "youtube"
    feeds = (COMMENTS,)
    look_interval = 60.0
    """Seconds: two units each, and none while half of the day's units are spent."""

    def __init__(
        self,
        account: OwnAccount,
        settings: YouTubeSettings,
        key: SecretStr,
        clock: Clock,
        *,
        api: str = API,
    ) -> None:
        self.account = account
        self.backfill_limit = settings.backfill_limit
        self._every = settings.every.total_seconds()
        self._clock = clock
        self._turn = Turn(clock, self._every)
        self._deep_at = clock.monotonic()
        self._quota = Quota(settings.daily_units)
        self._seen: set[str] = set()
        self._replies: dict[str, int] = {}
        """How many replies each thread had when they were last read."""
        self._offered: tuple[str, set[str], dict[str, int]] | None = None
        # The key goes in a header: an address would put it into every log on the way.
        headers = {"x-goog-api-key": key.get_secret_value()}
        self._http = httpx.AsyncClient(base_url=api, headers=headers, timeout=httpx.Timeout(20.0))

    async def identify(self) -> None:
        """See PulledSource. One unit."""
        found = await self._get("/channels", {"part": "id", "id": self.account.native_id})
        if not found.get("items"):
            raise Permanent(
                PullReason.wrong_account, f"YouTube knows no channel {self.account.native_id}"
            )

    def stream(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Nothing streams."""
        return quiet_stream()

    async def page(self, feed: str, after: str | None) -> Page:
        """What is new since `after`, the brand's own first; none before the turn has come."""
        if after is not None and not self._turn.has_come:
            return Page([], after, b"")
        self._remember(after)
        live = after is not None and self._turn.in_time
        position = read_position(after)
        try:
            first = after is None
            threads = await self._threads(None if first or live else position.floor, first=first)
            counted = {str(one.get("id")): _reply_count(one) for one in threads}
            told: list[dict[str, Any]] = []
            for thread in threads:
                told += events_of(thread, await self._replies_of(thread))
        except Transient as error:
            self._turn.refused(error.retry_after or self._every)
            raise
        self._turn.answered()
        self._turn.interval = max(self._every, self._quota.pace(self._clock.now()))
        fresh = {}
        for one in told:
            at = _moment(one)
            if _name(one) not in self._seen and (after is None or at >= position.floor):
                fresh[_name(one)] = one
        if not fresh and after is not None:
            self._replies.update(counted)
            return Page([], after, b"")
        payloads = sorted(fresh.values(), key=lambda one: (not self._is_own(one), _moment(one)))
        now = self._clock.now()
        moments = [min(now, _moment(one)) for one in payloads]
        following = position.following(max(moments, default=now))
        self._offered = (following, set(fresh), counted)
        events = [Event("comment", one, orjson.dumps(one)) for one in payloads]
        return Page(events, following, orjson.dumps(payloads), live=live)

    async def parse(self, event: Event, receipt: Receipt) -> Parsed:
        """See PulledSource."""
        if event.name == GONE:
            return parse_gone(event.payload, self.account, receipt)
        return parse_comment(event.payload, self.account, receipt)

    async def look(self, thread: Thread) -> Look:
        """See ThreadSource."""
        if self._quota.half_spent(self._clock.now()):
            raise Transient(PullReason.rate_limited, "the rest of the day's units is for turns")
        return await youtube_threads.look(self._get_if_there, thread)

    async def _get_if_there(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        try:
            return await self._get(path, query)
        except Permanent as error:
            if error.reason is PullReason.gone:
                return None
            raise

    def asks_to_refetch(self, event: Event) -> bool:
        """Never: nothing streams."""
        return False

    async def close(self) -> None:
        """See PulledSource."""
        await self._http.aclose()

    def _remember(self, after: str | None) -> None:
        """What was offered is known only once the cursor says that it was handed over."""
        if self._offered is not None and self._offered[0] == after:
            self._seen |= self._offered[1]
            self._replies.update(self._offered[2])
        self._offered = None
        if len(self._seen) + len(self._replies) > REMEMBERED:
            # Memory stays bounded; what is offered again is known by its event id.
            self._seen.clear()
            self._replies.clear()

    def _is_own(self, told: dict[str, Any]) -> bool:
        try:
            author = told["comment"]["snippet"]["authorChannelId"]["value"]
        except (KeyError, TypeError):
            return False
        return author in self.account.own_ids

    async def _threads(self, floor: datetime | None, *, first: bool) -> list[dict[str, Any]]:
        """Newest first: one page; five every 15 minutes; after a gap all down to `floor`."""
        query = {
            "part": "snippet,replies",
            "allThreadsRelatedToChannelId": self.account.native_id,
            "order": "time",
            "textFormat": "plainText",
            "maxResults": "100",
        }
        regular = not first and self._clock.monotonic() >= self._deep_at
        found: list[dict[str, Any]] = []
        pages = 0
        while True:
            answer = await self._get("/commentThreads", query)
            threads = [one for one in answer.get("items") or [] if isinstance(one, dict)]
            found += threads
            pages += 1
            token = answer.get("nextPageToken")
            if not token or not threads or len(found) >= self.backfill_limit:
                break
            older = _moment({"comment": (threads[-1].get("snippet") or {}).get("topLevelComment")})
            in_gap = floor is not None and older >= floor
            wanted = in_gap or (regular and pages < DEEP_PAGES)
            if not wanted:
                break
            query = {**query, "pageToken": str(token)}
        if regular:
            self._deep_at = self._clock.monotonic() + DEEP_EVERY
        return found

    async def _replies_of(self, thread: dict[str, Any]) -> list[Any]:
        replies = thread.get("replies")
        inline = replies.get("comments") if isinstance(replies, dict) else None
        inline = inline if isinstance(inline, list) else []
        count = _reply_count(thread)
        if count <= len(inline) or self._replies.get(str(thread.get("id"))) == count:
            return inline
        query = {
            "part": "snippet",
            "parentId": str(thread.get("id")),
            "textFormat": "plainText",
            "maxResults": "100",
        }
        found: list[Any] = []
        for _ in range(REPLY_PAGES):
            answer = await self._get("/comments", query)
            found += answer.get("items") or []
            if not answer.get("nextPageToken"):
                break
            query = {**query, "pageToken": str(answer["nextPageToken"])}
        return found or inline

    async def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        self._quota.spent(1, self._clock.now())
        try:
            response = await self._http.get(path, params=query)
        except httpx.HTTPError as error:
            raise as_ours(error) from error
        try:
            found = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            found = None
        if response.status_code == 200 and isinstance(found, dict):
            return found
        raise self._refusal(response, found)

    def _refusal(self, response: httpx.Response, found: Any) -> Transient | Permanent:
        status, now = response.status_code, self._clock.now()
        reasons = set(_reasons(found))
        if reasons & _QUOTA:
            # An hour at most: somebody may raise the quota.
            wait = min(3_600.0, until_reset(now))
            return Transient(
                PullReason.rate_limited, "the key's daily quota is used up", retry_after=wait
            )
        if status == 429 or reasons & _TOO_FAST:
            wait = retry_after(response.headers, now, default=60.0)
            return Transient(PullReason.rate_limited, str(status), retry_after=wait)
        if status >= 500:
            wait = retry_after(response.headers, now, default=0.0)
            return Transient(PullReason.server_error, str(status), retry_after=wait or None)
        if reasons & _GONE:
            return Permanent(PullReason.gone, f"{status}")
        if status == 404:
            says = f"YouTube knows no channel {self.account.native_id}"
            return Permanent(PullReason.wrong_account, says)
        says = f"{status} {', '.join(sorted(reasons))}"[:120]
        if status in (400, 401, 403) and "commentsDisabled" not in reasons:
            return Permanent(PullReason.credentials, f"YouTube refuses the key: {says}")
        if status == 200:
            return Transient(PullReason.unexpected, "the answer is no JSON object")
        return Permanent(PullReason.unexpected, says)


class Quota:
    """Units that this process spent since midnight in California."""

    def __init__(self, daily: int) -> None:
        self._daily = daily
        self._day = ""
        self._used = 0
        self._turns = 0

    def spent(self, units: int, now: datetime) -> None:
        """Count a request."""
        today = now.astimezone(QUOTA_ZONE).date().isoformat()
        if today != self._day:
            self._day, self._used, self._turns = today, 0, 0
        self._used += units

    def half_spent(self, now: datetime) -> bool:
        """Whether half of today's units are gone."""
        self.spent(0, now)
        return self._used * 2 >= self._daily

    def pace(self, now: datetime) -> float:
        """Seconds between turns with which the rest of the day's units last; counts a turn."""
        self._turns += 1
        left = max(1, self._daily - self._used)
        return until_reset(now) * (self._used / self._turns) / left


def until_reset(now: datetime) -> float:
    """Seconds until quotas begin anew."""
    there = now.astimezone(QUOTA_ZONE)
    midnight = datetime.combine(there.date() + timedelta(days=1), datetime.min.time(), QUOTA_ZONE)
    return (midnight.astimezone(UTC) - now).total_seconds()


@dataclass(frozen=True, slots=True)
class Position:
    """How far a channel was read."""

    since: datetime
    """The newest moment that was read."""
    begun: datetime
    """When the channel was connected: what is older is history that was not asked for."""
    number: int = 0
    """Makes every position another, so that the next request tells what was handed over."""

    @property
    def floor(self) -> datetime:
        """What is older is not looked at."""
        return max(self.since - OVERLAP, self.begun)

    def following(self, newest: datetime) -> str:
        """The position after a page whose newest moment is `newest`, as the cursor keeps it."""
        begun = self.begun if self.number else newest - UNSETTLED
        since = max(newest, self.since)
        return f"{since.isoformat()} {begun.isoformat()} {self.number + 1}"


def read_position(written: str | None) -> Position:
    """The inverse; one before all comments for None."""
    since, begun, number = (written or "").split(" ") if written else ("", "", "0")
    return Position(instant(since) or BEFORE, instant(begun) or BEFORE, int(number))


def _moment(told: dict[str, Any]) -> datetime:
    """When the comment last changed; unreadable ones count as new, so that they are rejected aloud."""
    try:
        words = told["comment"]["snippet"]
        key = "publishedAt" if told.get("action") != "edited" else "updatedAt"
        found = instant(words[key])
    except (KeyError, TypeError):
        found = None
    return found or datetime.max.replace(tzinfo=UTC) - timedelta(days=30)


def _name(told: dict[str, Any]) -> str:
    comment = told["comment"] if isinstance(told["comment"], dict) else {}
    at = _moment(told).isoformat() if told["action"] == "edited" else ""
    return f"{comment.get('id')} {at}"


def _reply_count(thread: dict[str, Any]) -> int:
    count = (thread.get("snippet") or {}).get("totalReplyCount")
    return count if isinstance(count, int) else 0


def _reasons(found: Any) -> Iterable[str]:
    """The reasons of Google's two error forms."""
    error = found.get("error") if isinstance(found, dict) else None
    if not isinstance(error, dict):
        return
    for one in [*(error.get("errors") or []), *(error.get("details") or [])]:
        if isinstance(one, dict) and one.get("reason"):
            yield str(one["reason"])
