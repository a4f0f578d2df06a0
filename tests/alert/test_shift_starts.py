""" "I'm here": asked at a shift's start, in one way, then another, then somebody else."""

from __future__ import annotations

import pytest

from services.alert.boards import LiveBoards
from services.alert.chat.slack_commands import SlackCommands
from services.alert.domain.boards.board import BoardKind
from services.alert.domain.shift_start import begun, ways_to
from services.alert.ports import Actor, ActResult, Purpose
from services.alert.store.boards.shift_start import ShiftStartBoards
from services.alert.store.overrides import PostgresRoster
from services.alert.store.shift_starts import PostgresShiftStarts
from services.runtime.clock import SystemClock
from tests.alert.builders import PRESENCE, at, configuration
from tests.alert.story import EVA, MIA, Story, story
from tests.conftest import FreshDatabase

DAILY = (
    PRESENCE.replace(
        "    zone: Europe/Berlin\n    layers:",
        "    zone: Europe/Berlin\n    confirm_within: 10m\n    layers:",
    )
    .replace("every: weekly, ", "every: daily, ")
    .replace("[mia, ben]", "[ben, mia]")
    .replace("slack: U1}", "slack: U1, teams: mia@air.example, contacts: [teams, slack]}")
)
"""Mia's day begins on Tuesday at 09:00 in Berlin: minute 1380 of the story. Ben's are the days around."""
TUESDAY = 23 * 60


def watched(told: Story) -> PostgresShiftStarts:
    """A team whose rota asks, and shows it on boards."""
    roster = PostgresRoster(told.pool, lambda: told.file)
    starts = PostgresShiftStarts(told.pool, lambda: told.file, roster)
    told.boards = LiveBoards(told.pool, [ShiftStartBoards(lambda: told.file, starts)])
    return starts


async def asked(told: Story, starts: PostgresShiftStarts, minutes: float) -> list[str]:
    """Whom the messages of this look went to, each with its destination."""
    await told.at(minutes)
    await starts.look()
    before = len(told.of(Purpose.page))
    await told.keep()
    return [
        f"{one.person and one.person.id} {one.destination}"
        for one in told.of(Purpose.page)[before:]
    ]


@pytest.mark.integration
async def test_the_next_way_is_tried_then_the_next_person_then_the_channel_hears(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(DAILY)) as told:
        starts = watched(told)
        found = {}
        for minute in (-1, 0, 5, 10, 19, 20, 30, 40):
            found[minute] = await asked(told, starts, TUESDAY + minute)
        assert found == {
            -1: [],
            0: ["mia teams"],
            5: [],
            10: ["mia room"],
            19: [],
            20: ["ben room"],
            30: [],
            40: [],
        }
        texts = [one.text for one in told.of(Purpose.told)]
        assert texts == ["Nobody said “I'm here” on social: asked were Mia, Ben."]


@pytest.mark.integration
async def test_who_says_so_is_asked_no_more_and_nobody_else_is(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(DAILY)) as told:
        starts = watched(told)
        assert await asked(told, starts, TUESDAY) == ["mia teams"]
        (board,) = told.shown(BoardKind.shift_start)
        assert (await told.boards.press(board.id, "here", "", EVA)).result is ActResult.refused
        assert (await told.boards.press(board.id, "here", "", MIA)).result is ActResult.done
        assert await asked(told, starts, TUESDAY + 30) == []
        assert await PostgresRoster(told.pool, lambda: told.file).overrides() == []
        assert await starts.confirm_shift(MIA) is ActResult.unknown, "nothing is asked any more"


@pytest.mark.integration
async def test_who_stands_in_is_on_call_until_the_shift_ends(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(DAILY)) as told:
        starts = watched(told)
        for minute in (0, 10, 20):
            await asked(told, starts, TUESDAY + minute)
        said = {"user_id": "U2", "text": "I'm here!"}
        desk = SlackCommands(
            told.episodes,
            PostgresRoster(told.pool, lambda: told.file),
            lambda: told.file,
            SystemClock(),
            starts=starts,
        )
        assert (await desk.answer(said))["text"].startswith("Thank you")
        assert (await desk.answer(said))["text"].startswith("Nobody asks you")
        roster = PostgresRoster(told.pool, lambda: told.file)
        (row,) = await roster.on_call_now()
        assert row.says == "Ben until Wed 4 Mar 09:00, set at run time by Ben"
        (here,) = await told.rows(
            "select who, after->>'shift_of' from alert.audit where act = 'here'"
        )
        assert here == ("ben", "mia")


@pytest.mark.integration
async def test_two_replicas_ask_once(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(DAILY)) as told:
        first, second = watched(told), watched(told)
        await told.at(TUESDAY)
        await first.look()
        await second.look()
        assert await told.rows("select person, number from alert.shift_asks") == [("mia", 0)]
        assert await second.here("social", at(TUESDAY), MIA) is ActResult.done
        assert await first.here("social", at(TUESDAY), MIA) is ActResult.already
        assert await first.here("social", at(0), Actor("mia", "slack")) is ActResult.unknown


def test_only_a_shift_that_has_just_begun_is_asked_about() -> None:
    team = configuration(DAILY)
    (rota,) = team.rotas
    found = [begun(team, rota, at(TUESDAY + minute)) for minute in (-1, 0, 59, 61)]
    assert [one and one.person for one in found] == [None, "mia", "mia", None]
    alone = configuration(DAILY.replace("members: [ben, mia]", "members: [mia]"))
    assert begun(alone, alone.rotas[0], at(TUESDAY)) is None, "nobody comes after herself"


def test_ways_are_in_the_order_of_the_contacts() -> None:
    team = configuration(DAILY)
    assert ways_to(team, "mia") == ("teams", "room")
    assert ways_to(team, "ben") == ("room",)
