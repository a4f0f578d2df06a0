"""What the page in the browser asks for: the state, the changes as they happen, presses and submissions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from deploy.local.chat.interactions import Interactions, Outcome
from deploy.local.chat.workspace import Member, Workspace

PAGE = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_QUIET_SECONDS = 15.0


def _told(outcome: Outcome) -> Response:
    return JSONResponse(outcome._asdict())


class BrowserApi:
    """The endpoints under / and /_page."""

    def __init__(
        self,
        workspace: Workspace,
        interactions: Interactions,
        console: Callable[[], str | None],
    ) -> None:
        self._workspace = workspace
        self._interactions = interactions
        self._console = console
        self.stopping = asyncio.Event()
        """Set when the server stops: open event streams end by themselves."""

    async def file(self, request: Request) -> Response:
        """The page, its style and its modules."""
        path = PAGE / request.path_params.get("name", "index.html")
        if path.parent != PAGE or path.suffix not in _TYPES or not path.is_file():
            return Response("not found", 404)
        return Response(path.read_bytes(), media_type=_TYPES[path.suffix], headers=_HEADERS)

    async def archive(self, request: Request) -> Response:
        """A permalink: the message in the page."""
        channel, digits = (
            request.path_params["channel"],
            request.path_params["ts"].removeprefix("p"),
        )
        return RedirectResponse(f"/#{channel}/{digits[:-6]}.{digits[-6:]}")

    async def state(self, _request: Request) -> Response:
        """Everything that there is to see."""
        space = self._workspace
        people = [
            {
                "id": one.id,
                "name": one.name,
                "zone": one.zone,
                "direct": space.direct_channel(one.id),
            }
            for one in space.members.values()
        ]
        return JSONResponse(
            {
                "channels": [{"id": key, "name": name} for key, name in space.channels.items()],
                "people": people,
                "messages": list(space.messages.values()),
                "console": self._console(),
            },
            headers=_HEADERS,
        )

    async def events(self, _request: Request) -> Response:
        """Every change, as server-sent events; after a reconnection the page asks for the state anew."""
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=_HEADERS)

    async def _stream(self) -> AsyncIterator[bytes]:
        changes: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._workspace.listeners.add(changes.put_nowait)
        stopping = asyncio.create_task(self.stopping.wait())
        try:
            yield b": here\n\n"
            while not self.stopping.is_set():
                change = asyncio.create_task(changes.get())
                done, _ = await asyncio.wait(
                    {change, stopping}, timeout=_QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if change in done:
                    yield b"data: " + orjson.dumps(change.result()) + b"\n\n"
                    continue
                change.cancel()
                yield b": still here\n\n"
        finally:
            stopping.cancel()
            self._workspace.listeners.discard(changes.put_nowait)

    async def press(self, request: Request) -> Response:
        """A person presses an element of a message or of an open modal."""

        async def act(person: Member, body: dict[str, Any]) -> Outcome:
            if "view" in body:
                opened = self._workspace.views.get(str(body["view"]))
                if opened is None:
                    return Outcome(False, "That form is no longer open.")
                return await self._interactions.press_within(person, opened, body)
            message = self._workspace.messages.get((str(body.get("channel")), str(body.get("ts"))))
            if message is None:
                return Outcome(False, "That message is no longer there.")
            return await self._interactions.press(person, message, body)

        return await self._act(request, act)

    async def submit(self, request: Request) -> Response:
        """A person sends a modal."""

        async def act(person: Member, body: dict[str, Any]) -> Outcome:
            opened = self._workspace.views.get(str(body.get("view")))
            if opened is None:
                return Outcome(False, "That form is no longer open.")
            return await self._interactions.submit(person, opened, body.get("values", {}))

        return await self._act(request, act)

    async def close(self, request: Request) -> Response:
        """A person closes a modal without sending it."""

        async def act(person: Member, body: dict[str, Any]) -> Outcome:
            opened = self._workspace.views.get(str(body.get("view")))
            if opened is None:
                return Outcome(True)
            return await self._interactions.close(person, opened)

        return await self._act(request, act)

    async def _act(
        self, request: Request, act: Callable[[Member, dict[str, Any]], Awaitable[Outcome]]
    ) -> Response:
        # Another site's page could only send a form or text, never JSON without our consent.
        if request.headers.get("content-type") != "application/json":
            return JSONResponse({"error": "send application/json"}, 415)
        try:
            body = orjson.loads(await request.body())
            person = self._workspace.members[body["person"]]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return JSONResponse({"error": "name a person of the workspace"}, 422)
        return _told(await act(person, body))
