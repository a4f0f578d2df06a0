"""The statements of the store's SQL files, and how they are run. A file is part of the program."""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg.rows import DictRow, dict_row

from services.runtime.postgres import load_queries

Connection = AsyncConnection[Any]

AWAY = (OperationalError, InterfaceError)
"""The database is away, or another transaction was in the way: no row's fault."""

FOLD = load_queries("services.alert.store", "fold.sql")
EPISODES = load_queries("services.alert.store", "episodes.sql")
OUTBOX = load_queries("services.alert.store", "outbox.sql")
TIMERS = load_queries("services.alert.store", "timers.sql")
BOARDS = load_queries("services.alert.store", "boards.sql")
ROTA = load_queries("services.alert.store", "rota.sql")
ANSWERS = load_queries("services.alert.store", "answers.sql")
DOINGS = load_queries("services.alert.store", "doings.sql")
GROUPS = load_queries("services.alert.store", "groups.sql")
HOME = load_queries("services.alert.store", "home.sql")
PAGING = load_queries("services.alert.store", "paging.sql")

_FILES = (FOLD, EPISODES, OUTBOX, TIMERS, BOARDS, ROTA, ANSWERS, DOINGS, GROUPS, HOME, PAGING)


def _together() -> dict[str, LiteralString]:
    """The statements of every file. A name that two files use would hide one of them."""
    found: dict[str, LiteralString] = {}
    for file in _FILES:
        if twice := found.keys() & file.keys():
            raise ValueError(f"two files name a statement alike: {', '.join(sorted(twice))}")
        found.update(file)
    return found


_ALL = _together()


async def all_of(connection: Connection, name: str, **values: Any) -> list[DictRow]:
    """Run a named statement and fetch its rows as mappings."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_ALL[name], values)
        return await cursor.fetchall()


async def one_of(connection: Connection, name: str, **values: Any) -> DictRow | None:
    """The first row, or None."""
    rows = await all_of(connection, name, **values)
    return rows[0] if rows else None


async def run(connection: Connection, name: str, **values: Any) -> int:
    """Run a named statement; how many rows it touched."""
    cursor = await connection.execute(_ALL[name], values)
    return cursor.rowcount
