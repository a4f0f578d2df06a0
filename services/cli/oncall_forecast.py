"""`presence oncall forecast`: how many people keep the target, and the hours that fall short."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.alert.domain.forecast import HOURS, HourOfWeek
from services.alert.domain.forecast import forecast as domain_forecast
from services.alert.store.arrivals import Arrivals, arrivals
from services.cli.rota_source import (
    at_option,
    file_option,
    in_database,
    instant,
    json_option,
    read_team,
    rota_option,
    rotas_named,
)
from services.contracts.configuration import Weekday, parse_duration
from services.contracts.configuration.values import write_duration
from services.runtime.postgres import Pool

USUAL_HANDLING = timedelta(minutes=4)
SHOWN = 20
"""Hours that fall short are listed up to here; --json has all of them."""
DAYS = [day.value[:3].title() for day in Weekday]


@click.command()
@click.argument("figures", required=False, type=click.Path(path_type=Path, exists=True))
@file_option
@at_option
@rota_option
@click.option(
    "--days", default=56, show_default=True, type=click.IntRange(7, 400), help="Look back."
)
@click.option("--target", help="Answer within; left out: targets.first_response.")
@click.option("--handling", help="Mean handling time; left out: from claim to answer, as measured.")
@click.option(
    "--share",
    default=95.0,
    show_default=True,
    type=click.FloatRange(50, 99.9),
    help="Per cent that are to be answered in time.",
)
@json_option
def forecast(
    figures: Path | None,
    file: Path,
    at: str | None,
    name: str | None,
    days: int,
    target: str | None,
    handling: str | None,
    share: float,
    as_json: bool,
) -> None:
    """How many people keep 95 % within the target, by hour of the week, against the rota.

    Arrivals come from alert's database, or from FIGURES: CSV with weekday,hour,arrivals (a mean per hour),
    or JSON {"arrivals": [168 numbers, Monday 00:00 first], "handling_seconds": 240}. Erlang C; nobody
    gives up waiting. Exit 1 where hours fall short.
    """
    team = read_team(file).holds
    covering = rotas_named(team, name)
    if figures is not None:
        found = _read(figures)
    else:
        zone = covering[0].zone

        async def ask(pool: Pool) -> Arrivals:
            async with pool.connection() as connection:
                return await arrivals(connection, zone, days)

        found = in_database(ask)
    length = _duration(handling, "--handling") or found.handling or USUAL_HANDLING
    goal = _duration(target, "--target") or team.targets.first_response
    hours = domain_forecast(team, covering, found.per_hour, length, goal, share / 100, instant(at))
    short = [one for one in hours if one.short]
    if as_json:
        facts = {
            "target_seconds": goal.total_seconds(),
            "handling_seconds": length.total_seconds(),
            "share": share / 100,
            "weeks": found.weeks,
            "episodes": found.episodes,
            "hours": [{**asdict(one), "short": one.short} for one in hours],
        }
        click.echo(orjson.dumps(facts))
    else:
        measured = handling is None and found.handling is not None
        _show(hours, goal, length, share, found, measured=measured)
    if short:
        raise SystemExit(1)


def _duration(text: str | None, option: str) -> timedelta | None:
    if text is None:
        return None
    try:
        span: timedelta = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
    return span


def _read(path: Path) -> Arrivals:
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".json":
            facts = orjson.loads(text)
            numbers = tuple(float(one) for one in facts["arrivals"])
            seconds = facts.get("handling_seconds")
        else:
            numbers, seconds = _from_csv(text), None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise click.ClickException(
            f"{path}: no figures as `--help` shows them ({error})"
        ) from error
    if len(numbers) != HOURS or min(numbers) < 0:
        raise click.ClickException(
            f"{path}: {len(numbers)} hours; a week has {HOURS}, none negative"
        )
    handling = timedelta(seconds=float(seconds)) if seconds else None
    return Arrivals(numbers, handling, weeks=1.0, episodes=round(sum(numbers)))


def _from_csv(text: str) -> tuple[float, ...]:
    numbers = [0.0] * HOURS
    days = {day.value: day.index for day in Weekday}
    for row in csv.DictReader(io.StringIO(text)):
        named = row["weekday"].strip().lower()
        day = days[named] if named in days else int(named)
        hour = int(row["hour"])
        if not (0 <= day < 7 and 0 <= hour < 24):
            raise ValueError(f"no hour of the week: {row['weekday']} {hour}")
        numbers[day * 24 + hour] += float(row["arrivals"])
    return tuple(numbers)


def _show(
    hours: list[HourOfWeek],
    goal: timedelta,
    length: timedelta,
    share: float,
    found: Arrivals,
    *,
    measured: bool,
) -> None:
    console = Console(width=max(Console().width, 100))
    source = "as measured" if measured else "assumed: give --handling"
    console.print(
        f"{share:g} % answered within {write_duration(goal)}, "
        f"handling {length.total_seconds() / 60:.1f} min ({source}); "
        f"{found.episodes} episodes in {found.weeks:.1f} weeks"
    )
    table = Table(box=None, padding=0)
    table.add_column("", no_wrap=True, min_width=4)
    for hour in range(24):
        table.add_column(f" {hour:02}", no_wrap=True, min_width=4)
    for day in range(7):
        cells = [_cell(one) for one in hours[day * 24 : day * 24 + 24]]
        table.add_row(DAYS[day], *cells)
    console.print(table)
    legend = Text("people needed: ")
    legend.append(" enough ", "black on green").append(" short by one ", "black on yellow")
    legend.append(" short by more, or no number is enough ", "white on red")
    legend.append(" · nobody writes, or closed", "dim")
    console.print(legend)
    short = sorted((one for one in hours if one.short), key=lambda one: one.kept)
    if not short:
        console.print("the rota keeps the target in every hour")
        return
    table = Table("hour", "arrivals", "needed", "on call", "in time", title="falls short", box=None)
    for one in short[:SHOWN]:
        wanted = "more than can be" if one.needed is None else str(one.needed)
        when = f"{DAYS[one.weekday]} {one.hour:02}:00"
        table.add_row(when, f"{one.arrivals:.1f}", wanted, str(one.there), f"{one.kept:.0%}")
    console.print(table)
    if len(short) > SHOWN:
        console.print(f"and {len(short) - SHOWN} more (--json has all of them)")
    if any(one.needed is None for one in short):
        console.print("where no number is enough, handling takes as long as the target allows")


def _cell(one: HourOfWeek) -> Text:
    if one.closed or one.needed == 0:
        return Text(" · ", "dim")
    words = f"{'∞' if one.needed is None else one.needed:^4}"
    if not one.short:
        return Text(words, "black on green")
    by_one = one.needed is not None and one.needed - one.there == 1
    return Text(words, "black on yellow" if by_one else "white on red")
