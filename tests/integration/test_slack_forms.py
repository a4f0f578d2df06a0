"""Every form in Slack, through the emulator's `views.*` and a real PostgreSQL: opened, changed, refused.

The emulator keeps the triggers' rules (used once, for three seconds) and the views; `blockkit` and the local
chat hold each view that it was given against Block Kit's limits.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from deploy.local.chat.blocks import view_faults
from services.alert.acting import Done, Written
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.slack_interactions import NOT_HEARD, NOT_OPENED, SlackInteractions
from services.alert.ports import Actor, ActResult
from services.runtime.clock import ManualClock
from tests.alert.block_kit import hold_as_a_view
from tests.alert.builders import MONDAY, PRESENCE, at, configuration, notified
from tests.alert.story import TOM, Story, story
from tests.conftest import FreshDatabase
from tests.integration.slack_emulator import TOKEN, Peer, call, emulating, peer_at

pytestmark = pytest.mark.integration

SAVED = """
answering:
  saved: [{id: sorry, name: Sorry, text: "We are sorry for the trouble."}]
"""
OF_A_VIEW = (
    *("type", "title", "submit", "close", "blocks"),
    *("private_metadata", "callback_id", "clear_on_close", "notify_on_close"),
)
_presses = itertools.count(1)


class HeardClient(SlackClient):
    """Slack's client, which keeps what Slack answered to views, and what was whispered."""

    views: list[dict[str, Any]]
    whispers: list[dict[str, Any]]

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """The call itself."""
        answer = await super().call(method, **arguments)
        if method.startswith("views."):
            self.views.append(answer["view"])
        elif method == "chat.postEphemeral":
            self.whispers.append(arguments)
        return answer


@dataclass
class Desk:
    """Mia in front of Slack."""

    told: Story
    peer: Peer
    client: HeardClient
    interactions: SlackInteractions
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)

    def trigger(self) -> str:
        """As Slack hands one out with a press."""
        made = call(self.peer.base_url, "views.generateTriggerId", user_id=self.peer.member)
        return str(made["trigger_id"])

    async def press(
        self, name: str, value: str, *, view: dict[str, Any] | None = None, trigger: str = ""
    ) -> None:
        """A button of a card, or of the view; again, as one is told to, where a trigger grew too old."""
        whispered = len(self.client.whispers)
        action: dict[str, Any] = {"action_id": f"presence:{name}", "action_ts": str(next(_presses))}
        if name in ("more", "saved"):
            action["selected_option"] = {"value": value}
        where = {"view": view} if view else {"channel": {"id": self.peer.channel}}
        pressed = {
            "type": "block_actions",
            "user": {"id": self.peer.member},
            "trigger_id": trigger or self.trigger(),
            "container": {"channel_id": self.peer.channel},
            "actions": [{"value": value, **action}],
            **where,
        }
        assert await self.interactions.handle(pressed) is None
        await self.interactions.drain()
        said = [one["text"] for one in self.client.whispers[whispered:]]
        if said == [NOT_OPENED] and not trigger:
            await self.press(name, value, view=view)

    @property
    def view(self) -> dict[str, Any]:
        """The view as the emulator holds it now; Slack would have taken it, too."""
        view = self.client.views[-1]
        sent = {name: view[name] for name in OF_A_VIEW if view.get(name) not in (None, "", False)}
        assert view_faults(sent) == []
        hold_as_a_view(sent)
        return view

    async def submit(self, **values: Any) -> dict[str, Any]:
        """The view is sent with what stands in its inputs, and Slack does what it was answered."""
        view = self.view
        state = {"values": {one: {one.rstrip("0123456789"): said} for one, said in values.items()}}
        inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
        assert set(values) <= inputs
        answer = await self.interactions.handle(
            {
                "type": "view_submission",
                "user": {"id": self.peer.member},
                "view": {**view, "state": state},
            }
        )
        assert answer is not None
        if answer["response_action"] == "errors":
            assert set(answer["errors"]) <= inputs, "Slack takes an error only for an input of it"
        elif answer["response_action"] == "update":
            await self.client.call("views.update", view_id=view["id"], view=answer["view"])
        return answer

    def blocks(self) -> str:
        """Everything that stands in the view."""
        return repr(self.view["blocks"])


def chosen(value: str) -> dict[str, Any]:
    return {"selected_option": {"value": value}}


def typed(value: str) -> dict[str, Any]:
    return {"type": "plain_text_input", "value": value}


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    """The emulator's Web API."""
    with emulating() as address:
        yield address


@pytest.fixture
async def desk(postgres: FreshDatabase, emulator: str) -> AsyncIterator[Desk]:
    """Ana has asked, in public; later we wrote to her in private."""
    peer = peer_at(emulator)
    call(emulator, "conversations.invite", channel=peer.channel, users=peer.member)
    file = configuration(PRESENCE.replace("slack: U1}", f"slack: {peer.member}}}") + SAVED)
    client = HeardClient(SecretStr(TOKEN), peer.base_url)
    client.views, client.whispers = [], []
    async with story(postgres(), file) as told:
        slack = SlackDestination("room", peer.channel, client)
        interactions = SlackInteractions(
            told.episodes,
            lambda: told.file,
            [slack],
            ManualClock(MONDAY),
            answers=told.answers,
            doings=told.doings,
        )
        await told.hear(notified("q", at(0)))
        await told.sweep()
        yield Desk(told, peer, client, interactions)
        await interactions.drain()
        await slack.close()


async def acts(told: Story) -> list[str]:
    """What was done, as the audit record says it."""
    return [row[0] for row in await told.rows("select act from alert.audit order by id")]


async def test_an_answer_is_written_turned_private_refused_sent_and_taken_back_in_one_view(
    desk: Desk,
) -> None:
    await desk.press("answer", await desk.told.only())
    opened = desk.view
    assert opened["title"]["text"] == "Answer in public"
    await desk.press("switch", "", view=opened)
    assert (desk.view["id"], desk.view["title"]["text"]) == (opened["id"], "Answer in private")
    await desk.press("saved", "sorry", view=desk.view)
    assert "We are sorry for the trouble." in desk.blocks()
    await desk.press("switch", "", view=desk.view)
    (text,) = [one["block_id"] for one in desk.view["blocks"] if one["type"] == "input"]
    long = await desk.submit(**{text: typed("x" * 281)})
    assert long["errors"] == {text: "Too long: 281 of 280 characters."}
    warned = await desk.submit(**{text: typed("Call 030 1234 567")})
    assert warned["view"]["submit"]["text"] == "Send again"
    (text,) = [one["block_id"] for one in desk.view["blocks"] if one["type"] == "input"]
    await desk.submit(**{text: typed("Call 030 1234 567")})
    assert desk.view["title"]["text"] == "On its way"
    (undo,) = [one for block in desk.view["blocks"] for one in block.get("elements", ())][-1:]
    await desk.press("undo", undo["value"], view=desk.view)
    assert desk.view["id"] == opened["id"]
    assert "Call 030 1234 567" in desk.blocks()
    await desk.told.at(1)
    await desk.told.sweep()
    assert await desk.told.replies() == []


async def test_every_short_form_opens_is_taken_and_does_what_it_says(desk: Desk) -> None:
    told, episode = desk.told, await desk.told.only()
    await desk.press("more", f"snooze|{episode}")
    late = await desk.submit(choice=chosen("1h"))
    assert late["response_action"] == "errors"
    assert (await desk.submit(choice=chosen("15m")))["response_action"] == "clear"
    await desk.press("more", f"note|{episode}")
    await desk.submit(text=typed("Asked the gate"))
    await desk.press("more", f"promise|{episode}")
    await desk.submit(text=typed("A refund"), choice=chosen("3h"))
    await desk.press("more", f"hand_over|{episode}")
    await desk.submit(choice=chosen("ben"))
    await desk.press("not_for_us", episode)
    await desk.submit(choice=chosen("news"))
    await told.at(1)
    await desk.press("more", f"reopen|{episode}")
    assert await told.states() == ["open"]
    await desk.press("no_reply_needed", episode)
    await desk.submit(choice=chosen("do_not_feed"))
    expected = ["snooze", "note", "promise", "hand_over", "relabel", "relabel", "close"]
    assert await acts(told) == expected


async def test_what_answered_in_private_is_chosen_among_our_own_messages(desk: Desk) -> None:
    said = notified("dm", at(1), outbound=True, to="ana", private=True, text="Look into your mail")
    await desk.told.hear(said)
    await desk.press("more", f"answered_in_private|{await desk.told.only()}")
    (radio,) = [one["element"] for one in desk.view["blocks"] if one["type"] == "input"]
    (option,) = radio["options"]
    assert "Look into your mail" in option["text"]["text"]
    await desk.submit(choice=chosen(option["value"]))
    assert await desk.told.states() == ["answered"]


async def test_a_second_person_edits_or_refuses_what_a_trainee_wrote(desk: Desk) -> None:
    episode = await desk.told.only()
    for number, text in enumerate(("Go away", "We is on it")):
        written = Written(f"form-{number}", episode, text, private=False, seen="")
        done = await desk.told.answers.send(written, TOM)
        assert done.sending
        ref = done.sending.answer_id
        if text == "Go away":
            await desk.press("reject", ref)
            await desk.submit(text=typed("Too harsh"))
        else:
            await desk.press("edit", ref)
            assert "We is on it" in desk.blocks()
            (block,) = [one["block_id"] for one in desk.view["blocks"] if one["type"] == "input"]
            await desk.submit(**{block: typed("We are on it")})
            assert desk.view["title"]["text"] == "On its way"
    states = await desk.told.rows("select text, state from alert.answers order by made_at, request")
    assert states == [("Go away", "rejected"), ("We are on it", "pending")]


async def test_a_trigger_that_slack_does_not_take_opens_nothing_and_says_so(desk: Desk) -> None:
    episode, used = await desk.told.only(), desk.trigger()
    await desk.press("no_reply_needed", episode, trigger=used)
    opened = len(desk.client.views)
    for trigger in (used, "1.2.never"):
        await desk.press("answer", episode, trigger=trigger)
        await desk.press("more", f"note|{episode}", trigger=trigger)
    assert len(desk.client.views) == opened
    assert [one["text"] for one in desk.client.whispers] == [NOT_OPENED] * 4


@pytest.mark.parametrize("form", ["open", "closed"])
@pytest.mark.parametrize("outcome", ["cautioned", "impossible", "refused", "failed", "done"])
async def test_what_slack_waited_too_long_for_comes_back_with_all_that_was_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, outcome: str, form: str
) -> None:
    """Slack waits for three seconds: nobody may take that for "sent"."""
    await desk.press("answer", await desk.told.only())
    (block,) = [one["block_id"] for one in desk.view["blocks"] if one["type"] == "input"]
    send, text = desk.told.answers.send, "Call 030 1234 567 " + "& so on " * 360
    text = {"done": "We are on it", "cautioned": "Call 030 1234 567"}.get(outcome, text)
    monkeypatch.setattr("services.alert.chat.slack_interactions.ANSWER_WITHIN_SECONDS", 0.01)
    gone = asyncio.Event()

    async def late(written: Written, by: Actor) -> Done:
        await gone.wait()
        if outcome == "failed":
            raise ConnectionError("the database is away")
        return Done(ActResult.refused) if outcome == "refused" else await send(written, by)

    desk.told.answers.send = late  # type: ignore[method-assign]
    view = {**desk.view, "state": {"values": {block: {"text": typed(text)}}}}
    if form == "closed":
        view["id"] = "V0GONE"
    sent = {"type": "view_submission", "user": {"id": desk.peer.member}, "view": view}
    answer = await desk.interactions.handle(sent)
    assert answer is not None
    assert answer["view"]["title"]["text"] == "One moment"
    gone.set()
    await desk.interactions.drain()
    said = {
        "cautioned": "it holds a phone number",
        "impossible": "Too long: ",
        "refused": "You may not do this",
        "failed": NOT_HEARD,
        "done": "On its way",
    }
    if form == "open":
        assert said[outcome] in repr(desk.view)
        assert text[:2_000].strip() in repr(desk.view)
        assert desk.client.whispers == []
    elif outcome == "done":
        assert desk.client.whispers == []
    else:
        (whisper,) = desk.client.whispers
        assert said[outcome] in whisper["blocks"][0]["text"]["text"]
        (quoted,) = whisper["blocks"][1]["elements"]
        assert quoted["elements"][0]["text"] == text.strip()
