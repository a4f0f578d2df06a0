"""Microsoft's 365 Agents Playground (npm) as the chat: the interface and the pictures are theirs.

It draws cards with Microsoft's renderer, sends what is pressed, and cannot sign as Microsoft does: its
login is a fixed address. So a gate between it and our bot gives each request the token that Microsoft
would give it. It opens no dialogs (it says so itself); those are drawn by the renderer alone.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from deploy.local.ports import random_free_port
from tests.alert.teams_room import TEAM, Room, members
from tests.alert.teams_server import APP, CHANNEL, TENANT
from tests.npm_peers import node, peer

PLAYGROUND = "@microsoft/m365agentsplayground/cli.js"
STARTED_WITHIN = 60.0
PERSONAL = "a:29:mia"


@dataclass(frozen=True, slots=True)
class Playground:
    """Where it is, and where it will look for the bot."""

    url: str
    bot_port: int

    @property
    def connector(self) -> str:
        """The Bot Framework's interface."""
        return f"{self.url}/_connector"


def _settings() -> dict[str, Any]:
    """Our team; it wants exactly five others beside the one who looks."""
    people = [
        {
            "id": one["id"],
            "name": one["name"],
            "userPrincipleName": one["userPrincipalName"],
            "aadObjectId": one["aadObjectId"],
            "givenName": one["name"],
            "surname": "Air",
            "email": one["userPrincipalName"],
        }
        for one in members()
    ]
    stranger = {**people[-1], "id": "29:zed", "name": "Zed", "userPrincipleName": "zed@air.example"}
    stranger["aadObjectId"] = "aad-zed"
    return {
        "version": "0.1.1",
        "tenantId": TENANT,
        "bot": {"id": f"28:{APP}", "name": "Presence"},
        "currentUser": people[TEAM.index("mia")],
        "users": [one for one in (*people, stranger) if one["name"] != "Mia"],
        "personalChat": {"id": PERSONAL},
        "groupChat": {"id": "19:group@thread.v2", "name": "Group"},
        "team": {
            "id": "19:team@thread.tacv2",
            "name": "Air",
            "aadGroupId": "00000000-0000-0000-0000-000000000031",
            "channels": [{"id": CHANNEL, "name": "care"}],
        },
    }


@contextmanager
def playground(folder: Path) -> Iterator[Playground]:
    """A running one, with nothing posted yet."""
    port, bot_port = random_free_port(), random_free_port()
    (folder / ".m365agentsplayground.yml").write_text(yaml.safe_dump(_settings()), encoding="utf-8")
    endpoint = f"http://127.0.0.1:{bot_port}/teams/messages"
    process = subprocess.Popen(
        [
            node(),
            str(peer(PLAYGROUND)),
            "start",
            "-e",
            endpoint,
            "-c",
            "msteams",
            "-p",
            str(port),
            "--dt",
        ],
        cwd=folder,
        env={**os.environ, "TEAMSAPPTESTER_BROWSER": "none"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    watch = threading.Timer(STARTED_WITHIN, process.kill)
    watch.start()
    try:
        said = process.stdout.readline()
        watch.cancel()
        assert said == f"Listening on {port}\n", f"the playground said {said!r}"
        yield Playground(f"http://127.0.0.1:{port}", bot_port)
    finally:
        watch.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


@asynccontextmanager
async def gate(room: Room, port: int) -> AsyncIterator[None]:
    """Our bot's address: what comes is signed as Microsoft signs it, and handed to the real route."""

    async def hand_on(request: web.Request) -> web.Response:
        answer = await room.receive(await request.json())
        kind = answer.headers.get("content-type", "text/plain").partition(";")[0]
        return web.Response(status=answer.status_code, body=answer.content, content_type=kind)

    app = web.Application()
    app.router.add_post("/teams/messages", hand_on)
    app.router.add_route("*", "/{rest:.*}", _here)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def _here(_request: web.Request) -> web.Response:
    return web.Response(text="the bot is here")  # it asks before it sends anything
