"""What every kind of board brings: what it wants to be shown, and what its presses do."""

from __future__ import annotations

from typing import Protocol

from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.ports import Actor, Pressed
from services.alert.store.sql import Connection
from services.alert.store.writing import Writing


class Keeper(Protocol):
    """One kind of board. Reads the world and hands it to the kind's pure decision."""

    kind: BoardKind

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """The boards as they should be at `writing.now`; what is not named stays as it is.

        Asked every few seconds, within a transaction and by one replica at a time. Effects beside the
        boards go into `writing`.
        """
        ...

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """A person pressed. Authorises, acts and audits in a transaction of its own."""
        ...
