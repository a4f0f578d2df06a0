"""PostgreSQL: a pool, numbered migrations under a lock, SQL in named files."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any, LiteralString, cast

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from services.runtime.logs import get_logger

log = get_logger(__name__)

Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]

_MIGRATION_LOCK = 7_273_747_001
"""An arbitrary number that all our processes share."""


def create_pool(
    url: str, *, name: str, max_size: int = 8, checked: bool = True, options: str = ""
) -> Pool:
    """A pool in autocommit mode; transactions are explicit. Open it with `await pool.open()`.

    A checked pool asks a connection whether it lives before it hands it out, which costs a round trip:
    leave that out only where the caller tries again on a connection that died. `options`: the server's
    (-c name=value).
    """
    return AsyncConnectionPool(
        url,
        name=name,
        min_size=1,
        max_size=max_size,
        open=False,
        timeout=5.0,
        kwargs={
            "autocommit": True,
            "application_name": f"presence-{name}",
            **({"options": options} if options else {}),
        },
        check=AsyncConnectionPool.check_connection if checked else None,
    )


async def problem_at(url: str) -> str | None:
    """Why no PostgreSQL answers at `url`, in its own words, or None. They never hold the password."""
    try:
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=2) as connection:
            await connection.execute("select 1")
    except psycopg.OperationalError as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"PostgreSQL does not answer: {said[0] if said else type(error).__name__}"[:300]
    return None


def load_queries(package: str, file: str = "queries.sql") -> dict[str, LiteralString]:
    """The statements of a file that names each with a line `-- name: …`; comments stay with them."""
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    found: dict[str, LiteralString] = {}
    for part in re.split(r"(?m)^-- name: ", text)[1:]:
        name, _, statement = part.partition("\n")
        if name.strip() in found:
            raise ValueError(f"{package}/{file}: {name.strip()} is there twice")
        # The file is part of the program, never input: a literal in all but type.
        found[name.strip()] = cast("LiteralString", statement.strip())
    return found


async def migrate(pool: Pool, schema: str, package: str, *, quietly: bool = False) -> int:
    """Apply the numbered `.sql` files of `package` that `schema` has not seen; returns the version.

    One process at a time (an advisory lock); each file in a transaction of its own, together with
    its entry in `<schema>.migrations`. Running it again changes nothing. `quietly`: without a line for each,
    for commands whose output somebody reads.
    """
    files = sorted(
        (int(file.name.split("_")[0]), file.name, file.read_text(encoding="utf-8"))
        for file in resources.files(package).iterdir()
        if re.fullmatch(r"\d{4}_\w+\.sql", file.name)
    )
    name = sql.Identifier(schema)
    async with pool.connection() as connection:
        await connection.execute("select pg_advisory_lock(%s)", [_MIGRATION_LOCK])
        try:
            await connection.execute(sql.SQL("create schema if not exists {}").format(name))
            await connection.execute(
                sql.SQL(
                    "create table if not exists {}.migrations"
                    " (version integer primary key, name text not null,"
                    " applied_at timestamptz not null default clock_timestamp())"
                ).format(name)
            )
            rows: Any = await connection.execute(
                sql.SQL("select version from {}.migrations").format(name)
            )
            seen = {row[0] for row in await rows.fetchall()}
            for version, file, text in files:
                if version in seen:
                    continue
                async with connection.transaction():
                    await connection.execute(text)
                    await connection.execute(
                        sql.SQL("insert into {}.migrations (version, name) values (%s, %s)").format(
                            name
                        ),
                        [version, file],
                    )
                if not quietly:
                    log.info("migrated", schema=schema, file=file)
        finally:
            await connection.execute("select pg_advisory_unlock(%s)", [_MIGRATION_LOCK])
    return files[-1][0] if files else 0
