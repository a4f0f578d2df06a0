"""`presence practice`: train somebody on recorded messages, in a channel with nothing real behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import orjson
import psycopg
from rich.console import Console

from services.alert.domain.practice.script import TooLong, script
from services.alert.practice.database import prepare
from services.alert.practice.runs import Plan, Run, Runs
from services.cli import practice_material as material
from services.cli.practice_runs import ended, follow_to_the_end, in_practice, wait_for_alert
from services.cli.practice_shown import facts_of, show_debrief, show_list
from services.cli.rota_source import file_option, json_option
from services.contracts.configuration import Configuration, parse_duration
from services.contracts.configuration.values import write_duration
from services.runtime import configuration
from services.runtime.postgres import Pool
from services.runtime.settings import secret


@click.group()
def practice() -> None:
    """Train somebody: a replay into a private channel. Nothing of it is real."""


@practice.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--demo", is_flag=True, help="A part of the demo's story instead of FILES.")
@click.option("--day", help="What was really asked on that day (2026-11-21, or yesterday) instead.")
@click.option(
    "--person", "people", multiple=True, required=True, help="Who trains; again for more."
)
@click.option("--destination", required=True, help="One of practice.destinations.")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.1, 1000),
    help="Times as fast.",
)
@click.option("--limit", help="It ends after so long (45m); left out: practice.time_limit.")
@click.option("--most", type=click.IntRange(1), help="At most so many messages, the first ones.")
@click.option("--follow", is_flag=True, help="Stay until it is over, then show the debrief.")
@file_option
@json_option
def start(
    files: tuple[Path, ...], demo: bool, day: str | None, people: tuple[str, ...], destination: str,
    speed: float, limit: str | None, most: int | None, follow: bool, file: Path, as_json: bool,
) -> None:  # fmt: skip
    """Begin a practice with FILES: notifications as JSONL, classified or not.

    A running alert plays it into the channel, and whoever is named there may press everything. It ends when
    nothing is left to do, when its time is over, or with `presence practice stop`.
    """
    team = configuration.load(file).configuration
    _check(team, people, destination)
    if (bool(files), demo, day is not None).count(True) != 1:
        raise click.UsageError("give FILES, or --demo, or --day")
    within = _limit(limit) or team.practice.time_limit
    found = _material(team, files, demo=demo, day=day)
    events = sorted(found.events, key=lambda one: one.notification.source_time)[:most]
    try:
        cues = script(events, speed=speed, within=within, seniors=found.seniors)
    except TooLong as error:
        raise click.UsageError(
            f"it takes {write_duration(error.takes)} and is cut off after {write_duration(within)}: "
            f"use --speed {error.speed}, --most or a longer --limit"
        ) from None
    if not cues:
        raise click.UsageError("nobody writes anything in it")
    plan = Plan(people, destination, found.source, speed, within, cues)

    async def begin(pool: Pool, runs: Runs) -> Run | None:
        await prepare(pool, secret("PRESENCE_DATABASE_URL").get_secret_value())
        await runs.forget(team.practice.keep)
        return await runs.get(await runs.begin(plan))

    run = in_practice(begin, make=True)
    assert run is not None
    if not as_json:
        names = ", ".join(_name(team, one) for one in people)
        left = f" ({found.left_out} private or sensitive ones left out)" if found.left_out else ""
        click.echo(
            f"Practice {run.number}: {len(cues)} messages{left} for {names} in {destination}, "
            f"until {run.ends_at.astimezone():%H:%M} at the latest. End it: presence practice stop"
        )
    wait_for_alert(run)
    if follow:
        run = follow_to_the_end(run, len(cues))
        if not as_json:
            show_debrief(Console(), run)
    if as_json:
        click.echo(orjson.dumps(facts_of(run)))


@practice.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Practices, the newest first."""
    found = in_practice(lambda _pool, runs: runs.all())
    if as_json:
        click.echo(orjson.dumps([facts_of(one) for one in found]))
    else:
        show_list(Console(), found)


@practice.command()
@json_option
def stop(as_json: bool) -> None:
    """End the practice that is under way, with its debrief."""

    async def end(pool: Pool, runs: Runs) -> Run:
        run = await runs.live()
        if run is None:
            raise click.ClickException("no practice is under way")
        await runs.stop()
        return await ended(pool, runs, run.number)

    run = in_practice(end)
    if as_json:
        click.echo(orjson.dumps(facts_of(run)))
    else:
        show_debrief(Console(), run)


@practice.command()
@click.argument("number", required=False, type=int)
@json_option
def debrief(number: int | None, as_json: bool) -> None:
    """How the practice NUMBER went; left out: the last one."""
    run = in_practice(lambda _pool, runs: runs.get(number))
    if run is None:
        raise click.ClickException(f"there is no practice {number or ''}".rstrip())
    if run.debrief is None:
        raise click.ClickException(
            f"practice {run.number} is still under way: `presence practice stop` ends it"
        )
    if as_json:
        click.echo(orjson.dumps(facts_of(run)))
    else:
        show_debrief(Console(), run)


@practice.command()
@click.argument("number", required=False, type=int)
@click.option("--all", "every", is_flag=True, help="Every practice that is over.")
@json_option
def remove(number: int | None, every: bool, as_json: bool) -> None:
    """Forget the practice NUMBER with its debrief, or all of them. By itself it goes after practice.keep."""
    if (number is None) is not every:
        raise click.UsageError("name a practice, or --all")
    removed = in_practice(lambda _pool, runs: runs.remove(number))
    if as_json:
        click.echo(orjson.dumps({"removed": removed}))
    elif removed:
        click.echo(f"{removed} removed")
    else:
        raise click.ClickException("nothing to remove: it is not there, or still under way")


def _check(team: Configuration, people: Sequence[str], destination: str) -> None:
    """Say in a line what is wrong with who and where."""
    known = ", ".join(one.id for one in team.practice.destinations) or "none"
    if team.practice.destination(destination) is None:
        if any(one.id == destination for one in team.destinations):
            raise click.UsageError(
                f"{destination} is where real cards appear: practise in one of practice.destinations"
                f" (there is: {known})"
            )
        raise click.UsageError(f"no practice destination {destination!r} (there is: {known})")
    for one in people:
        person = team.person(one)
        if person is None:
            names = ", ".join(sorted(each.id for each in team.people))
            raise click.UsageError(f"no person {one!r} (there is: {names})")


def _material(
    team: Configuration, files: Sequence[Path], *, demo: bool, day: str | None
) -> material.Material:
    if demo:
        return material.from_demo(team)
    if day is None:
        return material.from_files(files, team)
    url = secret("PRESENCE_DATABASE_URL").get_secret_value()
    try:
        found = asyncio.run(material.from_day(_day(day), team.rotas[0].zone, url))
    except psycopg.OperationalError:
        raise click.ClickException(
            "alert's database does not answer (PRESENCE_DATABASE_URL)"
        ) from None
    names = {one.id: one.name for one in team.people}
    found.seniors = {
        item: replace(one, by=names.get(one.by or "", one.by))
        for item, one in found.seniors.items()
    }
    if not found.events:
        raise click.UsageError(
            f"nobody asked anything on {found.source} that may be practised with"
        )
    return found


def _day(text: str) -> date:
    if text == "yesterday":
        return datetime.now(UTC).astimezone().date() - timedelta(days=1)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            "write a day as 2026-11-21, or yesterday", param_hint="--day"
        ) from None


def _limit(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        span: timedelta = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--limit") from error
    if span <= timedelta(0):
        raise click.BadParameter("it has to last a while", param_hint="--limit")
    return span


def _name(team: Configuration, person_id: str) -> str:
    person = team.person(person_id)
    return person.name if person else person_id
