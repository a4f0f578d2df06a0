"""`presence oncall override|export|import-time-off`: changes of the rota at run time, and calendars."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import orjson
from rich.console import Console
from rich.table import Table

from services.alert.calendars import CalendarError, absences, repeated, shifts_calendar
from services.alert.chat.links import Links
from services.alert.domain.rota_changes import ChangeKind, Proposal, RotaChange
from services.alert.domain.rota_words import change_in_words, name_of
from services.alert.domain.wall_clock import Span
from services.alert.ports import Actor
from services.alert.roster import ChangeOutcome, ChangeResult, override_facts, proposal_facts
from services.alert.store.overrides import Imported, PostgresRoster
from services.cli.rota_source import (
    at_option,
    file_option,
    in_database,
    instant,
    json_option,
    read_team,
    rota_option,
    rotas_named,
    shown_name,
    shown_time,
)
from services.contracts.configuration import Configuration, parse_duration
from services.runtime import configuration
from services.runtime.postgres import Pool
from services.runtime.settings import secret

by_option = click.option(
    "--by", default=getpass.getuser, show_default="you", help="Who sets it, for the audit record."
)
yes_option = click.option("--yes", is_flag=True, help="Accept gaps and do not ask.")


def _actor(by: str) -> Actor:
    return Actor(by, "cli")


@click.group()
def override() -> None:
    """Change who is on call, at run time: overrides, swaps, time off."""


@override.command("list")
@file_option
@json_option
def list_overrides(file: Path, as_json: bool) -> None:
    """What was set at run time and has not ended."""
    team = configuration.load(file).configuration

    async def read(pool: Pool) -> Any:
        return await PostgresRoster(pool, lambda: team).overrides()

    rows = in_database(read)
    if as_json:
        facts = [{**override_facts(row.change), "says": row.says} for row in rows]
        click.echo(orjson.dumps({"overrides": facts}))
    elif not rows:
        click.echo("nothing was set at run time")
    else:
        table = Table("id", "rota", "what", box=None)
        for row in rows:
            table.add_row(row.change.id, row.change.rota or "every rota", row.says)
        Console().print(table)


@override.command()
@file_option
@click.option("--rota", help="Which rota; may be left out where there is one, and for time off.")
@click.option("--person", required=True, help="Who takes over, or with --away is away.")
@click.option("--from", "begin", help="2026-12-24T18:00:00+01:00; left out: now.")
@click.option("--to", "end", help="Until when.")
@click.option("--for", "length", help="For how long instead: 2h, 1d.")
@click.option("--instead-of", help="A swap: only the shifts of this person.")
@click.option("--back-from", help="A swap: from when the other one takes over in return …")
@click.option("--back-to", help="… and until when.")
@click.option("--away", is_flag=True, help="Time off instead: the next in turn stands in.")
@click.option("--note", help="Why, for the others.")
@click.option("--look", is_flag=True, help="Only say what it would do.")
@by_option
@yes_option
@json_option
def add(
    file: Path,
    rota: str | None,
    person: str,
    begin: str | None,
    end: str | None,
    length: str | None,
    instead_of: str | None,
    back_from: str | None,
    back_to: str | None,
    away: bool,
    note: str | None,
    look: bool,
    by: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Set an override, a swap (--instead-of) or time off (--away).

    Says first who would be on call instead, which hours would have nobody, and how the load moves.
    """
    team = configuration.load(file).configuration
    if rota is None and not away and len(team.rotas) == 1:
        rota = team.rotas[0].id
    if (back_from is None) != (back_to is None):
        raise click.UsageError("--back-from and --back-to go together")
    start = instant(begin)
    kind = ChangeKind.swap if instead_of else ChangeKind.override
    change = RotaChange(
        id="",
        kind=ChangeKind.time_off if away else kind,
        rota=rota,
        person=person,
        begin=start,
        end=_end(start, end, length),
        instead_of=instead_of,
        back=Span(instant(back_from), instant(back_to)) if back_from else None,
        note=note,
    )

    def ask(*, only_look: bool) -> ChangeOutcome:
        async def work(pool: Pool) -> ChangeOutcome:
            roster = PostgresRoster(pool, lambda: team)
            return await roster.change(change, _actor(by), accept_gaps=True, only_look=only_look)

        return in_database(work)

    _propose_and_do(team, ask, look=look, yes=yes, as_json=as_json)


@override.command()
@file_option
@click.argument("change_id", metavar="ID")
@click.option("--look", is_flag=True, help="Only say what it would do.")
@by_option
@yes_option
@json_option
def remove(file: Path, change_id: str, look: bool, by: str, yes: bool, as_json: bool) -> None:
    """Take back what was set at run time (ID as `override list` shows it)."""
    team = configuration.load(file).configuration

    def ask(*, only_look: bool) -> ChangeOutcome:
        async def work(pool: Pool) -> ChangeOutcome:
            roster = PostgresRoster(pool, lambda: team)
            return await roster.remove(change_id, _actor(by), accept_gaps=True, only_look=only_look)

        return in_database(work)

    _propose_and_do(team, ask, look=look, yes=yes, as_json=as_json)


def _end(start: datetime, end: str | None, length: str | None) -> datetime:
    if (end is None) == (length is None):
        raise click.UsageError("say either --to or --for")
    if end is not None:
        return instant(end)
    try:
        span: timedelta = parse_duration(length)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from error
    return start + span


def _propose_and_do(team: Configuration, ask: Any, *, look: bool, yes: bool, as_json: bool) -> None:
    """Report first; then, if that is accepted, do it. The doing is judged anew."""
    outcome: ChangeOutcome = ask(only_look=True)
    good = outcome.result is ChangeResult.proposed
    if good and not as_json:
        show(team, outcome.proposal)
    if good and not look:
        gaps = bool(outcome.proposal.gaps)
        if gaps and not yes and as_json:
            raise click.ClickException("it leaves hours without anybody: add --yes to accept them")
        if not yes and not as_json:
            question = "Accept hours without anybody?" if gaps else "Do it?"
            click.confirm(question, abort=True, default=not gaps)
        outcome = ask(only_look=False)
    if as_json:
        facts = {
            "result": outcome.result.value,
            "change": override_facts(outcome.change) if outcome.change else None,
            **proposal_facts(outcome.proposal),
        }
        click.echo(orjson.dumps(facts))
    elif outcome.result is ChangeResult.done and outcome.change is not None:
        zone = next((r.zone for r in team.rotas if r.id == outcome.change.rota), team.rotas[0].zone)
        click.echo(f"{outcome.change.id}: {change_in_words(team, outcome.change, zone)}")
    if outcome.result is ChangeResult.refused:
        raise click.ClickException("; ".join(outcome.proposal.refused))
    if outcome.result is ChangeResult.unknown:
        raise click.ClickException("there is no such change: see presence oncall override list")


def show(team: Configuration, proposal: Proposal) -> None:
    """What a change does, for a person who decides."""
    console = Console()
    rotas = {rota.id: rota for rota in team.rotas}
    table = Table("rota", "from", "to", "now", "then", title="who is on call instead", box=None)
    for one in proposal.shifted:
        rota = rotas[one.rota]
        then = shown_name(team, one.after) if one.after else "[red]nobody[/]"
        begin, end = shown_time(one.begin, rota), shown_time(one.end, rota)
        table.add_row(one.rota, begin, end, shown_name(team, one.before), then)
    console.print(table if proposal.shifted else "nobody else is on call by this")
    if proposal.balance:
        table = Table(
            "who", "hours", "nights", "weekends", "holidays", title="hours on call", box=None
        )
        for person, (was, will) in sorted(proposal.balance.items()):
            pairs = (
                (was.hours, will.hours),
                (was.nights, will.nights),
                (was.weekends, will.weekends),
                (was.holidays, will.holidays),
            )
            table.add_row(shown_name(team, person), *(f"{a:.0f} → {b:.0f}" for a, b in pairs))
        console.print(table)
    for rota_id, span in proposal.gaps:
        rota = rotas[rota_id]
        begin, end = shown_time(span.begin, rota), shown_time(span.end, rota)
        console.print(f"[red]nobody[/] on {rota_id} from {begin} to {end}")
    for warning in proposal.warnings:
        console.print(f"[yellow]note[/] {warning}")


@click.command()
@file_option
@at_option
@rota_option
@click.option("--person", help="Only this person's shifts, of every rota.")
@click.option("--out", type=click.Path(path_type=Path), help="Write here instead of to the output.")
@click.option("--url", is_flag=True, help="The address to subscribe to, instead of the file.")
def export(
    file: Path, at: str | None, name: str | None, person: str | None, out: Path | None, url: bool
) -> None:
    """The shifts of three months as iCalendar, of a rota or a person; or their address (--url).

    The address needs PRESENCE_PUBLIC_URL and PRESENCE_LINK_SECRET as alert has them. Who has it can read
    the calendar: give each person their own.
    """
    team = read_team(file).holds
    if person is not None and team.person(person) is None:
        there = ", ".join(one.id for one in team.people)
        raise click.BadParameter(f"no person {person!r} (there is: {there})")
    found = rotas_named(team, name)
    if url:
        links = Links(
            secret("PRESENCE_PUBLIC_URL").get_secret_value(), secret("PRESENCE_LINK_SECRET")
        )
        wanted = (
            [links.calendar(person=person)]
            if person
            else [links.calendar(rota=r.id) for r in found]
        )
        click.echo("\n".join(wanted))
        return
    of = name_of(team, person) if person else ", ".join(rota.id for rota in found)
    text = shifts_calendar(team, found, instant(at), person=person, title=f"On call: {of}")
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_bytes(text)


@click.command("import-time-off")
@click.argument("calendar", type=click.File(encoding="utf-8"))
@file_option
@click.option("--person", required=True, help="Whose absences they are.")
@click.option("--word", "words", multiple=True, help="Only entries with this word (vacation).")
@by_option
@yes_option
@json_option
def import_time_off(
    calendar: Any,
    file: Path,
    person: str,
    words: tuple[str, ...],
    by: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Take over a person's absences from an iCalendar file (- for standard input).

    Importing again follows the calendar: moved entries move, and those that are gone are taken back.
    """
    team = configuration.load(file).configuration
    somebody = team.person(person)
    if somebody is None:
        there = ", ".join(one.id for one in team.people)
        raise click.BadParameter(f"no person {person!r} (there is: {there})")
    text = calendar.read()
    try:
        found = absences(text, ZoneInfo(somebody.zone), datetime.now(UTC), words=words)
        again = repeated(text)
    except CalendarError as error:
        raise click.ClickException(str(error)) from error

    def ask(*, only_look: bool) -> Imported:
        async def work(pool: Pool) -> Imported:
            roster = PostgresRoster(pool, lambda: team)
            return await roster.import_time_off(person, found, _actor(by), only_look=only_look)

        return in_database(work)

    looked = ask(only_look=True)
    if not as_json:
        show(team, looked.proposal)
        for summary in again:
            click.echo(f"note: {summary!r} repeats: only its first time is read", err=True)
        click.echo(
            f"{looked.added} to add, {looked.removed} to take back, {looked.kept} as they are"
        )
    if (looked.added or looked.removed) and not yes:
        if as_json:
            raise click.ClickException("add --yes to change the rota")
        click.confirm("Do it?", abort=True, default=not looked.proposal.gaps)
    done = ask(only_look=False)
    if as_json:
        facts = {"added": done.added, "removed": done.removed, "kept": done.kept}
        click.echo(orjson.dumps({**facts, **proposal_facts(done.proposal)}))
