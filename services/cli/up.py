"""`presence up`: the whole system on this machine, and the demo."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from rich.console import Console

from deploy.local.demo import show
from deploy.local.demo.accounting import DemoSummary
from deploy.local.errors import StackError
from deploy.local.supervisor import termination_as_interrupt
from deploy.local.system import LocalSystem


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("presence-data"),
    show_default=True,
    help="Where Kafka and PostgreSQL keep their data.",
)
@click.option("--demo", is_flag=True, help="Replay the bundled notifications; chat in the browser.")
@click.option("--once", is_flag=True, help="With --demo: end after the replay, with a summary.")
@click.option("--pace", default=1.0, show_default=True, help="With --demo: how fast; 2 is twice.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object, last line.")
def up(data_dir: Path, demo: bool, once: bool, pace: float, as_json: bool) -> None:
    """Run Kafka, PostgreSQL and the three services here, without containers.

    With PRESENCE_KAFKA or PRESENCE_DATABASE_URL set, those are used instead. Ctrl-C stops everything.
    """
    if once and not demo:
        raise click.UsageError("--once goes with --demo")
    console = Console(stderr=True)
    try:
        with termination_as_interrupt():
            if demo:
                summary = show.run(data_dir, console=console, once=once, pace=pace)
                if summary is not None:
                    _print(summary, as_json)
            else:
                _run(data_dir, console)
    except StackError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        console.print("stopped")


def _print(summary: DemoSummary, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(summary.to_json() + "\n")
    else:
        Console().print(summary.to_table())
    sys.stdout.flush()
    if not summary.good:
        raise SystemExit(1)


def _run(data_dir: Path, console: Console) -> None:
    config = Path(os.environ.get("PRESENCE_CONFIG", "presence.yaml"))
    with LocalSystem(data_dir, config=config, environment=os.environ, console=console) as system:
        system.wait_ready()
        console.print(
            f"[bold]Presence is up[/] on {system.stack.kafka.identity}: intake "
            f"{system.stack.url('ingest')}, open episodes {system.stack.url('alert')}. "
            "Ctrl-C ends it."
        )
        system.supervisor.wait()
