"""Where the command line reads the rota: presence.yaml, and what was set at run time in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import click
import psycopg
from rich.markup import escape

from services.alert.domain.rota_changes import in_effect
from services.alert.domain.rota_words import name_of
from services.alert.store.in_force import changes_of
from services.contracts.configuration import Configuration, Rota
from services.runtime import configuration
from services.runtime.errors import WrongConfiguration
from services.runtime.postgres import Pool, create_pool
from services.runtime.settings import optional_secret

T = TypeVar("T")

file_option = click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    envvar="PRESENCE_CONFIG",
    default=Path("presence.yaml"),
    show_default=True,
    help="The team's file; PRESENCE_CONFIG names it too.",
)
at_option = click.option("--at", help="At this instant instead (2026-12-24T18:00:00+01:00).")
rota_option = click.option("--rota", "name", help="Only this one.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@dataclass(frozen=True, slots=True)
class Team:
    """The team's configuration, as the file has it and as it holds."""

    file: Configuration
    holds: Configuration
    """With the run-time changes of the rota."""
    run_time: bool
    """Whether the database was asked."""


def read_team(file: Path) -> Team:
    """presence.yaml, with the run-time changes where PRESENCE_DATABASE_URL says where they are."""
    loaded = configuration.load(file).configuration
    if optional_secret("PRESENCE_DATABASE_URL") is None:
        return Team(loaded, loaded, run_time=False)

    async def changes(pool: Pool) -> Configuration:
        async with pool.connection() as connection:
            return in_effect(loaded, await changes_of(connection))

    return Team(loaded, in_database(changes), run_time=True)


def in_database(work: Callable[[Pool], Awaitable[T]]) -> T:
    """Do something with alert's database. Raises what the command line shows in a line."""
    url = optional_secret("PRESENCE_DATABASE_URL")
    if url is None:
        raise WrongConfiguration(
            "PRESENCE_DATABASE_URL is not set: run-time changes are kept in alert's database"
        )

    async def run() -> T:
        pool = create_pool(url.get_secret_value(), name="cli", max_size=1)
        try:
            await pool.open(wait=True, timeout=5.0)
            return await work(pool)
        finally:
            await pool.close()

    try:
        return asyncio.run(run())
    except psycopg.errors.UndefinedTable as error:
        raise click.ClickException(
            "alert's tables are not there yet: start alert of this release once"
        ) from error
    except psycopg.OperationalError as error:
        raise click.ClickException(
            "PostgreSQL does not answer at PRESENCE_DATABASE_URL; unset it to read the file alone"
        ) from error


def instant(at: str | None) -> datetime:
    """An option's time, or now. Raises BadParameter for one without an offset."""
    if at is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise click.BadParameter(f"{at!r} is no time like 2026-12-24T18:00:00+01:00") from error
    if moment.tzinfo is None:
        raise click.BadParameter(f"{at!r} has no offset from UTC (add +01:00, or Z)")
    return moment.astimezone(UTC)


def rotas_named(team: Configuration, name: str | None) -> Sequence[Rota]:
    """Every rota, or the one of that name."""
    found = [rota for rota in team.rotas if name in (None, rota.id)]
    if not found:
        there = ", ".join(rota.id for rota in team.rotas)
        raise click.BadParameter(f"no rota {name!r} (there is: {there})")
    return found


def shown_name(team: Configuration, person_id: str | None) -> str:
    """A person's name for a terminal."""
    return escape(name_of(team, person_id)) if person_id else "–"


def shown_time(at: datetime, rota: Rota) -> str:
    """An instant on a rota's wall."""
    return f"{at.astimezone(ZoneInfo(rota.zone)):%a %d %b %H:%M}"
