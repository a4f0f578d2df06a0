"""`presence oncall explain`: who would be paged for this, when and why."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.alert.domain.explanation import Explanation, explain_item
from services.alert.domain.items import item_from
from services.alert.domain.rota_words import name_of, time_of
from services.alert.store.explaining import Explained, explain_episode
from services.cli.rota_source import (
    Team,
    at_option,
    file_option,
    in_database,
    instant,
    json_option,
    read_team,
)
from services.contracts.configuration import Configuration
from services.contracts.events import (
    Action,
    ClassifiedNotification,
    Label,
    Notification,
    Sensitive,
    Urgency,
    Verdict,
)
from services.runtime.postgres import Pool


@click.command()
@click.argument("what", metavar="FILE|EPISODE")
@file_option
@at_option
@click.option(
    "--label",
    type=click.Choice([one.value for one in Label]),
    default="conversation",
    help="For a FILE: as if classify had said so.",
)
@click.option(
    "--urgency",
    type=click.Choice([one.value for one in Urgency]),
    default="normal",
    help="The same.",
)
@click.option(
    "--sensitive",
    multiple=True,
    type=click.Choice([one.value for one in Sensitive]),
    help="The same; several times for several.",
)
@json_option
def explain(
    what: str,
    file: Path,
    at: str | None,
    label: str,
    urgency: str,
    sensitive: tuple[str, ...],
    as_json: bool,
) -> None:
    """Who would be paged, when and why: for a notification, or an episode by its id or number.

    FILE holds a notification or a classified notification as JSON, and is taken as if it arrived now (or
    at --at). --label, --urgency and --sensitive stand for the verdict that a bare notification lacks.
    """
    source = read_team(file)
    path = Path(what)
    if path.is_file():
        event, assumed = _read(path, label, urgency, sensitive)
        found = _of_file(source.holds, event, assumed, instant(at))
        log: list[dict[str, Any]] = []
    else:
        stored = _of_episode(source, what)
        found = stored.next
        log = [asdict(one) for one in stored.paged]
    if as_json:
        click.echo(orjson.dumps({"paged": log, **asdict(found)}))
    else:
        _show(source.holds, found, log)


def _read(
    path: Path, label: str, urgency: str, sensitive: tuple[str, ...]
) -> tuple[ClassifiedNotification, bool]:
    """The event, and whether its verdict was assumed."""
    raw = path.read_bytes()
    try:
        facts = orjson.loads(raw)
        if isinstance(facts, dict) and "notification" in facts:
            return ClassifiedNotification.model_validate_json(raw), False
        said = Notification.model_validate_json(raw)
    except (orjson.JSONDecodeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise click.ClickException(f"{path}: no notification as JSON ({first})") from error
    verdict = None
    if said.needs_verdict:
        chosen = Label(label)
        verdict = Verdict(
            label=chosen,
            scores={one: float(one is chosen) for one in Label},
            needs_answer=1.0,
            urgency=Urgency(urgency),
            sensitive=frozenset(Sensitive(one) for one in sensitive),
            language=said.language_hint or "und",
            engine="assumed",
            model="assumed",
        )
    event = ClassifiedNotification(
        notification=said, verdict=verdict, classified_at=said.received_at
    )
    return event, verdict is not None


def _of_file(
    team: Configuration, event: ClassifiedNotification, assumed: bool, now: datetime
) -> Explanation:
    said = event.notification
    if said.action is not Action.created:
        return Explanation(False, (f"{said.action.value}: it changes an item and opens nothing",))
    found = explain_item(team, item_from(event, team.classify.needs_answer), now)
    notes = list(found.notes)
    if assumed:
        notes.append("its verdict is assumed (--label, --urgency, --sensitive)")
    account = team.account(said.platform, said.account_id)
    if account is None:
        notes.append(f"presence.yaml has no {said.platform} account {said.account_id}")
    elif account.quiet_start and found.steps:
        notes.append("in the account's quiet start cards are posted and nobody is paged")
    return replace(found, notes=tuple(notes))


def _of_episode(source: Team, name: str) -> Explained:
    if not source.run_time and not name.lstrip("#").isalnum():
        raise click.ClickException(f"there is no file {name}")

    async def read(pool: Pool) -> Explained | None:
        async with pool.connection() as connection:
            return await explain_episode(connection, source.holds, name)

    found = in_database(read)
    if found is None:
        raise click.ClickException(f"there is no file {name}, and no episode of that id or number")
    return found


def _show(team: Configuration, found: Explanation, log: list[dict[str, Any]]) -> None:
    console = Console()
    zone = team.rotas[0].zone
    table = Table("route", "", "why", box=None)
    for tried in found.routes:
        mark = "[green]takes it[/]" if tried.matched else "passed by"
        table.add_row(tried.route, mark, escape(tried.why))
    if found.routes:
        console.print(table)
    if found.opened_at is not None and found.due_at is not None:
        due = time_of(found.due_at, zone)
        where = ", ".join(found.destinations)
        console.print(f"policy {found.policy}, card in {where}, answer due {due} ({zone})")
    for note in found.notes:
        console.print(f"· {escape(note)}", highlight=False)
    for page in log:
        who = name_of(team, page["person"])
        console.print(f"paged {time_of(page['at'], zone)}: {escape(who)} (step {page['step'] + 1})")
    if not found.opens:
        console.print("nobody is paged: no episode opens", style="bold")
    if not found.steps:
        return
    table = Table("when", "step", "asks for", "pages", "tells", "why", box=None, padding=(0, 1))
    for one in found.steps:
        after = one.at - (found.opened_at or one.at)
        when = f"{time_of(one.at, zone, beside=found.opened_at)} (+{_short(after.total_seconds())})"
        pages = ", ".join(
            f"{name_of(team, page.person)} in {page.destination}" for page in one.pages
        )
        tells = ", ".join(dict.fromkeys(tell.destination for tell in one.tells))
        cells = ("\n".join(one.asked), pages or "nobody", tells, "\n".join(one.why))
        table.add_row(when, str(one.step + 1), *(escape(cell) for cell in cells))
    console.print(table)


def _short(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 120 else f"{minutes} min"
