"""A small Slack and a Teams workflow over real HTTP, which fail on request."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from slack_sdk.models.blocks import Block

TOKEN = "xoxb-secret-token-of-the-test"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the next request gets instead of its due."""

    status: int = 200
    body: dict[str, Any] | str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    after: bool = False
    """The request takes effect first: only its answer is lost."""

    def response(self) -> web.Response:
        """As HTTP."""
        if isinstance(self.body, dict):
            return web.json_response(self.body, status=self.status, headers=self.headers)
        return web.Response(text=self.body, status=self.status, headers=self.headers)


def slack_error(code: str, status: int = 200, **headers: str) -> Answer:
    """Slack's way to say no: often with a 200."""
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"ok": False, "error": code}, shown)


class SlackServer:
    """The Web API methods that alert uses, with Slack's refusals of what is too large."""

    def __init__(self) -> None:
        self.base_url = ""
        self.answers: deque[Answer | None] = deque()
        """For the next calls; None: the call's due."""
        self.messages: dict[str, dict[str, dict[str, Any]]] = {}
        """channel → ts → message"""
        self.whispers: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []
        self.homes: dict[str, list[dict[str, Any]]] = {}
        """Member → what their Home tab showed, one after another."""
        self.calls: list[str] = []
        self.bodies: list[str] = []
        self._ts = itertools.count(1)

    def all_messages(self) -> list[dict[str, Any]]:
        """Every message of every channel, in order of time."""
        found = [one for channel in self.messages.values() for one in channel.values()]
        return sorted(found, key=lambda one: str(one["ts"]))

    async def handle(self, request: web.Request) -> web.Response:
        """One call."""
        method = request.match_info["method"]
        self.calls.append(method)
        text = await request.text()
        self.bodies.append(text)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        answer = self.answers.popleft() if self.answers else None
        if answer and not answer.after:
            await asyncio.sleep(answer.delay)
            return answer.response()
        body = json.loads(text) if request.content_type == "application/json" else {}
        body = body or dict(await request.post())
        name = re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", method.replace(".", "_"))
        result = getattr(self, f"_{name}")(body)
        if answer:
            await asyncio.sleep(answer.delay)
            return answer.response()
        return web.json_response({"ok": "error" not in result, **result})

    @staticmethod
    def _invalid(body: dict[str, Any]) -> dict[str, Any] | None:
        blocks = body.get("blocks") or []
        if len(blocks) > 50 or not body.get("text"):
            return {"error": "invalid_blocks" if blocks else "no_text"}
        for block in Block.parse_all(blocks):
            block.validate_json()
        return None

    def _chat_post_message(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["channel"] == "C0GONE1":
            return {"error": "channel_not_found"}
        if refused := self._invalid(body):
            return refused
        ts = f"{1772452800 + next(self._ts)}.000100"
        self.messages.setdefault(body["channel"], {})[ts] = {**body, "ts": ts}
        return {"channel": body["channel"], "ts": ts}

    def _chat_update(self, body: dict[str, Any]) -> dict[str, Any]:
        found = self.messages.get(body["channel"], {}).get(body["ts"])
        if found is None:
            return {"error": "message_not_found"}
        if refused := self._invalid(body):
            return refused
        found.update(body)
        return {"channel": body["channel"], "ts": body["ts"]}

    def _chat_post_ephemeral(self, body: dict[str, Any]) -> dict[str, Any]:
        self.whispers.append(body)
        return {"message_ts": "1.0"}

    def _auth_test(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"url": "https://air.slack.example/", "user_id": "UPRESENCE"}

    def _conversations_open(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["users"] == "U0BOT1":
            return {"error": "cannot_dm_bot"}
        return {"channel": {"id": f"D{body['users'][1:]}"}}

    def _conversations_history(self, body: dict[str, Any]) -> dict[str, Any]:
        found = self.messages.get(body["channel"], {}).values()
        return {"messages": [one for one in found if not one.get("thread_ts")]}

    def _conversations_replies(self, body: dict[str, Any]) -> dict[str, Any]:
        found = self.messages.get(body["channel"], {}).values()
        return {
            "messages": [one for one in found if body["ts"] in (one["ts"], one.get("thread_ts"))]
        }

    def _views_open(self, body: dict[str, Any]) -> dict[str, Any]:
        self.views.append(body)
        return {"view": {"id": "V1"}}

    def _views_update(self, body: dict[str, Any]) -> dict[str, Any]:
        self.views.append(body)
        return {"view": {"id": body["view_id"]}}

    def _views_publish(self, body: dict[str, Any]) -> dict[str, Any]:
        view = body["view"]
        if view["type"] != "home" or len(view["blocks"]) > 100:
            return {"error": "invalid_arguments"}
        for block in Block.parse_all(view["blocks"]):
            block.validate_json()
        self.homes.setdefault(body["user_id"], []).append(view)
        return {"view": {"id": f"H{body['user_id']}"}}


class TeamsServer:
    """A workflow: takes messages, returns no id."""

    def __init__(self) -> None:
        self.base_url = ""
        self.answers: deque[Answer | None] = deque()
        self.messages: list[dict[str, Any]] = []
        self.sizes: list[int] = []

    async def handle(self, request: web.Request) -> web.Response:
        """One message."""
        body = await request.read()
        answer = self.answers.popleft() if self.answers else None
        if answer is None or answer.after:
            self.messages.append(json.loads(body))
            self.sizes.append(len(body))
        if answer:
            await asyncio.sleep(answer.delay)
            return answer.response()
        return web.Response(status=202)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(path: str, handle: Handler) -> AsyncIterator[str]:
    """Serve on a free port of this machine; the address without the path's last part."""
    app = web.Application()
    app.router.add_route("*", path, handle)
    async with serving_app(app) as address:
        yield address


@asynccontextmanager
async def serving_app(app: web.Application) -> AsyncIterator[str]:
    """The same, of a whole application."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
