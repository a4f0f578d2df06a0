"""`presence config`: check the team's file before it is used."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import orjson

from services.alert.team_file import checks
from services.contracts.configuration import Configuration
from services.runtime import configuration

_COUNTED = ("accounts", "people", "rotas", "routes", "destinations")


@click.group()
def config() -> None:
    """Check presence.yaml."""


@config.command()
@click.argument(
    "file", type=click.Path(path_type=Path), envvar="PRESENCE_CONFIG", default="presence.yaml"
)
def check(file: Path) -> None:
    """Say every mistake in FILE (default: PRESENCE_CONFIG, presence.yaml) with its line; exit 2 for one."""
    loaded = configuration.load(file, checks(datetime.now(UTC))).configuration
    counts = (f"{name}: {len(getattr(loaded, name))}" for name in _COUNTED)
    click.echo(f"{file}: good. {', '.join(counts)}")


@config.command()
def schema() -> None:
    """Print the JSON schema, for editors."""
    click.echo(orjson.dumps(Configuration.model_json_schema(), option=orjson.OPT_INDENT_2))
