"""`presence evaluate --shadow`: reads presence.shadow and presence.corrections and says which is better."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from confluent_kafka import KafkaException
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from services.classify.teaching import read_all
from services.classify.training.challenge import compare
from services.classify.training.corrections import last_corrections
from services.contracts.events import Comparison
from services.contracts.topics import SHADOW
from services.runtime.settings import ServiceSettings, load

_SAYS = {
    "challenger": "The challenger is better: switch with classify.model",
    "champion": "The model that serves is better: keep it",
    "unknown": "Not known yet: the interval holds both. Let it run on, or look at the disagreements",
}


def evaluate_shadow(*, as_json: bool) -> None:
    """Print it."""
    settings = load(ServiceSettings)
    try:
        comparisons = _comparisons(settings)
        corrections = last_corrections(settings)
    except KafkaException as error:
        raise click.ClickException(
            f"presence.shadow can't be read at {settings.kafka} (PRESENCE_KAFKA): {error}"
        ) from error
    if not comparisons:
        raise click.ClickException(
            "presence.shadow is empty: name a challenger under classify.shadow.model and let it run"
        )
    found = compare(comparisons, corrections, datetime.now(UTC))
    if as_json:
        click.echo(orjson.dumps(found))
        return
    show(found)


def _comparisons(settings: ServiceSettings) -> list[Comparison]:
    found = []
    for _, value in read_all(settings, SHADOW):
        try:
            found.append(Comparison.model_validate_json(value or b""))
        except ValidationError:
            click.echo("a record of presence.shadow could not be read", err=True)
    return found


def show(found: Mapping[str, Any]) -> None:
    """For a person at a terminal."""
    console = Console()
    console.print(f"serving {found['champion']}, in its shadow {found['challenger']}")
    console.print(
        f"{found['items']} items, agreement {found['agreement']:.1%}, "
        f"{found['disagreements']} disagreements:"
    )
    table = Table("serving says", "challenger says", "items")
    for one in found["by_label"]:
        table.add_row(one["champion"], one["challenger"], str(one["items"]))
    console.print(table)
    console.print(
        f"corrected towards the challenger {found['corrected_towards_challenger']}, "
        f"towards the serving model {found['corrected_towards_champion']}, "
        f"seen and let stand {found['seen_and_let_stand']}, nobody looked {found['nobody_looked']}, "
        f"younger than 12 h {found['too_fresh']}"
    )
    for name, says in (("as_seen", "counting what was let stand"), ("corrected", "corrected only")):
        one = found["challenger_right"][name]
        share = "-" if one["share"] is None else f"{one['share']:.0%}"
        low, high = one["interval"]
        console.print(f"challenger right ({says}): {share} of {one['of']}, {low:.0%} to {high:.0%}")
    console.print(_SAYS[found["better"]])
