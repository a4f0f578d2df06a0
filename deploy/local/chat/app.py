"""Wires the local chat: Slack's Web API, the page, and a back door for tests."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.chat.browser import BrowserApi
from deploy.local.chat.faults import Fault, Faults
from deploy.local.chat.interactions import Interactions, Triggers
from deploy.local.chat.web_api import WebApi
from deploy.local.chat.workspace import Member, Workspace
from services.contracts.configuration import Configuration, SlackDestination


@dataclass
class ChatSettings:
    """What the local chat has to know; addresses may be learned after it has started."""

    members: Sequence[Member]
    channels: Mapping[str, str]
    """Channel id → its name."""
    signing_secret: SecretStr
    token: SecretStr | None = None
    """The bot token that callers must bring; None takes any."""
    base_url: str = "http://127.0.0.1"
    """The chat's own address, for permalinks and response_url."""
    interactions_url: str | None = None
    """Where presses go: alert's /slack/interactions."""
    console_url: str | None = None
    """Alert's list of open episodes, linked from the page."""
    journal: Path | None = None
    """A file that keeps the messages over a restart; None keeps them in memory only."""
    now: Callable[[], float] = field(default=time.time)


def people_and_channels(file: Configuration) -> tuple[list[Member], dict[str, str]]:
    """The members and channels that a team's presence.yaml speaks of."""
    members = [
        Member(one.slack, one.name, one.id, one.zone, one.email) for one in file.people if one.slack
    ]
    every = (*file.destinations, *file.practice.destinations)
    slack = [one for one in every if isinstance(one, SlackDestination)]
    return members, {one.channel: one.id for one in slack}


def create_app(settings: ChatSettings) -> Starlette:
    """The local chat. Its workspace is at `app.state.workspace`."""
    workspace = Workspace(
        settings.members, settings.channels, now=settings.now, journal=settings.journal
    )
    faults, triggers = Faults(), Triggers(settings.now)
    client = httpx.AsyncClient()
    interactions = Interactions(
        workspace=workspace,
        triggers=triggers,
        signing_secret=settings.signing_secret,
        url=lambda: settings.interactions_url,
        base=lambda: settings.base_url,
        client=client,
    )
    web_api = WebApi(workspace, settings.token, faults, triggers)
    browser = BrowserApi(workspace, interactions, lambda: settings.console_url)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        browser.stopping.set()
        await client.aclose()

    async def respond(request: Request) -> Response:
        error = interactions.respond(
            request.path_params["token"], orjson.loads(await request.body())
        )
        return Response(error or "ok", 404 if error else 200)

    async def add_fault(request: Request) -> Response:
        try:
            faults.add(Fault.read(orjson.loads(await request.body())))
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 422)
        return JSONResponse({"ok": True})

    async def clear_faults(_request: Request) -> Response:
        faults.clear()
        return JSONResponse({"ok": True})

    app = Starlette(
        routes=[
            Route("/", browser.file),
            Route("/api/{method}", web_api.endpoint, methods=["GET", "POST"]),
            Route("/archives/{channel}/{ts}", browser.archive),
            Route("/response/{token}", respond, methods=["POST"]),
            Route("/_page/state", browser.state),
            Route("/_page/events", browser.events),
            Route("/_page/press", browser.press, methods=["POST"]),
            Route("/_page/submit", browser.submit, methods=["POST"]),
            Route("/_page/close", browser.close, methods=["POST"]),
            Route("/_test/messages", lambda _: JSONResponse(list(workspace.messages.values()))),
            Route("/_test/calls", lambda _: JSONResponse(web_api.calls)),
            Route("/_test/faults", add_fault, methods=["POST"]),
            Route("/_test/faults", clear_faults, methods=["DELETE"]),
            Route("/{name}", browser.file),
        ],
        # The page can press buttons as anybody: no other site may reach it by a name of its own.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        lifespan=lifespan,
    )
    app.state.workspace = workspace
    app.state.stop = browser.stopping.set
    return app
