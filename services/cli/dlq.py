"""`presence dlq`: what was put aside, and how to go on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import click
import orjson
from confluent_kafka import (
    OFFSET_BEGINNING,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services.contracts.events import Notice, NoticeKind
from services.contracts.topics import INTAKE_DLQ, NOTICES, TOPICS, Header
from services.runtime.broker import create_producer
from services.runtime.dead_letter import record_headers
from services.runtime.errors import Transient
from services.runtime.producer import Record
from services.runtime.reading import open_reader
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
    headers: dict[str, str]
    """Of the webhook's request, where it came by one."""
    truncated: bool
    trace: str | None

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
        headers=orjson.loads(headers.get(Header.origin_headers, "{}")),
        truncated=Header.origin_sha256 in headers,
        trace=headers.get(Header.trace),
    )


def read_dead_letters(settings: ServiceSettings, topics: list[str]) -> Iterator[DeadLetter]:
    """Everything on these dead-letter topics, oldest first in each partition."""
    consumer = open_reader(settings, "dlq-reader")
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
            problem = message.error()
            if problem is not None:
                if problem.code() != KafkaError._PARTITION_EOF:
                    raise click.ClickException(
                        f"Kafka does not hand out what it keeps: {problem.str()}"
                    )
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
            click.echo(orjson.dumps(_facts(letter)))
        else:
            table.add_row(
                letter.place, letter.reason, letter.detail[:80], letter.origin, letter.failed_at
            )
    if not as_json:
        Console().print(table if table.row_count else "no dead letters")


@dlq.command()
@click.argument("place")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object, with its reason and headers."
)
def show(place: str, as_json: bool) -> None:
    """The original bytes of one dead letter: PLACE is topic:partition:offset."""
    letter = _at(load(ServiceSettings), place)
    click.echo(orjson.dumps(_facts(letter)) if as_json else letter.body)


@dlq.command()
@click.argument("place")
@click.option("--page", is_flag=True, help="What goes back through the intake may page people.")
@click.option("--url", help="Where ingest is; default: this machine, PRESENCE_INGEST_PORT.")
def replay(place: str, page: bool, url: str | None) -> None:
    """Put one dead letter back where it came from: PLACE is topic:partition:offset.

    A record goes onto its topic again. A webhook's payload goes through the real intake again, under the
    configuration of now (it counts as a replay and pages nobody without --page).
    """
    settings = load(ServiceSettings)
    letter = _at(settings, place)
    if letter.truncated:
        raise click.ClickException(f"{place} was over 900 kB and is kept in part only")
    if letter.topic == INTAKE_DLQ.name:
        _through_the_intake(letter, url, page=page)
        return
    origin = letter.topic.removesuffix(".dlq")
    headers = [(Header.event_id, letter.event_id), (Header.trace, letter.trace)]
    kept = tuple((name.value, value.encode()) for name, value in headers if value)
    asyncio.run(_publish(settings, Record(origin, letter.key, letter.body, kept)))
    click.echo(f"{place} is on {origin} again")


def _through_the_intake(letter: DeadLetter, url: str | None, *, page: bool) -> None:
    from services.cli.replay import Line, open_sender, send_all
    from services.ingest.sources.registry import PULLED

    source = letter.origin.partition(":")[0]
    if source in PULLED:
        raise click.ClickException(
            f"{letter.place} was read from {source}, which posts nothing: answer it on the platform, "
            "and send us its form (presence dlq show)"
        )
    sender, sources = open_sender(url, page=page)
    if source not in sources:
        known = ", ".join(sorted(sources))
        raise click.ClickException(f"presence.yaml has no source {source!r} (there is: {known})")
    line = Line(letter.place, source, letter.body, letter.headers)
    with Progress(disable=True) as silent:
        asyncio.run(send_all(sender, [line], None, silent))
    if sender.wrong:
        raise click.ClickException(sender.wrong[0])
    if sender.counted["dead_letters"]:
        raise click.ClickException(f"{letter.place} still cannot be read: it stays where it is")
    told = ", ".join(f"{count} {name}" for name, count in sender.counted.items() if count)
    click.echo(f"{letter.place} went through the intake again: {told or 'nothing in it'}")


def _at(settings: ServiceSettings, place: str) -> DeadLetter:
    """The dead letter there; UsageError or ClickException where there is none."""
    topic, _, rest = place.partition(":")
    partition, _, offset = rest.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise click.UsageError(f"{place} is no topic:partition:offset (see `presence dlq list`)")
    for letter in read_dead_letters(settings, _topics(topic)):
        if letter.place == place:
            return letter
    raise click.ClickException(f"no dead letter at {place}")


def _facts(letter: DeadLetter) -> dict[str, object]:
    return {**asdict(letter), "body": letter.body.decode("utf-8", "replace")}


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
    except Transient as error:
        raise click.ClickException(
            f"Kafka does not take it at {settings.kafka} (PRESENCE_KAFKA): {error.detail}"
        ) from error
    finally:
        await producer.close()
