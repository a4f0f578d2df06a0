"""Keeps the boards: asks each kind what should be shown, writes what changed, passes presses on."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from services.alert.domain.boards.board import Board, BoardKind
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.boards import keeping
from services.alert.store.boards.incident import Incidents
from services.alert.store.boards.keepers import Keeper
from services.alert.store.sql import AWAY, all_of
from services.alert.store.writing import Writing
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)


class LiveBoards:
    """`services.alert.ports.Boards` and `Incidents`, and the sweep's round over every kind.

    Invariants: one replica at a time decides; a board is written in the transaction that arms its
    message; a kind that fails is logged and stops no other.
    """

    def __init__(
        self, pool: Pool, keepers: Sequence[Keeper], changed: Callable[[], None] = lambda: None
    ) -> None:
        self._pool = pool
        self._keepers = {keeper.kind: keeper for keeper in keepers}
        self._changed = changed

    async def round(self) -> bool:
        """Bring every kind up to date; whether anything changed. Raises what AWAY names."""
        changed = False
        for keeper in self._keepers.values():
            try:
                changed = await self._keep(keeper) or changed
            except AWAY:
                raise
            except Exception:
                log.exception("boards of a kind could not be kept", kind=keeper.kind.value)
        if changed:
            self._changed()
        return changed

    async def _keep(self, keeper: Keeper) -> bool:
        async with self._pool.connection() as connection, connection.transaction():
            (lock,) = await all_of(connection, "boards_lock")
            if not lock["mine"]:
                return False
            (clock,) = await all_of(connection, "now")
            writing = Writing(clock["now"])
            changed = [
                await keeping.put(connection, writing, wanted)
                for wanted in await keeper.wanted(connection, writing)
            ]
            await writing.flush(connection)
        return any(changed)

    async def press(self, board_id: str, act: str, target: str, by: Actor) -> Pressed:
        """See ports.Boards. The board follows at once."""
        board = await self.board(board_id)
        keeper = self._keepers.get(board.kind) if board else None
        if board is None or keeper is None:
            return Pressed(ActResult.unknown)
        if board.content.over:
            return Pressed(ActResult.already)
        done = await keeper.press(board, act, target, by)
        if done.result in (ActResult.done, ActResult.already):
            await self._keep(keeper)
            self._changed()
        return done

    async def declare_incident(self, name: str, by: Actor, brand: str | None = None) -> Pressed:
        """See ports.Incidents. Its card follows at once."""
        keeper = self._keepers[BoardKind.incident]
        assert isinstance(keeper, Incidents)
        done = await keeper.declare(name, by, brand)
        if done.result is ActResult.done:
            await self._keep(keeper)
            self._changed()
        return done

    async def board(self, board_id: str) -> Board | None:
        """See ports.Boards."""
        try:
            uuid.UUID(board_id)
        except ValueError:
            return None
        async with self._pool.connection() as connection:
            return (await keeping.by_ids(connection, [board_id])).get(board_id)
