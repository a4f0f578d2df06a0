"""The local chat against Slack's own client: what it takes, what it refuses, what a press sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.chat.app import ChatSettings, create_app
from deploy.local.chat.workspace import Member
from tests.serving import serve

SECRET, TOKEN, CHANNEL = "a-signing-secret", "xoxb-a-token", "C0CARE"
MIA, JONAS = Member("U0MIA", "Mia Halvorsen", "mia"), Member("U0JONAS", "Jonas Keller", "jonas")


class Application:
    """What stands behind the interactions address: keeps what came and answers as told."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], str]] = []
        self.answers: list[dict[str, Any] | None] = []
        self.asgi = Starlette(routes=[Route("/slack/interactions", self._take, methods=["POST"])])
        self.asgi.state.stop = lambda: None

    async def _take(self, request: Request) -> Response:
        self.came.append((dict(request.headers), (await request.body()).decode()))
        answer = self.answers.pop(0) if self.answers else None
        return Response() if answer is None else JSONResponse(answer)

    def payload(self) -> dict[str, Any]:
        """The newest, as an application reads it."""
        read: dict[str, Any] = json.loads(parse_qs(self.came[-1][1])["payload"][0])
        return read


class Chat:
    """A running local chat, seen from both sides."""

    def __init__(self, url: str, application: Application, settings: ChatSettings) -> None:
        self.url, self.application, self.settings = url, application, settings
        self.client = WebClient(token=TOKEN, base_url=f"{url}/api/")

    def page(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the page in the browser sends, as Mia."""
        answer = httpx.post(f"{self.url}/_page/{path}", json={"person": MIA.id, **body})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def fault(self, **fault: Any) -> None:
        """Let something go wrong."""
        httpx.post(f"{self.url}/_test/faults", json=fault).raise_for_status()


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    application = Application()
    settings = ChatSettings(
        members=[MIA, JONAS],
        channels={CHANNEL: "care"},
        signing_secret=SecretStr(SECRET),
        token=SecretStr(TOKEN),
        journal=tmp_path / "chat.jsonl",
    )
    with ExitStack() as stack:
        where = stack.enter_context(serve(application.asgi))
        settings.interactions_url = f"{where}/slack/interactions"
        settings.base_url = stack.enter_context(serve(create_app(settings)))
        yield Chat(settings.base_url, application, settings)


def button(label: str = "Claim", **more: Any) -> dict[str, Any]:
    text = {"type": "plain_text", "text": label}
    return {"type": "button", "action_id": "claim", "text": text, "value": "ep-1", **more}


def card(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    words = {"type": "section", "text": {"type": "mrkdwn", "text": "*Ana*: where is my bag?"}}
    return [words, {"type": "actions", "elements": list(elements) or [button()]}]


def refusal(call: Any) -> str:
    with pytest.raises(SlackApiError) as raised:
        call()
    return str(raised.value.response["error"])


def test_a_card_is_posted_changed_in_place_and_found_by_its_metadata(chat: Chat) -> None:
    metadata = {"event_type": "presence_delivery", "event_payload": {"delivery_id": "d-1"}}
    posted = chat.client.chat_postMessage(
        channel=CHANNEL, text="Ana waits", blocks=card(), metadata=metadata
    )
    chat.client.chat_postMessage(channel=CHANNEL, text="and again", thread_ts=posted["ts"])
    changed = chat.client.chat_update(channel=CHANNEL, ts=posted["ts"], text="Answered", blocks=[])
    assert changed["ts"] == posted["ts"]
    history = chat.client.conversations_history(channel=CHANNEL, include_all_metadata=True)
    assert [one["text"] for one in history["messages"]] == ["Answered"]
    assert history["messages"][0]["metadata"] == metadata
    assert "metadata" not in chat.client.conversations_history(channel=CHANNEL)["messages"][0]
    replies = chat.client.conversations_replies(channel=CHANNEL, ts=posted["ts"])
    assert [one["text"] for one in replies["messages"]] == ["Answered", "and again"]


def test_history_is_read_page_by_page_from_the_newest(chat: Chat) -> None:
    for number in range(5):
        chat.client.chat_postMessage(channel=CHANNEL, text=f"message {number}")
    first = chat.client.conversations_history(channel=CHANNEL, limit=3)
    cursor = first["response_metadata"]["next_cursor"]
    second = chat.client.conversations_history(channel=CHANNEL, limit=3, cursor=cursor)
    texts = [one["text"][-1] for page in (first, second) for one in page["messages"]]
    assert texts == ["4", "3", "2", "1", "0"]
    assert second["response_metadata"]["next_cursor"] == ""


def test_direct_messages_go_to_one_person(chat: Chat) -> None:
    channel = chat.client.conversations_open(users=MIA.id)["channel"]["id"]
    assert chat.client.conversations_open(users=JONAS.id)["channel"]["id"] != channel
    assert chat.client.chat_postMessage(channel=MIA.id, text="hello")["channel"] == channel
    assert chat.client.users_info(user=MIA.id)["user"]["real_name"] == MIA.name


def test_what_slack_refuses_is_refused_with_its_own_words(chat: Chat) -> None:
    post, nothing = chat.client.chat_postMessage, {"channel": CHANNEL, "text": " "}
    assert refusal(lambda: post(channel="C0OTHER", text="x")) == "channel_not_found"
    assert refusal(lambda: chat.client.api_call("chat.postMessage", json=nothing)) == "no_text"
    assert refusal(lambda: post(channel=CHANNEL, text="x", thread_ts="1.2")) == "thread_not_found"
    update = chat.client.chat_update
    assert refusal(lambda: update(channel=CHANNEL, ts="1.000000", text="x")) == "message_not_found"
    assert refusal(lambda: chat.client.conversations_open(users="U0NO")) == "user_not_found"
    assert refusal(lambda: chat.client.api_call("chat.unheardOf")) == "unknown_method"
    other = WebClient(token="xoxb-other", base_url=f"{chat.url}/api/")
    assert refusal(other.auth_test) == "invalid_auth"


OVER_THE_LIMITS: list[dict[str, Any]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "a" * 3_001}},
    {"type": "header", "text": {"type": "plain_text", "text": "a" * 151}},
    {"type": "header", "text": {"type": "mrkdwn", "text": "a header is plain"}},
    {"type": "section"},
    {"type": "context", "elements": [{"type": "plain_text", "text": "a"}] * 11},
    {"type": "actions", "elements": [button()] * 2},
    {"type": "actions", "elements": [button(action_id=str(n)) for n in range(26)]},
    {"type": "actions", "elements": [button("a" * 76)]},
    {"type": "actions", "elements": [button(value="a" * 2_001)]},
    {"type": "actions", "elements": [button(style="loud")]},
    {"type": "actions", "elements": [button(colour="red")]},
    {"type": "section", "text": {"type": "plain_text", "text": ""}},
    {"type": "marquee"},
]


def test_blocks_over_slacks_limits_are_refused(chat: Chat) -> None:
    for block in OVER_THE_LIMITS:
        with pytest.raises(SlackApiError) as raised:
            chat.client.chat_postMessage(channel=CHANNEL, text="x", blocks=[block])
        assert raised.value.response["error"] == "invalid_blocks", block


def test_fifty_blocks_are_taken_and_one_more_is_not(chat: Chat) -> None:
    many = [{"type": "divider"}] * 50
    assert chat.client.chat_postMessage(channel=CHANNEL, text="x", blocks=many)["ok"]
    call = chat.client.chat_postMessage
    one_more = [*many, {"type": "divider"}]
    assert refusal(lambda: call(channel=CHANNEL, text="x", blocks=one_more)) == "invalid_blocks"


def test_a_rate_limit_comes_when_asked_for_and_then_passes(chat: Chat) -> None:
    chat.fault(method="chat.postMessage", kind="rate_limited", seconds=2, times=1)
    with pytest.raises(SlackApiError) as raised:
        chat.client.chat_postMessage(channel=CHANNEL, text="x")
    assert raised.value.response.status_code == 429
    assert raised.value.response.headers["Retry-After"] == "2"
    assert chat.client.chat_postMessage(channel=CHANNEL, text="x")["ok"]


def test_a_lost_answer_leaves_the_message_behind(chat: Chat) -> None:
    chat.fault(method="chat.postMessage", kind="lost_answer")
    with pytest.raises(SlackApiError):
        chat.client.chat_postMessage(channel=CHANNEL, text="sent or not?")
    messages = chat.client.conversations_history(channel=CHANNEL)["messages"]
    assert [one["text"] for one in messages] == ["sent or not?"]


def test_a_press_is_a_request_that_slacks_verifier_takes(chat: Chat) -> None:
    posted = chat.client.chat_postMessage(channel=CHANNEL, text="Ana waits", blocks=card())
    pressed = {"channel": CHANNEL, "ts": posted["ts"], "block_id": "b1", "action_id": "claim"}
    assert chat.page("press", pressed)["ok"]
    headers, body = chat.application.came[0]
    assert SignatureVerifier(SECRET).is_valid_request(body, headers)
    assert not SignatureVerifier("another").is_valid_request(body, headers)
    payload = chat.application.payload()
    assert payload["user"]["id"] == MIA.id
    assert payload["container"]["message_ts"] == posted["ts"]
    assert payload["actions"][0]["value"] == "ep-1"


def test_a_button_that_is_gone_sends_nothing(chat: Chat) -> None:
    posted = chat.client.chat_postMessage(channel=CHANNEL, text="Ana waits", blocks=card())
    chat.client.chat_update(channel=CHANNEL, ts=posted["ts"], text="Answered", blocks=[])
    pressed = {"channel": CHANNEL, "ts": posted["ts"], "block_id": "b1", "action_id": "claim"}
    assert not chat.page("press", pressed)["ok"]
    assert chat.application.came == []


def test_a_response_url_answers_the_presser_alone_or_replaces_the_card(chat: Chat) -> None:
    posted = chat.client.chat_postMessage(channel=CHANNEL, text="Ana waits", blocks=card())
    chat.page(
        "press", {"channel": CHANNEL, "ts": posted["ts"], "block_id": "b1", "action_id": "claim"}
    )
    url = chat.application.payload()["response_url"]
    assert httpx.post(url, json={"text": "Only you see this."}).status_code == 200
    assert httpx.post(url, json={"text": "Mia has it", "replace_original": True}).text == "ok"
    kept = httpx.get(f"{chat.url}/_test/messages").json()
    assert [(one["text"], one.get("ephemeral_for")) for one in kept] == [
        ("Mia has it", None),
        ("Only you see this.", MIA.id),
    ]
    seen = chat.client.conversations_history(channel=CHANNEL)["messages"]
    assert [one["text"] for one in seen] == ["Mia has it"]


MODAL = {
    "type": "modal",
    "callback_id": "no_reply",
    "title": {"type": "plain_text", "text": "No reply needed"},
    "submit": {"type": "plain_text", "text": "Close it"},
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": {"type": "plain_text", "text": "Why?"},
            "element": {"type": "plain_text_input", "action_id": "reason"},
        }
    ],
}


def _modal_after_a_press(chat: Chat) -> tuple[str, str]:
    posted = chat.client.chat_postMessage(channel=CHANNEL, text="Ana waits", blocks=card())
    chat.page(
        "press", {"channel": CHANNEL, "ts": posted["ts"], "block_id": "b1", "action_id": "claim"}
    )
    trigger = chat.application.payload()["trigger_id"]
    return chat.client.views_open(trigger_id=trigger, view=MODAL)["view"]["id"], trigger


def test_a_modal_is_opened_once_per_trigger_and_submitted_with_its_values(chat: Chat) -> None:
    view, trigger = _modal_after_a_press(chat)
    call = chat.client.views_open
    assert refusal(lambda: call(trigger_id=trigger, view=MODAL)) == "exchanged_trigger_id"
    values = {"why": {"reason": {"type": "plain_text_input", "value": "thanks only"}}}
    chat.application.answers = [{"response_action": "errors", "errors": {"why": "Say more."}}]
    assert chat.page("submit", {"view": view, "values": values})["errors"] == {"why": "Say more."}
    assert not chat.page("submit", {"view": view, "values": values})["keep_open"]
    payload = chat.application.payload()
    assert payload["type"] == "view_submission"
    assert payload["view"]["state"]["values"] == values
    assert not chat.page("submit", {"view": view, "values": values})["ok"], "it is closed"


def test_what_is_pressed_within_a_modal_comes_with_its_view_and_closing_it_is_told(
    chat: Chat,
) -> None:
    view, _ = _modal_after_a_press(chat)
    button = {
        "type": "button",
        "action_id": "presence:switch",
        "text": {"type": "plain_text", "text": "In private", "emoji": False},
    }
    changed = {**MODAL, "blocks": [*MODAL["blocks"], {"type": "actions", "elements": [button]}]}
    chat.client.views_update(view_id=view, view=changed)
    values = {"why": {"reason": {"type": "plain_text_input", "value": "half a sen"}}}
    place = f"b{len(MODAL['blocks'])}"
    pressed = {"view": view, "block_id": place, "action_id": "presence:switch", "values": values}
    assert chat.page("press", pressed)["ok"]
    payload = chat.application.payload()
    assert (payload["type"], payload["container"]["type"]) == ("block_actions", "view")
    assert payload["view"]["id"] == view
    assert payload["view"]["state"]["values"] == values
    assert not chat.page("press", {**pressed, "action_id": "presence:gone"})["ok"]
    assert chat.page("close", {"view": view})["ok"]
    assert chat.application.payload()["type"] == "view_closed"
    assert not chat.page("submit", {"view": view, "values": values})["ok"]


def test_a_view_over_slacks_limits_is_refused(chat: Chat) -> None:
    view = {**MODAL, "title": {"type": "plain_text", "text": "a" * 25}}
    call = chat.client.views_open
    assert refusal(lambda: call(trigger_id="any", view=view)) == "invalid_arguments"


def test_messages_are_still_there_after_a_restart(chat: Chat) -> None:
    posted = chat.client.chat_postMessage(channel=CHANNEL, text="Ana waits", blocks=card())
    gone = chat.client.chat_postMessage(channel=CHANNEL, text="a slip")
    chat.client.chat_delete(channel=CHANNEL, ts=gone["ts"])
    again = create_app(chat.settings).state.workspace
    assert [one["text"] for one in again.messages.values()] == ["Ana waits"]
    assert float(again.next_ts()) > float(posted["ts"])


def test_another_sites_page_can_neither_press_nor_reach_the_chat_by_its_own_name(
    chat: Chat,
) -> None:
    form = httpx.post(f"{chat.url}/_page/press", data={"person": MIA.id})
    assert form.status_code == 415
    rebound = httpx.get(f"{chat.url}/_page/state", headers={"host": "evil.example"})
    assert rebound.status_code == 400


def test_the_page_allows_nothing_from_outside(chat: Chat) -> None:
    page = httpx.get(chat.url)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in page.text
    assert httpx.get(f"{chat.url}/..%2fapp.py").status_code == 404
