"""Socket Mode against a WebSocket server that speaks Slack's documented envelopes, faults included."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from pydantic import SecretStr

from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.slack_inbound import SlackInbound
from services.alert.chat.slack_interactions import SlackInteractions
from services.alert.chat.slack_socket import SlackSocket
from services.runtime.clock import SystemClock
from tests.alert.chat_builders import MemoryEpisodes, card, configuration
from tests.alert.chat_servers import TOKEN, SlackServer
from tests.alert.test_slack_interactions import pressed

APP_TOKEN = "xapp-secret-of-the-test"


@dataclass
class SocketServer:
    """apps.connections.open and the WebSocket behind it; addresses are good once, as Slack's are."""

    base: str = ""
    web_api: SlackServer = field(default_factory=SlackServer)
    refusals: deque[dict[str, Any]] = field(default_factory=deque)
    opened: int = 0
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    acknowledged: list[dict[str, Any]] = field(default_factory=list)
    dead_links: int = 0
    """So many addresses lead nowhere, however often they are tried."""
    _tickets: set[str] = field(default_factory=set)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def api(self, request: web.Request) -> web.Response:
        """The Web API."""
        if request.match_info["method"] != "apps.connections.open":
            return await self.web_api.handle(request)
        if request.headers.get("authorization") != f"Bearer {APP_TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        self.opened += 1
        if self.refusals:
            return web.json_response({"ok": False, **self.refusals.popleft()})
        ticket = str(next(self._numbers))
        self._tickets.add(ticket)
        address = f"{self.base.replace('http', 'ws', 1)}/link?ticket={ticket}"
        return web.json_response({"ok": True, "url": address})

    async def link(self, request: web.Request) -> web.StreamResponse:
        """The socket."""
        ticket = request.query["ticket"]
        if ticket not in self._tickets:
            return web.Response(status=408)
        self._tickets.remove(ticket)
        if self.dead_links:
            self.dead_links -= 1
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        await socket.send_json({"type": "hello", "num_connections": 1})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.acknowledged.append(json.loads(message.data))
        return socket

    @property
    def socket(self) -> web.WebSocketResponse:
        """The newest."""
        return self.sockets[-1]

    async def tell(self, kind: str, payload: dict[str, Any], envelope: str = "") -> str:
        """An envelope."""
        envelope = envelope or f"env-{next(self._numbers)}"
        accepts = kind != "events_api"
        body = {"type": kind, "envelope_id": envelope, "payload": payload}
        await self.socket.send_json({**body, "accepts_response_payload": accepts})
        return envelope

    async def answer_to(self, envelope: str) -> dict[str, Any] | None:
        """The payload of its acknowledgement."""
        found = await until(
            lambda: next((a for a in self.acknowledged if a["envelope_id"] == envelope), None)
        )
        answer: dict[str, Any] | None = found.get("payload")
        return answer


async def until(condition: Callable[[], Any], seconds: float = 8.0) -> Any:
    """Its first true value."""
    async with asyncio.timeout(seconds):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


@dataclass
class Line:
    """Alert at its end of the socket."""

    server: SocketServer
    episodes: MemoryEpisodes
    homes: list[str]
    socket: SlackSocket


@asynccontextmanager
async def listening(server: SocketServer) -> AsyncIterator[Line]:
    app = web.Application()
    app.router.add_route("*", "/api/{method}", server.api)
    app.router.add_get("/link", server.link)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.base = f"http://{host}:{port}"
    episodes, clock, file = MemoryEpisodes(card()), SystemClock(), configuration()
    client = SlackClient(SecretStr(TOKEN), f"{server.base}/api/")
    destination = SlackDestination("help", "C0HELP1", client)
    homes: list[str] = []

    async def home(member: str) -> None:
        homes.append(member)

    async def command(form: dict[str, str]) -> dict[str, Any]:
        return {"response_type": "ephemeral", "text": f"{form['user_id']}: {form['text']}"}

    inbound = SlackInbound(
        SlackInteractions(episodes, lambda: file, [destination], clock),
        clock,
        command=command,
        home=home,
    )
    socket = SlackSocket(
        SecretStr(APP_TOKEN),
        f"{server.base}/api/",
        inbound,
        clock,
        ping_seconds=0.2,
        cut_off_seconds=1.5,
    )
    task = asyncio.create_task(socket.run())
    try:
        yield Line(server, episodes, homes, socket)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await inbound.drain()
        await client.close()
        await runner.cleanup()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """Connected."""
    async with listening(SocketServer()) as line:
        await until(lambda: line.server.sockets)
        yield line


async def test_presses_commands_and_events_reach_the_same_handlers(line: Line) -> None:
    press = await line.server.tell("interactive", pressed("claim", "U0MIA1", "1.1", "ep-1"))
    assert await line.server.answer_to(press) is None
    assert line.episodes.acts == [("ep-1", "mia", "slack", "claim")]
    command = {"command": "/presence", "user_id": "U0MIA1", "text": "open"}
    typed = await line.server.tell("slash_commands", command)
    said = await line.server.answer_to(typed)
    assert said == {"response_type": "ephemeral", "text": "U0MIA1: open"}
    opened = {"type": "app_home_opened", "user": "U0MIA1", "tab": "home"}
    event = {"type": "event_callback", "event_id": "Ev1", "event": opened}
    await line.server.answer_to(await line.server.tell("events_api", event))
    await line.server.answer_to(await line.server.tell("events_api", event))
    await until(lambda: line.homes)
    assert line.homes == ["U0MIA1"], "told twice, acted on once"


async def test_a_form_gets_its_answer_with_the_acknowledgement(line: Line) -> None:
    line.episodes.cards["ep-1"] = card(masked="private", words=None)
    view = {
        "id": "V1",
        "callback_id": "presence_relabel",
        "private_metadata": json.dumps({"e": "ep-1", "c": "C0HELP1"}),
        "state": {"values": {"choice": {"choice": {"selected_option": {"value": "spam"}}}}},
    }
    submission = {"type": "view_submission", "user": {"id": "U0MIA1"}, "view": view}
    answer = await line.server.answer_to(await line.server.tell("interactive", submission))
    assert answer is not None
    assert answer["response_action"] == "errors"


async def test_what_is_no_slacks_is_acknowledged_and_the_line_stays(line: Line) -> None:
    for kind in ("interactive", "slash_commands", "events_api", "something_new"):
        await line.server.answer_to(await line.server.tell(kind, {"nonsense": [1]}))
    await line.server.socket.send_str("no json at all")
    await line.server.socket.send_str('{"type": "hello"')
    press = await line.server.tell("interactive", pressed("claim", "U0MIA1", "1.1", "ep-1"))
    await line.server.answer_to(press)
    assert len(line.server.sockets) == 1


async def test_slack_refreshes_a_connection_and_nothing_is_missed(line: Line) -> None:
    first = line.server.socket
    await first.send_json({"type": "disconnect", "reason": "refresh_requested"})
    await until(lambda: len(line.server.sockets) == 2 and first.closed)
    press = await line.server.tell("interactive", pressed("claim", "U0MIA1", "1.1", "ep-1"))
    await line.server.answer_to(press)
    assert line.episodes.acts


async def test_an_envelope_whose_acknowledgement_was_lost_comes_again_and_acts_once(
    line: Line,
) -> None:
    payload = pressed("claim", "U0MIA1", "1.1", "ep-1")
    await line.server.tell("interactive", payload, "env-a")
    await line.server.answer_to("env-a")
    line.server.acknowledged.clear()
    await line.server.socket.close()
    await until(lambda: len(line.server.sockets) == 2)
    await line.server.tell("interactive", payload, "env-a")
    await line.server.answer_to("env-a")
    assert len(line.episodes.acts) == 1


async def test_a_cut_line_is_opened_again_though_slack_refuses_addresses_at_first(
    line: Line,
) -> None:
    line.server.refusals.extend([{"error": "internal_error"}] * 2)
    transport = line.server.socket._req.transport if line.server.socket._req else None
    assert transport is not None
    transport.abort()
    await until(lambda: len(line.server.sockets) == 2)
    assert line.server.opened >= 4
    await until(lambda: not line.server.socket.closed)


async def test_a_token_that_is_refused_is_told_and_tried_again(
    said: Callable[[], str],
) -> None:
    server = SocketServer()
    server.refusals.extend([{"error": "not_allowed_token_type"}] * 2)
    async with listening(server) as line:
        await until(lambda: server.sockets)
        assert await line.socket.connected()
    told = said()
    assert "not_allowed_token_type" in told
    assert APP_TOKEN not in told
    assert "ticket=" not in told


async def test_an_address_that_leads_nowhere_is_given_up_for_another() -> None:
    # Left alone, the SDK would try the same address for ever.
    server = SocketServer(dead_links=1)
    async with listening(server) as line:
        await until(lambda: server.sockets, 15)
        press = await server.tell("interactive", pressed("claim", "U0MIA1", "1.1", "ep-1"))
        await server.answer_to(press)
        assert line.episodes.acts
