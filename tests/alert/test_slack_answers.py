"""Answering in Slack: signed presses and forms, a real PostgreSQL, and what Slack is told."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr
from slack_sdk.models.views import View
from slack_sdk.signature import SignatureVerifier

from deploy.local.chat.blocks import view_faults
from services.alert.chat.links import Links
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.slack_inbound import SlackInbound
from services.alert.chat.slack_interactions import NOT_OPENED, SlackInteractions
from services.alert.console.app import create_app
from services.runtime.clock import ManualClock
from tests.alert.builders import MONDAY, PRESENCE, at, configuration, notified
from tests.alert.chat_builders import SECRET
from tests.alert.chat_servers import TOKEN, SlackServer, serving, slack_error
from tests.alert.story import MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

SIGNING_SECRET = "the signing secret of our app"
SAVED = """
answering:
  saved: [{id: sorry, name: Sorry, text: "We are sorry for the trouble."}]
"""


_presses = itertools.count(1)


@dataclass
class Room:
    """A team in Slack: what they press, what they see."""

    told: Story
    http: httpx.AsyncClient
    server: SlackServer
    clock: ManualClock

    async def send(self, payload: dict[str, Any]) -> httpx.Response:
        body = urlencode({"payload": json.dumps(payload)})
        timestamp = str(int(self.clock.now().timestamp()))
        verifier = SignatureVerifier(SIGNING_SECRET)
        signature = verifier.generate_signature(timestamp=timestamp, body=body)
        headers = {
            "x-slack-request-timestamp": timestamp,
            "x-slack-signature": signature or "",
            "content-type": "application/x-www-form-urlencoded",
        }
        return await self.http.post("/slack/interactions", content=body, headers=headers)

    async def press(
        self, name: str, value: str, member: str = "U1", view: dict[str, Any] | None = None
    ) -> httpx.Response:
        """A button, of a message or of a modal."""
        action: dict[str, Any] = {
            "action_id": f"presence:{name}",
            "value": value,
            "action_ts": str(next(_presses)),
        }
        if name in ("more", "saved"):
            action = {**action, "selected_option": {"value": value}}
        where: dict[str, Any] = {"view": view} if view else {"channel": {"id": "C1"}}
        return await self.send(
            {
                "type": "block_actions",
                "user": {"id": member},
                "trigger_id": "1.2.3",
                "container": {"type": "view"} if view else {"channel_id": "C1"},
                "actions": [action],
                **where,
            }
        )

    async def until_views(self, many: int) -> None:
        """Until Slack was asked to show so many modals, one after another."""
        async with asyncio.timeout(10):
            while len(self.server.views) < many:
                await asyncio.sleep(0.01)

    @property
    def view(self) -> dict[str, Any]:
        """The modal as it was opened or changed last; Slack would have taken it."""
        view: dict[str, Any] = {"id": "V1", **self.server.views[-1]["view"]}
        checked = {key: value for key, value in view.items() if key != "id"}
        assert view_faults(checked) == []
        View(**checked).validate_json()
        return view

    async def submit(
        self, text: str, member: str = "U1", view: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The answer's form is sent."""
        view = view or self.view
        (block,) = [one["block_id"] for one in view["blocks"] if one["type"] == "input"]
        state = {"values": {block: {"text": {"type": "plain_text_input", "value": text}}}}
        payload = {
            "type": "view_submission",
            "user": {"id": member},
            "view": {**view, "state": state},
        }
        answer = await self.send(payload)
        assert answer.status_code == 200
        said: dict[str, Any] = answer.json()
        if said.get("response_action") == "update":
            assert view_faults(said["view"]) == []
        return said

    async def fill(self, values: dict[str, Any], member: str = "U1") -> httpx.Response:
        """One of the short forms is sent."""
        view = {**self.view, "state": {"values": values}}
        return await self.send({"type": "view_submission", "user": {"id": member}, "view": view})


def shown(view: dict[str, Any]) -> str:
    """Everything that stands in a modal."""
    return json.dumps(view["blocks"], ensure_ascii=False)


@pytest.fixture
async def room(postgres: FreshDatabase) -> AsyncIterator[Room]:
    """Ana has asked; nobody has answered."""
    file = configuration(PRESENCE + SAVED)
    async with story(postgres(), file) as told:
        server, clock = SlackServer(), ManualClock(MONDAY)
        async with serving("/api/{method}", server.handle) as address:
            client = SlackClient(SecretStr(TOKEN), f"{address}/api/")
            destination = SlackDestination("room", "C1", client)
            interactions = SlackInteractions(
                told.episodes,
                lambda: told.file,
                [destination],
                clock,
                answers=told.answers,
                doings=told.doings,
            )
            app = create_app(
                episodes=told.episodes,
                configuration=lambda: told.file,
                links=Links("https://presence.example", SecretStr(SECRET), clock),
                slack=SlackInbound(interactions, clock),
                slack_signing_secrets=(SecretStr(SIGNING_SECRET),),
                clock=clock,
            )
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="https://p.example") as http:
                await told.hear(notified("q", at(0)))
                await told.sweep()
                yield Room(told, http, server, clock)
            await interactions.drain()
            await destination.close()


async def test_a_person_answers_from_the_card_and_the_form_says_how_public_it_is(
    room: Room,
) -> None:
    episode = await room.told.only()
    await room.press("answer", episode)
    view = room.view
    assert view["blocks"][0]["text"]["text"] == "🌐 PUBLIC on X as @air"
    assert view["title"]["text"] == "Answer in public"
    assert "My flight was cancelled, what now?" in shown(view)
    said = await room.submit("We rebook you now")
    assert said["response_action"] == "update"
    assert "Goes out at 09:00:10" in shown(said["view"])
    await room.told.at(1)
    await room.told.sweep()
    (reply,) = await room.told.replies()
    assert (reply.text, reply.author, reply.private) == ("We rebook you now", "mia", False)


async def test_the_form_turns_private_and_says_so_and_keeps_no_stale_heading(room: Room) -> None:
    episode = await room.told.only()
    await room.press("answer", episode)
    await room.press("switch", "", view=room.view)
    view = room.view
    assert view["blocks"][0]["text"]["text"] == "🔒 PRIVATE on X as @air"
    await room.submit("Here is your code")
    await room.told.at(1)
    await room.told.sweep()
    (reply,) = await room.told.replies()
    assert reply.private


async def test_a_saved_reply_is_put_into_the_input_to_be_edited(room: Room) -> None:
    await room.press("answer", await room.told.only())
    before = room.view
    await room.press("saved", "sorry", view=before)
    (block,) = [one for one in room.view["blocks"] if one["type"] == "input"]
    assert block["element"]["initial_value"] == "We are sorry for the trouble."
    # Slack keeps what was typed in a block of the same name.
    assert block["block_id"] not in [one.get("block_id") for one in before["blocks"]]
    assert await room.told.replies() == []


async def test_undo_in_the_modal_brings_the_form_back_with_the_text(room: Room) -> None:
    await room.press("answer", await room.told.only())
    said = await room.submit("We are on it")
    (undo,) = said["view"]["blocks"][-1]["elements"]
    assert undo["text"]["text"] == "Undo"
    await room.press("undo", undo["value"], view={"id": "V1", **said["view"]})
    (block,) = [one for one in room.view["blocks"] if one["type"] == "input"]
    assert block["element"]["initial_value"] == "We are on it"
    await room.told.at(1)
    await room.told.sweep()
    assert await room.told.replies() == []
    again = await room.submit("We are on it now")
    assert "Goes out at" in shown(again["view"])


async def test_a_caution_is_shown_and_the_second_press_sends(room: Room) -> None:
    await room.press("answer", await room.told.only())
    asked = await room.submit("Write to ana@example.com")
    assert asked["view"]["submit"]["text"] == "Send again"
    assert "it holds an email address" in shown(asked["view"])
    view = {"id": "V1", **asked["view"]}
    sent = await room.submit("Write to ana@example.com", view=view)
    assert "Goes out at" in shown(sent["view"])


async def test_what_is_too_long_is_said_at_the_input(room: Room) -> None:
    await room.press("answer", await room.told.only())
    said = await room.submit("x" * 300)
    assert said == {
        "response_action": "errors",
        "errors": {"text0": "Too long: 300 of 280 characters."},
    }


async def test_who_has_the_form_open_is_told_to_others_until_it_is_closed(room: Room) -> None:
    episode = await room.told.only()
    await room.press("answer", episode)
    mine = room.view
    await room.press("answer", episode, member="U2")
    assert "Mia has this form open too." in shown(room.view)
    await room.send({"type": "view_closed", "user": {"id": "U1"}, "view": mine})
    await room.press("answer", episode, member="U2")
    assert "has this form open" not in shown(room.view)


async def test_a_trainee_asks_and_a_second_person_edits_and_sends(room: Room) -> None:
    await room.press("answer", await room.told.only(), member="U4")
    assert room.view["submit"]["text"] == "Ask for approval"
    await room.submit("We is on it", member="U4")
    (row,) = await room.told.rows("select id::text from alert.answers")
    await room.press("approve", row[0], member="U4")
    assert "You may not do this" in room.server.whispers[-1]["text"]
    await room.press("edit", row[0])
    (block,) = [one for one in room.view["blocks"] if one["type"] == "input"]
    assert block["element"]["initial_value"] == "We is on it"
    said = await room.submit("We are on it")
    assert "Goes out at" in shown(said["view"])
    await room.told.at(1)
    await room.told.sweep()
    assert [one.text for one in await room.told.replies()] == ["We are on it"]


async def test_the_short_forms_do_what_they_say(room: Room) -> None:
    episode = await room.told.only()
    await room.press("more", f"snooze|{episode}")
    late = await room.fill({"choice": {"choice": {"selected_option": {"value": "1h"}}}})
    assert "Tick the box" in late.json()["errors"]["choice"]
    ticked = {"beyond": {"beyond": {"selected_options": [{"value": "beyond"}]}}}
    await room.fill({"choice": {"choice": {"selected_option": {"value": "1h"}}}, **ticked})
    await room.press("more", f"note|{episode}")
    await room.fill({"text": {"text": {"value": "Asked the gate"}}})
    await room.press("more", f"promise|{episode}")
    chosen = {"choice": {"choice": {"selected_option": {"value": "3h"}}}}
    await room.fill({"text": {"text": {"value": "A refund"}}, **chosen})
    await room.press("more", f"hand_over|{episode}")
    await room.fill({"choice": {"choice": {"selected_option": {"value": "ben"}}}})
    await room.press("more", f"answered_in_private|{episode}")
    assert "no private message" in room.server.whispers[-1]["text"]
    acts = [row[0] for row in await room.told.rows("select act from alert.audit order by id")]
    assert acts == ["snooze", "note", "promise", "hand_over"]
    await room.press("more", f"snooze|{episode}")
    bad = await room.fill({"choice": {"choice": {"selected_option": {"value": "never"}}}})
    assert bad.status_code == 400


async def test_a_closed_episode_is_reopened_from_its_menu(room: Room) -> None:
    episode = await room.told.only()
    await room.press("no_reply_needed", episode)
    await room.fill({"choice": {"choice": {"selected_option": {"value": "duplicate"}}}})
    assert await room.told.states() == ["closed"]
    await room.press("more", f"reopen|{episode}")
    assert await room.told.states() == ["open"]


@pytest.mark.parametrize("trouble", ["ratelimited", "internal_error", "expired_trigger_id"])
async def test_a_press_is_acknowledged_though_slack_opens_no_form(room: Room, trouble: str) -> None:
    for name in ("answer", "no_reply_needed"):
        room.server.answers.append(slack_error(trouble))
        answer = await room.press(name, await room.told.only())
        assert (answer.status_code, answer.content) == (200, b"")
        assert room.server.whispers[-1]["text"] == NOT_OPENED


async def test_a_form_that_is_not_ours_is_a_400_with_one_line(
    room: Room, said: Callable[[], str]
) -> None:
    for metadata in ("", "{}", "[]", '{"e": 1}'):
        view: dict[str, Any] = {
            "callback_id": "presence_answer",
            "private_metadata": metadata,
            "state": {"values": {}},
        }
        said()
        payload = {"type": "view_submission", "user": {"id": "U1"}, "view": view}
        assert (await room.send(payload)).status_code == 400
        assert "Traceback" not in said()
    view = {"callback_id": "x", "private_metadata": "no json"}
    assert (await room.press("undo", "1", view=view)).status_code == 400


async def test_an_act_of_somebody_who_may_not_changes_nothing(room: Room) -> None:
    episode = await room.told.only()
    await room.press("answer", episode, member="U5")
    assert room.server.views == []
    assert "You may not do this" in room.server.whispers[-1]["text"]
    await room.told.episodes.claim(episode, MIA)


async def test_an_answer_that_takes_longer_than_slack_waits_is_told_of_in_its_form(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.alert.chat.slack_interactions.ANSWER_WITHIN_SECONDS", 0.0)
    episode = await room.told.only()
    await room.press("answer", episode)
    await room.until_views(1)
    said = await room.submit("We look into it, call +49 151 2345678")
    assert said["view"]["title"]["text"] == "One moment"
    await room.until_views(2)
    assert "Send again" in json.dumps(room.view), "it asks to look once more, with the text kept"
    assert await room.told.rows("select 1 from alert.answers") == []
    said = await room.submit("We look into it, call +49 151 2345678")
    await room.until_views(3)
    assert room.view["title"]["text"] == "On its way"
    assert len(await room.told.rows("select 1 from alert.answers")) == 1


async def test_a_text_is_not_lost_where_the_answer_failed_late(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    episode = await room.told.only()
    await room.press("answer", episode)
    monkeypatch.setattr("services.alert.chat.slack_interactions.ANSWER_WITHIN_SECONDS", 0.0)
    await room.submit("x" * 500)
    await room.until_views(2)
    assert room.view["title"]["text"] == "Not sent"
    assert "x" * 500 in json.dumps(room.view)
