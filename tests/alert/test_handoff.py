"""At a shift's end one card hands on what is open, and the incoming person takes it with one press."""

from __future__ import annotations

import pytest

from services.alert.domain.boards.board import BoardKind
from services.alert.ports import ActResult
from tests.alert.builders import PRESENCE, at, configuration, notified
from tests.alert.story import BEN, EVA, MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

SHIFT_END = 7 * 24 * 60 - 60
"""Monday 9:00 in Berlin: Ben follows Mia."""


async def before_the_handoff(told: Story) -> list[str]:
    """Three wait: one was promised something, one is Mia's, one is nobody's."""
    await told.keep()
    await told.at(SHIFT_END - 3)
    await told.hear(*[notified(f"q{n}", at(SHIFT_END - 3), f"who{n}") for n in range(3)])
    await told.sweep()
    rows = await told.rows("select id::text from alert.episodes order by openers[1]")
    ids = [row[0] for row in rows]
    await told.episodes.claim(ids[0], MIA)
    await told.rows(
        "insert into alert.promises (id, episode, by, what, made_at, due_at) values"
        f" (gen_random_uuid(), '{ids[2]}', 'mia', 'a voucher', now(), '{at(SHIFT_END + 30)}')"
        " returning 1"
    )
    return ids


def texts(told: Story) -> list[tuple[str, list[str]]]:
    (board,) = told.shown(BoardKind.handoff)
    return [(part.title, [line.text for line in part.lines]) for part in board.content.sections]


async def test_what_is_open_is_handed_on_in_one_card_due_promises_first(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await before_the_handoff(told)
        assert told.shown(BoardKind.handoff) == []
        await told.at(SHIFT_END)
        assert await told.sweep() == ["ben"]
        (board,) = told.shown(BoardKind.handoff)
        assert board.content.headline == "Handoff Mia → Ben: 3 open"
        assert [title for title, _ in texts(told)] == [
            "Promised",
            "Claimed by Mia and not answered",
            "Waiting for anybody",
        ]
        assert "Mia promised “a voucher” by 09:30" in texts(told)[0][1][0]
        assert await told.sweep() == []


async def test_the_incoming_person_takes_over_also_what_the_outgoing_one_had_claimed(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        ids = await before_the_handoff(told)
        await told.at(SHIFT_END)
        await told.sweep()
        (board,) = told.shown(BoardKind.handoff)
        press = told.boards.press
        assert (await press(board.id, "take_over", ids[0], EVA)).result is ActResult.refused
        assert (await press(board.id, "take_over", ids[0], BEN)).result is ActResult.done
        acts = await told.rows(
            "select who, act from alert.audit where act like '%claim%' or act ="
            " 'handoff_released' order by id"
        )
        assert acts == [("mia", "claim"), ("ben", "handoff_released"), ("ben", "claim")]
        assert (await press(board.id, "take_all", "", BEN)).says == "2 of 3 are yours."
        await told.deliver()
        (board,) = told.shown(BoardKind.handoff)
        assert board.content.headline == "Handed off: everything was taken · Mia → Ben"
        claimed = await told.rows("select distinct claimed_by from alert.episodes")
        assert claimed == [("ben",)]


async def test_a_quiet_shift_ends_without_a_card(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.keep()
        await told.at(SHIFT_END)
        assert await told.sweep() == []
        assert told.seen == []


async def test_a_handoff_in_closed_hours_waits_for_the_opening(postgres: FreshDatabase) -> None:
    office = configuration(
        PRESENCE.replace("zone: Europe/Berlin", "zone: Europe/Berlin\n    open_hours: late")
        + "hours:\n  - {id: late, zone: Europe/Berlin, week: [{from: '10:00', to: '20:00'}]}\n"
    )
    async with story(postgres(), office) as told:
        await told.keep()
        await told.at(SHIFT_END - 13.5 * 60)
        await told.hear(notified("q", at(SHIFT_END - 13.5 * 60)))
        await told.sweep()
        await told.episodes.claim(await told.only(), MIA)
        await told.at(SHIFT_END)
        await told.keep()
        assert told.shown(BoardKind.handoff) == []
        await told.at(SHIFT_END + 60)
        await told.keep()
        assert len(told.shown(BoardKind.handoff)) == 1


async def test_a_promise_in_an_answered_matter_is_handed_on_until_it_is_kept(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.keep()
        await told.at(SHIFT_END - 30)
        await told.hear(notified("q", at(SHIFT_END - 30)))
        episode = await told.only()
        due = at(SHIFT_END + 60)
        await told.doings.promise(episode, MIA, "a voucher", due, "f1")
        await told.hear(notified("a", at(SHIFT_END - 20), outbound=True, to="ana", parent="q"))
        await told.sweep()
        await told.at(SHIFT_END)
        assert await told.sweep() == ["ben"]
        (board,) = told.shown(BoardKind.handoff)
        assert board.content.headline == "Handoff Mia → Ben: 0 open, 1 promised"
        assert board.content.acts == ()
        assert "Mia promised “a voucher” by 10:00" in texts(told)[0][1][0]
        await told.at(SHIFT_END + 60)
        assert await told.sweep() == ["ben"]
        (row,) = await told.rows("select id::text from alert.promises")
        await told.doings.keep(row[0], BEN)
        await told.sweep()
        (board,) = told.shown(BoardKind.handoff)
        assert board.content.over
