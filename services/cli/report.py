"""`presence report`: how fast people were answered, and whether they were, for a period."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import orjson
from rich.console import Console
from rich.table import Table

from services.alert.domain.report import (
    QUANTILES,
    Case,
    Figures,
    Span,
    Written,
    days_of,
    figures,
    hours_of,
)
from services.alert.domain.response_time import business_seconds, span_in_words
from services.alert.store.reporting import Found, period
from services.cli.rota_source import file_option, in_database, instant, json_option, read_team
from services.contracts.configuration import Configuration, Hours
from services.runtime.postgres import Pool

ALL = "all"
WALL, BUSINESS = "wall", "business"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report."""

    name: str
    whole: Figures
    quiet: Figures
    """Without the days of incidents."""


@click.command()
@file_option
@click.option(
    "--from", "begin", help="2026-11-16T00:00:00+01:00; left out: seven days before --to."
)
@click.option("--to", "end", help="Up to this instant; left out: now.")
@click.option("--brand", help="Only this brand.")
@click.option(
    "--by",
    type=click.Choice(["platform", "account"]),
    default="platform",
    show_default=True,
    help="A line for each.",
)
@click.option(
    "--clock",
    type=click.Choice([WALL, BUSINESS]),
    default=WALL,
    show_default=True,
    help="Around the clock, or in business hours (targets.hours).",
)
@click.option("--csv", "as_csv", is_flag=True, help="CSV, times in seconds.")
@json_option
def report(
    file: Path,
    begin: str | None,
    end: str | None,
    brand: str | None,
    by: str,
    clock: str,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Response times, answers in time and the presence score for a period.

    People who still wait are in every percentile with the time that they have waited so far. What was closed
    without an answer is in none, and is counted by its reason. As of now: ask again, and it may have moved.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv or --json, not both")
    team = read_team(file).holds
    if brand is not None and brand not in {one.id for one in team.brands}:
        raise click.UsageError(f"no brand {brand!r} in presence.yaml")
    hours = _hours(team, clock)
    until = instant(end)
    since = instant(begin) if begin else until - timedelta(days=7)
    if since >= until:
        raise click.UsageError("--from is not before --to")
    span = Span(since, until)

    async def ask(pool: Pool) -> Found:
        async with pool.connection() as connection:
            return await period(connection, span, brand)

    found = in_database(ask)
    zone = hours.zone if hours else "UTC"
    incidents = days_of(found.incidents, span, zone)
    rows = list(
        _rows_of(found, by, hours, lambda at: at.astimezone(ZoneInfo(zone)).date() in incidents)
    )
    about = {
        "from": since,
        "to": until,
        "as_of": found.as_of,
        "clock": clock,
        "incident_days": sorted(incidents),
        "downtime_hours": {
            f"{source} {account}".strip(): round(hours_of(spans, span), 2)
            for (source, account), spans in sorted(found.downtime.items())
        },
    }
    if as_json:
        told = [{"name": one.name, "all_days": _facts(one.whole),
                 "without_incident_days": _facts(one.quiet)} for one in rows]  # fmt: skip
        click.echo(orjson.dumps({**about, "rows": told}))
    elif as_csv:
        click.echo(_csv(rows), nl=False)
    else:
        _show(rows, about)


def _hours(team: Configuration, clock: str) -> Hours | None:
    if clock == WALL:
        return None
    found = next((one for one in team.hours if one.id == team.targets.hours), None)
    if found is None:
        raise click.UsageError("--clock business: presence.yaml names no hours under targets.hours")
    return found


def _rows_of(
    found: Found, by: str, hours: Hours | None, in_incident: Callable[[datetime], bool]
) -> Iterator[Row]:
    def name(platform: str, account: str) -> str:
        return platform if by == "platform" else f"{platform} {account}"

    def seconds(one: Case) -> float | None:
        return one.wall if hours is None else one.business

    def age(one: Case) -> float | None:
        if hours is None:
            return (found.as_of - one.opened_at).total_seconds()
        return business_seconds(hours, one.opened_at, found.as_of)

    def of(cases: list[Case], places: list[tuple[str, str]]) -> Figures:
        mine = [found.written[place] for place in places if place in found.written]
        written = Written(sum(one.all for one in mine), sum(one.to_somebody for one in mine))
        return figures(cases, found.as_of, written, seconds, age)

    places = sorted({(one.platform, one.account_id) for one in found.cases} | found.written.keys())
    names = [ALL, *dict.fromkeys(name(*place) for place in places)]
    for wanted in names:
        mine = [place for place in places if wanted in (ALL, name(*place))]
        cases = [one for one in found.cases if (one.platform, one.account_id) in mine]
        quiet = [one for one in cases if not in_incident(one.opened_at)]
        yield Row(wanted, of(cases, mine), of(quiet, mine))


def _facts(one: Figures) -> dict[str, Any]:
    return {
        "answered": one.answered,
        "waiting": one.waiting,
        "closed_without_answer": one.closed,
        **{f"first_response_p{share:.0%}".rstrip("%"): at
           for share, at in zip(QUANTILES, one.first, strict=True)},
        **{f"next_response_p{share:.0%}".rstrip("%"): at
           for share, at in zip(QUANTILES, one.next, strict=True)},
        "met": one.met,
        "missed": one.missed,
        "in_time": one.in_time,
        "presence": {
            "answered_share": one.answered_share,
            "median_first_response_seconds": one.first[0],
            "conversation_share": one.conversation_share,
        },
    }  # fmt: skip


def _csv(rows: list[Row]) -> str:
    out = io.StringIO()
    writer: Any = None
    for row in rows:
        facts = _facts(row.whole)
        flat = {
            "name": row.name,
            **{key: value for key, value in facts.items() if not isinstance(value, dict)},
            "closed_without_answer": sum(row.whole.closed.values()),
            "answered_share": row.whole.answered_share,
            "conversation_share": row.whole.conversation_share,
        }
        if writer is None:
            writer = csv.DictWriter(out, flat.keys(), lineterminator="\n")
            writer.writeheader()
        writer.writerow(flat)
    return out.getvalue()


def _show(rows: list[Row], about: dict[str, Any]) -> None:
    console = Console()
    table = Table(
        "", "answered", "waiting", "closed", "half within", "9 of 10", "in time", "to somebody",
        box=None, pad_edge=False,
    )  # fmt: skip
    for row in rows:
        one = row.whole
        table.add_row(
            row.name, str(one.answered), str(one.waiting), str(sum(one.closed.values())),
            *(_time(at) for at in one.first), _per_cent(one.in_time),
            _per_cent(one.conversation_share),
        )  # fmt: skip
    begin, end, as_of = (about[key].astimezone(UTC) for key in ("from", "to", "as_of"))
    form = "%Y-%m-%d %H:%M"
    console.print(
        f"{begin:{form}} to {end:{form}} UTC, {about['clock']} clock, as of {as_of:{form}}"
    )
    console.print(table)
    whole, quiet = rows[0].whole, rows[0].quiet
    for reason, count in whole.closed.items():
        console.print(f"closed without an answer: {reason.replace('_', ' ')} {count}")
    if any(at is not None for at in whole.next):
        console.print(f"who wrote again: half within {_time(whole.next[0])}")
    if days := about["incident_days"]:
        console.print(
            f"{len(days)} days of incidents; without them half within {_time(quiet.first[0])}, "
            f"in time {_per_cent(quiet.in_time)}"
        )
    for source, hours in about["downtime_hours"].items():
        console.print(f"{source} was down for {hours:g} h: who wrote there then was heard later")


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else span_in_words(timedelta(seconds=seconds))


def _per_cent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
