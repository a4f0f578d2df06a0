"""Local servers that take answers as the platforms' documentation says, faults included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.contracts.base import StrEnum
from tests.ingest.bluesky_server import PASSWORD, BlueskyServer
from tests.serving import serve


class Fault(StrEnum):
    """What goes wrong with the next post."""

    none = "none"
    answer_lost = "answer_lost"
    """It had its effect, and the gateway says 502."""
    before = "before"
    """500 without an effect."""
    limited = "limited"
    refused = "refused"


@dataclass
class Post:
    """What stands on the platform."""

    native_id: str
    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    query: dict[str, str]


@dataclass
class LocalPlatform:
    """One server; `posts` is what a customer would see."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    calls: int = 0
    tokens: int = 0
    """Access tokens that were handed out."""
    keys: dict[str, Post] = field(default_factory=dict)
    delay: float = 0.0

    def fault(self) -> Fault:
        return self.faults.pop(0) if self.faults else Fault.none

    async def take(self, request: Request) -> Post | Fault:
        """Do what was asked, or what goes wrong."""
        self.calls += 1
        fault = self.fault()
        if fault in (Fault.before, Fault.limited, Fault.refused):
            return fault
        await asyncio.sleep(self.delay)
        key = request.headers.get("idempotency-key", "")
        if key and key in self.keys:
            return self.keys[key]
        post = Post(
            str(7_700_000 + self.calls),
            request.url.path,
            orjson.loads(await request.body()),
            dict(request.headers),
            dict(request.query_params),
        )
        self.posts.append(post)
        if key:
            self.keys[key] = post
        return fault if fault is Fault.answer_lost else post


def _mastodon(platform: LocalPlatform) -> list[Route]:
    def status(post: Post) -> dict[str, Any]:
        return {
            "id": post.native_id,
            "account": {"id": "109", "acct": "air"},
            "created_at": datetime.now(UTC).isoformat(),
            "in_reply_to_id": post.body["in_reply_to_id"],
            "in_reply_to_account_id": "77",
            "visibility": post.body["visibility"],
            "content": f"<p>{post.body['status']}</p>",
            "url": f"https://social.example/@air/{post.native_id}",
        }

    async def post(request: Request) -> Response:
        taken = await platform.take(request)
        match taken:
            case Fault.answer_lost:
                return Response(status_code=502)
            case Fault.before:
                return Response(status_code=500)
            case Fault.limited:
                headers = {"retry-after": "7"}
                return JSONResponse({"error": "Too many requests"}, 429, headers=headers)
            case Fault.refused:
                says = "Validation failed: the original status was deleted"
                return JSONResponse({"error": says}, 422)
        assert isinstance(taken, Post)
        return JSONResponse(status(taken))

    async def context(request: Request) -> Response:
        above = request.path_params["id"]
        below = [status(one) for one in platform.posts if one.body["in_reply_to_id"] == above]
        return JSONResponse({"ancestors": [], "descendants": below})

    async def instance(_: Request) -> Response:
        return JSONResponse({"configuration": {"statuses": {"max_characters": 80}}})

    return [
        Route("/api/v1/statuses", post, methods=["POST"]),
        Route("/api/v1/statuses/{id}/context", context),
        Route("/api/v2/instance", instance),
    ]


def _x(platform: LocalPlatform) -> list[Route]:
    async def post(request: Request) -> Response:
        taken = await platform.take(request)
        match taken:
            case Fault.answer_lost:
                return Response(status_code=502)
            case Fault.before:
                return Response(status_code=500)
            case Fault.limited:
                reset = str(int(datetime.now(UTC).timestamp()) + 7)
                headers = {"x-rate-limit-reset": reset}
                return JSONResponse({"title": "Too Many Requests"}, 429, headers=headers)
            case Fault.refused:
                says = "You attempted to reply to a Tweet that is deleted or not visible to you."
                return JSONResponse({"title": "Forbidden", "detail": says, "status": 403}, 403)
        assert isinstance(taken, Post)
        name = "dm_event_id" if "/dm_conversations/" in taken.path else "id"
        return JSONResponse({"data": {name: taken.native_id}}, 201)

    return [
        Route("/2/tweets", post, methods=["POST"]),
        Route("/2/dm_conversations/with/{id}/messages", post, methods=["POST"]),
    ]


def _meta(platform: LocalPlatform) -> list[Route]:
    async def post(request: Request) -> Response:
        taken = await platform.take(request)
        match taken:
            case Fault.answer_lost:
                return Response(status_code=502)
            case Fault.before:
                return Response(status_code=500)
            case Fault.limited:
                use = {"1010": [{"type": "pages", "estimated_time_to_regain_access": 2}]}
                headers = {"x-business-use-case-usage": orjson.dumps(use).decode()}
                error = {"message": "Page request limit reached", "code": 32}
                return JSONResponse({"error": error}, 400, headers=headers)
            case Fault.refused:
                says = "(#200) The user has blocked the page"
                return JSONResponse({"error": {"message": says, "code": 200}}, 400)
        assert isinstance(taken, Post)
        name = "message_id" if taken.path.endswith("/messages") else "id"
        return JSONResponse({name: taken.native_id})

    return [Route("/v23.0/{id}/{edge}", post, methods=["POST"])]


def _bluesky(platform: LocalPlatform) -> list[Route]:
    """The server of tests/ingest/bluesky_server.py on a port, with these faults in its writes."""
    held = BlueskyServer(IDS["bluesky"])
    met: dict[Fault, httpx.Response] = {
        Fault.before: httpx.Response(500),
        Fault.limited: httpx.Response(429, headers={"retry-after": "7"}),
        Fault.refused: httpx.Response(
            400, json={"error": "InvalidRequest", "message": "the parent was deleted"}
        ),
    }

    async def call(request: Request) -> Response:
        body = await request.body()
        writes = request.url.path.endswith(".putRecord")
        if writes:
            platform.calls += 1
            fault = platform.fault()
            held.before_writing = met.get(fault)
            held.after_writing = httpx.Response(502) if fault is Fault.answer_lost else None
            await asyncio.sleep(platform.delay)
        stood = set(held.records)
        asked = httpx.Request(
            request.method, str(request.url), headers=dict(request.headers), content=body
        )
        answer = held.answer(asked)
        for rkey in held.records.keys() - stood:
            native, record = f"{orjson.loads(body)['collection']}/{rkey}", held.records[rkey]
            uri = f"at://{held.did}/{native}"
            held.feed.append(
                {"post": {"uri": uri, "record": record, "indexedAt": record["createdAt"]}}
            )
            headers, query = dict(request.headers), dict(request.query_params)
            platform.posts.append(Post(uri, request.url.path, record, headers, query))
        return Response(answer.content, answer.status_code, dict(answer.headers))

    return [Route("/xrpc/{method}", call, methods=["GET", "POST"])]


def _youtube(platform: LocalPlatform) -> list[Route]:
    async def token(request: Request) -> Response:
        form = await request.form()
        if form["refresh_token"] != SECRETS["REFRESH"] or form["client_secret"] != "client-secret":
            no = {"error": "invalid_grant", "error_description": "Token has been revoked."}
            return JSONResponse(no, 400)
        platform.tokens += 1
        return JSONResponse({"access_token": SECRETS["TOKEN"], "expires_in": 3599})

    async def post(request: Request) -> Response:
        taken = await platform.take(request)
        match taken:
            case Fault.answer_lost:
                return Response(status_code=502)
            case Fault.before:
                return Response(status_code=500)
            case Fault.limited:
                says = 'exceeded your <a href="/youtube/v3/getting-started#quota">quota</a>.'
                return JSONResponse(_google(403, says, "quotaExceeded"), 403)
            case Fault.refused:
                says = "The parent comment was <code>deleted</code>"
                return JSONResponse(_google(404, says, "parentCommentNotFound"), 404)
        assert isinstance(taken, Post)
        words = taken.body["snippet"]
        snippet = {
            "channelId": "UCair", "parentId": words["parentId"],
            "textOriginal": words["textOriginal"], "textDisplay": words["textOriginal"],
            "authorDisplayName": "@exampleair", "authorChannelId": {"value": "UCair"},
            "publishedAt": "2026-11-21T09:00:20Z", "updatedAt": "2026-11-21T09:00:20Z",
        }  # fmt: skip
        return JSONResponse({"id": taken.native_id, "snippet": snippet})

    return [
        Route("/token", token, methods=["POST"]),
        Route("/youtube/v3/comments", post, methods=["POST"]),
    ]


def _google(status: int, says: str, reason: str) -> dict[str, Any]:
    errors = [{"message": says, "domain": "youtube", "reason": reason}]
    return {"error": {"code": status, "message": says, "errors": errors}}


ROUTES: dict[str, Callable[[LocalPlatform], list[Route]]] = {
    "mastodon": _mastodon,
    "x": _x,
    "facebook": _meta,
    "instagram": _meta,
    "bluesky": _bluesky,
    "youtube": _youtube,
}
IDS = {
    "mastodon": "109",
    "x": "2244994945",
    "facebook": "1010",
    "instagram": "1784",
    "bluesky": "did:plc:exampleairexampleairexam",
    "youtube": "UCair",
}


@contextmanager
def serving(name: str) -> Iterator[LocalPlatform]:
    """The platform on a free port of this machine."""
    platform = LocalPlatform()
    app = Starlette(routes=ROUTES[name](platform))
    app.state.stop = lambda: None
    with serve(app) as url:
        platform.url = url
        yield platform


SECRETS = {
    "X_ONE": "consumer-secret",
    "X_KEY": "consumer-key",
    "TOKEN": "the-token",
    "TOKEN_SECRET": "the-token-secret",
    "META_SECRET": "meta-app-secret",
    "META_TOKEN": "meta-verify-token",
    "BLUESKY_PASSWORD": PASSWORD,
    "PRESENCE_YOUTUBE_API_KEY": "an-api-key",
    "CLIENT": "client-id",
    "CLIENT_SECRET": "client-secret",
    "REFRESH": "the-refresh-token",
}


def secrets(name: str) -> SecretStr:
    """As the environment would."""
    return SecretStr(SECRETS[name])


def account(platform: str, url: str) -> dict[str, Any]:
    """The account in presence.yaml that speaks there."""
    meta = {"app_secret": "META_SECRET", "verify_token": "META_TOKEN", "access_token": "TOKEN"}
    settings: dict[str, dict[str, str]] = {
        "mastodon": {"url": url, "access_token": "TOKEN"},
        "x": {
            "consumer_secret": "X_ONE",
            "consumer_key": "X_KEY",
            "access_token": "TOKEN",
            "access_token_secret": "TOKEN_SECRET",
            "api_url": url,
        },
        "facebook": {**meta, "api_url": f"{url}/v23.0"},
        "instagram": {**meta, "api_url": f"{url}/v23.0"},
        "bluesky": {"url": url, "app_password": "BLUESKY_PASSWORD"},
        "youtube": {
            "client_id": "CLIENT",
            "client_secret": "CLIENT_SECRET",
            "refresh_token": "REFRESH",
            "api_url": f"{url}/youtube/v3",
            "token_url": f"{url}/token",
        },
    }
    return {
        "platform": platform,
        "id": IDS[platform],
        "brand": "air",
        "settings": settings[platform],
    }
