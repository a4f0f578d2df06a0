"""A quiet start ends when a person has seen what paging would have meant and switches it on."""

from __future__ import annotations

import pytest

from services.alert.domain.boards.board import Board, BoardKind
from services.alert.domain.boards.would_have_paged import (
    WouldPage,
    at_night,
    suggested,
    thresholds,
)
from services.alert.ports import ActResult, Purpose
from services.contracts.events import CloseReason
from tests.alert.builders import PRESENCE, at, configuration, notified, verdict
from tests.alert.story import EVA, MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

QUIET = PRESENCE.replace("handle: air, quiet_start: 0s", "handle: air, quiet_start: 7d")
WEEK = 7 * 24 * 60.0


def only(told: Story) -> Board:
    (board,) = told.shown(BoardKind.would_have_paged)
    return board


async def test_after_seven_days_one_card_says_what_would_have_paged_and_a_person_decides(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(QUIET)) as told:
        for number, score in enumerate((0.55, 0.55, 0.9)):
            await told.at(number)
            await told.hear(
                notified(f"q{number}", at(number), f"who{number}", judged=verdict(score))
            )
            assert await told.sweep() == []
        rows = await told.episodes.open()
        for row in rows[:2]:
            await told.episodes.close(row.episode_id, MIA, CloseReason.no_reply_needed)
        night = 15 * 60.0
        await told.at(night)
        await told.hear(notified("n", at(night), "ned", judged=verdict(0.8)))
        assert await told.sweep() == []
        assert told.shown(BoardKind.would_have_paged) == []
        await told.at(WEEK + 1)
        await told.keep()
        woken = [one.person for one in told.of(Purpose.page) if one.board == only(told)]
        assert [person and person.id for person in woken] == ["ben"]
        board = only(told)
        assert board.content.headline.startswith("X @air would have paged ")
        assert board.content.headline.endswith(" at night")
        assert "needs_answer 0.8 instead of 0.5" in repr(board.content)
        await told.hear(notified("q7", at(WEEK + 1), "eve"))
        assert await told.sweep() == []
        press = told.boards.press
        assert (await press(board.id, "switch_on", "", EVA)).result is ActResult.refused
        assert (await press(board.id, "switch_on", "", MIA)).result is ActResult.done
        await told.deliver()
        assert only(told).content.headline == "Paging switched on by Mia"
        await told.hear(notified("q8", at(WEEK + 1), "fay"))
        assert await told.sweep() == ["ben"]
        assert await told.rows("select who from alert.audit where act = 'paging_on'") == [("mia",)]


async def test_until_somebody_decides_the_channel_is_reminded_once_a_day(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(QUIET)) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        for hours in (0, 5, 23, 25, 30):
            await told.at(WEEK + 60 * hours)
            await told.keep()
        reminded = [one.text or "" for one in told.of(Purpose.told) if one.board is not None]
        assert len(reminded) == 1
        assert reminded[0].startswith("X @air still pages nobody: switch it on at its card.")


def test_a_threshold_is_suggested_only_if_it_loses_nobody_and_spares_a_tenth() -> None:
    lost = [WouldPage((at(0),), 0.6, True), WouldPage((at(0),), 0.9, True)]
    assert suggested(thresholds(lost, 0.5)).value == 0.5
    noise = [WouldPage((at(0), at(1)), 0.52, False) for _ in range(9)]
    best = suggested(thresholds([*lost, *noise], 0.5))
    assert (best.value, best.pages, best.lost) == (0.6, 2, 0)
    unknown = [WouldPage((at(0),), None, False)]
    assert suggested(thresholds(unknown, 0.5)).value == 0.5


def test_night_is_by_the_clock_on_the_wall() -> None:
    assert at_night(at(12 * 60), "Europe/Berlin")
    assert not at_night(at(0), "Europe/Berlin")
    assert at_night(at(-4 * 60), "Europe/Berlin")
