"""How people who wait are answered by a team in Teams: a real PostgreSQL, our bot, signed requests."""

from __future__ import annotations

import pytest

from services.contracts.events import OutcomeState, Sensitive
from tests.alert.builders import at, iid, notified, verdict
from tests.alert.teams_room import SAFE, Room, as_json, buttons, content_of, teams_room, text_of
from tests.alert.teams_server import CHANNEL
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


async def asked(room: Room) -> None:
    """Ana asks; the card stands and Mia was paged."""
    await room.told.hear(notified("q", at(0)))
    await room.settle()


async def test_a_question_is_claimed_answered_and_its_outcome_told_without_leaving_teams(
    postgres: FreshDatabase,
) -> None:
    async with teams_room(postgres()) as room:
        await asked(room)
        assert "Nobody has it yet" in text_of(content_of(room.card()))
        assert "PUBLIC on X as @air" in text_of(content_of(room.card()))
        (page,) = room.paged("mia")
        assert page == "15 min left · X · Ana @ana · My flight was cancelled, what now?"
        assert room.paged("ben") == []
        await room.at(2)
        told = await room.press("mia", buttons(room.card())["Claim"])
        assert told == "It is yours · Answer by 10:15 (Mon 2 Mar, Berlin)"
        assert await room.press("ben", buttons(room.card())["Claim"]) == "Mia has it already."
        await room.settle()
        assert "Mia has it" in text_of(content_of(room.card()))
        form = await room.open("mia", buttons(room.card())["Answer"])
        assert text_of(form["value"]["card"]["content"]).startswith("🌐 PUBLIC on X as @air")
        sent = await room.send("mia", form, "Send", text="We are on it")
        assert "We are on it" in text_of(sent["value"]["card"]["content"])
        await room.settle()
        assert "Mia's answer goes out at" in text_of(content_of(room.card()))
        assert await room.told.replies() == []
        await room.at(2 + 11 / 60)
        await room.settle()
        (reply,) = await room.told.replies()
        assert (reply.text, reply.private, reply.author) == ("We are on it", False, "mia")
        await room.told.tell(reply, OutcomeState.posted, posted_item_id=iid("a"))
        await room.told.hear(notified("a", at(3), outbound=True, to="ana", parent="q"))
        await room.settle()
        assert "Answered by Mia after 3 min" in text_of(content_of(room.card()))
        assert room.beneath() == ["Mia answered in public: We are on it"]


async def test_an_answer_is_taken_back_from_the_form_or_the_card_within_its_ten_seconds(
    postgres: FreshDatabase,
) -> None:
    async with teams_room(postgres()) as room:
        await asked(room)
        form = await room.open("mia", buttons(room.card())["Answer"])
        sent = await room.send("mia", form, "Send", text="Wrong person")
        assert (await room.send("mia", sent, "Undo"))["value"] == "Done."
        form = await room.open("mia", buttons(room.card())["Answer"])
        await room.send("mia", form, "Send", text="Wrong again")
        await room.settle()
        assert await room.press("mia", buttons(room.card())["Undo"]) == "Done."
        await room.at(5)
        await room.settle()
        assert await room.told.replies() == []
        assert "goes out" not in text_of(content_of(room.card()))


async def test_a_claim_that_runs_out_frees_the_card_and_the_next_steps_page_others(
    postgres: FreshDatabase,
) -> None:
    async with teams_room(postgres()) as room:
        await asked(room)
        await room.at(2)
        await room.press("mia", buttons(room.card())["Claim"])
        await room.settle()
        await room.at(15)
        await room.settle()
        assert "Mia has it" in text_of(content_of(room.card()))
        assert room.paged("ben") == []
        await room.at(22)
        await room.settle()
        assert "Nobody has it yet" in text_of(content_of(room.card()))
        assert len(room.paged("ben")) == 1
        await room.at(24)
        await room.settle()
        assert len(room.paged("lea")) == 1


async def test_a_page_is_claimed_where_it_arrives_and_says_who_was_faster(
    postgres: FreshDatabase,
) -> None:
    async with teams_room(postgres()) as room:
        await asked(room)
        mine = "a:29:mia"
        (page,) = [one for (where, _), one in room.server.messages.items() if where == mine]
        assert {"Claim", "Answer", "See the card", "Open without Teams"} <= buttons(page).keys()
        assert (await room.press("mia", buttons(page)["Claim"], mine)).startswith("It is yours")
        await room.settle()
        assert "Mia has it" in text_of(content_of(room.card()))
        assert await room.press("ben", buttons(page)["Claim"], mine) == "Mia has it already."


async def test_who_has_not_added_the_app_is_mentioned_beneath_the_card(
    postgres: FreshDatabase,
) -> None:
    async with teams_room(postgres()) as room:
        room.server.not_installed.add("29:mia")
        await asked(room)
        (beneath,) = room.beneath()
        assert "<at>Mia</at>, you are on call" in beneath


async def test_a_trainees_answer_is_sent_by_a_second_person(postgres: FreshDatabase) -> None:
    async with teams_room(postgres()) as room:
        await asked(room)
        form = await room.open("tom", buttons(room.card())["Answer"])
        sent = await room.send("tom", form, "Ask for approval", text="We is on it")
        assert "A second person sends it" in text_of(sent["value"]["card"]["content"])
        await room.settle()
        assert "a second person sends it" in text_of(content_of(room.card()))
        line = next(
            message
            for message in room.server.messages.values()
            if {"Approve", "Edit", "Reject"} <= buttons(message).keys()
        )
        assert "You may not do this" in await room.press("tom", buttons(line)["Approve"])
        await room.at(5)
        await room.settle()
        assert await room.told.replies() == []
        form = await room.open("mia", buttons(line)["Edit"])
        assert "We is on it" in as_json(form)
        await room.send("mia", form, "Send", text="We are on it")
        await room.at(6)
        await room.settle()
        (reply,) = await room.told.replies()
        assert reply.text == "We are on it"


async def test_what_was_closed_by_mistake_is_reopened_from_the_small_card(
    postgres: FreshDatabase,
) -> None:
    async with teams_room(postgres()) as room:
        await asked(room)
        form = await room.open("mia", buttons(room.card())["No reply needed"])
        done = await room.send("mia", form, "Close it", choice="no_reply_needed")
        assert done == {"type": "message", "value": "Done."}
        await room.settle()
        closed = room.card()
        assert "no reply needed" in text_of(content_of(closed)).casefold()
        assert {"Claim", "Answer"}.isdisjoint(buttons(closed))
        assert await room.press("ben", buttons(closed)["Reopen"]) == "Done."
        await room.settle()
        assert "Claim" in buttons(room.card())


async def test_sensitive_words_reach_neither_the_shared_channel_nor_a_notification(
    postgres: FreshDatabase,
) -> None:
    async with teams_room(postgres()) as room:
        words = "I cannot go on living"
        judged = verdict(sensitive=frozenset({Sensitive.self_harm}))
        await room.told.hear(notified("q", at(0), text=words, judged=judged))
        await room.settle()
        assert room.posts(CHANNEL) == []
        (safe,) = room.posts(SAFE)
        assert "Call the crisis line" in text_of(content_of(safe))
        assert words not in safe["summary"]
        assert len(room.paged("lea")) == 1
        assert not [one for one in room.paged("lea") if words in one]


async def test_a_press_that_came_as_a_message_is_answered_with_the_way_to_the_form(
    postgres: FreshDatabase,
) -> None:
    async with teams_room(postgres()) as room:
        await asked(room)
        value = buttons(room.card())["Answer"]["data"]
        activity = room.server.activity("message", "aad-mia", value=value)
        assert (await room.receive(activity)).status_code == 200
        (said,) = [one for one in room.server.messages.values() if "shows no forms" in str(one)]
        (link,) = buttons(said).values()
        page = await room.http.get(link["url"], follow_redirects=True)
        assert page.status_code == 200
        assert "Who are you" in page.text or "sign in" in page.text.casefold()
