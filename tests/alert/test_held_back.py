"""Held back: every 15 minutes one card, judged with one press."""

from __future__ import annotations

import pytest

from services.alert.domain.boards.board import Board, BoardKind
from services.alert.ports import ActResult, Purpose
from services.alert.store.figures import Figures
from services.contracts.events import ClassifiedNotification
from tests.alert.builders import (
    PRESENCE,
    Action,
    Label,
    Origin,
    at,
    configuration,
    iid,
    notified,
    verdict,
)
from tests.alert.story import EVA, MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


def held(
    native: str, minutes: float, who: str = "bo", label: Label = Label.spam, **changes: object
) -> ClassifiedNotification:
    """Written to us, looks like spam."""
    judged = verdict(0.1, label=label, held=True)
    changes = {"addressed": True, "text": f"WORDS of {native}", **changes}
    return notified(native, at(minutes), who, judged=judged, **changes)  # type: ignore[arg-type]


def headlines(told: Story) -> list[str]:
    return [board.content.headline for board in told.shown(BoardKind.held_back)]


def newest(told: Story) -> Board:
    return told.shown(BoardKind.held_back)[-1]


async def test_what_is_held_back_is_counted_in_one_card_every_15_minutes(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(held("a", 0), held("b", 0, "cy"))
        await told.at(4)
        assert await told.keep() == []
        assert headlines(told) == ["Held back: 2, oldest 4 min · Air"]
        await told.hear(held("c", 4, "di"))
        for minute in (5, 10, 18.5):
            await told.at(minute)
            await told.keep()
        assert len(told.of(Purpose.card)) == 1
        await told.at(19)
        await told.keep()
        assert headlines(told) == [
            "Held back: goes on in a newer card below",
            "Held back: 3, oldest 19 min · Air",
        ]
        await told.at(40)
        await told.keep()
        assert headlines(told)[-1] == "Held back: 3, oldest 40 min · Air"
        assert len(told.shown(BoardKind.held_back)) == 2


async def test_a_person_who_was_held_back_is_released_with_one_press_and_pages_with_their_clock(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(held("a", 0), held("b", 0, "cy"))
        await told.at(12)
        await told.keep()
        board = newest(told)
        done = await told.boards.press(board.id, "release", iid("a"), MIA)
        assert done.result is ActResult.done
        assert (await told.boards.press(board.id, "release", iid("a"), MIA)).result is (
            ActResult.already
        )
        assert await told.sweep() == ["mia"]
        (row,) = await told.episodes.open()
        assert row.opened_at == at(0)
        assert newest(told).content.headline == "Held back: 1, oldest 12 min · Air"
        assert newest(told).id == board.id


async def test_what_is_confirmed_pages_nobody_and_needs_no_reason(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(held("a", 0), held("b", 1, "cy", Label.news), held("c", 2, "di"))
        await told.at(3)
        await told.keep()
        board = newest(told)
        done = await told.boards.press(board.id, "confirm_all", "", MIA)
        assert (done.result, done.says) == (ActResult.done, "3 of 3 confirmed.")
        assert await told.sweep() == []
        assert headlines(told) == ["Held back: every message was judged"]
        assert "WORDS" not in repr(await told.rows("select content::text from alert.boards"))
        relabels = await told.rows("select to_label from alert.relabels order by item_id")
        assert relabels == [("spam",), ("news",), ("spam",)]
        assert await told.rows("select * from alert.announcements") == []


async def test_all_released_means_all_that_the_card_counted_when_it_was_pressed(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*[held(f"n{number}", 0, f"who{number}") for number in range(13)])
        await told.keep()
        assert len(newest(told).content.sections[0].lines) == 11
        await told.hear(held("late", 0.5, "late"))
        done = await told.boards.press(newest(told).id, "release_all", "", MIA)
        assert done.says == "13 of 13 released."
        assert len(await told.episodes.open()) == 13


async def test_an_engineer_judges_no_message(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(held("a", 0))
        await told.keep()
        done = await told.boards.press(newest(told).id, "release", iid("a"), EVA)
        assert done.result is ActResult.refused
        assert await told.episodes.open() == []


async def test_nobody_on_call_or_closed_hours_post_no_card(postgres: FreshDatabase) -> None:
    later = configuration(PRESENCE.replace("2026-02-16", "2027-02-16"))
    async with story(postgres(), later) as told:
        await told.hear(held("a", 0))
        await told.keep()
        assert told.seen == []


async def test_private_words_and_words_that_were_taken_back_are_on_no_shared_card(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(held("p", 0, "cy", private=True), held("a", 0), held("e", 0, "ed"))
        await told.keep()
        assert [line.words for line in newest(told).content.sections[0].lines] == [
            "WORDS of a",
            "WORDS of e",
            None,
        ]
        await told.hear(
            notified("a", at(1), "bo", action=Action.deleted),
            notified("e", at(1), "ed", action=Action.edited, text="milder"),
        )
        await told.keep()
        assert [line.words for line in newest(told).content.sections[0].lines] == ["milder", None]
        assert "WORDS" not in repr(await told.rows("select content::text from alert.boards"))


async def test_the_gauge_counts_what_the_card_asks_about(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(held("a", 0), held("b", 0, "cy"))
        history = held("old", 0, "di")
        seeded = history.notification.model_copy(
            update={"origin": Origin.backfill, "may_page": False}
        )
        await told.hear(history.model_copy(update={"notification": seeded}))
        await Figures(told.pool, told.metrics).show()
        assert told.value("presence_held_back", platform="x", state="held") == 2
        assert headlines(told) == []
        await told.keep()
        assert headlines(told) == ["Held back: 2, oldest 0 min · Air"]
