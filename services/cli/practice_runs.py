"""The practice's database as the command sees it: where it is, whether an alert plays, when it is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from services.alert.practice.database import (
    create,
    drop_world,
    has_world,
    keep_world,
    open_pool,
    practice_url,
)
from services.alert.practice.runs import Run, Runs
from services.runtime.errors import Permanent
from services.runtime.postgres import Pool
from services.runtime.settings import secret

T = TypeVar("T")

ALERT_TAKES = 12.0
"""Seconds in which a running alert has begun, or ended, a practice."""
LOOK = 0.5
NOBODY_YET = "nobody has practised here yet: `presence practice start`"


def in_practice(work: Callable[[Pool, Runs], Awaitable[T]], *, make: bool = False) -> T:
    """Do something with the practice's database; `make`: where there is none yet, make it.

    Raises ClickException with the line to show.
    """
    real = secret("PRESENCE_DATABASE_URL").get_secret_value()
    url = practice_url(real)

    async def run() -> T:
        if make:
            await create(url, real)
        pool = open_pool(url)
        try:
            await pool.open(wait=True, timeout=5.0)
            runs = Runs(pool)
            if not make and not await runs.there():
                raise click.ClickException(NOBODY_YET)
            return await work(pool, runs)
        finally:
            await pool.close()

    try:
        return asyncio.run(run())
    except Permanent as error:
        raise click.ClickException(error.detail) from None
    except psycopg.OperationalError:
        away = "the practice's database does not answer"
        raise click.ClickException(away if make else NOBODY_YET) from None
    except psycopg.Error as error:
        raise click.ClickException(str(error).splitlines()[0]) from None


def wait_for_alert(run: Run) -> None:
    """Until an alert has the run in hand; say so where none takes it."""

    until = time.monotonic() + ALERT_TAKES
    while not in_practice(lambda pool, _runs: has_world(pool)):
        if time.monotonic() > until:
            click.echo(
                f"presence: nothing has begun practice {run.number} yet: is alert running, and with this"
                " presence.yaml?",
                err=True,
            )
            return
        time.sleep(LOOK)


async def ended(pool: Pool, runs: Runs, number: int) -> Run:
    """Wait for alert to end it; where none has it in hand, end it here."""
    begun = await has_world(pool)
    until = time.monotonic() + (ALERT_TAKES * 2 if begun else 0)
    while True:
        run = await runs.get(number)
        assert run is not None
        if run.over:
            return run
        if time.monotonic() > until:
            await keep_world(pool)
            await runs.close(number, "stopped", lambda one: one)
            await runs.end(number)
            await drop_world(pool)
            continue
        await asyncio.sleep(LOOK)


def follow_to_the_end(run: Run, cues: int) -> Run:
    """Show how far it is until it is over; Ctrl-C leaves it alone."""

    async def watch(_pool: Pool, runs: Runs) -> Run:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(f"practice {run.number}", total=cues)
            while True:
                now = await runs.get(run.number)
                assert now is not None
                bar.update(task, completed=now.played if not now.over else cues)
                if now.over:
                    return now
                await asyncio.sleep(LOOK)

    return in_practice(watch)
