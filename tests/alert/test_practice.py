"""A practice beside a real team: what the trainee sees and presses, and that nothing real notices."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.alert.builders import notified
from tests.alert.practice_ground import TRAINING, Ground, ground
from tests.conftest import FreshDatabase

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
async def place(postgres: FreshDatabase) -> AsyncIterator[Ground]:
    """A team, and its place to practise."""
    async with ground(postgres(), postgres()) as made:
        yield made


async def test_a_practice_posts_headed_cards_and_wakes_nobody(place: Ground) -> None:
    await place.begin(
        notified("1", NOW, "ana", text="Where is my bag?"),
        notified("2", NOW + timedelta(minutes=3), "bo", text="My flight was cancelled"),
    )
    await place.seen(
        lambda: len(place.cards()) == 2 and place.said().count("would have been paged") >= 2
    )
    for message in place.messages():
        assert message["text"].startswith("PRACTICE · ")
        assert "🎓 PRACTICE" in json.dumps(message["blocks"][0], ensure_ascii=False)
    assert {one["channel"] for one in place.server.all_messages()} == {TRAINING}
    assert "conversations.open" not in place.server.calls
    assert not re.search(r"<@|user_id", place.said())


async def test_everything_can_be_pressed_and_an_answer_would_have_been_posted(
    place: Ground,
) -> None:
    questions = ("Bag", "Seat", "Dog", "Refund")
    await place.begin(
        *(
            notified(str(n), NOW + timedelta(seconds=n), f"p{n}", text=f"{words}, please?")
            for n, words in enumerate(questions)
        )
    )
    await place.seen(lambda: len(place.cards()) == len(questions))
    bag, seat, dog, refund = (place.card_of(words) for words in questions)

    await place.press(bag, "claim")
    await place.seen(lambda: "Tom has it" in json.dumps(place.card_of("Bag")))
    await place.press(bag, "answer")
    assert "PRACTICE" in json.dumps(place.server.views[-1]["view"]["blocks"][0])
    sent = await place.submit(text="It is in Bergen")
    assert "PRACTICE" in json.dumps(sent["view"]["blocks"][0])
    undo = await place.seen(lambda: _with(place, bag, "undo"))
    await place.press(undo, "undo")
    await place.seen(lambda: "goes out at" not in json.dumps(place.card_of("Bag")))
    await place.press(bag, "answer")
    await place.submit(text="It is in Oslo")
    await place.seen(lambda: "would have been posted in public" in place.said())
    await place.seen(lambda: "Answered by Tom" in place.said())
    assert "It is in Bergen" not in place.said()

    await place.press(seat, "snooze")
    await place.submit(choice="15m", beyond="beyond")
    await place.seen(lambda: "Snoozed by Tom" in json.dumps(place.card_of("Seat")))
    await place.press(seat, "note")
    await place.submit(text="Ask Ben")
    await place.press(seat, "promise")
    await place.submit(text="A window seat", choice="1h")
    await place.press(seat, "hand_over")
    await place.submit(choice="ben")
    await place.seen(lambda: "Ben has it" in json.dumps(place.card_of("Seat")))
    await place.seen(lambda: "Ask Ben" in place.said() and "A window seat" in place.said())

    await place.press(dog, "no_reply_needed")
    await place.submit(choice="no_reply_needed")
    await place.press(refund, "not_for_us")
    await place.submit(choice="spam")
    await place.seen(lambda: "No reply needed" in place.said() or "no reply needed" in place.said())
    await place.seen(lambda: "Not for us" in json.dumps([one["text"] for one in place.cards()]))
    assert {one["channel"] for one in place.server.all_messages()} == {TRAINING}
    assert "conversations.open" not in place.server.calls


def _with(place: Ground, card: dict[str, Any], act: str) -> dict[str, Any] | None:
    """The card as it stands now, once it offers this."""
    now = next(one for one in place.cards() if one["ts"] == card["ts"])
    return now if f":{act}" in json.dumps(now["blocks"]) else None
