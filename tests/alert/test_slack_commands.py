"""`/presence`, the Home tab and events: signed requests, a real rota and episodes, a Slack server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr
from slack_sdk.models.blocks import Block
from slack_sdk.signature import SignatureVerifier

from services.alert.chat.links import Links
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.slack_commands import SlackCommands
from services.alert.chat.slack_home import home_of, home_view
from services.alert.chat.slack_inbound import SlackInbound
from services.alert.chat.slack_interactions import SlackInteractions
from services.alert.console.app import create_app
from services.alert.domain.boards.board import BoardKind
from services.alert.home_tabs import HomeTabs
from services.alert.ports import Actor, EpisodeRow
from services.alert.roster import OnCallRow
from services.alert.store.overrides import PostgresRoster
from services.contracts.configuration import Person
from services.runtime.clock import ManualClock
from tests.alert.builders import MONDAY, notified
from tests.alert.chat_builders import SECRET, row
from tests.alert.chat_servers import TOKEN, Answer, SlackServer, serving
from tests.alert.story import Story, story
from tests.conftest import FreshDatabase

SIGNING_SECRET = "the signing secret of our app"


@dataclass
class Desk:
    """Slack's side of alert."""

    http: httpx.AsyncClient
    server: SlackServer
    told: Story
    roster: PostgresRoster
    tabs: HomeTabs
    inbound: SlackInbound
    commands: SlackCommands
    clock: ManualClock

    async def post(self, path: str, body: str, *, secret: str = SIGNING_SECRET) -> httpx.Response:
        """A request as Slack signs it."""
        timestamp = str(int(self.clock.now().timestamp()))
        signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body)
        headers = {"x-slack-request-timestamp": timestamp, "x-slack-signature": signature or ""}
        return await self.http.post(path, content=body, headers=headers)

    async def type(self, text: str, member: str = "U1") -> dict[str, Any]:
        """Somebody types a command; what they see."""
        form = {"command": "/presence", "text": text, "user_id": member, "channel_id": "C9"}
        answer = await self.post("/slack/commands", urlencode(form))
        assert answer.status_code == 200
        said: dict[str, Any] = answer.json()
        assert said["response_type"] == "ephemeral"
        for block in Block.parse_all(said["blocks"]):
            block.validate_json()
        return said

    async def event(self, event_id: str, **event: str) -> httpx.Response:
        """Slack tells of an event."""
        body = {"type": "event_callback", "event_id": event_id, "event": event}
        answer = await self.post("/slack/events", json.dumps(body))
        await self.inbound.drain()
        return answer

    async def opens_home(self, event_id: str = "Ev1", member: str = "U1") -> httpx.Response:
        """Somebody opens the app's Home tab."""
        return await self.event(event_id, type="app_home_opened", user=member, tab="home")

    def home(self, member: str = "U1") -> str:
        """What their tab shows."""
        return json.dumps(self.server.homes[member][-1], ensure_ascii=False)


@asynccontextmanager
async def desk_of(postgres: FreshDatabase) -> AsyncIterator[Desk]:
    server, clock = SlackServer(), ManualClock(MONDAY)
    async with story(postgres()) as told, serving("/api/{method}", server.handle) as address:
        client = SlackClient(SecretStr(TOKEN), f"{address}/api/")
        slack = SlackDestination("room", "C1", client)
        roster = PostgresRoster(told.pool, lambda: told.file)
        tabs = HomeTabs(
            told.pool, told.episodes, roster, lambda: told.file, clock, slack.publish_home
        )
        commands = SlackCommands(told.episodes, roster, lambda: told.file, clock)
        inbound = SlackInbound(
            SlackInteractions(told.episodes, lambda: told.file, [slack], clock),
            clock,
            command=commands.answer,
            home=tabs.opened,
            later=slack.answer_later,
        )
        app = create_app(
            episodes=told.episodes,
            configuration=lambda: told.file,
            links=Links("https://presence.example", SecretStr(SECRET), clock),
            slack=inbound,
            slack_signing_secrets=(SecretStr(SIGNING_SECRET),),
            clock=clock,
        )
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://a.example") as http:
            yield Desk(http, server, told, roster, tabs, inbound, commands, clock)
        await inbound.drain()
        await slack.close()


@pytest.fixture
async def desk(postgres: FreshDatabase) -> AsyncIterator[Desk]:
    """A Monday at 9; Mia is on call, Ben comes next."""
    async with desk_of(postgres) as desk:
        yield desk


@pytest.mark.integration
async def test_who_is_on_call_changes_when_somebody_takes_over(desk: Desk) -> None:
    assert "Mia until" in (await desk.type("on call"))["text"]
    said = (await desk.type("take over for 2 hours", "U2"))["text"]
    assert said.startswith("You are on call on social until")
    assert "instead of Mia" in said
    assert "Ben until" in (await desk.type("who is on call?"))["text"]
    (change,) = await desk.roster.overrides()
    assert (change.change.set_by, change.change.through) == ("ben", "slack")
    assert (await desk.type("my shifts", "U2"))["text"].startswith("Your next shift: ")


@pytest.mark.integration
async def test_who_may_not_and_who_is_not_listed_are_told_so(desk: Desk) -> None:
    assert "may not take over" in (await desk.type("take over", "U5"))["text"]
    said = (await desk.type("on call", "U777"))["text"]
    assert "not listed" in said
    assert "Lea" in said
    assert not await desk.roster.overrides()


@pytest.mark.integration
async def test_open_episodes_are_listed_without_private_words(desk: Desk) -> None:
    assert (await desk.type("open"))["text"] == "Nobody waits for an answer."
    await desk.told.hear(
        notified("1", MONDAY, "ana", text="Where is <!channel> my bag?"),
        notified("2", MONDAY, "bob", text="My card is 4111", private=True),
    )
    shown = json.dumps((await desk.type("open"))["blocks"], ensure_ascii=False)
    assert "my bag?" in shown
    assert "<!channel>" not in shown
    assert "4111" not in shown


@pytest.mark.integration
async def test_an_incident_is_declared_by_command_where_somebody_hears_it(desk: Desk) -> None:
    assert "incident" not in json.dumps(await desk.type("help"))
    assert "/presence on call" in json.dumps(await desk.type("declare incident Belt 3"))
    told = desk.told
    command = SlackCommands(
        told.episodes, desk.roster, lambda: told.file, desk.clock, incidents=told.boards
    )

    async def typed(text: str) -> str:
        return str((await command.answer({"user_id": "U1", "text": text}))["text"])

    assert await typed("declare incident air: Belt 3") == "Declared: Belt 3."
    assert await typed("incident Belt 3") == "An incident is declared already."
    await told.keep()
    (board,) = told.shown(BoardKind.incident)
    assert "Belt 3" in board.content.headline
    audit = await told.rows("select who, through from alert.audit order by id desc limit 1")
    assert audit == [("mia", "slack")]


@pytest.mark.integration
async def test_requests_that_slack_did_not_sign_are_refused(desk: Desk) -> None:
    for path in ("/slack/commands", "/slack/events"):
        assert (await desk.post(path, "user_id=U1", secret="another")).status_code == 401
    for path, body in (("/slack/commands", "text=on+call"), ("/slack/events", "[]")):
        assert (await desk.post(path, body)).status_code == 400


@pytest.mark.integration
async def test_slack_finds_our_address_to_be_ours(desk: Desk) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "abc"})
    assert (await desk.post("/slack/events", body)).json() == {"challenge": "abc"}


@pytest.mark.integration
async def test_a_slow_answer_comes_after_the_acknowledgement(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.alert.chat.slack_inbound.ANSWER_WITHIN_SECONDS", 0.05)
    later: list[tuple[str, dict[str, Any]]] = []
    gate = asyncio.Event()

    async def slow(_form: dict[str, str]) -> dict[str, Any]:
        await gate.wait()
        return {"text": "at last"}

    async def keep(url: str, answer: dict[str, Any]) -> None:
        later.append((url, answer))

    inbound = SlackInbound(
        SlackInteractions(
            desk.told.episodes,
            lambda: desk.told.file,
            [SlackDestination("room", "C1", SlackClient(SecretStr(TOKEN), "http://127.0.0.1:1/"))],
            desk.clock,
        ),
        desk.clock,
        command=slow,
        later=keep,
    )
    form = {"user_id": "U1", "text": "open", "response_url": "https://hooks.example/1"}
    assert await inbound.command(form) is None
    gate.set()
    await inbound.drain()
    assert later == [("https://hooks.example/1", {"text": "at last"})]


@pytest.mark.integration
async def test_the_home_tab_shows_what_waits_and_is_published_anew_when_that_changes(
    desk: Desk,
) -> None:
    await desk.told.moment(MONDAY)
    await desk.opens_home()
    assert "Nobody waits" in desk.home()
    await desk.told.hear(notified("1", MONDAY, "ana", text="Where is my bag?"))
    await desk.told.at(0.1)
    assert await desk.tabs.round() == 0, "one tab is published every 10 seconds at most"
    await desk.told.at(0.5)
    assert await desk.tabs.round() == 1
    assert "Where is my bag?" in desk.home()
    await desk.told.at(1)
    assert await desk.tabs.round() == 0, "nothing else is to be shown"
    (waiting,) = await desk.told.episodes.open()
    await desk.told.episodes.claim(waiting.episode_id, Actor("mia", "slack"))
    await desk.told.at(2)
    await desk.tabs.round()
    assert "Yours: 1" in desk.home()


@pytest.mark.integration
async def test_an_event_that_is_told_again_publishes_nothing_again(desk: Desk) -> None:
    for _ in range(3):
        assert (await desk.opens_home()).status_code == 200
    assert len(desk.server.homes["U1"]) == 1
    await desk.opens_home("Ev2")
    assert len(desk.server.homes["U1"]) == 2, "opened again, it is published anew"


@pytest.mark.integration
async def test_two_replicas_publish_a_change_once_and_a_failed_one_again(desk: Desk) -> None:
    desk.server.answers.append(Answer(503))
    await desk.opens_home()
    assert "U1" not in desk.server.homes
    assert await desk.tabs.round() == 1
    await desk.told.at(5)
    await desk.told.hear(notified("1", MONDAY, "ana"))
    published = await asyncio.gather(*(desk.tabs.round() for _ in range(4)))
    assert sum(published) == 1


@pytest.mark.integration
async def test_a_press_in_the_home_tab_claims_and_speaks_in_direct_messages(desk: Desk) -> None:
    await desk.told.hear(notified("1", MONDAY, "ana"))
    await desk.opens_home()
    view = desk.server.homes["U1"][-1]
    button = next(
        element
        for block in view["blocks"]
        for element in block.get("elements", ())
        if element.get("action_id") == "presence:claim"
    )

    async def press(member: str, ts: str) -> None:
        payload = {
            "type": "block_actions",
            "user": {"id": member},
            "trigger_id": "1.2.a",
            "container": {"type": "view", "view_id": "V1"},
            "view": view,
            "actions": [{**button, "action_ts": ts}],
        }
        body = urlencode({"payload": json.dumps(payload)})
        assert (await desk.post("/slack/interactions", body)).status_code == 200

    await press("U1", "1")
    (episode,) = await desk.told.episodes.open()
    assert episode.holder == "mia"
    await press("U2", "2")
    (said,) = desk.server.messages["D2"].values()
    assert said["text"] == "Mia has it already."


def test_a_home_tab_with_thousands_of_hostile_lines_is_within_slacks_limits() -> None:
    person = Person.model_validate({"id": "mia", "name": "Mia", "slack": "U1"})
    hostile = "<!channel> *x* " * 300
    rows: list[EpisodeRow] = [
        row(
            episode_id=f"e{n}",
            who=hostile,
            words=hostile,
            claimed_by="M",
            holder="mia" if n % 2 else None,
        )
        for n in range(2_000)
    ]
    on_call = [
        OnCallRow(
            hostile, "UTC", "mia", "Mia", "week", rows[0].opened_at, None, None, None, None, hostile
        )
    ] * 30
    view = home_view(home_of(person, on_call, [], rows))
    assert len(view["blocks"]) <= 100
    for block in Block.parse_all(view["blocks"]):
        block.validate_json()
    assert "<!channel>" not in json.dumps(view)
