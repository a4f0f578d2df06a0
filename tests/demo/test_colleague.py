"""The demo's colleague against the real local chat: she answers as a person would, or says why not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr
from slack_sdk import WebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.chat.app import ChatSettings, create_app
from deploy.local.chat.workspace import Member
from deploy.local.demo import colleague, script
from deploy.local.demo.colleague import ANSWER, QUESTION, WHO, Colleague
from services.alert.chat import slack_answers, slack_blocks
from services.alert.chat.text import units
from services.alert.domain.card import CardAct
from tests.alert.chat_builders import card
from tests.serving import serve

CHANNEL = "C0CARE"


class Alert:
    """What stands behind the chat: opens a form, warns once, then takes the answer."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.client: WebClient | None = None
        self.asgi = Starlette(routes=[Route("/slack/interactions", self._take, methods=["POST"])])
        self.asgi.state.stop = lambda: None

    async def _take(self, request: Request) -> Response:
        payload = json.loads(parse_qs((await request.body()).decode())["payload"][0])
        if payload["type"] == "block_actions":
            assert self.client
            view = _form("Send")
            await asyncio.to_thread(
                self.client.views_open, trigger_id=payload["trigger_id"], view=view
            )
            return Response()
        (typed,) = payload["view"]["state"]["values"].values()
        self.sent.append(typed["text"]["value"])
        view = _form("Send again") if len(self.sent) == 1 else _sent()
        return JSONResponse({"response_action": "update", "view": view})


def _form(submit: str) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": slack_answers.ANSWER_CALLBACK,
        "title": slack_blocks.plain("Answer", 24),
        "submit": slack_blocks.plain(submit, 24),
        "blocks": [
            {
                "type": "input",
                "block_id": f"text{len(submit)}",
                "label": slack_blocks.plain("Your answer", 24),
                "element": {"type": "plain_text_input", "action_id": "text"},
            }
        ],
    }


def _sent() -> dict[str, Any]:
    return slack_answers.said_view("On its way", "Goes out", CHANNEL, "ep-1") | {
        "callback_id": slack_answers.SENT_CALLBACK
    }


@pytest.fixture
def chat() -> Iterator[tuple[str, Alert, WebClient]]:
    """The chat, Presence behind it, and Presence's way to post."""
    alert = Alert()
    settings = ChatSettings(
        members=[Member(WHO, "Inés Robledo", "ines")],
        channels={CHANNEL: "care"},
        signing_secret=SecretStr("a-signing-secret"),
        token=SecretStr("xoxb-a-token"),
    )
    with serve(alert.asgi) as presence, serve(create_app(settings)) as address:
        settings.interactions_url = f"{presence}/slack/interactions"
        settings.base_url = address
        alert.client = WebClient(token="xoxb-a-token", base_url=f"{address}/api/")
        yield address, alert, alert.client


async def test_she_answers_the_one_question_looks_at_a_warning_and_sends_it_all_the_same(
    chat: tuple[str, Alert, WebClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, alert, client = chat
    monkeypatch.setattr(colleague, "READS", 0)
    monkeypatch.setattr(colleague, "WRITES", 0)

    def post(words: str, *acts: CardAct) -> None:
        blocks = slack_blocks.card_blocks(card(words=words, acts=acts))
        client.chat_postMessage(channel=CHANNEL, text=words, blocks=blocks)

    async with httpx.AsyncClient() as http:
        answering = asyncio.create_task(Colleague(address, http).answer())
        while not (alert.sent or answering.done()):  # until she listens
            await asyncio.to_thread(post, "Another question?", CardAct.answer)
            await asyncio.to_thread(post, QUESTION, CardAct.claim)
            await asyncio.to_thread(post, QUESTION, CardAct.claim, CardAct.answer)
        assert await answering is None
    assert alert.sent == [ANSWER, ANSWER]


async def test_a_question_that_never_comes_is_told_and_holds_nothing_up(
    chat: tuple[str, Alert, WebClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colleague, "WITHIN", 0.1)
    async with httpx.AsyncClient() as http:
        wrong = await Colleague(chat[0], http).answer()
        assert wrong == "the answer in the chat: waited 0 s for the question's card"
        gone = await Colleague("http://127.0.0.1:9", http).answer()
        assert (
            gone == "the answer in the chat: ConnectError while it waited for the question's card"
        )


def test_what_she_answers_is_asked_in_the_story_once_and_answered_by_nobody_else() -> None:
    lines = script.read()
    (asked,) = [one for one in lines if QUESTION in one.text]
    assert asked.platform == "mastodon"
    assert asked.key not in {one.re for one in lines}
    assert units(ANSWER) <= 400
