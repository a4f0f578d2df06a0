"""`presence topics` and `presence lag`: the Kafka side, with kafka-python's admin client."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click
import orjson
from kafka import TopicPartition
from kafka.admin import OffsetSpec
from rich.console import Console
from rich.table import Table

from services.contracts.topics import CLASSIFIED, NOTIFICATIONS, PARTITIONS
from services.runtime import topic_administration
from services.runtime.settings import ServiceSettings, load

GROUPS = {"presence-classify": NOTIFICATIONS, "presence-alert": CLASSIFIED}
"""Consumer group → what it reads."""


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
@click.option("--partitions", default=PARTITIONS, show_default=True)
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


def _lags(admin: Any, group: str, topic: str) -> list[dict[str, Any]]:
    known = {one["name"]: one for one in admin.describe_topics([topic])}
    partitions = range(len(known.get(topic, {}).get("partitions", ())))
    places = [TopicPartition(topic, partition) for partition in partitions]
    ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    committed = admin.list_group_offsets({group: places})[group]
    found = []
    for place in places:
        offset = committed[place].offset if place in committed else -1
        end = ends[place].offset
        behind = end - max(offset, 0)
        found.append({"group": group, "topic": topic, "partition": place.partition,
                      "committed": offset, "end": end, "lag": behind})  # fmt: skip
    return found


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def lag(as_json: bool) -> None:
    """How far each consumer is behind, by partition."""
    settings = load(ServiceSettings)
    with closing(topic_administration.connect(settings)) as admin:
        rows = [row for group, topic in GROUPS.items() for row in _lags(admin, group, topic.name)]
    if as_json:
        click.echo(orjson.dumps({"lag": rows}))
        return
    table = Table("group", "topic", "partition", "committed", "end", "lag")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
