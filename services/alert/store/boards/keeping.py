"""Boards as rows: read, written when their content changed, and armed in the outbox."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg.rows import DictRow
from pydantic import TypeAdapter

from services.alert.domain.boards.board import Board, BoardKey, BoardKind, Content, Wanted
from services.alert.ports import MessageRef, Purpose
from services.alert.store.sql import Connection, all_of, one_of
from services.alert.store.writing import Writing

_CONTENT: TypeAdapter[Content] = TypeAdapter(Content)


def board_of(row: DictRow) -> Board:
    """A stored board."""
    key = BoardKey(BoardKind(row["kind"]), row["brand"], row["destination"], row["period"])
    return Board(
        id=str(row["id"]),
        version=row["version"],
        key=key,
        content=_CONTENT.validate_python(row["content"]),
        made_at=row["made_at"],
        changed_at=row["changed_at"],
    )


def ref_of(row: DictRow) -> MessageRef | None:
    """Where the board's message stands."""
    if row["channel"] is None:
        return None
    return MessageRef(row["channel"], row["message"], row["url"])


async def live(connection: Connection, kind: BoardKind) -> list[Board]:
    """The boards of a kind that are not over, oldest first."""
    return [board_of(row) for row in await all_of(connection, "boards_live", kind=kind.value)]


async def latest(
    connection: Connection, kind: BoardKind, brand: str, destination: str, limit: int = 1
) -> list[Board]:
    """The newest boards of a kind in one place, over or not."""
    rows = await all_of(
        connection,
        "boards_of",
        kind=kind.value,
        brand=brand,
        destination=destination,
        limit=limit,
    )
    return [board_of(row) for row in rows]


async def by_ids(connection: Connection, ids: Iterable[str]) -> dict[str, Board]:
    """Boards by id; unknown ids are left out."""
    rows = await all_of(connection, "boards_by_ids", ids=list(ids))
    return {str(row["id"]): board_of(row) for row in rows}


async def put(connection: Connection, writing: Writing, wanted: Wanted) -> bool:
    """Make or change a board and arm what is to be sent; whether anything changed.

    Within the caller's transaction; the caller flushes `writing`. A new board that is over already is
    not made: nobody saw it.
    """
    key, content = wanted.key, wanted.content
    names = {
        "kind": key.kind.value,
        "brand": key.brand,
        "destination": key.destination,
        "period": key.period,
    }
    values = {
        "content": _CONTENT.dump_json(content).decode(),
        "over": content.over,
        "rank": 1 if content.urgent else 2,
        "now": writing.now,
    }
    was = await one_of(connection, "board_lock_key", **names)
    if was is None:
        if content.over:
            return False
        row = await one_of(connection, "board_add", **names, **values)
        if row is None:
            return False  # another replica made it this very moment
    elif board_of(was).content == content:
        row = was
    else:
        row = await one_of(connection, "board_change", id=was["id"], **values)
        assert row is not None
    changed = row is not was
    board, number = str(row["id"]), int(row["number"])
    if changed and wanted.posted:
        writing.board(board, number, key.destination, Purpose.card, "card", rank=row["rank"])
    for ping in wanted.pings:
        writing.board(
            board,
            number,
            key.destination,
            Purpose.page,
            ping.person,
            round_=ping.number,
            rank=row["rank"],
            exempt=wanted.sensitive,
        )
    if wanted.told and changed:
        writing.board(
            board,
            number,
            key.destination,
            Purpose.told,
            "told",
            round_=int(row["version"]),
            rank=row["rank"],
            text=wanted.told,
        )
    return changed
