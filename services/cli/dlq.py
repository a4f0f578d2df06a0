"""`presence dlq`: what was put aside, and how to go on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import click
import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from rich.console import Console
from rich.table import Table

from services.contracts.events import Notice, NoticeKind
from services.contracts.topics import NOTICES, TOPICS, Header
from services.runtime import kafka_settings
from services.runtime.broker import create_producer
from services.runtime.dead_letter import record_headers
from services.runtime.producer import Record
from services.runtime.settings import ServiceSettings, load


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record of a dead-letter topic."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    origin: str
    failed_at: str
    service: str
    body: bytes
    key: str | None
    event_id: str | None

    @property
    def place(self) -> str:
        """How a person names it: topic:partition:offset."""
        return f"{self.topic}:{self.partition}:{self.offset}"


def _dead_letter(message: Message) -> DeadLetter:
    headers = {name: value.decode("utf-8", "replace") for name, value in record_headers(message)}
    key = message.key()
    origin = ":".join(
        headers.get(header.value, "?")
        for header in (Header.origin_topic, Header.origin_partition, Header.origin_offset)
    )
    return DeadLetter(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        reason=headers.get(Header.reason, "?"),
        detail=headers.get(Header.detail, ""),
        origin=origin,
        failed_at=headers.get(Header.failed_at, ""),
        service=headers.get(Header.service, ""),
        body=message.value() or b"",
        key=key.decode("utf-8", "replace") if isinstance(key, bytes) else key,
        event_id=headers.get(Header.event_id),
    )


def read_dead_letters(settings: ServiceSettings, topics: list[str]) -> Iterator[DeadLetter]:
    """Everything on these dead-letter topics, oldest first in each partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": "presence-dlq-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            **kafka_settings.security(settings),
        }
    )
    with closing(consumer):
        try:
            there = consumer.list_topics(timeout=10).topics
        except KafkaException as error:
            raise click.ClickException(
                f"Kafka does not answer at {settings.kafka} (PRESENCE_KAFKA)"
            ) from error
        places = [
            TopicPartition(topic, partition, OFFSET_BEGINNING)
            for topic in topics
            if topic in there
            for partition in there[topic].partitions
        ]
        consumer.assign(places)
        left = {(place.topic, place.partition) for place in places}
        while left:
            message = consumer.poll(10)
            if message is None:
                raise click.ClickException("Kafka did not answer within 10 s")
            if message.error():
                left.discard((message.topic() or "", message.partition() or 0))
                continue
            yield _dead_letter(message)


def _topics(only: str | None) -> list[str]:
    every = [topic.name for topic in TOPICS if topic.name.endswith(".dlq")]
    if only is None:
        return every
    wanted = only if only.endswith(".dlq") else f"{only}.dlq"
    if wanted not in every:
        raise click.UsageError(f"no dead-letter topic {wanted} (there is: {', '.join(every)})")
    return [wanted]


@click.group()
def dlq() -> None:
    """Look at dead letters, replay them, resume a stopped line."""


@dlq.command(name="list")
@click.option("--topic", help="Only of this topic.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(topic: str | None, as_json: bool) -> None:
    """What was put aside, and why."""
    table = Table("where", "reason", "detail", "from", "failed at")
    for letter in read_dead_letters(load(ServiceSettings), _topics(topic)):
        if as_json:
            facts = {**asdict(letter), "body": letter.body.decode("utf-8", "replace")}
            click.echo(orjson.dumps(facts))
        else:
            table.add_row(
                letter.place, letter.reason, letter.detail[:80], letter.origin, letter.failed_at
            )
    if not as_json:
        Console().print(table if table.row_count else "no dead letters")


@dlq.command()
@click.argument("place")
def show(place: str) -> None:
    """The original bytes of one dead letter: PLACE is topic:partition:offset."""
    for letter in read_dead_letters(load(ServiceSettings), _topics(place.split(":")[0])):
        if letter.place == place:
            click.echo(letter.body)
            return
    raise click.ClickException(f"no dead letter at {place}")


@dlq.command()
@click.argument("place")
def replay(place: str) -> None:
    """Put one dead letter back on the topic it came from: PLACE is topic:partition:offset."""
    settings = load(ServiceSettings)
    for letter in read_dead_letters(settings, _topics(place.split(":")[0])):
        if letter.place != place:
            continue
        origin = letter.topic.removesuffix(".dlq")
        if origin == "presence.intake":
            raise click.ClickException("an intake payload goes back with `presence replay`")
        headers = ((Header.event_id.value, letter.event_id.encode()),) if letter.event_id else ()
        asyncio.run(_publish(settings, Record(origin, letter.key, letter.body, headers)))
        click.echo(f"{place} is on {origin} again")
        return
    raise click.ClickException(f"no dead letter at {place}")


@dlq.command()
@click.argument("service", type=click.Choice(["classify", "alert", "ingest"]))
def resume(service: str) -> None:
    """Let SERVICE read on after its dead-letter limit tripped; it probes one record first."""
    notice = Notice(
        kind=NoticeKind.dead_letter_resumed,
        service=service,
        source="operator",
        says=f"a person resumed {service}",
        at=datetime.now(UTC),
    )
    record = Record(NOTICES.name, notice.key, notice.to_bytes())
    asyncio.run(_publish(load(ServiceSettings), record))
    click.echo(f"{service} goes on within seconds, with one record first")


async def _publish(settings: ServiceSettings, record: Record) -> None:
    producer = create_producer(settings, service="operator")
    producer.start()
    try:
        await producer.publish([record])
    finally:
        await producer.close()
