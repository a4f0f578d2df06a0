"""Storm: five pings, one queue card, "take next", and delivery by what is due, never by arrival."""

from __future__ import annotations

import asyncio

import pytest

from services.alert.domain.boards.board import Board, BoardKind
from services.alert.ports import ActResult, Purpose
from tests.alert.builders import Sensitive, Urgency, at, notified, verdict
from tests.alert.story import BEN, EVA, MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


def newest(told: Story) -> Board:
    return told.shown(BoardKind.queue)[-1]


async def test_beyond_five_pings_one_card_counts_who_waits_and_gives_out_the_next(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*(notified(f"q{n}", at(0), f"p{n:02}") for n in range(12)))
        await told.at(1)
        urgent = verdict(urgency=Urgency.high)
        await told.hear(notified("loud", at(1), "zoe", judged=urgent))
        assert len(await told.sweep()) == 5
        board = newest(told)
        assert board.content.headline == "8 waiting, oldest 1 min: take next · Mia"
        pressed = await told.boards.press(board.id, "take_next", "", BEN)
        assert pressed.result is ActResult.done
        claimed = await told.rows(
            "select claimed_by, id::text from alert.episodes where state = 'claimed'"
        )
        assert claimed == [("ben", pressed.episode_id)]
        await told.deliver()
        assert newest(told).content.headline == "7 waiting, oldest 1 min: take next · Mia"
        assert len({one.id for one in told.shown(BoardKind.queue)}) == 1


async def test_take_next_goes_by_urgency_and_then_by_who_waits_longest(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*(notified(f"a{n}", at(0), f"a{n}") for n in range(5)))
        await told.at(3)
        await told.sweep()
        urgent = verdict(urgency=Urgency.high)
        await told.hear(
            notified("late", at(2), "late"),
            notified("early", at(1), "early"),
            notified("loud", at(3), "loud", judged=urgent),
        )
        await told.sweep()
        taken = []
        for by in (MIA, BEN, MIA):
            done = await told.boards.press(newest(told).id, "take_next", "", by)
            taken.append((done.says or "").split(":")[1].split()[0])
            await told.deliver()
        assert taken == ["Loud", "Early", "Late"]
        assert newest(told).content.over
        done = await told.boards.press(newest(told).id, "take_next", "", BEN)
        assert done.result is ActResult.already


async def test_two_who_press_at_once_get_different_people_and_an_engineer_gets_nobody(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(8)))
        await told.sweep()
        board = newest(told).id
        one, two = await asyncio.gather(
            told.boards.press(board, "take_next", "", MIA),
            told.boards.press(board, "take_next", "", BEN),
        )
        assert one.result is two.result is ActResult.done
        assert one.episode_id != two.episode_id
        refused = await told.boards.press(board, "take_next", "", EVA)
        assert refused.result is ActResult.refused


async def test_a_growing_queue_is_redrawn_at_most_twice_a_minute(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        for second in range(0, 60, 5):
            await told.at(second / 60)
            await told.hear(
                *(notified(f"q{second}-{n}", at(0), f"p{second}-{n}") for n in range(6))
            )
            await told.sweep()
        drawn = [one for one in told.of(Purpose.card) if one.board is not None]
        assert len(drawn) == 2
        await told.at(1.5)
        await told.sweep()
        assert newest(told).content.headline.startswith("67 waiting, oldest 1 min")


async def test_cards_go_out_by_sensitivity_urgency_and_due_time_never_by_arrival(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.at(5)
        await told.hear(notified("newer", at(4), "newer"))
        await told.hear(notified("older", at(1), "older"))
        await told.hear(
            notified("loud", at(5), "loud", judged=verdict(urgency=Urgency.high)),
        )
        hurt = verdict(sensitive=frozenset({Sensitive.threat}))
        await told.hear(notified("hurt", at(5), "hurt", judged=hurt))
        await told.deliver()
        order = [one.card.who.split()[0] for one in told.posted() if one.card]
        assert order == ["Hurt", "Loud", "Older", "Newer"]
