"""`presence oncall`: the rota of presence.yaml, as alert reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.alert.domain import rota as domain
from services.contracts.configuration import Configuration, Rota, Who
from services.runtime import configuration

AHEAD = 21
"""Days for which gaps are looked for."""

file_option = click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    envvar="PRESENCE_CONFIG",
    default=Path("presence.yaml"),
    show_default=True,
)
at_option = click.option("--at", help="At this instant instead (2026-12-24T18:00:00+01:00).")
rota_option = click.option("--rota", "name", help="Only this one.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.group()
def oncall() -> None:
    """Who is on call now, this week, and when nobody is."""


@oncall.command()
@file_option
@at_option
@rota_option
@json_option
def now(file: Path, at: str | None, name: str | None, as_json: bool) -> None:
    """Who is on call, until when, who comes next. Exit 1 where an open rota has nobody."""
    team, moment = configuration.load(file).configuration, _instant(at)
    rows = [_now(team, rota, moment) for rota in _rotas(team, name)]
    if as_json:
        click.echo(orjson.dumps({"at": moment, "rotas": rows}))
    else:
        table = Table("rota", "on call", "because", "until", "next", box=None)
        for rota, row in zip(_rotas(team, name), rows, strict=True):
            person = _name(team, row["person"]) if row["person"] else f"nobody ({row['because']})"
            until = _shown(row["until"], rota)
            table.add_row(rota.id, person, row["because"], until, _name(team, row["next"]))
        Console().print(table)
    if any(row["because"] == "gap" for row in rows):
        raise SystemExit(1)


@oncall.command()
@file_option
@at_option
@rota_option
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 366))
@json_option
def week(file: Path, at: str | None, name: str | None, days: int, as_json: bool) -> None:
    """Every shift of the next seven days, closed hours and gaps included."""
    team, begin = configuration.load(file).configuration, _instant(at)
    end = begin + timedelta(days=days)
    plans = {r.id: domain.plan(r, team.hours, begin, end) for r in _rotas(team, name)}
    if as_json:
        rows = [_watch(rota, one) for rota, watches in plans.items() for one in watches]
        click.echo(orjson.dumps({"from": begin, "to": end, "shifts": rows}))
        return
    console = Console()
    for rota in _rotas(team, name):
        table = Table(
            "from", "to", "hours", "who", "because", title=f"{rota.id} ({rota.zone})", box=None
        )
        for one in plans[rota.id]:
            who = _name(team, one.person) if one.person else f"[red]{one.because}[/]"
            hours = f"{(one.end - one.begin).total_seconds() / 3600:.1f}"
            style = "dim" if one.because == "closed" else ""
            who = "closed" if one.because == "closed" else who
            table.add_row(
                _shown(one.begin, rota), _shown(one.end, rota), hours, who, one.because, style=style
            )
        console.print(table)


@oncall.command()
@file_option
@at_option
@rota_option
@click.option("--days", default=AHEAD, show_default=True, type=click.IntRange(1, 366))
@json_option
def gaps(file: Path, at: str | None, name: str | None, days: int, as_json: bool) -> None:
    """Hours in the next 21 days that are neither covered nor closed. Exit 1 where there are any."""
    team, begin = configuration.load(file).configuration, _instant(at)
    end = begin + timedelta(days=days)
    found = [
        (rota, span)
        for rota in _rotas(team, name)
        for span in domain.gaps(rota, team.hours, begin, end)
    ]
    if as_json:
        rows = [{"rota": rota.id, "from": span.begin, "to": span.end} for rota, span in found]
        click.echo(orjson.dumps({"from": begin, "to": end, "gaps": rows}))
    elif not found:
        click.echo(f"no gaps in the next {days} days")
    else:
        table = Table("rota", "from", "to", "hours", box=None)
        for rota, span in found:
            hours = f"{(span.end - span.begin).total_seconds() / 3600:.1f}"
            table.add_row(rota.id, _shown(span.begin, rota), _shown(span.end, rota), hours)
        Console().print(table)
        click.echo("cover them with a layer or an override, or close them with open_hours")
    if found:
        raise SystemExit(1)


def _instant(at: str | None) -> datetime:
    if at is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise click.BadParameter(f"{at!r} is no time like 2026-12-24T18:00:00+01:00") from error
    if moment.tzinfo is None:
        raise click.BadParameter(f"{at!r} has no offset from UTC (add +01:00, or Z)")
    return moment.astimezone(UTC)


def _rotas(team: Configuration, name: str | None) -> Sequence[Rota]:
    found = [rota for rota in team.rotas if name in (None, rota.id)]
    if not found:
        there = ", ".join(rota.id for rota in team.rotas)
        raise click.BadParameter(f"no rota {name!r} (there is: {there})")
    return found


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
    }


def _watch(rota: str, one: domain.Watch) -> dict[str, Any]:
    return {
        "rota": rota,
        "from": one.begin,
        "to": one.end,
        "person": one.person,
        "because": one.because,
    }


def _name(team: Configuration, person_id: str | None) -> str:
    person = team.person(person_id) if person_id else None
    return escape(person.name) if person else "–"


def _shown(at: datetime, rota: Rota) -> str:
    return f"{at.astimezone(ZoneInfo(rota.zone)):%a %d %b %H:%M}"
