"""A bot in Teams, against Microsoft's side as it is documented: who asks, what is pressed, what is said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.alert.acting import AnswerForm, Done, Sending, Written
from services.alert.chat.destinations import Channel, send_sign_in
from services.alert.chat.links import Links
from services.alert.chat.teams_bot import TeamsBotDestination
from services.alert.chat.teams_connector import Connector
from services.alert.chat.teams_interactions import TeamsInteractions
from services.alert.chat.teams_tokens import BotTokens
from services.alert.console.app import create_app
from services.alert.domain.answering import Caution, Warned, Way
from services.alert.domain.card import CardAct, CardStatus, LineAct, StatusKind
from services.alert.ports import Actor, ActResult, DeliveryReason, Pressed
from services.contracts.configuration import Configuration
from services.contracts.events import CloseReason, Label
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent
from tests.alert.adaptive_schema import is_a_card
from tests.alert.chat_builders import (
    NOON,
    SECRET,
    MemoryEpisodes,
    board,
    card,
    configuration,
    line,
    person,
)
from tests.alert.chat_servers import Answer, serving_app
from tests.alert.teams_server import (
    APP,
    CHANNEL,
    MIA,
    PUBLISHED,
    STRANGER,
    TENANT,
    UNKNOWN,
    Key,
    TeamsBotServer,
)

NOW = NOON.timestamp()


def team() -> Configuration:
    made = configuration().model_dump(by_alias=True, exclude_unset=True, mode="json")
    made["people"][0]["teams"] = "mia@air.example"
    made["destinations"] = [
        {"id": "help", "kind": "teams_bot", "channel": CHANNEL, "app_id": APP, "tenant": TENANT}
    ]
    return Configuration.model_validate(made)


class Answers:
    """What people write, kept."""

    def __init__(self) -> None:
        self.written: list[Written] = []
        self.undone: list[str] = []
        self.next: Done | None = None

    async def form(
        self, episode_id: str, by: Actor, *, private: bool | None = None
    ) -> AnswerForm | Done:
        return AnswerForm(
            card(acts=(CardAct.answer,)),
            (line("<at>Mia</at> where is it?"),),
            Way(bool(private), 500),
            Way(not private, 500),
            "seen-1",
            (),
            (),
            needs_approval=False,
        )

    async def send(self, written: Written, by: Actor) -> Done:
        self.written.append(written)
        sending = Sending("a-1", written.episode_id, written.text, written.private, NOON)
        return self.next or Done(ActResult.done, sending=sending)

    async def undo(self, answer_id: str, by: Actor) -> Done:
        self.undone.append(answer_id)
        return Done(ActResult.done)


class Doings:
    """What people do, kept."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    async def note(self, episode_id: str, by: Actor, text: str, request: str) -> Done:
        self.done.append(("note", episode_id, by.person_id, text))
        return Done(ActResult.done)

    async def snooze(self, episode_id: str, by: Actor, until: Any, *, beyond: bool = False) -> Done:
        self.done.append(("snooze", episode_id, (until - NOON).total_seconds(), beyond))
        return Done(ActResult.done)


class Boards:
    """Presses on boards, kept."""

    def __init__(self) -> None:
        self.pressed: list[tuple[str, str, str, str]] = []

    async def press(self, board_id: str, act: str, target: str, by: Actor) -> Pressed:
        self.pressed.append((board_id, act, target, by.person_id))
        return Pressed(ActResult.done)


@dataclass
class Bot:
    """Our side and Microsoft's."""

    server: TeamsBotServer
    destination: TeamsBotDestination
    episodes: MemoryEpisodes
    answers: Answers
    doings: Doings
    boards: Boards
    clock: ManualClock
    http: httpx.AsyncClient

    async def post(self, activity: dict[str, Any], token: str | None = None) -> httpx.Response:
        token = token or self.server.token(NOW)
        headers = {"authorization": f"Bearer {token}"}
        return await self.http.post("/teams/messages", json=activity, headers=headers)

    async def press(self, data: dict[str, Any], who: str = MIA) -> str:
        value = {"action": {"type": "Action.Execute", "verb": data["presence"], "data": data}}
        invoke = self.server.activity(who=who, name="adaptiveCard/action", value=value)
        answer = await self.post(invoke)
        assert answer.status_code == 200
        return str(answer.json()["value"])

    async def task(self, name: str, data: dict[str, Any], who: str = MIA) -> dict[str, Any]:
        activity = self.server.activity(who=who, name=f"task/{name}", value={"data": data})
        answer = await self.post(activity)
        assert answer.status_code == 200
        task: dict[str, Any] = answer.json()["task"]
        return task


@pytest.fixture
async def bot() -> AsyncIterator[Bot]:
    """A running bot."""
    server, clock = TeamsBotServer(), ManualClock(NOON)
    async with serving_app(server.app()) as address:
        server.base_url = address
        links = Links("https://presence.example", SecretStr(SECRET), clock)
        destination = TeamsBotDestination("help", CHANNEL, server.connector(clock), links, clock)
        episodes, file = MemoryEpisodes(card()), team()
        answers, doings, boards = Answers(), Doings(), Boards()
        interactions = TeamsInteractions(
            episodes,
            lambda: file,
            [destination],
            clock,
            boards,  # type: ignore[arg-type]
            answers,  # type: ignore[arg-type]
            doings,  # type: ignore[arg-type]
            links,
        )
        tokens = BotTokens(f"{address}/openid", {APP}, clock, ("127.0.0.1",))
        app = create_app(
            episodes=episodes,
            configuration=lambda: file,
            links=links,
            clock=clock,
            teams=interactions,
            teams_tokens=(tokens,),
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://presence.example"
        ) as http:
            yield Bot(server, destination, episodes, answers, doings, boards, clock, http)
        await destination.close()


CLAIM = {"presence": "claim", "about": "ep-1"}


# Who asks.


@pytest.mark.parametrize(
    ("claims", "key", "status"),
    [
        ({"iss": "https://evil.example"}, PUBLISHED, 401),
        ({"exp": NOW - 301}, PUBLISHED, 401),
        ({"nbf": NOW + 301}, PUBLISHED, 401),
        ({}, UNKNOWN, 401),
        ({"aud": "another-app"}, PUBLISHED, 403),
        ({"serviceurl": "https://evil.example/"}, PUBLISHED, 403),
        ({"serviceurl": None}, PUBLISHED, 403),
    ],
    ids=["issuer", "expired", "early", "other key", "audience", "service url", "no service url"],
)
async def test_a_request_that_is_not_microsofts_or_not_for_us_does_nothing(
    bot: Bot, claims: dict[str, Any], key: Key, status: int
) -> None:
    value = {"action": {"data": CLAIM}}
    activity = bot.server.activity(name="adaptiveCard/action", value=value)
    answer = await bot.post(activity, bot.server.token(NOW, key, **claims))
    assert answer.status_code == status
    assert bot.episodes.acts == []


async def test_a_token_that_names_a_published_key_and_is_signed_by_another_is_refused(
    bot: Bot,
) -> None:
    forged = Key("k1")
    answer = await bot.post(bot.server.activity(), bot.server.token(NOW, forged))
    assert answer.status_code == 401
    unsigned = f"{bot.server.token(NOW).rpartition('.')[0]}."
    assert (await bot.post(bot.server.activity(), unsigned)).status_code == 401
    assert (await bot.http.post("/teams/messages", json={})).status_code == 401


async def test_a_service_url_that_is_none_of_microsofts_is_refused_though_it_is_signed(
    bot: Bot,
) -> None:
    evil = "https://smba.trafficmanager.net.evil.example/"
    activity = {**bot.server.activity("message", text="hi"), "serviceUrl": evil}
    answer = await bot.post(activity, bot.server.token(NOW, serviceurl=evil))
    assert answer.status_code == 403


async def test_keys_are_asked_for_once_and_again_for_a_new_one_but_not_at_every_request(
    bot: Bot,
) -> None:
    await bot.press(CLAIM)
    for _ in range(3):
        stranger = await bot.post(bot.server.activity(), bot.server.token(NOW, UNKNOWN))
        assert stranger.status_code == 401
    assert bot.server.calls.count("openid") == 1
    bot.server.published = [PUBLISHED, UNKNOWN]
    await bot.clock.forward(61)
    late = bot.server.token(NOW, UNKNOWN)
    assert (await bot.post(bot.server.activity("typing"), late)).status_code == 200
    assert bot.server.calls.count("openid") == 2


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{", b'{"type":"invoke"}', b"[" * 5_000],
    ids=["a list", "half", "no more than a type", "deep"],
)
async def test_what_is_no_activity_is_refused(bot: Bot, body: bytes) -> None:
    headers = {"authorization": f"Bearer {bot.server.token(NOW)}"}
    answer = await bot.http.post("/teams/messages", content=body, headers=headers)
    assert answer.status_code in (400, 403)


# Who presses.


async def test_who_presses_is_known_by_the_principal_name_that_teams_tells(bot: Bot) -> None:
    assert (await bot.press(CLAIM)).startswith("It is yours · Answer by")
    assert bot.episodes.acts == [("ep-1", "mia", "teams", "claim")]
    assert await bot.press(CLAIM) == "That is so already: nothing was changed."


async def test_who_is_not_listed_hears_how_to_be_and_does_nothing(bot: Bot) -> None:
    assert "You are not listed in presence.yaml" in await bot.press(CLAIM, STRANGER)
    task = await bot.task("fetch", {"presence": "answer", "about": "ep-1"}, STRANGER)
    assert task["type"] == "message"
    assert bot.episodes.acts == []


async def test_somebody_of_another_tenant_is_nobody(bot: Bot) -> None:
    activity = bot.server.activity(name="adaptiveCard/action", value={"action": {"data": CLAIM}})
    activity["conversation"]["tenantId"] = "tenant-2"
    answer = await bot.post(activity)
    assert "You are not listed" in answer.json()["value"]


# What is pressed.


def buttons(message: dict[str, Any]) -> dict[str, dict[str, Any]]:
    content = message["attachments"][0]["content"]
    return {one["title"]: one for one in content["actions"]}


async def test_every_button_of_a_card_leads_to_its_act(bot: Bot) -> None:
    await bot.destination.post(card(acts=(*CardAct,)), "d1")
    shown = buttons(bot.server.cards()[0])
    assert len(shown) == len(CardAct) + 1
    for title in ("No reply needed", "Not for us", "Snooze", "Note for the team", "Answer"):
        bot.episodes.cards["ep-1"] = card(acts=(*CardAct,))
        task = await bot.task("fetch", shown[title]["data"])
        assert task["type"] == "continue", title
        form = task["value"]["card"]["content"]
        is_a_card(form)


async def test_forms_close_relabel_note_and_snooze(bot: Bot) -> None:
    about = {"about": "ep-1", "request": "r"}
    done = {"type": "message", "value": "Done."}
    submit = {"presence": "no_reply_needed", "choice": "duplicate", **about}
    assert await bot.task("submit", submit) == done
    bot.episodes.cards["ep-1"] = card()
    submit = {"presence": "not_for_us", "choice": "spam", "text": " a bot ", **about}
    assert await bot.task("submit", submit) == done
    assert [one[3] for one in bot.episodes.acts] == [CloseReason.duplicate, (Label.spam, "a bot")]
    assert await bot.task("submit", {"presence": "note", "text": "VIP", **about}) == done
    snooze = {"presence": "snooze", "choice": "1h", "beyond": "true", **about}
    assert await bot.task("submit", snooze) == done
    assert bot.doings.done == [("note", "ep-1", "mia", "VIP"), ("snooze", "ep-1", 3600.0, True)]


async def test_a_choice_that_was_not_offered_is_refused(bot: Bot) -> None:
    data = {"presence": "no_reply_needed", "choice": "answered", "about": "ep-1"}
    activity = bot.server.activity(name="task/submit", value={"data": data})
    assert (await bot.post(activity)).status_code == 400
    assert bot.episodes.acts == []


async def test_an_answer_is_written_switched_sent_and_taken_back(bot: Bot) -> None:
    task = await bot.task("fetch", {"presence": "answer", "about": "ep-1"})
    form = task["value"]["card"]["content"]
    assert "PUBLIC on Mastodon as @air" in json.dumps(form)
    assert "<at>" not in json.dumps(form)
    send, switch = form["actions"]
    task = await bot.task("submit", {**switch["data"], "text": "It is here"})
    form = task["value"]["card"]["content"]
    assert "PRIVATE on Mastodon as @air" in json.dumps(form)
    assert "It is here" in json.dumps(form)
    send = form["actions"][0]
    task = await bot.task("submit", {**send["data"], "text": "It is here!"})
    (written,) = bot.answers.written
    assert (written.text, written.private, written.seen) == ("It is here!", True, "seen-1")
    (undo,) = task["value"]["card"]["content"]["actions"]
    await bot.task("submit", undo["data"])
    assert bot.answers.undone == ["a-1"]


async def test_a_caution_is_shown_and_sending_once_more_accepts_it(bot: Bot) -> None:
    warned = (Warned(Caution.personal_data, "a phone number", None),)
    bot.answers.next = Done(ActResult.cautioned, warned=warned)
    task = await bot.task("fetch", {"presence": "answer", "about": "ep-1"})
    send = task["value"]["card"]["content"]["actions"][0]
    task = await bot.task("submit", {**send["data"], "text": "Call 555"})
    form = task["value"]["card"]["content"]
    assert "a phone number" in json.dumps(form)
    assert "Call 555" in json.dumps(form)
    await bot.task("submit", {**form["actions"][0]["data"], "text": "Call 555"})
    assert bot.answers.written[-1].accepted == {warned[0].key}


async def test_what_was_typed_comes_back_when_it_cannot_be_sent(bot: Bot) -> None:
    bot.answers.next = Done(ActResult.impossible, "They deleted it.")
    task = await bot.task("fetch", {"presence": "answer", "about": "ep-1"})
    send = task["value"]["card"]["content"]["actions"][0]
    task = await bot.task("submit", {**send["data"], "text": "A long text"})
    assert "They deleted it." in json.dumps(task)
    assert "A long text" in json.dumps(task)


async def test_a_board_is_pressed(bot: Bot) -> None:
    await bot.destination.post(board(), "d1")
    (release,) = buttons(bot.server.cards()[0]).values()
    assert await bot.press(release["data"]) == "Done."
    assert bot.boards.pressed == [("b-1", "release_all", "", "mia")]


async def test_who_writes_to_the_bot_hears_what_is_needed_to_set_it_up(bot: Bot) -> None:
    assert (await bot.post(bot.server.activity("message", text="hi"))).status_code == 200
    (said,) = bot.server.cards()
    assert CHANNEL in json.dumps(said)
    assert MIA in json.dumps(said)


# What is said.


async def test_a_card_is_updated_in_place_and_posted_anew_where_it_is_gone(bot: Bot) -> None:
    ref = await bot.destination.post(card(), "d1")
    claimed = card(claimed_by="Mia", acts=())
    assert await bot.destination.update(ref, claimed) == ref
    assert "Mia has it" in json.dumps(bot.server.messages[(ref.channel, ref.id)])
    bot.server.messages.clear()
    again = await bot.destination.update(ref, claimed)
    assert list(bot.server.messages) == [(again.channel, again.id)]


async def test_a_line_stands_beneath_its_card_with_what_it_asks(bot: Bot) -> None:
    ref = await bot.destination.post(card(), "d1")
    asked = replace(line(None), says="Tom wrote an answer", about="a-1", asks=(LineAct.approve,))
    beneath = await bot.destination.thread(ref, asked, card(), "d2")
    assert beneath.channel == ref.channel
    data = buttons(bot.server.messages[(beneath.channel, beneath.id)])["Approve"]["data"]
    assert data == {"presence": "approve", "about": "a-1"}


async def test_an_answer_on_its_way_can_be_undone_from_the_card(bot: Bot) -> None:
    pending = CardStatus(StatusKind.pending, "Mia", NOON, ref="a-1")
    await bot.destination.post(card(status=(pending,)), "d1")
    await bot.press(buttons(bot.server.cards()[0])["Undo"]["data"])
    assert bot.answers.undone == ["a-1"]


async def test_a_page_about_a_board_can_be_pressed_where_it_arrives(bot: Bot) -> None:
    page = await bot.destination.page(person("mia@air.example"), board(), None, "d1")
    shown = buttons(bot.server.messages[(page.channel, page.id)])
    acted = next(one for one in shown.values() if one["type"] == "Action.Execute")
    assert await bot.press(acted["data"]) == "Done."
    assert bot.boards.pressed == [("b-1", "release_all", "", "mia")]


async def test_who_has_not_installed_the_bot_is_mentioned_beneath_the_card(bot: Bot) -> None:
    bot.server.not_installed.add("29:mia")
    ref = await bot.destination.post(card(), "d1")
    page = await bot.destination.page(person("mia@air.example"), card(), ref, "d2")
    assert page.channel == ref.channel
    content = bot.server.messages[(page.channel, page.id)]["attachments"][0]["content"]
    assert content["msteams"]["entities"][0]["mentioned"]["id"] == "29:mia"
    assert "/a/" in json.dumps(content)


async def test_who_is_not_in_the_team_cannot_be_paged(bot: Bot) -> None:
    with pytest.raises(Permanent) as failed:
        await bot.destination.page(person("gone@air.example"), card(), None, "d1")
    assert failed.value.reason is DeliveryReason.not_found


async def test_the_token_is_kept_and_renewed_when_it_is_refused(bot: Bot) -> None:
    await bot.destination.tell("one", "d1")
    await bot.destination.tell("two", "d2")
    assert bot.server.calls.count("login") == 1
    bot.server.answers.append(Answer(401, ""))
    await bot.destination.tell("three", "d3")
    assert bot.server.calls.count("login") == 2
    await bot.clock.forward(3_400)
    await bot.destination.tell("four", "d4")
    assert bot.server.calls.count("login") == 3
    assert len(bot.server.messages) == 4


async def test_a_wrong_client_secret_is_refused_credentials(bot: Bot) -> None:
    bot.server.logins.append(Answer(401, {"error": "invalid_client"}))
    connector: Connector = bot.destination.connector
    with pytest.raises(Permanent, match="invalid_client") as failed:
        await connector.check()
    assert failed.value.reason is DeliveryReason.refused_credentials


async def test_a_sign_in_link_goes_to_the_person_alone(bot: Bot) -> None:
    channels = {"help": Channel(bot.destination, 1, 1)}
    await send_sign_in(channels, team(), "mia", "https://presence.example/sign-in/x")
    ((conversation, _),) = bot.server.messages
    assert conversation == "a:29:mia"
    assert "https://presence.example/sign-in/x" in json.dumps(bot.server.cards())
    with pytest.raises(Permanent):
        await send_sign_in(channels, team(), "bo", "https://presence.example/sign-in/x")


async def test_every_card_is_a_valid_adaptive_card_with_a_summary(bot: Bot) -> None:
    long = "x" * 40_000
    hostile = card(words=long, why=long, acts=(*CardAct,), checklist=(long,) * 30)
    for shown in (card(), hostile, board()):
        await bot.destination.post(shown, "d")
    for message in bot.server.cards():
        assert message["summary"]
        content = message["attachments"][0]["content"]
        is_a_card(content)
        assert len(json.dumps(message).encode()) < 28 * 1_024 + 1_000
