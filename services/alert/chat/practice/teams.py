"""A practice's ways into Teams: one channel, every card headed, nobody mentioned or written to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.alert.chat.adaptive_card import Element, Message, rich, summary_of, text_run
from services.alert.chat.bot_cards import VERB
from services.alert.chat.practice.heading import HEADING, NOTE, headed
from services.alert.chat.teams import TeamsWorkflowDestination
from services.alert.chat.teams_connector import Connector
from services.alert.ports import DeliveryReason
from services.runtime.errors import Permanent

PRACTISED = "practice"
"""Stands in a button's data where a real one has VERB."""


class PracticeConnector(Connector):
    """A bot's connector as far as a practice may use it: into its channel, never to a person."""

    channel: str = ""

    async def start_thread(self, channel: str, activity: Mapping[str, Any]) -> tuple[str, str]:
        """See Connector. Permanent for another channel."""
        self._here(channel)
        return await super().start_thread(channel, message(activity))

    async def send(self, conversation: str, activity: Mapping[str, Any]) -> str:
        """See Connector. Permanent for another channel."""
        self._here(conversation)
        return await super().send(conversation, message(activity))

    async def update(
        self, conversation: str, activity_id: str, activity: Mapping[str, Any]
    ) -> None:
        """See Connector. Permanent for another channel."""
        self._here(conversation)
        await super().update(conversation, activity_id, message(activity))

    async def direct(self, member: str) -> str:
        """A practice writes to nobody alone."""
        raise _never("a direct message")

    def _here(self, conversation: str) -> None:
        if conversation.partition(";")[0] != self.channel:
            raise _never("a message outside of its channel")


class PracticeTeamsWorkflow(TeamsWorkflowDestination):
    """A Workflows webhook whose every card is headed."""

    async def _send(self, message_: Message) -> None:
        await super()._send(dict(message(message_)))


def message(activity: Mapping[str, Any]) -> dict[str, Any]:
    """A message with the heading in what a notification reads and above each card."""
    shown = {**activity}
    if "summary" in shown:
        shown["summary"] = summary_of(headed(str(shown["summary"])))
    if "text" in shown:
        shown["text"] = headed(str(shown["text"]), 1_000)
    shown["attachments"] = [
        {**one, "content": card(one["content"])} for one in shown.get("attachments", ())
    ]
    return shown


def card(content: Element) -> Element:
    """The card beneath the heading: nobody is mentioned, and its buttons are the practice's."""
    heading = {
        "type": "Container",
        "style": "warning",
        "bleed": True,
        "items": [
            rich(text_run(HEADING, weight="Bolder", size="Large")),
            rich(text_run(NOTE), spacing="None"),
        ],
    }
    found: Element = {**_marked(content), "body": [heading, *_marked(content.get("body", []))]}
    if "fallbackText" in found:
        found["fallbackText"] = headed(str(found["fallbackText"]))
    if "msteams" in found:
        found["msteams"] = {k: one for k, one in found["msteams"].items() if k != "entities"}
    return found


def _marked(value: Any) -> Any:
    return _renamed(value, VERB, PRACTISED)


def unmarked(value: Any) -> Any:
    """What Teams sent back, as the handlers know it."""
    return _renamed(value, PRACTISED, VERB)


def _renamed(value: Any, before: str, after: str) -> Any:
    if isinstance(value, list):
        return [_renamed(one, before, after) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _data(one, before, after) if key == "data" else _renamed(one, before, after)
        for key, one in value.items()
    }


def _data(data: Any, before: str, after: str) -> Any:
    if not isinstance(data, dict):
        return data
    return {(after if key == before else key): one for key, one in data.items()}


def is_marked(activity: Mapping[str, Any]) -> bool:
    """Whether an activity is a press or a form of a practice."""
    value = activity.get("value")
    if not isinstance(value, Mapping):
        return False
    action = value.get("action")
    data = action.get("data") if isinstance(action, Mapping) else value.get("data")
    return isinstance(data, Mapping) and PRACTISED in data


def answered(answer: dict[str, Any] | None) -> dict[str, Any] | None:
    """A form that Teams is to show: headed, with the practice's buttons."""
    task = (answer or {}).get("task")
    if not isinstance(task, dict) or not isinstance(task.get("value"), dict):
        return answer
    attached = task["value"].get("card")
    if not isinstance(attached, dict):
        return answer
    shown = {**attached, "content": card(attached["content"])}
    return {**(answer or {}), "task": {**task, "value": {**task["value"], "card": shown}}}


def _never(what: str) -> Permanent:
    return Permanent(DeliveryReason.invalid, f"a practice never sends {what}")
