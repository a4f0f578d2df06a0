"""The practice's own database: another one than alert's, so that no statement of either can reach the other.

It holds the schema `practice` (runs) and, while one is under way, a schema `alert` with the same tables as
the real one. A connection is to one database: whatever a component is given this pool for, it cannot read
or write a real episode (docs/decisions/0160).
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from services.alert.store.sql import Connection
from services.contracts.base import StrEnum
from services.runtime.errors import Permanent, WrongConfiguration
from services.runtime.postgres import Pool, create_pool, migrate
from services.runtime.settings import optional_secret

URL = "PRESENCE_PRACTICE_DATABASE_URL"
ALERT, PRACTICE = "alert", "practice"


class DatabaseReason(StrEnum):
    """Why there is no place to practise."""

    refused = "refused"


def practice_url(database_url: str) -> str:
    """PRESENCE_PRACTICE_DATABASE_URL; else a database beside alert's, with `_practice` after its name.

    Raises WrongConfiguration where the two are one.
    """
    named = optional_secret(URL)
    url = named.get_secret_value() if named is not None else _beside(database_url)
    if _place(url) == _place(database_url):
        raise WrongConfiguration(
            f"{URL} names alert's own database: a practice needs one of its own"
        )
    return url


def _beside(url: str) -> str:
    parts = urlsplit(url)
    name = parts.path.removeprefix("/") or parts.username or "presence"
    return urlunsplit(parts._replace(path=f"/{name}_practice"))


def _place(url: str) -> tuple[str | None, int, str]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or 5432, parts.path.removeprefix("/")


def open_pool(url: str) -> Pool:
    """Few connections: a practice has one trainee, not a bus."""
    return create_pool(url, name="practice", max_size=6)


async def exists(url: str) -> bool:
    """Whether there is such a database, and it can be reached."""
    try:
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


async def create(url: str, database_url: str) -> None:
    """Make the database, through alert's own; nothing where it is there. Raises Permanent.

    One that PRESENCE_PRACTICE_DATABASE_URL names is somebody else's to make.
    """
    if await exists(url):
        return
    if url != _beside(database_url):
        raise Permanent(DatabaseReason.refused, f"the database that {URL} names does not answer")
    name = sql.Identifier(_place(url)[2])
    try:
        async with await psycopg.AsyncConnection.connect(
            database_url, autocommit=True, connect_timeout=5
        ) as connection:
            await connection.execute(sql.SQL("create database {}").format(name))
    except psycopg.errors.DuplicateDatabase:
        return  # somebody else was quicker
    except psycopg.Error as error:
        said = (error.diag.message_primary or str(error)).splitlines()[0]
        raise Permanent(
            DatabaseReason.refused,
            f"the practice's database could not be made ({said}): create one and name it in {URL}",
        ) from None


async def prepare(pool: Pool, database_url: str) -> None:
    """The tables of runs, whose being there says that this database is for practice.

    Raises WrongConfiguration where it is alert's own under another address.
    """
    await _prove_apart(pool, database_url)
    await migrate(pool, PRACTICE, "services.alert.practice.migrations", quietly=True)


async def _prove_apart(pool: Pool, database_url: str) -> None:
    """Advisory locks are a database's own: one that is held through both addresses is held once."""
    key = secrets.randbits(62)
    async with (
        await psycopg.AsyncConnection.connect(database_url, connect_timeout=5) as real,
        pool.connection() as here,
    ):
        await real.execute("select pg_advisory_lock(%s)", [key])
        tried = await (await here.execute("select pg_try_advisory_xact_lock(%s)", [key])).fetchone()
    if tried is None or not tried[0]:
        raise WrongConfiguration(
            f"{URL} leads to alert's own database: a practice needs one of its own"
        )


async def keep_world(pool: Pool) -> None:
    """Alert's tables, as this version of alert has them."""
    await migrate(pool, ALERT, "services.alert.store.migrations", quietly=True)


async def has_world(pool: Pool) -> bool:
    """Whether a run's tables are there: an alert has it in hand."""
    async with pool.connection() as connection:
        found = await connection.execute("select to_regclass('alert.outbox') is not null")
        row = await found.fetchone()
    return bool(row and row[0])


async def clear_world(connection: Connection) -> None:
    """Drop everything that a practice wrote, in the caller's transaction.

    No run begins meanwhile. A lock that is not had in time is an OperationalError. Where this is no
    practice's database there is no such table to lock, and nothing is dropped, whatever led here.
    """
    await connection.execute("set local lock_timeout = '5s'")
    await connection.execute("lock table practice.runs in share row exclusive mode")
    await connection.execute("drop schema if exists alert cascade")


async def drop_world(pool: Pool) -> None:
    """Drop what is left of practices, unless one is under way."""
    async with pool.connection() as connection, connection.transaction():
        await connection.execute("lock table practice.runs in share row exclusive mode")
        found = await connection.execute("select from practice.runs where state <> 'ended'")
        if found.rowcount == 0:
            await clear_world(connection)
