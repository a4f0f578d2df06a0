"""A chat and a telephone that take their time before and after, and write down what came when."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import SecretStr

from services.alert.chat.links import Links
from services.runtime.asgi import App, Receive, Scope, Send
from services.runtime.clock import SystemClock

LINK_SECRET = "the link secret of the fault runs, long enough"


@dataclass(frozen=True, slots=True)
class Post:
    """Something that the chat has posted."""

    delivery: str
    channel: str
    at: float


class SlowChat:
    """Before the chat: a line that takes its time, and a list of what was posted when."""

    def __init__(
        self, app: App, chance: random.Random, posts: list[Post], calls: list[tuple[str, float]]
    ) -> None:
        self._app = app
        self._chance = chance
        self.posts = posts
        self.calls = calls
        self._links = Links("http://127.0.0.1:1", SecretStr(LINK_SECRET), SystemClock())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        calls = scope["type"] == "http" and str(scope["path"]) == "/phone"
        if not calls and (
            scope["type"] != "http" or not str(scope["path"]).endswith("chat.postMessage")
        ):
            await self._app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        arrived = time.time()
        await asyncio.sleep(self._chance.uniform(0, 0.3))
        said: list[MutableMapping[str, Any]] = []

        async def again() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: MutableMapping[str, Any]) -> None:
            said.append(message)

        # The caller may be dead by now: what it asked for happens all the same.
        if calls:
            token = orjson.loads(body)["message"].rsplit("/", 1)[-1]
            self.calls.append((self._links.read_episode(token).episode_id, arrived))
            said.append({"type": "http.response.start", "status": 200, "headers": []})
            said.append({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, again, keep)
            self._write_down(body, b"".join(one.get("body", b"") for one in said), arrived)
        await asyncio.sleep(self._chance.uniform(0, 0.5))
        for message in said:
            await send(message)

    def _write_down(self, body: bytes, answer: bytes, arrived: float) -> None:
        asked, answered = orjson.loads(body), orjson.loads(answer)
        if answered.get("ok"):
            payload = (asked.get("metadata") or {}).get("event_payload") or {}
            self.posts.append(
                Post(str(payload.get("delivery_id")), str(answered["channel"]), arrived)
            )
