"""A server that answers as the AT Protocol's documentation says, and fails as told.

Its lists are newest first, their cursors are times, a page may be short although more follows, and what is
deleted is no longer listed. The real thing is in tests/integration/test_bluesky_peer.py.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import orjson

PASSWORD = "abcd-efgh-ijkl-mnop"


class BlueskyServer:
    """One account's server and its network."""

    def __init__(self, did: str) -> None:
        self.did = did
        self.notifications: list[dict[str, Any]] = []
        self.feed: list[dict[str, Any]] = []
        self.gone: set[str] = set()
        self.hidden: set[str] = set()
        """Blocked or muted: not listed, and still there."""
        self.calls: Counter[str] = Counter()
        self.queries: list[dict[str, str]] = []
        self.failures: list[httpx.Response] = []
        """The next answers to calls of the lists, before any other."""
        self.records: dict[str, dict[str, Any]] = {}
        """Of our own repository, by record key."""
        self.handles: dict[str, str] = {}
        self.reply_disabled = False
        self.before_writing: httpx.Response | Exception | None = None
        """What the next write meets instead of being done."""
        self.after_writing: httpx.Response | Exception | None = None
        """What is told of the next write although it is done."""
        self.password = PASSWORD
        self.limits: dict[str, str] = {}
        self._valid = 0
        self._refreshable = True

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def tokens_expire(self, *, refreshable: bool = True) -> None:
        self._valid += 1
        self._refreshable = refreshable

    def delete(self, uri: str) -> None:
        self.gone.add(uri)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What the server says; raises where the connection breaks."""
        method = request.url.path.removeprefix("/xrpc/")
        self.calls[method] += 1
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if method == "com.atproto.server.createSession":
            body = orjson.loads(request.content)
            if body != {"identifier": self.did, "password": self.password}:
                return self._no(401, "AuthenticationRequired", "Invalid identifier or password")
            return self._session()
        if method == "com.atproto.server.refreshSession":
            if not self._refreshable or not token.startswith("refresh"):
                return self._no(400, "ExpiredToken", "Token has been revoked")
            return self._session()
        if token != f"access-{self._valid}":
            return self._no(400, "ExpiredToken", "Token has expired")
        if method == "com.atproto.server.getSession":
            return httpx.Response(200, json={"did": self.did, "active": True})
        query = dict(request.url.params)
        if method == "com.atproto.repo.putRecord":
            return self._write(orjson.loads(request.content))
        if method == "com.atproto.identity.resolveHandle":
            if did := self.handles.get(query["handle"]):
                return httpx.Response(200, json={"did": did})
            return self._no(400, "InvalidRequest", "Unable to resolve handle")
        if method == "app.bsky.feed.getPosts":
            uri = query["uris"]
            post = {"uri": uri, "viewer": {"replyDisabled": self.reply_disabled}}
            return httpx.Response(200, json={"posts": [] if uri in self.gone else [post]})
        if method == "com.atproto.repo.getRecord" and query["repo"] == self.did:
            if record := self.records.get(query["rkey"]):
                return httpx.Response(200, json={"value": record})
            self.gone.add(f"at://{self.did}/{query['collection']}/{query['rkey']}")
        if method == "com.atproto.repo.getRecord":
            uri = f"at://{query['repo']}/{query['collection']}/{query['rkey']}"
            if uri in self.gone:
                return self._no(400, "RecordNotFound", f"Could not locate record: {uri}")
            return httpx.Response(200, json={"uri": uri, "value": {}})
        if self.failures:
            return self.failures.pop(0)
        self.queries.append(query)
        if method == "app.bsky.notification.listNotifications":
            return self._page("notifications", self.notifications, query, lambda one: one)
        if method == "app.bsky.feed.getAuthorFeed":
            return self._page("feed", self.feed, query, lambda one: one["post"])
        return self._no(501, "MethodNotImplemented", method)

    def _write(self, body: dict[str, Any]) -> httpx.Response:
        met, self.before_writing = self.before_writing, None
        if isinstance(met, Exception):
            raise met
        if met is not None:
            return met
        assert body["swapRecord"] is None
        rkey, record = body["rkey"], body["record"]
        if self.records.setdefault(rkey, record) != record:
            return self._no(400, "InvalidSwap", "Record was at bafy")
        self.gone.discard(f"at://{self.did}/{body['collection']}/{rkey}")
        told, self.after_writing = self.after_writing, None
        if isinstance(told, Exception):
            raise told
        return told or httpx.Response(200, json={"uri": f"at://{self.did}/{rkey}", "cid": "bafy"})

    def _page(
        self, name: str, held: list[dict[str, Any]], query: dict[str, str], of: Any
    ) -> httpx.Response:
        listed = sorted(held, key=lambda one: str(of(one).get("indexedAt")), reverse=True)
        if cursor := query.get("cursor"):
            listed = [one for one in listed if str(of(one).get("indexedAt")) < cursor]
        page = listed[: int(query["limit"])]
        body: dict[str, Any] = {
            name: [one for one in page if of(one).get("uri") not in self.gone | self.hidden]
        }
        if len(listed) > len(page):
            body["cursor"] = of(page[-1])["indexedAt"]
        return httpx.Response(200, json=body, headers=self.limits)

    def _session(self) -> httpx.Response:
        tokens = {"accessJwt": f"access-{self._valid}", "refreshJwt": f"refresh-{self._valid}"}
        return httpx.Response(200, json={"did": self.did, "handle": "air.example", **tokens})

    def _no(self, status: int, code: str, says: str) -> httpx.Response:
        return httpx.Response(status, json={"error": code, "message": says})
