"""Raw ASGI: a router for paths with one parameter, bounded bodies, plain answers.

FastStream's own routes match whole paths only and spend work on each request; intake must not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import orjson

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class BodyTooLarge(Exception):
    """The request's body is over the limit; it was not read to its end."""


class ClientGone(Exception):
    """The client left before its body was complete."""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. A larger declared length is refused unread."""
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def answer(
    send: Send,
    status: int,
    body: bytes = b"",
    *,
    content_type: bytes = b"text/plain; charset=utf-8",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Send a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def answer_json(
    send: Send, status: int, value: Any, *, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Send a whole answer as JSON."""
    body = orjson.dumps(value)
    await answer(send, status, body, content_type=b"application/json", headers=headers)


class Router:
    """Whole paths first, then prefixes (longest first), then the fallback.

    A prefix ends in `/`; what follows it is `scope["presence.rest"]`. There is no lifespan: the process
    starts and stops a service (services.runtime.process).
    """

    def __init__(self, fallback: App | None = None) -> None:
        self._fallback = fallback
        self._paths: dict[str, App] = {}
        self._prefixes: list[tuple[str, App]] = []

    def route(self, path: str, app: App) -> None:
        """Serve `app` at a whole path, or below a prefix that ends in `/`."""
        if path.endswith("/") and path != "/":
            self._prefixes.append((path, app))
            self._prefixes.sort(key=lambda one: len(one[0]), reverse=True)
        else:
            self._paths[path] = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        path = scope["path"]
        if app := self._paths.get(path):
            await app(scope, receive, send)
            return
        for prefix, app in self._prefixes:
            if path.startswith(prefix):
                scope["presence.rest"] = path[len(prefix) :]
                await app(scope, receive, send)
                return
        if self._fallback is not None:
            await self._fallback(scope, receive, send)
        else:
            await answer_json(send, 404, {"error": "there is nothing here"})
