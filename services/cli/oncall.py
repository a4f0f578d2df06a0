"""`presence oncall`: the rota as alert reads it, and changes of it at run time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.alert import public_holidays
from services.alert.domain import rota as domain
from services.alert.domain.balance import Load, balance, homes
from services.cli.oncall_changes import export, import_time_off, override
from services.cli.oncall_explain import explain
from services.cli.oncall_forecast import forecast
from services.cli.rota_source import (
    Team,
    at_option,
    file_option,
    instant,
    json_option,
    read_team,
    rota_option,
    rotas_named,
    shown_name,
    shown_time,
)
from services.contracts.configuration import Configuration, Rota, Who

AHEAD = 21
"""Days for which gaps are looked for."""
WITHOUT_DATABASE = "from the file alone: PRESENCE_DATABASE_URL is not set, run-time changes unseen"


@click.group()
def oncall() -> None:
    """Who is on call now, this week, and when nobody is; changes at run time."""


for command in (override, explain, forecast, export, import_time_off):
    oncall.add_command(command)


@oncall.command()
@file_option
@at_option
@rota_option
@json_option
def now(file: Path, at: str | None, name: str | None, as_json: bool) -> None:
    """Who is on call, until when, who comes next. Exit 1 where an open rota has nobody."""
    source, moment = read_team(file), instant(at)
    team = source.holds
    rows = [_now(team, rota, moment) for rota in rotas_named(team, name)]
    if as_json:
        facts = {"at": moment, "run_time_changes": source.run_time, "rotas": rows}
        click.echo(orjson.dumps(facts))
    else:
        table = Table("rota", "on call", "because", "until", "next", box=None)
        for rota, row in zip(rotas_named(team, name), rows, strict=True):
            person = (
                shown_name(team, row["person"]) if row["person"] else f"nobody ({row['because']})"
            )
            until = shown_time(row["until"], rota)
            because = _because(team, row["because"], row["instead_of"], row["set_by"])
            table.add_row(rota.id, person, because, until, shown_name(team, row["next"]))
        Console().print(table)
        _say_source(source)
    if any(row["because"] == "gap" for row in rows):
        raise SystemExit(1)


@oncall.command()
@file_option
@at_option
@rota_option
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 366), help="How many.")
@json_option
def week(file: Path, at: str | None, name: str | None, days: int, as_json: bool) -> None:
    """Every shift of the next seven days, closed hours and gaps included."""
    source, begin = read_team(file), instant(at)
    team = source.holds
    end = begin + timedelta(days=days)
    plans = {r.id: domain.plan(r, team.hours, begin, end) for r in rotas_named(team, name)}
    if as_json:
        rows = [_watch(rota, one) for rota, watches in plans.items() for one in watches]
        click.echo(orjson.dumps({"from": begin, "to": end, "shifts": rows}))
        return
    console = Console()
    for rota in rotas_named(team, name):
        table = Table(
            "from", "to", "hours", "who", "because", title=f"{rota.id} ({rota.zone})", box=None
        )
        for one in plans[rota.id]:
            who = shown_name(team, one.person) if one.person else f"[red]{one.because}[/]"
            hours = f"{(one.end - one.begin).total_seconds() / 3600:.1f}"
            style = "dim" if one.because == "closed" else ""
            who = "closed" if one.because == "closed" else who
            because = _because(team, one.because, one.instead_of, one.set_by)
            table.add_row(
                shown_time(one.begin, rota),
                shown_time(one.end, rota),
                hours,
                who,
                because,
                style=style,
            )
        console.print(table)
    _say_source(source)


@oncall.command()
@file_option
@at_option
@rota_option
@click.option(
    "--days", default=AHEAD, show_default=True, type=click.IntRange(1, 366), help="Ahead."
)
@json_option
def gaps(file: Path, at: str | None, name: str | None, days: int, as_json: bool) -> None:
    """Hours in the next 21 days that are neither covered nor closed, and how the load is shared.

    Exit 1 where there are any. Nights are 22:00 to 06:00 where the person lives.
    """
    team, begin = read_team(file).holds, instant(at)
    end = begin + timedelta(days=days)
    found = [
        (rota, span)
        for rota in rotas_named(team, name)
        for span in domain.gaps(rota, team.hours, begin, end)
    ]
    loads = {
        rota.id: balance(
            rota,
            team.hours,
            begin,
            end,
            zones=homes(team),
            is_holiday=public_holidays.of(rota),
        )
        for rota in rotas_named(team, name)
    }
    if as_json:
        rows = [{"rota": rota.id, "from": span.begin, "to": span.end} for rota, span in found]
        shared = {
            rota: {person: asdict(load) for person, load in people.items()}
            for rota, people in loads.items()
        }
        click.echo(orjson.dumps({"from": begin, "to": end, "gaps": rows, "balance": shared}))
    elif not found:
        click.echo(f"no gaps in the next {days} days")
    else:
        table = Table("rota", "from", "to", "hours", box=None)
        for rota, span in found:
            hours = f"{(span.end - span.begin).total_seconds() / 3600:.1f}"
            table.add_row(rota.id, shown_time(span.begin, rota), shown_time(span.end, rota), hours)
        Console().print(table)
        click.echo("cover them with a layer or an override, or close them with open_hours")
    if not as_json:
        _show_balance(team, loads)
    if found:
        raise SystemExit(1)


def _show_balance(team: Configuration, loads: dict[str, dict[str, Load]]) -> None:
    """Hours on call; nights, weekends and public holidays are counted within them."""
    table = Table("rota", "who", "hours", "nights", "weekends", "holidays", box=None)
    for rota, people in loads.items():
        for person, load in sorted(people.items()):
            figures = (load.hours, load.nights, load.weekends, load.holidays)
            table.add_row(rota, shown_name(team, person), *(f"{one:.1f}" for one in figures))
    Console().print(table)


def _say_source(source: Team) -> None:
    if not source.run_time:
        click.echo(WITHOUT_DATABASE, err=True)


def _now(team: Configuration, rota: Rota, at: datetime) -> dict[str, Any]:
    watches: Iterator[domain.Watch] = iter(
        domain.plan(rota, team.hours, at, at + timedelta(days=AHEAD))
    )
    current = next(watches)
    following = domain.neighbour(rota, at, Who.next) if current.person else None
    return {
        "rota": rota.id,
        "person": current.person,
        "because": current.because,
        "until": current.end,
        "next": following or next((one.person for one in watches if one.person), None),
        "instead_of": current.instead_of,
        "set_by": current.set_by,
    }


def _watch(rota: str, one: domain.Watch) -> dict[str, Any]:
    return {
        "rota": rota,
        "from": one.begin,
        "to": one.end,
        "person": one.person,
        "because": one.because,
        "instead_of": one.instead_of,
        "set_by": one.set_by,
    }


def _because(team: Configuration, because: str, instead_of: str | None, set_by: str | None) -> str:
    words = escape(because)
    if instead_of is not None:
        words += f" for {shown_name(team, instead_of)}"
    return words + (f", set at run time by {shown_name(team, set_by)}" if set_by else "")
