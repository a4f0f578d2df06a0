""" "I'm here": shows what the rota asks, and passes the press back to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.alert.domain.boards import places, shift_start
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.ports import Actor, ActResult, Pressed, ShiftStarts
from services.alert.store.sql import Connection
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration


class ShiftStartBoards:
    """See services.alert.domain.boards.shift_start."""

    kind = BoardKind.shift_start

    def __init__(self, configuration: Callable[[], Configuration], starts: ShiftStarts) -> None:
        self._configuration = configuration
        self._starts = starts

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper."""
        configuration = self._configuration()
        found: list[Wanted] = []
        for one in await self._starts.asked(writing.now):
            person = configuration.person(one.person)
            name = person.name if person else one.person
            found += shift_start.shift_start(one, name, places.zone(configuration))
        return found

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """Somebody is there."""
        if act != shift_start.HERE:
            return Pressed(ActResult.unknown)
        rota, begin = board.content.subjects
        result = await self._starts.here(rota, datetime.fromisoformat(begin), by)
        said = "Thank you: you are on call." if result is ActResult.done else None
        return Pressed(result, said)
