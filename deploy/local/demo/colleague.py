"""A colleague at the chat: Inés answers one question of the story in Presence, as a person would.

She sees the card, presses *Answer*, writes, sends and leaves the undo alone. All of it goes through the chat
page's own endpoints, so that alert, Kafka, ingest and the platform do what they would do for anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, TypeVar

import httpx
import orjson

from services.runtime.clock import Clock, SystemClock

WHO = "U0INES"
QUESTION = "Mi equipaje lleva tres días en Oslo."
ANSWER = (
    "Hola Núria, lo sentimos mucho. Mándanos por mensaje directo la referencia de tu equipaje y lo "
    "buscamos hoy mismo. – Inés"
)
READS, WRITES = 1.0, 1.5
"""Seconds. A person takes longer; so does a day."""
WITHIN = 60.0
"""Seconds from the story's beginning in which the answer must have been sent."""
_TAB = "colleague"
_ACTION, _SENT = "presence:answer", "presence_sent"

Change = dict[str, Any]
Found = TypeVar("Found")


class _Button(NamedTuple):
    channel: str
    ts: str
    block_id: str


class Colleague:
    """Inés, in front of the chat page. Listens before the story begins."""

    def __init__(self, chat: str, client: httpx.AsyncClient, clock: Clock | None = None) -> None:
        self._chat = chat
        self._client = client
        self._clock = clock or SystemClock()

    async def answer(self) -> str | None:
        """Answer the question once its card is there; None, or a line on what went wrong."""
        wanted = "the question's card"
        try:
            async with (
                asyncio.timeout(WITHIN),
                self._client.stream("GET", f"{self._chat}/_page/events", timeout=None) as events,
            ):
                changes = _changes(events)
                card = await _first(changes, _button)
                await self._clock.sleep(READS)
                wanted = "the answer's form"
                await self._do("press", **card._asdict(), action_id=_ACTION)
                form = await _first(changes, _form)
                await self._clock.sleep(WRITES)
                wanted = "the answer to be taken"
                while form["view"]["callback_id"] != _SENT:
                    # What it warns of was looked at: a second time it goes.
                    await self._do("submit", view=form["id"], values=_written(form["view"]))
                    form = await _first(changes, _form)
        except TimeoutError:
            return f"the answer in the chat: waited {WITHIN:.0f} s for {wanted}"
        except httpx.HTTPError as error:
            return f"the answer in the chat: {type(error).__name__} while it waited for {wanted}"
        return None

    async def _do(self, what: str, **body: Any) -> None:
        body = {"person": WHO, "tab": _TAB, **body}
        answer = await self._client.post(f"{self._chat}/_page/{what}", json=body)
        answer.raise_for_status()


async def _changes(events: httpx.Response) -> AsyncIterator[Change]:
    async for line in events.aiter_lines():
        if line.startswith("data: "):
            yield orjson.loads(line.removeprefix("data: "))


async def _first(changes: AsyncIterator[Change], of: Callable[[Change], Found | None]) -> Found:
    async for change in changes:
        if (found := of(change)) is not None:
            return found
    raise httpx.RemoteProtocolError("the chat ended")


def _button(change: Change) -> _Button | None:
    """*Answer* on the question's card."""
    message = change.get("message", {})
    blocks = message.get("blocks", [])
    if change["type"] != "message" or QUESTION not in orjson.dumps(blocks).decode():
        return None
    for block in blocks:
        if any(one.get("action_id") == _ACTION for one in block.get("elements", [])):
            return _Button(message["channel"], message["ts"], block["block_id"])
    return None


def _form(change: Change) -> Change | None:
    return change if change["type"] == "view" and change["tab"] == _TAB else None


def _written(view: dict[str, Any]) -> dict[str, Any]:
    """The inputs of the form with the answer in them."""
    typed = {"type": "plain_text_input", "value": ANSWER}
    inputs = [block for block in view["blocks"] if block["type"] == "input"]
    return {one["block_id"]: {one["element"]["action_id"]: typed} for one in inputs}
