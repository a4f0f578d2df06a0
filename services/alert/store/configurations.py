"""Accepted files as numbered versions; every replica uses the active one."""

from __future__ import annotations

from dataclasses import dataclass

from services.alert.store.sql import all_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.runtime.configuration import LoadedConfiguration
from services.runtime.postgres import Pool


@dataclass(frozen=True, slots=True)
class Active:
    """The configuration that is in force."""

    version: int
    configuration: Configuration


async def store(pool: Pool, loaded: LoadedConfiguration, *, through: str = "start") -> Active:
    """Store an accepted file and make it the active one; the same file again changes nothing.

    Replicas that start at once, with different files, come one after the other: the last one holds.
    """
    async with pool.connection() as connection, connection.transaction():
        await all_of(connection, "configuration_lock")
        await run(connection, "configuration_put", sha256=loaded.sha256, document=loaded.text)
        await run(connection, "configuration_deactivate", sha256=loaded.sha256)
        changed = await all_of(connection, "configuration_activate", sha256=loaded.sha256)
        (clock,) = await all_of(connection, "now")
        writing = Writing(clock["now"])
        for row in changed:
            writing.audit("system", through, "configuration", after={"version": row["version"]})
        await writing.flush(connection)
        (active,) = await all_of(connection, "configuration_active")
    return Active(active["version"], loaded.configuration)


async def refuse(pool: Pool, sha256: str, why: str) -> None:
    """Note in the audit record that a changed file was refused, and why."""
    async with pool.connection() as connection, connection.transaction():
        (clock,) = await all_of(connection, "now")
        writing = Writing(clock["now"])
        after = {"sha256": sha256, "mistakes": why[:4_000]}
        writing.audit("system", "file", "configuration_refused", after=after)
        await writing.flush(connection)
