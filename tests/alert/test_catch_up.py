"""What waited through closed hours or an outage comes as one card and one ping."""

from __future__ import annotations

import pytest

from services.alert.domain.boards.board import BoardKind
from services.alert.ports import ActResult
from tests.alert.builders import (
    PRESENCE,
    Label,
    Sensitive,
    Urgency,
    at,
    configuration,
    notified,
    verdict,
)
from tests.alert.story import BEN, MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

OFFICE = PRESENCE.replace("zone: Europe/Berlin", "zone: Europe/Berlin\n    open_hours: office") + (
    "hours:\n  - {id: office, zone: Europe/Berlin, week: [{from: '08:00', to: '20:00'}]}\n"
)
NIGHT, OPENING = 13 * 60, 22 * 60
"""23:00 in Berlin, and 8:00 of the next day, in minutes of the story."""


def lines(told: Story) -> list[str]:
    board = told.shown(BoardKind.catch_up)[-1]
    return [line.text for section in board.content.sections for line in section.lines]


async def test_opening_brings_one_card_and_one_ping_for_a_whole_night(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(OFFICE)) as told:
        await told.at(NIGHT)
        urgent = verdict(urgency=Urgency.high)
        for number in range(12):
            judged = urgent if number == 11 else verdict()
            await told.at(NIGHT + number)
            await told.hear(
                notified(f"q{number}", at(NIGHT + number), f"who{number}", judged=judged)
            )
        assert await told.sweep() == []
        assert told.shown(BoardKind.catch_up) == []
        await told.at(OPENING)
        assert await told.sweep() == ["mia"]
        (board,) = told.shown(BoardKind.catch_up)
        assert board.content.headline == "While we were closed: 12 wait, oldest 9 h · Air"
        assert lines(told)[0].startswith("🔺 Who11 @who11 · X · since 23:11")
        assert lines(told)[-1] == "… and 2 more in the list of open episodes"
        await told.at(OPENING + 1)
        assert await told.sweep() == []
        await told.at(OPENING + 15)
        assert len(await told.sweep()) == 5


async def test_what_is_taken_and_answered_leaves_the_card_until_it_says_so(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(OFFICE)) as told:
        await told.at(NIGHT)
        await told.hear(*[notified(f"q{n}", at(NIGHT), f"who{n}") for n in range(2)])
        await told.sweep()
        await told.at(OPENING)
        await told.sweep()
        (board,) = told.shown(BoardKind.catch_up)
        first = board.content.subjects[0]
        assert (await told.boards.press(board.id, "take", first, MIA)).result is ActResult.done
        assert (await told.boards.press(board.id, "take", first, BEN)).result is ActResult.taken
        await told.deliver()
        assert sum("Mia has it" in line for line in lines(told)) == 1
        await told.at(OPENING + 5)
        for n in range(2):
            answered = notified(
                f"a{n}", at(OPENING + 4), outbound=True, to=f"who{n}", parent=f"q{n}"
            )
            await told.hear(answered)
        assert await told.sweep() == []
        (board,) = told.shown(BoardKind.catch_up)
        assert board.content.headline == "Caught up: 2 waited, all were seen to"
        assert board.content.over


async def test_after_an_outage_what_is_past_its_time_comes_as_one_card(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        old = [notified(f"q{n}", at(0), f"who{n}") for n in range(8)]
        await told.hear(*old)
        await told.at(30)
        await told.hear(notified("fresh", at(29), "fay"))
        hurt = verdict(sensitive=frozenset({Sensitive.threat}))
        await told.hear(notified("s", at(29), "sam", judged=hurt))
        # The fresh one pages by itself, the sensitive one too; the others ping once, all together.
        assert sorted(await told.sweep()) == ["lea", "mia", "mia"]
        (board,) = told.shown(BoardKind.catch_up)
        assert board.content.headline == "After an outage: 8 wait, oldest 30 min · Air"
        assert told.value("presence_escalations_total", step="0", reason="waited") == 8
        missing = await told.rows(
            "select count(*) from alert.episodes e where not exists"
            " (select from alert.timers t where t.episode = e.id)"
        )
        assert missing == [(0,)]


async def test_a_released_message_of_yesterday_is_no_outage(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(
            notified("h", at(0), judged=verdict(0.1, held=True, label=Label.spam), addressed=True)
        )
        await told.at(24 * 60)
        await told.keep()
        (held,) = told.shown(BoardKind.held_back)
        await told.boards.press(held.id, "release", held.content.subjects[0], MIA)
        assert await told.sweep() == ["mia"]
        assert told.shown(BoardKind.catch_up) == []


async def test_a_step_in_closed_hours_behind_one_that_reaches_nobody_waits_for_the_opening(
    postgres: FreshDatabase,
) -> None:
    later = (
        "  - id: later\n    zone: UTC\n    layers:\n      - id: l\n"
        "        rotation: {starts: 2030-01-01, members: [lea]}\npolicies:\n"
    )
    text = PRESENCE.replace("policies:\n", later)
    text = text.replace(
        "zone: Europe/Berlin\n    layers", "zone: Europe/Berlin\n    open_hours: late\n    layers"
    )
    text = text.replace(
        '{at: "0%", targets: [{rota: social}]}', '{at: "0%", targets: [{rota: later}]}'
    )
    text += "hours:\n  - {id: late, zone: UTC, week: [{from: '10:00', to: '20:00'}]}\n"
    async with story(postgres(), configuration(text)) as told:
        await told.hear(notified("q", at(0)))
        assert await told.sweep() == []
        assert await told.rows("select step, due_at, late from alert.timers") == [(1, at(60), True)]
        await told.at(60)
        assert await told.sweep() == ["ben"]
        (board,) = told.shown(BoardKind.catch_up)
        assert board.content.headline.startswith("While we were closed: 1 wait")
