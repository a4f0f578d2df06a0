"""A changed file whose presses would not be heard says so, until alert was started anew."""

from __future__ import annotations

import pytest

from services.alert.domain.boards.board import BoardKind
from services.alert.read_at_start import ReadAtStart, read_at_start
from services.alert.store.boards.troubles import Troubles
from services.runtime.clock import ManualClock
from tests.alert.builders import PRESENCE, at, configuration
from tests.alert.story import story
from tests.conftest import FreshDatabase

BOT = (
    "  - {id: help, kind: teams_bot, channel: '19:x', app_id: a-1, tenant: t-1}\n"
    "  - {id: teams, kind: teams_workflow}"
)
CHANGED = PRESENCE.replace(
    "{id: room, kind: slack, channel: C1}",
    "{id: room, kind: slack, channel: C1, signing_secret: PRESENCE_OTHER, app_token: PRESENCE_APP}",
).replace("  - {id: teams, kind: teams_workflow}", BOT)


def needed(started: str, now: str) -> list[str]:
    return list(read_at_start(configuration(started), configuration(now)))


def test_only_how_presses_come_in_takes_a_restart() -> None:
    assert needed(PRESENCE, PRESENCE.replace("channel: C1", "channel: C7")) == []
    assert needed(PRESENCE, CHANGED) == [
        "presses in room are verified by PRESENCE_OTHER",
        "Socket Mode of room uses PRESENCE_APP",
        "presses in help come through the bot a-1",
    ]
    assert needed(CHANGED, PRESENCE) == []


@pytest.mark.integration
async def test_the_engineers_hear_of_it_once_and_of_its_end(postgres: FreshDatabase) -> None:
    ops = "engineers: room\n" + PRESENCE
    async with story(postgres(), configuration(ops)) as told:
        clock = ManualClock(at(0))
        running = ReadAtStart(told.file, Troubles(told.pool), clock)
        assert not await running.look(told.file)
        await clock.forward(1)
        assert await running.look(configuration(CHANGED))
        assert not await running.look(configuration(CHANGED))
        await told.keep()
        (card,) = told.shown(BoardKind.notice)
        assert "has to be started anew" in card.content.headline
        assert "PRESENCE_OTHER" in card.content.sections[0].lines[0].text
        await clock.forward(60)
        again = ReadAtStart(configuration(CHANGED), Troubles(told.pool), clock)
        await again.look(configuration(CHANGED))
        await told.at(2)
        await told.keep()
        assert told.shown(BoardKind.notice)[0].content.over
