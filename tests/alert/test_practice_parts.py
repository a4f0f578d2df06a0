"""The parts of a practice by themselves: the script, the team, the debrief, and the ways into chat."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from services.alert.chat.links import PracticeLinks
from services.alert.chat.memory import MemoryDestination
from services.alert.chat.plain_card import PlainCard
from services.alert.chat.practice import slack, teams
from services.alert.chat.practice.destination import PracticeDestination, open_practice
from services.alert.chat.practice.heading import is_marked, marked, unmarked
from services.alert.chat.practice.plain import PracticeApprise, letter
from services.alert.chat.practice.slack import PracticeSlackClient
from services.alert.chat.slack_blocks import card_blocks
from services.alert.chat.slack_modals import modal
from services.alert.domain.card import CardAct
from services.alert.domain.contact_ways import way_to
from services.alert.domain.practice.debrief import Debrief, Handled
from services.alert.domain.practice.script import TooLong, script
from services.alert.domain.practice.team import Reached, practised
from services.alert.domain.rota import on_call
from services.alert.ports import Purpose
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent, WrongConfiguration
from tests.alert.builders import MONDAY, PRESENCE, configuration, notified
from tests.alert.chat_builders import SECRET, card, delivery, person
from tests.alert.practice_ground import PRACTICE

HOUR = timedelta(hours=1)
FILE = configuration(PRESENCE + PRACTICE.replace("$SLACK", "http://127.0.0.1:9/"))


def test_a_script_keeps_its_distances_but_for_speed_and_long_silences() -> None:
    minutes = (0, 4, 100)
    events = [notified(str(n), MONDAY + timedelta(minutes=n)) for n in minutes]
    after = [one.after.total_seconds() for one in script(events, speed=2, within=HOUR)]
    assert after == [5, 5 + 120, 5 + 120 + 300]


def test_a_script_that_does_not_fit_says_at_which_speed_it_would() -> None:
    events = [notified(str(n), MONDAY + timedelta(minutes=9 * n)) for n in range(20)]
    with pytest.raises(TooLong) as refused:
        script(events, speed=1, within=HOUR)
    assert script(events, speed=refused.value.speed, within=HOUR)


def wrong_route() -> str:
    """What is said of a route into the practice's channel."""
    text = PRESENCE.replace("destinations: [room]}", "destinations: [training]}") + PRACTICE
    with pytest.raises(WrongConfiguration) as refused:
        configuration(text.replace("$SLACK", "http://127.0.0.1:9/"))
    return str(refused.value)


def test_real_channels_and_practice_channels_cannot_be_one() -> None:
    def wrong(text: str) -> str:
        with pytest.raises(WrongConfiguration) as refused:
            configuration(PRESENCE + text)
        return str(refused.value)

    section = "practice:\n  destinations:\n    - "
    assert "no destination 'training'" in wrong_route()
    assert "one place" in wrong(section + "{id: training, kind: slack, channel: C1}")
    assert "is there twice" in wrong(section + "{id: room, kind: slack, channel: C9}")
    assert "leave it out" in wrong(
        section + "{id: training, kind: slack, channel: C9, fallback: room}"
    )


def test_a_practices_team_has_one_place_and_the_trainee_on_call() -> None:
    (place,) = FILE.practice.destinations
    reached = [Reached("webhook", "shop", "other")]
    made = practised(FILE, place, ("tom",), MONDAY, MONDAY + HOUR, reached)
    assert [one.id for one in made.destinations] == ["training"]
    assert {one for route in made.routes for one in route.destinations} == {"training"}
    assert all(target.channel in (None, "training") for one in made.policies for step in one.steps
               for target in step.targets)  # fmt: skip
    held = on_call(made.rotas[0], MONDAY)
    assert held is not None
    assert held.person == "tom"
    assert {way_to(made, one.id, ()) for one in made.people} == {"training"}
    assert made.account("webhook", "shop") is not None
    assert all(one.email is None and one.notify is None for one in made.people)


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("conversations.open", {"users": "U1"}),
        ("chat.postMessage", {"channel": "C1", "text": "x"}),
        ("chat.postMessage", {"channel": "D1", "text": "x"}),
        ("chat.update", {"channel": "C1", "ts": "1", "text": "x"}),
        ("chat.postEphemeral", {"channel": "C1", "user": "U1", "text": "x"}),
        ("views.publish", {"user_id": "U1", "view": {}}),
        ("users.info", {"user": "U1"}),
    ],
)
async def test_a_practices_slack_refuses_whatever_is_not_its_channel(
    method: str, given: dict[str, Any]
) -> None:
    client = PracticeSlackClient(SecretStr("xoxb"), "http://127.0.0.1:9/", "C0TRAIN")
    with pytest.raises(Permanent, match="never does this"):
        await client.call(method, **given)
    await client.close()


async def test_a_practices_bot_writes_to_nobody_and_into_no_other_channel() -> None:
    text = PRESENCE + (
        "practice:\n  destinations:\n    - {id: training, kind: teams_bot, channel: '19:train@x',"
        " app_id: a, tenant: t, service_url: 'http://127.0.0.1:9/'}\n"
    )
    links = PracticeLinks("https://p.example", SecretStr(SECRET))
    practice = configuration(text).practice
    opened = open_practice(
        practice, secret=lambda _: SecretStr("s"), links=links, clock=SystemClock()
    )
    bot = opened["training"].bot
    assert bot is not None
    for refused in (
        bot.connector.direct("29:mia"),
        bot.connector.send("19:care@x;messageid=1", {}),
        bot.connector.start_thread("19:care@x", {}),
        bot.connector.update("19:care@x", "1", {}),
    ):
        with pytest.raises(Permanent, match="never sends"):
            await refused


async def test_a_practices_apprise_address_is_the_only_one_that_it_sends_to() -> None:
    links = PracticeLinks("https://p.example", SecretStr(SECRET))
    theirs = SecretStr("json://127.0.0.1:9/phone")
    place = PracticeApprise("training", SecretStr("json://127.0.0.1:9/x"), links, lambda _: theirs)
    mia = person("PRESENCE_MIA_NOTIFY")
    for refused in (
        place.page(mia, card(), None, "d-1"),
        place.send_sign_in(mia, "https://p.example"),
    ):
        with pytest.raises(Permanent, match="never writes to a person"):
            await refused


async def test_a_page_is_a_line_in_the_channel_and_is_found_there() -> None:
    inside = MemoryDestination("training")
    place = PracticeDestination(inside)
    ref = await place.post(card(), "d-0")
    await place.page(person(), card(), ref, "d-1")
    assert [one.purpose for one in inside.messages] == [Purpose.card, Purpose.thread]
    assert "would have been paged" in str(inside.messages[-1].line)
    found = await place.find(delivery(Purpose.page, id="d-1", card_ref=ref))
    assert found is not None
    assert inside.pages() == []


def test_every_message_and_form_of_slack_is_headed_and_its_buttons_are_the_practices() -> None:
    hostile = "&" * 200
    sent = slack.message({"channel": "C", "text": hostile, "blocks": card_blocks(card()) * 30})
    assert sent["text"].startswith("PRACTICE · &amp;")
    assert len(sent["blocks"]) == slack.MESSAGE_BLOCKS
    assert "presence:" not in json.dumps(sent)
    shown = slack.view(modal(CardAct.no_reply_needed, card(), "C"))
    assert shown["callback_id"] == "practice_close"
    assert "PRACTICE" in json.dumps(shown["blocks"][0])


def test_marking_is_undone_by_unmarking_and_leaves_peoples_words_alone() -> None:
    view = modal(CardAct.not_for_us, card(who="presence:claim presence_close"), "C")
    assert unmarked(marked(view)) == view
    assert "presence:claim presence_close" in json.dumps(marked(view))
    values = {"practice:saved": {"selected_option": {"value": "x"}}}
    assert unmarked({"state": values})["state"] == {"presence:saved": values["practice:saved"]}
    assert not is_marked({"actions": [{"action_id": "presence:claim"}], "view": None})
    assert not is_marked({"actions": "practice:claim", "view": "practice_close"})


def test_every_card_of_teams_is_headed_and_mentions_nobody() -> None:
    content = {"body": [], "msteams": {"width": "Full", "entities": [1]}, "fallbackText": "x",
               "actions": [{"data": {"presence": "claim", "about": "e"}}]}  # fmt: skip
    sent = teams.message({"summary": "Ana", "attachments": [{"content": content}]})
    card_ = sent["attachments"][0]["content"]
    assert sent["summary"] == "PRACTICE · Ana"
    assert card_["fallbackText"] == "PRACTICE · x"
    assert card_["msteams"] == {"width": "Full"}
    assert card_["actions"] == [{"data": {"practice": "claim", "about": "e"}}]
    assert "PRACTICE" in json.dumps(card_["body"][0], ensure_ascii=False)


def test_plain_texts_are_headed() -> None:
    sent = letter(PlainCard("12 min · Ana", "Where is it?"))
    assert sent.title == "PRACTICE · 12 min · Ana"
    assert sent.body.startswith("🎓 PRACTICE")


def test_a_debrief_names_a_few_of_the_missed_and_counts_the_rest() -> None:
    due = MONDAY + timedelta(minutes=15)
    missed = [Handled(f"P{n}", None, MONDAY, due, "open") for n in range(5)]
    late = Handled("Ana", "x", MONDAY, due, "answered", "Tom", ended_after=1200.0)
    quick = Handled("Bo", "x", MONDAY, due, "no_reply_needed", "Tom", ended_after=60.0)
    debrief = Debrief(due, (*missed, late, quick))
    assert debrief.in_a_line(7) == (
        "Debrief: 1 of 7 answered, median 20 min, 1 dealt with in time. Missed: P0, P1, P2 and 3 more."
        " In full: presence practice debrief 7"
    )
    early = Debrief(MONDAY, (*missed, late, quick))
    assert (early.as_json()["missed"], early.as_json()["waiting"]) == (1, 5)
