"""Presses on boards: in Slack, through links, and at a shift's start."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from services.alert.boards import LiveBoards
from services.alert.chat.links import Links
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_boards import board_blocks
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.slack_interactions import SlackInteractions
from services.alert.domain.boards.board import Board, BoardKind
from services.alert.domain.boards.shift_start import Ask, ShiftStart
from services.alert.ports import Actor, ActResult, Pressed, Purpose
from services.alert.store.boards.shift_start import ShiftStartBoards
from services.runtime.clock import ManualClock
from tests.alert.builders import at
from tests.alert.chat_builders import NOON, SECRET, MemoryEpisodes, board, configuration
from tests.alert.chat_servers import TOKEN, SlackServer, serving
from tests.alert.story import BEN, story
from tests.conftest import FreshDatabase


class MemoryBoards:
    """Boards that note what was pressed."""

    def __init__(self, answer: Pressed) -> None:
        self.answer = answer
        self.presses: list[tuple[str, str, str, Actor]] = []

    async def press(self, board_id: str, act: str, target: str, by: Actor) -> Pressed:
        """Note it."""
        self.presses.append((board_id, act, target, by))
        return self.answer

    async def board(self, board_id: str) -> Board | None:
        """The one that there is."""
        return board() if board_id == "b-1" else None


def pressed(button: dict[str, Any], member: str = "U0MIA1") -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": member},
        "channel": {"id": "C0HELP1"},
        "trigger_id": "t",
        "actions": [{**button, "action_ts": "1"}],
    }


def buttons(of: Board) -> list[dict[str, Any]]:
    found = [one for block in board_blocks(of) for one in block.get("elements", ())]
    return [one for one in found if one.get("type") == "button" and "value" in one]


async def press_in_slack(boards: MemoryBoards, *payloads: dict[str, Any]) -> list[dict[str, Any]]:
    """The presses, one after the other; what was whispered."""
    server = SlackServer()
    async with serving("/api/{method}", server.handle) as address:
        client = SlackClient(SecretStr(TOKEN), f"{address}/api/")
        links = Links("https://presence.example", SecretStr(SECRET), ManualClock(NOON))
        slack = SlackDestination("slack", "C0HELP1", client, links)
        file = configuration()
        interactions = SlackInteractions(
            MemoryEpisodes(), lambda: file, [slack], ManualClock(NOON), boards=boards
        )
        for payload in payloads:
            await interactions.handle(payload)
        await slack.close()
    return server.whispers


async def test_a_boards_button_names_the_board_the_act_and_what_it_is_about() -> None:
    boards = MemoryBoards(Pressed(ActResult.done))
    first = buttons(board())[0]
    assert await press_in_slack(boards, pressed(first), pressed(first)) == []
    assert boards.presses == [("b-1", "release", "x:1:7", Actor("mia", "slack"))]


async def test_what_the_board_does_not_show_is_whispered_to_the_presser() -> None:
    boards = MemoryBoards(Pressed(ActResult.done, "6 of 6 released."))
    whispers = await press_in_slack(boards, pressed(buttons(board())[-1]))
    assert [one["text"] for one in whispers] == ["6 of 6 released."]
    refused = MemoryBoards(Pressed(ActResult.refused))
    whispers = await press_in_slack(refused, pressed(buttons(board())[0]))
    assert "You may not do this" in whispers[0]["text"]


async def test_a_stranger_presses_nothing() -> None:
    boards = MemoryBoards(Pressed(ActResult.done))
    whispers = await press_in_slack(boards, pressed(buttons(board())[0], "U0NOBODY"))
    assert boards.presses == []
    assert "not listed" in whispers[0]["text"]


def test_buttons_of_one_block_differ_as_slack_wants_it() -> None:
    for block in board_blocks(board()):
        ids = [one.get("action_id") for one in block.get("elements", ())]
        assert len(ids) == len(set(ids)) or block["type"] != "actions"
    assert json.dumps(board_blocks(board()))


class Starts:
    """A shift that has begun."""

    def __init__(self) -> None:
        end = at(0) + timedelta(hours=8)
        self.one = ShiftStart("social", "ben", at(0), end, (Ask("ben", "room"),))

    async def asked(self, now: datetime) -> list[ShiftStart]:
        """The one."""
        return [self.one]

    async def here(self, rota: str, begin: datetime, by: Actor) -> ActResult:
        """Once."""
        assert (rota, begin) == ("social", at(0))
        if self.one.here_by is not None:
            return ActResult.already
        self.one = replace(self.one, here_by=by.person_id)
        return ActResult.done


@pytest.mark.integration
async def test_at_a_shifts_start_the_person_is_asked_and_says_so_with_one_press(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        starts = Starts()
        told.boards = LiveBoards(told.pool, [ShiftStartBoards(lambda: told.file, starts)])
        assert await told.keep() == ["ben"]
        assert await told.keep() == []
        starts.one = replace(starts.one, asks=(*starts.one.asks, Ask("lea", "room", 1)))
        assert await told.keep() == ["lea"]
        (asked,) = told.shown(BoardKind.shift_start)
        assert asked.content.headline == "Ben's shift in social has begun: are you there?"
        assert (await told.boards.press(asked.id, "here", "", BEN)).says is not None
        assert (await told.boards.press(asked.id, "here", "", BEN)).result is ActResult.already
        assert await told.keep() == []
        assert {one.purpose for one in told.seen} == {Purpose.page}
