"""A small Graph API that behaves as Meta documents it: edges, fields, paging, proof, limits, errors."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import deque
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

TOKEN = "EAAB-page-token-of-the-test"
APP_SECRET = "meta-app-secret"


def graph_time(at: datetime) -> str:
    """As Graph writes times."""
    return at.strftime("%Y-%m-%dT%H:%M:%S+0000")


class GraphServer:
    """One page (1010) and one Instagram account (1784). Lists are the newest first, pages hold two."""

    PAGE = 2

    def __init__(self) -> None:
        self.base_url = ""
        self.posts: list[dict[str, Any]] = []
        self.comments: dict[str, list[dict[str, Any]]] = {}
        self.threads: dict[str, list[dict[str, Any]]] = {}
        """What stands under a post or a medium, where it is read as a thread."""
        self.ratings: list[dict[str, Any]] | None = []
        self.tagged: list[dict[str, Any]] | None = []
        """None: this token may not."""
        self.media: list[dict[str, Any]] = []
        self.conversations: list[dict[str, Any]] = []
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.answers: deque[JSONResponse] = deque()
        """For the next calls, instead of their due."""
        self.usage: dict[str, str] = {}
        self.calls: list[str] = []
        self.addresses: list[str] = []
        self.debug: dict[str, Any] = {"is_valid": True, "expires_at": 0, "scopes": []}
        self.subscribed: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/v23.0/{path:path}", self._handle)])
        self.app.state.stop = lambda: None

    def refuse(self, code: int, message: str = "no", status: int = 400, **more: Any) -> None:
        """The next call is refused."""
        error = {"message": message, "type": "OAuthException", "code": code, **more}
        self.answers.append(JSONResponse({"error": error}, status))

    async def _handle(self, request: Request) -> JSONResponse:
        path = request.path_params["path"]
        self.calls.append(path)
        self.addresses.append(str(request.url))
        if self.answers:
            return self.answers.popleft()
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(190, "Invalid OAuth access token.")
        proof = hmac.new(APP_SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
        if request.query_params.get("appsecret_proof") != proof:
            return _error(100, "Invalid appsecret_proof provided in the API argument")
        if getattr(self, path.partition("/")[2], ()) is None:
            return _error(10, "This endpoint requires the 'pages_read_user_content' permission")
        found = self._answer(path, request)
        if found is None:
            says = f"Unsupported get request. Object with ID '{path}' does not exist"
            return _error(100, says, error_subcode=33)
        return JSONResponse(found, headers=self.usage)

    def _answer(self, path: str, request: Request) -> dict[str, Any] | None:
        query = request.query_params
        account, _, edge = path.partition("/")
        if path == "debug_token":
            return {"data": self.debug} if query.get("input_token") == TOKEN else None
        if not edge and (account in self.threads or account in self._standing()):
            return {"id": account}
        if account in self.threads and edge == "comments":
            # In the forms of a thread: all of it, whenever it was said.
            return self._paged(self.threads[account], path, dict(query))
        if account in self.comments and edge == "comments":
            return self._paged(self.comments[account], path, dict(query))
        if account in self.messages and edge == "messages":
            return self._paged(self.messages[account], path, dict(query))
        if account not in ("1010", "1784"):
            return None
        if not edge:
            return {"id": account}
        if edge == "subscribed_apps":
            return {"data": self.subscribed}
        if edge == "feed" and account == "1010":
            since = re.search(r"comments[^{]*\.since\((\d+)\)", query.get("fields", ""))
            assert since, "comments are asked for without a time"
            posts = [self._post(post, int(since[1])) for post in self.posts]
            return self._paged(posts, path, dict(query))
        if edge == "ratings" and account == "1010":
            return self._paged(self.ratings or [], path, dict(query))
        if edge == "tagged" and account == "1010":
            return self._paged(self.tagged or [], path, dict(query))
        if edge == "media" and account == "1784":
            return self._paged(self.media, path, dict(query))
        if edge == "conversations":
            if account == "1784":
                return None
            found = [
                {
                    **one,
                    "messages": self._paged(self.messages[one["id"]], f"{one['id']}/messages", {}),
                }
                for one in self.conversations
            ]
            return self._paged(found, path, dict(query))
        return None

    def _standing(self) -> set[str]:
        """Every comment in a thread, and the answers beneath."""
        return {
            one["id"]
            for comments in self.threads.values()
            for comment in comments
            for one in (comment, *comment.get("replies", {}).get("data", ()))
        }

    def _post(self, post: dict[str, Any], since: int) -> dict[str, Any]:
        newer = [
            one
            for one in self.comments.get(post["id"], [])
            if datetime.fromisoformat(one["created_time"]).timestamp() >= since
        ]
        return (
            {**post, "comments": self._paged(newer, f"{post['id']}/comments", {})}
            if newer
            else post
        )

    def _paged(
        self, rows: list[dict[str, Any]], path: str, query: dict[str, str]
    ) -> dict[str, Any]:
        """Two a page; `next` holds the token, as Meta's does."""
        begin = int(query.get("after", 0))
        found: dict[str, Any] = {"data": rows[begin : begin + self.PAGE], "paging": {}}
        if begin + self.PAGE < len(rows):
            kept = {k: v for k, v in query.items() if k != "appsecret_proof"}
            again = {**kept, "after": str(begin + self.PAGE), "access_token": TOKEN}
            found["paging"]["next"] = f"https://elsewhere.example/v23.0/{path}?{urlencode(again)}"
        return found


def _error(code: int, message: str, **more: int) -> JSONResponse:
    error = {"message": message, "type": "OAuthException", "code": code, **more}
    return JSONResponse({"error": error}, 400)
