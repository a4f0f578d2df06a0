"""Slack's destination against a Slack emulator that we did not write, and the demo's strict local chat.

The emulator (npm `emulate`) is the arbiter of the calls and their fields; the local chat refuses what
Block Kit's reference refuses and presses buttons with signed requests.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from deploy.local.chat.app import ChatSettings
from deploy.local.chat.app import create_app as create_chat
from deploy.local.chat.workspace import Member
from deploy.local.ports import random_free_port
from deploy.local.serving import StreamServer
from services.alert.chat.delivery import DeliveryPipeline
from services.alert.chat.links import Links
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.outcomes import Patience
from services.alert.chat.pace import Breaker, Pace
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.slack_inbound import SlackInbound
from services.alert.chat.slack_interactions import SlackInteractions
from services.alert.console.app import create_app
from services.alert.domain.card import (
    CardAct,
    CardLine,
    CardState,
    CardStatus,
    LineAct,
    StatusKind,
)
from services.alert.ports import DeliveryReason, PersonRef, Purpose
from services.contracts.events import CloseReason
from services.runtime.backoff import Backoff
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent
from tests.alert.chat_builders import (
    SECRET,
    MemoryEpisodes,
    MemoryOutbox,
    card,
    configuration,
    delivery,
    line,
)
from tests.integration.slack_emulator import TOKEN, Peer, call, emulating, peer_at

pytestmark = pytest.mark.integration

SIGNING_SECRET = "the signing secret of the test"


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    """The emulator's Web API."""
    with emulating() as address:
        yield address


@dataclass
class LocalChat:
    """The demo's chat and its settings, which may be changed while it runs."""

    peer: Peer
    settings: ChatSettings
    app: Any


@contextmanager
def _running(server: uvicorn.Server) -> Iterator[None]:
    """Serve in a thread, as a process of its own would."""
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
            assert thread.is_alive()
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def local_chat() -> Iterator[LocalChat]:
    """The demo's chat."""
    port = random_free_port()
    settings = ChatSettings(
        members=[Member("U0MIA1", "Mia", "mia"), Member("U0STRANGER", "Sam", "sam")],
        channels={"C0HELP1": "help"},
        signing_secret=SecretStr(SIGNING_SECRET),
        token=SecretStr(TOKEN),
        base_url=f"http://127.0.0.1:{port}",
    )
    app = create_chat(settings)
    with _running(StreamServer(app, port)):
        yield LocalChat(Peer(f"{settings.base_url}/api/", "C0HELP1", "U0MIA1"), settings, app)


@pytest.fixture(params=["emulator", "local chat"])
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each Slack in turn."""
    if request.param == "emulator":
        return peer_at(request.getfixturevalue("emulator"))
    found: LocalChat = request.getfixturevalue("local_chat")
    return found.peer


@pytest.fixture
async def slack(peer: Peer) -> AsyncIterator[SlackDestination]:
    """The destination under test."""
    links = Links("https://presence.example", SecretStr(SECRET))
    client = SlackClient(SecretStr(TOKEN), peer.base_url)
    destination = SlackDestination("help", peer.channel, client, links)
    yield destination
    await destination.close()


def _history(peer: Peer, **more: str) -> list[dict[str, Any]]:
    method = "conversations.replies" if "ts" in more else "conversations.history"
    fields = {"channel": peer.channel, "include_all_metadata": "true", **more}
    found: list[dict[str, Any]] = call(peer.base_url, method, **fields)["messages"]
    return found


async def test_a_line_that_asks_stands_beneath_the_card_and_is_changed_in_its_place(
    peer: Peer, slack: SlackDestination
) -> None:
    answering = card(
        acts=tuple(CardAct),
        status=(CardStatus(StatusKind.pending, "Mia", datetime.now(UTC), ref="a" * 36),),
    )
    ref = await slack.post(answering, "d-answering")
    asks = CardLine(
        "line/1",
        "tom",
        datetime.now(UTC),
        "We is on it",
        says="Tom wrote an answer:",
        mention=peer.member,
        about="a" * 36,
        asks=(LineAct.approve, LineAct.edit, LineAct.reject),
    )
    posted = await slack.thread(ref, asks, answering, "d-line")
    gone = replace(asks, words="(deleted by its author)", asks=(), mention=None)
    assert await slack.change_line(posted, gone, answering) == posted
    _, line = _history(peer, ts=ref.id)
    shown = json.dumps(line["blocks"])
    assert "deleted by its author" in shown
    assert "Approve" not in shown
    (found,) = [one for one in _history(peer) if one["ts"] == ref.id]
    assert "Undo" in json.dumps(found["blocks"])


async def test_a_card_is_posted_changed_threaded_and_found_again(
    peer: Peer, slack: SlackDestination
) -> None:
    began = datetime.now(UTC)
    ref = await slack.post(card(), "d-card-1")
    await slack.thread(ref, line(), card(), "d-thread-1")
    answered = card(state=CardState.answered, ended="answered by Mia after 4 min", acts=())
    assert await slack.update(ref, answered) == ref

    [shown] = [one for one in _history(peer) if one["ts"] == ref.id]
    assert shown["text"].startswith("Answered by Mia after 4 min")
    assert [block["type"] for block in shown["blocks"]] == ["context"]
    parent, beneath = _history(peer, ts=ref.id)
    assert (parent["ts"], "Hello? Anybody?" in json.dumps(beneath)) == (ref.id, True)
    fields = {"channel": ref.channel, "message_ts": ref.id}
    permalink = call(peer.base_url, "chat.getPermalink", **fields)["permalink"]
    assert ref.url
    assert urlsplit(ref.url).path == urlsplit(permalink).path

    for purpose in (Purpose.card, Purpose.thread):
        row = delivery(purpose, card_ref=ref, first_tried_at=began)
        found = await slack.find(row)
        assert found is not None
        assert found.id == (ref.id if purpose is Purpose.card else beneath["ts"])
    assert await slack.find(delivery(id="never-sent", first_tried_at=began)) is None


async def test_a_page_is_a_direct_message_and_found_there(
    peer: Peer, slack: SlackDestination
) -> None:
    mia = PersonRef("mia", "Mia", peer.member)
    began = datetime.now(UTC)
    ref = await slack.post(card(), "d-card-2")
    page = await slack.page(mia, card(), ref, "d-page-1")
    assert page.channel.startswith("D")
    row = delivery(Purpose.page, person=mia, first_tried_at=began)
    assert await slack.find(row) == page


async def test_a_card_whose_message_is_gone_is_posted_anew(
    peer: Peer, slack: SlackDestination
) -> None:
    ref = await slack.post(card(), "d-card-3")
    assert call(peer.base_url, "chat.delete", channel=peer.channel, ts=ref.id)["ok"]
    again = await slack.update(ref, card(version=2))
    assert again.id != ref.id
    assert again.id in {one["ts"] for one in _history(peer)}


async def test_a_channel_that_is_not_there_is_a_permanent_failure(peer: Peer) -> None:
    client = SlackClient(SecretStr(TOKEN), peer.base_url)
    elsewhere = SlackDestination("nowhere", "C0NOWHERE", client)
    with pytest.raises(Permanent) as refused:
        await elsewhere.tell("hello", "d1")
    assert refused.value.reason is DeliveryReason.not_found
    await elsewhere.close()


def _client(chat: LocalChat, token: str = TOKEN) -> SlackClient:
    return SlackClient(SecretStr(token), chat.peer.base_url)


async def test_a_wrong_token_is_refused_credentials(local_chat: LocalChat) -> None:
    stranger = SlackDestination("help", "C0HELP1", _client(local_chat, "xoxb-wrong"))
    with pytest.raises(Permanent) as refused:
        await stranger.tell("hello", "d1")
    assert refused.value.reason is DeliveryReason.refused_credentials
    await stranger.close()


async def test_nothing_is_lost_or_doubled_while_slack_fails(local_chat: LocalChat) -> None:
    """429, a lost answer, a 500 and an answer that is late, through the whole pipeline."""

    def fault(method: str, kind: str, **more: object) -> None:
        body = {"method": method, "kind": kind, **more}
        httpx.post(f"{local_chat.settings.base_url}/_test/faults", json=body).raise_for_status()

    clock = SystemClock()
    outbox = MemoryOutbox(clock)
    client = SlackClient(SecretStr(TOKEN), local_chat.peer.base_url, timeout_seconds=0.3)
    slack = SlackDestination("memory", "C0HELP1", client)
    quick = Patience(Backoff(initial=0.05, cap=0.2), timedelta(minutes=5))
    pipeline = DeliveryPipeline(
        slack,
        outbox,
        clock=clock,
        metrics=DeliveryMetrics(CollectorRegistry()),
        posts=Pace(200),
        patience=dict.fromkeys(Purpose, quick),
        breaker=Breaker(threshold=50),
        idle_seconds=0.02,
    )
    fault("chat.postMessage", "lost_answer", times=2)
    fault("chat.postMessage", "status", status=500, times=2)
    fault("chat.postMessage", "slow", seconds=0.6, times=1)
    fault("chat.postMessage", "rate_limited", seconds=1)
    cards = [delivery(id=f"d{n}", episode_id=f"ep-{n}") for n in range(12)]
    outbox.put(*cards, delivery(Purpose.page, episode_id="ep-0"))
    running = asyncio.ensure_future(pipeline.run())
    async with asyncio.timeout(30):
        while any(one.state != "sent" for one in outbox.rows):
            await asyncio.sleep(0.05)
    pipeline.stop()
    await running
    await slack.close()

    messages = local_chat.app.state.workspace.messages.values()
    ids = sorted(one["metadata"]["event_payload"]["delivery_id"] for one in messages)
    assert ids == sorted([*(one.id for one in cards), "d-page-1"])


async def test_people_press_buttons_in_the_chat_and_the_episode_follows(
    local_chat: LocalChat,
) -> None:
    episodes, file, clock = MemoryEpisodes(card()), configuration(), SystemClock()
    poster = SlackDestination("help", "C0HELP1", _client(local_chat))
    ref = await poster.post(card(), "d1")
    await poster.close()

    # Alert runs in a thread and a loop of its own, and so does its connection to the chat.
    whisperer = SlackDestination("help", "C0HELP1", _client(local_chat))
    app = create_app(
        episodes=episodes,
        configuration=lambda: file,
        links=Links("http://127.0.0.1", SecretStr(SECRET)),
        slack=SlackInbound(SlackInteractions(episodes, lambda: file, [whisperer], clock), clock),
        slack_signing_secrets=(SecretStr(SIGNING_SECRET),),
    )
    app.router.add_event_handler("shutdown", whisperer.close)
    port = random_free_port()
    alert = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")
    local_chat.settings.interactions_url = f"http://127.0.0.1:{port}/slack/interactions"
    workspace = local_chat.app.state.workspace
    blocks = workspace.messages["C0HELP1", ref.id]["blocks"]
    block_id = next(one["block_id"] for one in blocks if one["type"] == "actions")
    where = {"channel": "C0HELP1", "ts": ref.id, "block_id": block_id}

    def send(path: str, **body: object) -> bool:
        answer = httpx.post(f"{local_chat.settings.base_url}{path}", json=body).json()
        return bool(answer["ok"])

    def press(act: str, person: str) -> bool:
        return send("/_page/press", **where, person=person, action_id=f"presence:{act}")

    with _running(uvicorn.Server(alert)):
        assert press("claim", "U0STRANGER")
        assert episodes.acts == []
        assert press("claim", "U0MIA1")
        assert episodes.acts == [("ep-1", "mia", "slack", "claim")]
        assert press("no_reply_needed", "U0MIA1")
        [view] = workspace.views.values()
        values = {"choice": {"choice": {"selected_option": {"value": "duplicate"}}}}
        assert send("/_page/submit", person="U0MIA1", view=view.id, values=values)
    assert episodes.acts[-1] == ("ep-1", "mia", "slack", CloseReason.duplicate)
    [told] = [one for one in workspace.messages.values() if "ephemeral_for" in one]
    assert told["ephemeral_for"] == "U0STRANGER"
