"""A person presses something: the signed request that Slack would send, and what its answer changes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
import orjson
from pydantic import SecretStr

from deploy.local.chat.blocks import block_faults
from deploy.local.chat.workspace import APP, TEAM, Member, Message, View, Workspace

_TRIGGER_SECONDS = 3.0
_ANSWER_SECONDS = 3.0
_RESPONSE_URL_USES = 5
_RESPONSE_URL_SECONDS = 1_800.0


class Outcome(NamedTuple):
    """What came of a press, for the page to show."""

    ok: bool
    says: str = ""
    errors: dict[str, str] | None = None
    """Of a modal's inputs, by block id."""
    keep_open: bool = False
    """Whether the modal stays."""


class Opener(NamedTuple):
    """Who pressed, and in which open page: a modal opens there and nowhere else."""

    person: str
    tab: str


class Triggers:
    """Trigger ids: good once, and for three seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._given: dict[str, tuple[Opener, float]] = {}
        self._used: set[str] = set()

    def give(self, person: str, tab: str) -> str:
        """A new one for this person at this page."""
        trigger = f"{secrets.randbelow(10**12)}.{TEAM}.{secrets.token_hex(12)}"
        self._given[trigger] = (Opener(person, tab), self._now())
        return trigger

    def exchange(self, trigger: str) -> tuple[Opener | None, str]:
        """Whom it was given to, or None and Slack's error."""
        if trigger in self._used:
            return None, "exchanged_trigger_id"
        opener, at = self._given.pop(trigger, (None, 0.0))
        if opener is None:
            return None, "invalid_trigger_id"
        if self._now() - at > _TRIGGER_SECONDS:
            return None, "expired_trigger_id"
        self._used.add(trigger)
        return opener, ""


def signature(secret: SecretStr, timestamp: str, body: bytes) -> str:
    """Slack's v0 signature."""
    content = b":".join((b"v0", timestamp.encode(), body))
    digest = hmac.new(secret.get_secret_value().encode(), content, hashlib.sha256)
    return f"v0={digest.hexdigest()}"


def view_entity(opened: View) -> dict[str, Any]:
    """A view as Slack gives it back."""
    view = {"private_metadata": "", "callback_id": "", **opened.view}
    return {**view, "id": opened.id, "team_id": TEAM, "app_id": APP, "hash": opened.hash}


@dataclass
class _ResponseUrl:
    channel: str
    ts: str
    person: str
    given: float
    uses: int = 0


@dataclass
class Interactions:
    """Presses and submissions, sent to the application that owns the messages."""

    workspace: Workspace
    triggers: Triggers
    signing_secret: SecretStr
    url: Callable[[], str | None]
    """Where interactions go, like http://127.0.0.1:8003/slack/interactions; None: nowhere yet."""
    base: Callable[[], str]
    """The chat's own address."""
    client: httpx.AsyncClient
    _response_urls: dict[str, _ResponseUrl] = field(default_factory=dict)

    async def press(self, person: Member, message: Message, pressed: dict[str, Any]) -> Outcome:
        """A person presses an element of a message. `pressed` is block_id, action_id and a choice."""
        action = self._action(message.get("blocks", []), pressed)
        if action is None:
            return Outcome(False, "That button is no longer there.")
        channel, ts = message["channel"], message["ts"]
        ephemeral = "ephemeral_for" in message
        container = {
            "type": "message",
            "message_ts": ts,
            "channel_id": channel,
            "is_ephemeral": ephemeral,
        }
        shown = {name: message[name] for name in message if name not in ("channel", "versions")}
        payload = self._payload("block_actions", Opener(person.id, str(pressed.get("tab", "")))) | {
            "container": container,
            "channel": {
                "id": channel,
                "name": self.workspace.channels.get(channel, "directmessage"),
            },
            "message": shown,
            "state": {"values": {}},
            "response_url": self._response_url(person, channel, ts),
            "actions": [action],
        }
        return (await self._send(payload))[0]

    async def press_within(self, person: Member, opened: View, pressed: dict[str, Any]) -> Outcome:
        """A person presses an element of a modal."""
        action = self._action(with_ids(opened.view["blocks"]), pressed)
        if action is None:
            return Outcome(False, "That button is no longer there.")
        view = view_entity(opened) | {"state": {"values": pressed.get("values", {})}}
        payload = self._payload("block_actions", Opener(person.id, opened.tab)) | {
            "container": {"type": "view", "view_id": opened.id},
            "view": view,
            "actions": [action],
        }
        return (await self._send(payload))[0]

    async def close(self, person: Member, opened: View) -> Outcome:
        """A person closes a modal that wants to know."""
        self.workspace.views.pop(opened.id, None)
        payload = self._payload("view_closed", Opener(person.id, opened.tab))
        view = view_entity(opened)
        return (await self._send(payload | {"view": view, "is_cleared": False}))[0]

    def _action(
        self, blocks: list[dict[str, Any]], pressed: dict[str, Any]
    ) -> dict[str, Any] | None:
        """What is pressed, as Slack names it; None where it is no longer there."""
        found = _find(blocks, pressed)
        if found is None:
            return None
        block_id, element = found
        action = {
            "type": element["type"],
            "block_id": block_id,
            "action_ts": self.workspace.next_ts(),
        }
        action |= {
            name: element[name]
            for name in ("action_id", "text", "value", "style")
            if name in element
        }
        if "selected_option" in pressed:
            action["selected_option"] = pressed["selected_option"]
        return action

    async def submit(self, person: Member, opened: View, values: dict[str, Any]) -> Outcome:
        """A person sends a modal."""
        view = view_entity(opened) | {"state": {"values": values}}
        payload = self._payload("view_submission", Opener(person.id, opened.tab)) | {
            "view": view,
            "response_urls": [],
        }
        outcome, body = await self._send(payload)
        if not outcome.ok:
            return outcome._replace(keep_open=True)
        match body.get("response_action"):
            case "errors":
                return Outcome(False, errors=body.get("errors", {}), keep_open=True)
            case "update":
                self.workspace.update_view(opened, body["view"])
                return Outcome(True, keep_open=True)
        self.workspace.views.pop(opened.id, None)
        return outcome

    def respond(self, token: str, body: dict[str, Any]) -> str | None:
        """What came to a response_url; an error in words, or None."""
        where = self._response_urls.get(token)
        expired = where is None or self.workspace.now() - where.given > _RESPONSE_URL_SECONDS
        if where is None or expired or where.uses >= _RESPONSE_URL_USES:
            return "expired_url"
        where.uses += 1
        if found := block_faults(body.get("blocks", [])):
            return f"invalid_blocks: {found[0]}"
        content: Message = {}
        content |= {name: body[name] for name in ("text", "thread_ts") if name in body}
        if "blocks" in body:
            content["blocks"] = with_ids(body["blocks"])
        message = self.workspace.messages.get((where.channel, where.ts))
        if body.get("delete_original"):
            self.workspace.remove(where.channel, where.ts)
        elif body.get("replace_original") and message is not None:
            self.workspace.change(message, content)
        else:
            in_channel = body.get("response_type") == "in_channel"
            only = None if in_channel else where.person
            self.workspace.post(where.channel, {"text": "", **content}, ephemeral_for=only)
        return None

    def _payload(self, kind: str, opener: Opener) -> dict[str, Any]:
        person = self.workspace.members[opener.person]
        names = {"id": person.id, "username": person.handle, "name": person.handle}
        return {
            "type": kind,
            "user": {**names, "team_id": TEAM},
            "api_app_id": APP,
            "team": {"id": TEAM, "domain": "local"},
            "enterprise": None,
            "is_enterprise_install": False,
            "trigger_id": self.triggers.give(opener.person, opener.tab),
        }

    def _response_url(self, person: Member, channel: str, ts: str) -> str:
        token = secrets.token_urlsafe(18)
        self._response_urls[token] = _ResponseUrl(channel, ts, person.id, self.workspace.now())
        return f"{self.base()}/response/{token}"

    async def _send(self, payload: dict[str, Any]) -> tuple[Outcome, dict[str, Any]]:
        url = self.url()
        if url is None:
            return Outcome(False, "Presence has not told the local chat where to send presses."), {}
        body = urlencode({"payload": orjson.dumps(payload).decode()}).encode()
        timestamp = str(int(self.workspace.now()))
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": timestamp,
            "x-slack-signature": signature(self.signing_secret, timestamp, body),
        }
        try:
            answer = await self.client.post(
                url, content=body, headers=headers, timeout=_ANSWER_SECONDS
            )
        except httpx.TimeoutException:
            return Outcome(False, "Presence did not answer within 3 seconds."), {}
        except httpx.TransportError:
            return Outcome(False, "Presence cannot be reached: is the alert service running?"), {}
        if answer.status_code != 200:
            return Outcome(False, f"Presence answered {answer.status_code}."), {}
        try:
            said = orjson.loads(answer.content or b"{}")
        except orjson.JSONDecodeError:
            said = {"text": answer.text}
        said = said if isinstance(said, dict) else {}
        return Outcome(True, str(said.get("text", ""))), said


def with_ids(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks with the ids that Slack gives where the sender gave none."""
    named = []
    for number, block in enumerate(blocks):
        block = {**block, "block_id": block.get("block_id") or f"b{number}"}
        if block["type"] == "actions":
            block["elements"] = [
                {**element, "action_id": element.get("action_id") or f"a{index}"}
                for index, element in enumerate(block["elements"])
            ]
        if "accessory" in block and block["accessory"]["type"] != "image":
            block["accessory"] = {"action_id": "a0", **block["accessory"]}
        named.append(block)
    return named


def _find(
    blocks: list[dict[str, Any]], pressed: dict[str, Any]
) -> tuple[str, dict[str, Any]] | None:
    for block in blocks:
        elements = block.get("elements", []) if block["type"] == "actions" else []
        if "accessory" in block:
            elements = [*elements, block["accessory"]]
        for element in elements:
            wanted = (pressed.get("block_id"), pressed.get("action_id"))
            if (block["block_id"], element.get("action_id")) == wanted:
                return block["block_id"], element
    return None
