"""`presence doctor`: what is wrong, in words, and how to mend it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import orjson
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from services.contracts.configuration import Configuration
from services.runtime import configuration as presence_yaml
from services.runtime.checks import (
    Check,
    Checked,
    Finding,
    State,
    answered,
    good,
    run_checks,
    unknown,
    wrong,
)
from services.runtime.clock import SystemClock
from services.runtime.errors import WrongConfiguration
from services.runtime.settings import ServiceSettings, load, optional_secret, secret
from services.runtime.system_checks import system_checks

MARKS = {State.good: "[green]✓[/]", State.wrong: "[red]✗[/]", State.unknown: "[dim]–[/]"}
# Extra → a package that only it brings.
EXTRAS = {"ingest": "standardwebhooks", "classify": "py3langid", "alert": "slack_sdk"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--send-test", is_flag=True, help="Post a line marked [test] to every destination.")
@click.option("--intake-url", help="Where platforms reach ingest, if not at PRESENCE_PUBLIC_URL.")
def doctor(as_json: bool, send_test: bool, intake_url: str | None) -> None:
    """Look at everything that Presence needs; exit 1 where something is wrong.

    Configuration, connections, topics, the credentials of every source and destination, addresses. Each
    check takes at most 5 seconds, all at once. Nothing is changed, and nothing sent without --send-test.
    """
    checks = list(_checks(send_test=send_test, intake_url=intake_url))
    results = asyncio.run(_ask(checks, show=not as_json))
    failed = [one for one in results if one.finding.state is State.wrong]
    if as_json:
        click.echo(orjson.dumps({"good": not failed, "checks": [_row(one) for one in results]}))
    else:
        _print(results, len(failed))
    if failed:
        raise SystemExit(1)


async def _ask(checks: Sequence[Check], *, show: bool) -> list[Checked]:
    console = Console(stderr=True)
    columns = (TextColumn("looking"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not (show and console.is_terminal)
    ) as bar:
        task = bar.add_task("looking", total=len(checks))
        return await run_checks(checks, done=lambda _: bar.advance(task))


def _checks(*, send_test: bool, intake_url: str | None) -> Iterator[Check]:
    yield from _extras()
    configuration, read = _configuration()
    yield answered("system", "presence.yaml", read)
    settings, problem = _kafka()
    if problem is not None:
        yield answered("system", "Kafka", problem)
    database_url, problem = _from_environment("PRESENCE_DATABASE_URL")
    if problem is not None:
        yield answered("system", "PostgreSQL", problem)
    yield from system_checks(settings, database_url)
    public_url = os.environ.get("PRESENCE_PUBLIC_URL") or None
    if configuration is not None and _there("ingest"):
        from services.ingest.checks import source_checks

        yield from source_checks(configuration, secret, SystemClock(), intake_url or public_url)
    if _there("alert"):
        yield from _alert(configuration, public_url, send_test=send_test)


def _alert(
    configuration: Configuration | None, public_url: str | None, *, send_test: bool
) -> Iterator[Check]:
    from services.alert import checks
    from services.alert.chat.links import Links

    link_secret, finding = _from_environment("PRESENCE_LINK_SECRET")
    if finding is not None and link_secret is None:
        yield answered(checks.LINKS, "PRESENCE_LINK_SECRET", finding)
    else:
        yield from checks.link_checks(public_url, link_secret)
    if configuration is None:
        return
    yield from checks.destination_checks(configuration, secret)
    if not send_test:
        return
    try:
        links = Links(public_url or "http://localhost", link_secret or SecretStr(""))
    except ValueError as error:
        yield answered(checks.TEST, "all", wrong(str(error), ""))
        return
    yield from checks.test_line_checks(configuration, secret, links, SystemClock())


def _there(extra: str) -> bool:
    return importlib.util.find_spec(EXTRAS[extra]) is not None


def _extras() -> Iterator[Check]:
    absent = [extra for extra in EXTRAS if not _there(extra)]
    if absent:
        listed = ", ".join(absent)
        mend = f"pip install 'presence[{','.join(absent)}]' where those services run"
        finding = unknown(
            f"not installed here: {listed}; what belongs to them is not looked at", mend
        )
    else:
        finding = good(f"{', '.join(EXTRAS)} are installed")
    yield answered("system", "extras", finding)


def _configuration() -> tuple[Configuration | None, Finding]:
    path = os.environ.get("PRESENCE_CONFIG", "presence.yaml")
    try:
        file = presence_yaml.load(Path(path)).configuration
    except WrongConfiguration as error:
        lines = str(error).splitlines()
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        mend = (
            "presence config check lists every mistake with its line"
            if Path(path).exists()
            else "cp presence.example.yaml presence.yaml, and fill in your accounts and people"
        )
        return None, wrong(lines[0] + more, mend)
    says = f"{len(file.accounts)} accounts, {len(file.people)} people, {len(file.routes)} routes"
    return file, good(f"{path}: {says}")


def _kafka() -> tuple[ServiceSettings | None, Finding | None]:
    try:
        return load(ServiceSettings), None
    except WrongConfiguration as error:
        return None, wrong(str(error), "PRESENCE_KAFKA is the bootstrap servers, host:port")


def _from_environment(variable: str) -> tuple[SecretStr | None, Finding | None]:
    try:
        found = optional_secret(variable)
    except WrongConfiguration as error:
        return None, wrong(str(error), "mend the path, or who may read it")
    if found is None and variable == "PRESENCE_DATABASE_URL":
        return None, wrong(f"{variable} is not set", "postgresql://user:password@host/name")
    return found, None


def _row(one: Checked) -> dict[str, str]:
    finding = one.finding
    return {
        "area": one.area,
        "check": one.name,
        "state": finding.state.value,
        "says": finding.says,
        "mend": finding.mend,
    }


def _print(results: Sequence[Checked], failed: int) -> None:
    console = Console()
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(width=1)
    table.add_column(no_wrap=False, max_width=34)
    table.add_column(overflow="fold")
    area = None
    for one in results:
        if one.area != area:
            table.add_row("", f"[bold]{one.area if area is None else chr(10) + one.area}[/]", "")
            area = one.area
        mend = one.finding.mend if one.finding.state is not State.good else ""
        says = escape(one.finding.says) + (f"\n[dim]→ {escape(mend)}[/]" if mend else "")
        table.add_row(MARKS[one.finding.state], escape(one.name), says)
    console.print(table)
    unsure = sum(one.finding.state is State.unknown for one in results)
    console.print()
    if failed:
        console.print(
            f"[red]{failed} of {len(results)} are wrong.[/] {unsure} cannot be told from here."
        )
    else:
        console.print(
            f"[green]Nothing is wrong.[/] {unsure} of {len(results)} cannot be told from here."
        )
