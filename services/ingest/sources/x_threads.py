"""X's conversations: who answers our customers there, by recent search.

Account Activity brings what names or answers us, and of deletions only our own. A conversation is searched
(`conversation_id:`) for the rest: only what is newer than the last look, since X counts every post that it
shows. The waiting posts themselves are asked for by id: who deleted one waits no more. The search reaches
back seven days.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import orjson

from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.native import instant
from services.ingest.domain.outcome import Parsed
from services.ingest.domain.threads import Node, Thread, concerning, remembered
from services.ingest.sources.http_answers import as_ours, retry_after
from services.ingest.sources.polling import quiet_stream
from services.ingest.sources.pulled import Event, Look, Page, PullReason
from services.ingest.sources.x import parse_gone, parse_post
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

PAGES = 3
"""Of a hundred posts, in one look."""
KNOWN = 1_000
"""Posts whose conversation is remembered."""
_UNTIL = "until "
"""Before the id of the newest post that was found, where that is none of our business."""
_GONE = "gone "
"""Before the id of a waiting post that was told as deleted."""
GONE = "tweet_delete"
AT_ONCE = 100
"""Posts in one question."""
_FIELDS = {
    "tweet.fields": "created_at,conversation_id,in_reply_to_user_id,referenced_tweets,entities,lang",
    "expansions": "author_id",
    "user.fields": "created_at,name,username,profile_image_url,public_metrics,verified",
}


class XConversations:
    """One account's look at the conversations in which its customers wait."""

    name = "x"
    feeds: tuple[str, ...] = ()
    backfill_limit = 0
    look_interval = 15.0
    """Seconds: a fifth of the 300 searches that 15 minutes allow."""

    def __init__(self, account: OwnAccount, url: str, auth: httpx.Auth, clock: Clock) -> None:
        self.account = account
        self._clock = clock
        self._conversations: OrderedDict[str, str] = OrderedDict()
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"), auth=auth, timeout=httpx.Timeout(20.0)
        )

    async def identify(self) -> None:
        """See PulledSource."""
        found = _object((await self._get("/2/users/me", {})).get("data"))
        if str(found.get("id")) != self.account.native_id:
            who = found.get("id") or "nobody"
            says = f"the token is of account {who}, presence.yaml says {self.account.id}"
            raise Permanent(PullReason.wrong_account, says)

    async def may_look(self) -> None:
        """Whether the account's access includes the search. Raises Permanent where it does not."""
        await self._get("/2/tweets/search/recent", {"query": "conversation_id:1"})

    def stream(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """What X sends comes by webhook."""
        return quiet_stream()

    async def page(self, feed: str, after: str | None) -> Page:
        """There is no feed."""
        return Page([], after, b"")

    async def parse(self, event: Event, receipt: Receipt) -> Parsed:
        """As the webhook's."""
        if event.name == GONE:
            return parse_gone(event.payload, self.account, receipt)
        return parse_post(event.payload, self.account, receipt)

    def asks_to_refetch(self, event: Event) -> bool:
        """Nothing streams."""
        return False

    async def look(self, thread: Thread) -> Look:
        """See ThreadSource."""
        waiting = [one["post"] for one in thread.items if one.get("post")]
        conversation, gone = await self._standing(waiting, thread.seen)
        first = {
            one["post"]: one.get("first", one["post"]) for one in thread.items if "post" in one
        }
        told_gone = [_gone(first[one]) for one in gone]
        seen = {**thread.seen, **{f"{_GONE}{one}": "" for one in gone}}
        if conversation is None:
            return Look(told_gone, seen, orjson.dumps(gone))
        posts = await self._since(conversation, _newest(thread.seen))
        nodes = [
            Node(str(one["id_str"]), one["in_reply_to_status_id_str"], one["user"]["id_str"])
            for one in posts
        ]
        ours = concerning(nodes, {*waiting, *thread.seen}, thread.customers)
        told = [one for one in posts if one["id_str"] in ours]
        events = [Event("tweet", one, orjson.dumps(one)) for one in reversed(told)] + told_gone
        seen = {one: "" for one in seen if one.isdigit() or one.startswith(_GONE)}
        seen |= {one["id_str"]: "" for one in reversed(told)}
        # Also what does not concern us: the next search begins behind it.
        newest = _newest([*thread.seen, *(one["id_str"] for one in posts)])
        if newest is not None and newest not in seen:
            seen[f"{_UNTIL}{newest}"] = ""
        return Look(events, remembered(seen, (), seen), orjson.dumps(told))

    async def close(self) -> None:
        """See PulledSource."""
        await self._http.aclose()

    async def _standing(
        self, waiting: list[str], seen: Mapping[str, str]
    ) -> tuple[str | None, list[str]]:
        """The id of the whole conversation (None where it cannot be told), and which posts are gone."""
        asked = [one for one in waiting if f"{_GONE}{one}" not in seen][:AT_ONCE]
        known = next(
            (self._conversations[one] for one in waiting if one in self._conversations), None
        )
        if not asked:
            return known, []
        query = {"ids": ",".join(asked), "tweet.fields": "conversation_id"}
        told = await self._get("/2/tweets", query)
        for one in _objects(told.get("data")):
            if one.get("id") and one.get("conversation_id"):
                known = self._conversations[str(one["id"])] = str(one["conversation_id"])
        while len(self._conversations) > KNOWN:
            self._conversations.popitem(last=False)
        gone = {
            str(one.get("resource_id"))
            for one in _objects(told.get("errors"))
            if str(one.get("type")).endswith("/resource-not-found")
        }
        return known, [one for one in asked if one in gone]

    async def _since(self, conversation: str, since: str | None) -> list[dict[str, Any]]:
        try:
            return await self._search(conversation, since)
        except Permanent as error:
            # A post that is older than the search reaches back can't be named as the last one.
            if since is None or error.reason is not PullReason.unexpected:
                raise
        return await self._search(conversation, None)

    async def _search(self, conversation: str, since: str | None) -> list[dict[str, Any]]:
        """What was said there after `since`, the newest first, in the webhook's form."""
        query = {
            **_FIELDS,
            "query": f"conversation_id:{conversation}",
            "max_results": "100",
            **({"since_id": since} if since else {}),
        }
        found: list[dict[str, Any]] = []
        for _ in range(PAGES):
            told = await self._get("/2/tweets/search/recent", query)
            users = {
                str(one.get("id")): one
                for one in _objects(_object(told.get("includes")).get("users"))
            }
            found += [
                _as_webhook(one, users) for one in _objects(told.get("data")) if one.get("id")
            ]
            token = _object(told.get("meta")).get("next_token")
            if not token:
                break
            query = {**query, "next_token": str(token)}
        return found

    async def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        try:
            response = await self._http.get(path, params=query)
        except httpx.HTTPError as error:
            raise as_ours(error) from error
        status = response.status_code
        try:
            told = _object(orjson.loads(response.content))
        except orjson.JSONDecodeError:
            told = {}
        if status == 200:
            return told
        if status == 429:
            reset = instant(response.headers.get("x-rate-limit-reset"))
            left = (reset - self._clock.now()).total_seconds() if reset else 60.0
            raise Transient(PullReason.rate_limited, "429", retry_after=max(left, 1.0))
        if status >= 500:
            wait = retry_after(response.headers, self._clock.now(), default=0.0)
            raise Transient(PullReason.server_error, str(status), retry_after=wait or None)
        says = f"{status} {told.get('title') or ''}: {told.get('detail') or ''}"[:200]
        if status in (401, 402, 403):
            raise Permanent(PullReason.credentials, f"X does not let this token read: {says}")
        raise Permanent(PullReason.unexpected, says)


def _gone(post: str) -> Event:
    told = {"status": {"id": post}}
    return Event(GONE, told, orjson.dumps(told))


def _newest(seen: Iterable[str]) -> str | None:
    """Ids grow with time."""
    numbers = [one.removeprefix(_UNTIL) for one in seen]
    return max((one for one in numbers if one.isdigit()), key=int, default=None)


def _as_webhook(post: dict[str, Any], users: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A post of the API's second version in the form of the first, which webhooks have."""
    author = str(post.get("author_id"))
    user = users.get(author, {})
    entities = _object(post.get("entities"))
    answered = next(
        (one for one in _objects(post.get("referenced_tweets")) if one.get("type") == "replied_to"),
        {},
    )
    return {
        "id_str": str(post["id"]),
        "text": post.get("text") or "",
        "created_at": post.get("created_at"),
        "lang": post.get("lang"),
        "edit_history": {"initial_tweet_id": _first(post.get("edit_history_tweet_ids"))},
        "in_reply_to_status_id_str": str(answered["id"]) if answered.get("id") else None,
        "in_reply_to_user_id_str": post.get("in_reply_to_user_id"),
        "user": {
            "id_str": author,
            "screen_name": user.get("username"),
            "name": user.get("name"),
            "verified": user.get("verified"),
            "created_at": user.get("created_at"),
            "followers_count": _object(user.get("public_metrics")).get("followers_count"),
            "profile_image_url_https": user.get("profile_image_url"),
        },
        "entities": {
            "user_mentions": [
                {"id_str": str(one["id"]), "screen_name": one.get("username")}
                for one in _objects(entities.get("mentions"))
                if one.get("id")
            ],
            "urls": [
                {"url": one.get("url"), "expanded_url": one.get("expanded_url")}
                for one in _objects(entities.get("urls"))
            ],
        },
    }


def _first(ids: Any) -> str | None:
    return str(ids[0]) if isinstance(ids, list) and ids else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
