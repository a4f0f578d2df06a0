"""`presence topics` and `presence lag`: the Kafka side, with kafka-python's admin client."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from services.contracts.topics import GROUPS, PARTITIONS
from services.runtime import topic_administration
from services.runtime.backlog import Backlog, longest_wait
from services.runtime.settings import ServiceSettings, load


@click.group()
def topics() -> None:
    """Create the Kafka topics, or compare them with the registry."""


@topics.command()
@click.option("--partitions", default=PARTITIONS, show_default=True, help="Of every topic.")
@click.option("--replication", default=-1, help="Replicas of each; -1: the cluster's default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def apply(partitions: int, replication: int, as_json: bool) -> None:
    """Create what is missing and set what differs. Safe to run again."""
    changes = topic_administration.apply(
        load(ServiceSettings), partitions=partitions, replication=replication
    )
    if as_json:
        click.echo(orjson.dumps({"changed": [state.name for state in changes]}))
        return
    for state in changes:
        click.echo(f"{state.name}: {'settings changed' if state.exists else 'created'}")
    click.echo(f"{len(changes)} changed" if changes else "all topics are as registered")


@topics.command()
@click.option("--partitions", default=PARTITIONS, show_default=True, help="Of every topic.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(partitions: int, as_json: bool) -> None:
    """Compare the cluster with the registry; exit 1 where something differs."""
    states = topic_administration.status(load(ServiceSettings), partitions=partitions)
    if as_json:
        click.echo(orjson.dumps({"topics": states}))
    else:
        table = Table("topic", "partitions", "state")
        for state in states:
            differs = ", ".join(f"{k} is {a}, not {b}" for k, (a, b) in state.differs.items())
            if state.exists and state.partitions != state.wanted_partitions:
                differs = f"{state.wanted_partitions} partitions registered; {differs}"
            says = "missing" if not state.exists else differs or "as registered"
            table.add_row(state.name, str(state.partitions or ""), says)
        Console().print(table)
    if not all(state.as_registered for state in states):
        raise SystemExit(1)


@click.command()
@click.option("--by-partition", is_flag=True, help="A row for each partition.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, by partition.")
def lag(by_partition: bool, as_json: bool) -> None:
    """How far each consumer is behind, and since when its oldest unread record waits."""
    found = topic_administration.backlogs(load(ServiceSettings), GROUPS)
    if as_json:
        click.echo(orjson.dumps({"lag": [_row(one) for one in found]}))
    elif not found:
        click.echo("no topic is there yet: `presence topics apply` creates them")
    else:
        Console().print(_by_partition(found) if by_partition else _by_group(found))


def _row(one: Backlog) -> dict[str, Any]:
    return {
        "group": one.group,
        "topic": one.topic,
        "partition": one.partition,
        "committed": -1 if one.committed is None else one.committed,
        "end": one.end,
        "lag": one.records,
        "lost": one.lost,
        "waits_since": one.waits_since,
    }


def _by_partition(found: Sequence[Backlog]) -> Table:
    names = ("group", "topic", "partition", "committed", "end", "lag", "oldest unread")
    table = Table(*names, box=None, pad_edge=False)
    for one in found:
        committed = "–" if one.committed is None else str(one.committed)
        table.add_row(
            one.group, one.topic, str(one.partition), committed, str(one.end), str(one.records),
            _waits([one]),
        )  # fmt: skip
    return table


def _by_group(found: Sequence[Backlog]) -> Table:
    table = Table("group", "topic", "lag", "oldest unread", box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for group, topic in GROUPS:
        mine = [one for one in found if one.group == group and one.topic == topic.name]
        if not mine:
            table.add_row(group, topic.name, "", "no such topic")
            continue
        table.add_row(group, topic.name, str(sum(one.records for one in mine)), _waits(mine))
    return table


def _waits(found: Sequence[Backlog]) -> str:
    """Since when, in a person's words; what was lost is worse than any wait."""
    if lost := sum(one.lost for one in found):
        return f"{lost} deleted unread"
    seconds = longest_wait(found, datetime.now(UTC))
    if not seconds:
        return "–" if not any(one.records for one in found) else "?"
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} old"
    return f"{seconds:.0f} s old"
