"""Buttons and modals of Slack, through signed HTTP requests and back to a Slack server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr
from slack_sdk.models.views import View
from slack_sdk.signature import SignatureVerifier

from services.alert.chat.links import Links
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.slack_inbound import SlackInbound
from services.alert.chat.slack_interactions import SlackInteractions
from services.alert.console.app import create_app
from services.alert.domain.card import CardState
from services.alert.ports import Actor, ActResult
from services.contracts.events import CloseReason, Label
from services.runtime.clock import ManualClock
from tests.alert.chat_builders import NOON, SECRET, MemoryEpisodes, card, configuration
from tests.alert.chat_servers import TOKEN, SlackServer, serving

SIGNING_SECRET = "the signing secret of our app"


@dataclass
class Slack:
    """Slack's side: presses, submits, and what came back."""

    http: httpx.AsyncClient
    server: SlackServer
    episodes: MemoryEpisodes
    clock: ManualClock
    interactions: SlackInteractions

    async def send(
        self, payload: object, secret: str = SIGNING_SECRET, age: int = 0
    ) -> httpx.Response:
        """A request as Slack signs it."""
        body = urlencode({"payload": json.dumps(payload)})
        timestamp = str(int(self.clock.now().timestamp()) - age)
        signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body)
        headers = {
            "x-slack-request-timestamp": timestamp,
            "x-slack-signature": signature or "",
            "content-type": "application/x-www-form-urlencoded",
        }
        return await self.http.post("/slack/interactions", content=body, headers=headers)

    async def press(
        self, act: str, member: str = "U0MIA1", ts: str = "1.1", episode: str = "ep-1"
    ) -> httpx.Response:
        """Somebody presses a button of a card."""
        return await self.send(pressed(act, member, ts, episode))

    async def submit(self, member: str = "U0MIA1", **chosen: str) -> httpx.Response:
        """Somebody sends the modal that was opened last."""
        view = self.server.views[-1]["view"]
        values: dict[str, Any] = {
            "choice": {"choice": {"selected_option": {"value": chosen["choice"]}}}
        }
        if "why" in chosen:
            values["why"] = {"why": {"value": chosen["why"]}}
        payload = {
            "type": "view_submission",
            "user": {"id": member},
            "view": {"id": "V1", **view, "state": {"values": values}},
        }
        return await self.send(payload)


def pressed(act: str, member: str, ts: str, episode: str) -> dict[str, Any]:
    """Slack's block_actions payload."""
    return {
        "type": "block_actions",
        "user": {"id": member},
        "trigger_id": "12345.98765.abcd",
        "container": {"type": "message", "message_ts": "1.0", "channel_id": "C0HELP1"},
        "channel": {"id": "C0HELP1"},
        "actions": [
            {"type": "button", "action_id": f"presence:{act}", "value": episode, "action_ts": ts}
        ],
    }


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    """Alert with a Slack around it."""
    server, clock, episodes, file = (
        SlackServer(),
        ManualClock(NOON),
        MemoryEpisodes(card()),
        configuration(),
    )
    async with serving("/api/{method}", server.handle) as address:
        client = SlackClient(SecretStr(TOKEN), f"{address}/api/")
        destination = SlackDestination("help", "C0HELP1", client)
        interactions = SlackInteractions(episodes, lambda: file, [destination], clock)
        app = create_app(
            episodes=episodes,
            configuration=lambda: file,
            links=Links("https://presence.example", SecretStr(SECRET), clock),
            slack=SlackInbound(interactions, clock),
            slack_signing_secrets=(SecretStr("an older secret"), SecretStr(SIGNING_SECRET)),
            clock=clock,
        )
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="https://presence.example"
        ) as http:
            yield Slack(http, server, episodes, clock, interactions)
        await interactions.drain()
        await destination.close()


async def test_a_press_on_claim_claims_as_the_person_of_that_slack_id(slack: Slack) -> None:
    answer = await slack.press("claim")
    assert (answer.status_code, answer.content) == (200, b"")
    assert slack.episodes.acts == [("ep-1", "mia", "slack", "claim")]
    assert slack.server.whispers == []


@pytest.mark.parametrize(
    ("secret", "age"), [("another secret", 0), (SIGNING_SECRET, 301), (SIGNING_SECRET, -301)]
)
async def test_a_request_that_is_not_slacks_or_too_old_is_refused(
    slack: Slack, secret: str, age: int
) -> None:
    answer = await slack.send(pressed("claim", "U0MIA1", "1.1", "ep-1"), secret, age)
    assert answer.status_code == 401
    assert slack.episodes.acts == []


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "٣"])
async def test_a_timestamp_that_is_none_is_refused(slack: Slack, timestamp: str) -> None:
    headers = [(b"x-slack-request-timestamp", timestamp.encode()), (b"x-slack-signature", b"v0=x")]
    answer = await slack.http.post("/slack/interactions", content=b"payload={}", headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "payload", [[], {}, {"type": "block_actions"}, {"type": "view_submission", "user": {"id": "U"}}]
)
async def test_a_payload_that_is_not_slacks_is_a_400(slack: Slack, payload: object) -> None:
    assert (await slack.send(payload)).status_code == 400


async def test_a_larger_body_than_slack_sends_is_refused(slack: Slack) -> None:
    answer = await slack.http.post("/slack/interactions", content=b"x" * 1_100_000)
    assert answer.status_code == 413


async def test_the_same_press_twice_acts_once_and_a_new_press_acts_again(slack: Slack) -> None:
    await slack.press("claim", ts="1.1")
    slack.episodes.cards["ep-1"] = card()
    await slack.press("claim", ts="1.1")
    assert len(slack.episodes.acts) == 1
    await slack.press("claim", ts="2.2")
    assert len(slack.episodes.acts) == 2


async def test_somebody_who_is_not_listed_is_told_so_alone(slack: Slack) -> None:
    await slack.press("claim", member="U0STRANGER")
    assert slack.episodes.acts == []
    [whisper] = slack.server.whispers
    assert (whisper["channel"], whisper["user"]) == ("C0HELP1", "U0STRANGER")
    assert "You are not listed in presence.yaml: ask Bo" in whisper["text"]


async def test_a_press_that_changes_nothing_is_explained_to_the_one_who_pressed(
    slack: Slack,
) -> None:
    slack.episodes.cards["ep-1"] = card(state=CardState.claimed, claimed_by="Bo")
    await slack.press("claim")
    await slack.press("claim", ts="2.2", episode="ep-gone")
    said = [whisper["text"] for whisper in slack.server.whispers]
    assert said == ["Bo has it already.", "There is no such episode any more."]


async def test_no_reply_needed_asks_for_its_reason_and_closes_with_it(slack: Slack) -> None:
    await slack.press("no_reply_needed")
    opened = slack.server.views[-1]
    assert opened["trigger_id"] == "12345.98765.abcd"
    View(**opened["view"]).validate_json()
    assert slack.episodes.acts == []
    answer = await slack.submit(choice="do_not_feed")
    assert answer.json() == {"response_action": "clear"}
    assert slack.episodes.acts == [("ep-1", "mia", "slack", CloseReason.do_not_feed)]


async def test_not_for_us_keeps_its_modal_open_until_it_has_its_reason(slack: Slack) -> None:
    slack.episodes.cards["ep-1"] = card(words=None, masked="private message")
    await slack.press("not_for_us")
    View(**slack.server.views[-1]["view"]).validate_json()
    asked = (await slack.submit(choice="spam")).json()
    assert asked["response_action"] == "errors"
    assert list(asked["errors"]) == ["why"]
    await slack.submit(choice="spam", why="a known scam")
    assert slack.episodes.acts == [("ep-1", "mia", "slack", (Label.spam, "a known scam"))]


@pytest.mark.parametrize("choice", ["answered", "conversation", "nonsense"])
async def test_a_choice_that_was_not_offered_is_refused(slack: Slack, choice: str) -> None:
    await slack.press("no_reply_needed")
    assert (await slack.submit(choice=choice)).status_code == 400
    assert slack.episodes.acts == []


async def test_a_press_on_an_ended_card_opens_no_modal(slack: Slack) -> None:
    slack.episodes.cards["ep-1"] = card(state=CardState.answered, acts=())
    await slack.press("no_reply_needed")
    assert slack.server.views == []
    assert "already" in slack.server.whispers[0]["text"]


async def test_a_link_button_is_acknowledged_and_nothing_more(slack: Slack) -> None:
    assert (await slack.press("open")).status_code == 200
    assert slack.episodes.acts == []


async def test_slack_is_answered_in_time_though_the_act_takes_longer(
    slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.alert.chat.slack_interactions.ANSWER_WITHIN_SECONDS", 0.01)
    claim, begun = slack.episodes.claim, asyncio.Event()

    async def slow(episode_id: str, by: Actor) -> ActResult:
        await begun.wait()
        return await claim(episode_id, by)

    slack.episodes.claim = slow  # type: ignore[method-assign]
    assert (await slack.press("claim")).status_code == 200
    assert slack.episodes.acts == []
    begun.set()
    await slack.interactions.drain()
    assert slack.episodes.acts == [("ep-1", "mia", "slack", "claim")]
