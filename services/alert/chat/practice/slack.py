"""A practice's way into Slack: one channel, every message headed, no direct message to anybody."""

from __future__ import annotations

from html import unescape
from typing import Any

from pydantic import SecretStr

from services.alert.chat.practice.heading import FIRST_LINE, HEADING, NOTE, headed, marked
from services.alert.chat.slack_blocks import (
    HEADER_LIMIT,
    TEXT_LIMIT,
    Block,
    context,
    escape,
    plain,
)
from services.alert.chat.slack_client import SlackClient
from services.alert.ports import DeliveryReason
from services.runtime.errors import Permanent

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100
_INTO_THE_CHANNEL = frozenset({"chat.postMessage", "chat.update", "chat.postEphemeral"})
_VIEWS = frozenset({"views.open", "views.update"})
_READING = frozenset({"conversations.history", "conversations.replies"})


class PracticeSlackClient(SlackClient):
    """Slack's Web API as far as a practice may use it.

    Invariants: nothing is written but into `channel` or a form that somebody opened there; no conversation
    is opened with a person, nothing is published; all of it is headed and marked. What does not fit is
    refused here, whoever asked for it.
    """

    def __init__(self, token: SecretStr, base_url: str, channel: str) -> None:
        super().__init__(token, base_url)
        self._channel = channel

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """See SlackClient. Permanent for what a practice does not do."""
        if method in _INTO_THE_CHANNEL:
            self._here(method, arguments)
            return await super().call(method, **message(arguments))
        if method in _VIEWS:
            return await super().call(method, **{**arguments, "view": view(arguments["view"])})
        if method != "auth.test":
            raise _never(method)
        return await super().call(method, **arguments)

    async def read(self, method: str, **arguments: Any) -> dict[str, Any]:
        """See SlackClient. Only the practice's own channel is read."""
        if method not in _READING:
            raise _never(method)
        self._here(method, arguments)
        return await super().read(method, **arguments)

    async def answer_later(self, response_url: str, answer: dict[str, Any]) -> None:
        """A practice takes no slash command."""
        raise _never("response_url")

    def _here(self, method: str, arguments: dict[str, Any]) -> None:
        if arguments.get("channel") != self._channel:
            raise _never(f"{method} outside of its channel")


def message(arguments: dict[str, Any]) -> dict[str, Any]:
    """A message with the heading in its first line and above its blocks."""
    blocks: list[Block] | None = arguments.get("blocks")
    said = unescape(str(arguments.get("text", "")))
    text = escape(headed(said, TEXT_LIMIT if blocks is None else FIRST_LINE), TEXT_LIMIT)
    if blocks is None:
        return {**arguments, "text": text}
    headed_blocks = [*_above(blocks), *marked(blocks)]
    return {**arguments, "text": text, "blocks": headed_blocks[:MESSAGE_BLOCKS]}


def view(shown: Block) -> Block:
    """A form with the heading above its fields."""
    blocks = [*_heading(), *marked(shown["blocks"])]
    return {**marked(shown), "blocks": blocks[:VIEW_BLOCKS]}


def answered(answer: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a sent form turns into: Slack shows it without another call."""
    if answer is not None and isinstance(answer.get("view"), dict):
        return {**answer, "view": view(answer["view"])}
    return answer


def _above(blocks: list[Block]) -> list[Block]:
    """As large as what stands below: a card that ended, or a line beneath one, has no header of its own."""
    whole = any(one["type"] == "header" for one in blocks)
    return _heading() if whole else [context(HEADING)]


def _heading() -> list[Block]:
    header = {"type": "header", "text": plain(HEADING, HEADER_LIMIT)}
    return [header, context(NOTE), {"type": "divider"}]


def _never(what: str) -> Permanent:
    return Permanent(DeliveryReason.invalid, f"a practice never does this: {what}")
