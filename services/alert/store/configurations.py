"""Accepted files as numbered versions; every replica uses the active one."""

from __future__ import annotations

from dataclasses import dataclass

from services.alert.store.sql import all_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.runtime.configuration import LoadedConfiguration, parse
from services.runtime.postgres import Pool


@dataclass(frozen=True, slots=True)
class Active:
    """The configuration that is in force."""

    version: int
    configuration: Configuration


async def store(pool: Pool, loaded: LoadedConfiguration) -> Active:
    """Store an accepted file and make it the active one; the same file again changes nothing."""
    async with pool.connection() as connection, connection.transaction():
        await run(connection, "configuration_put", sha256=loaded.sha256, document=loaded.text)
        await run(connection, "configuration_deactivate", sha256=loaded.sha256)
        changed = await all_of(connection, "configuration_activate", sha256=loaded.sha256)
        (clock,) = await all_of(connection, "now")
        writing = Writing(clock["now"])
        for row in changed:
            writing.audit("system", "start", "configuration", after={"version": row["version"]})
        await writing.flush(connection)
        (active,) = await all_of(connection, "configuration_active")
    return Active(active["version"], loaded.configuration)


async def active(pool: Pool) -> Active | None:
    """The active version, read anew; None before the first."""
    async with pool.connection() as connection:
        rows = await all_of(connection, "configuration_active")
    if not rows:
        return None
    row = rows[0]
    return Active(row["version"], parse(row["document"], f"version {row['version']}"))
