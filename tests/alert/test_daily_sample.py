"""Once a day: what was dropped, by a random sample that people judge."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alert.domain.boards.board import Board, BoardKind
from services.alert.domain.boards.sample import due, estimate
from services.alert.ports import ActResult
from tests.alert.builders import Action, Label, at, notified, verdict
from tests.alert.story import EVA, MIA, Story, story
from tests.conftest import FreshDatabase

MORNING = 23 * 60.0
"""9:00 of the next day in Berlin, in minutes of the story."""


def only(told: Story) -> Board:
    (board,) = told.shown(BoardKind.sample)
    return board


async def a_day(told: Story, dropped: int = 14) -> None:
    # The first day's own digest, of nothing, is not asked about here.
    await told.keep()
    spam = verdict(0.05, label=Label.spam)
    await told.hear(
        *[
            notified(f"s{n}", at(0), f"bot{n}", judged=spam, text=f"WORDS {n}")
            for n in range(dropped)
        ],
        notified("c", at(0), "cy", judged=verdict(0.3), text="nice plane"),
        notified("d", at(0), "di", judged=verdict(0.1)),
    )
    await told.at(MORNING)
    await told.keep()


@pytest.mark.integration
async def test_yesterdays_dropped_messages_are_sampled_once(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await a_day(told)
        board = only(told)
        assert board.content.headline == "Yesterday at Air: 14 dropped, 2 chatter"
        asked, closest = board.content.sections[1:]
        assert asked.title == "Was one of these a person? 10 drawn at random"
        assert closest.lines[0].words == "nice plane"
        await told.at(MORNING + 60)
        await told.keep()
        assert only(told) == board


@pytest.mark.integration
async def test_a_person_in_the_sample_is_carded_and_the_lost_are_estimated(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await a_day(told)
        board = only(told)
        first = board.content.subjects[0]
        press = told.boards.press
        assert (await press(board.id, "was_a_person", first, EVA)).result is ActResult.refused
        assert (await press(board.id, "was_a_person", first, MIA)).result is ActResult.done
        assert await told.sweep() == ["mia"]
        assert "1 of 1 was a person" in only(told).content.sections[0].lines[0].text
        assert (await press(board.id, "right", "", MIA)).result is ActResult.done
        await told.deliver()
        assert only(told).content.headline == (
            "Sample of 03.03.: 1 of 10 was a person: about 1 lost, 1 to 5 (95 %)"
        )
        corrections = await told.rows(
            "select count(*) from alert.announcements where topic = 'presence.corrections'"
        )
        assert corrections == [(1,)]
        assert "WORDS" not in repr(await told.rows("select content::text from alert.boards"))


@pytest.mark.integration
async def test_the_next_day_asks_anew_and_what_was_taken_back_is_not_asked_about(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await a_day(told, dropped=2)
        await told.hear(notified("s0", at(MORNING), "bot0", action=Action.deleted))
        await told.keep()
        assert "WORDS 0" not in repr(only(told).content)
        await told.at(MORNING + 30)
        await told.hear(notified("t", at(MORNING + 30), judged=verdict(0.05, label=Label.news)))
        await told.at(MORNING + 24 * 60)
        await told.keep()
        older, newer = told.shown(BoardKind.sample)
        assert older.content.over
        assert newer.content.headline == "Yesterday at Air: 1 dropped, 0 chatter"


def test_a_digest_is_due_once_a_day_from_nine_on_by_the_clock_on_the_wall() -> None:
    assert due(at(-61), "Europe/Berlin", None) is None
    found = due(at(0), "Europe/Berlin", None)
    assert found is not None
    assert found[0] == date(2026, 3, 2)
    assert found[1] == at(-10 * 60)
    assert due(at(0), "Europe/Berlin", date(2026, 3, 2)) is None


@given(st.integers(1, 10), st.data())
def test_an_estimate_lies_in_its_interval_and_within_what_was_dropped(
    judged: int, data: st.DataObject
) -> None:
    people = data.draw(st.integers(0, judged))
    dropped = data.draw(st.integers(judged, 5_000))
    found = estimate(judged, people, dropped)
    assert found is not None
    assert people <= found.low <= found.high <= dropped - (judged - people)
    assert found.low <= found.lost <= found.high


def test_nothing_judged_estimates_nothing() -> None:
    assert estimate(0, 0, 400) is None
