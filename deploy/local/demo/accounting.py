"""What came of the story: counted where it is kept, so that nothing lost can hide."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import psycopg
from confluent_kafka import Consumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from deploy.local.demo.replay import Summary
from deploy.local.stack import LocalStack
from services.contracts.topics import CLASSIFIED, INTAKE_DLQ, NOTIFICATIONS


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """The figures of one run; `--json` prints them on one line."""

    notifications: int
    """Accepted: distinct events on presence.notifications."""
    duplicates: int
    """Repetitions that ingest dropped."""
    dead_letters: int
    """Put aside, with the reason."""
    verdicts: dict[str, int]
    episodes: int
    cards: int
    answered: int
    written: int
    """Answers of these that were written in Presence and posted by it."""
    closed: int
    """Ended without an answer."""
    escalated: int
    """Episodes that went beyond their first step."""
    held: int
    """Addressed to us, looked like spam or news: kept, never dropped."""
    lost: int
    """Accepted minus accounted for: 0, or something is broken."""
    p50_ms: float | None
    """Receipt to card, over all cards."""
    p99_ms: float | None
    broker: str
    first_card_s: float | None
    """Seconds from the command's start to the first card in chat."""
    unexpected: tuple[str, ...] = field(default=())
    """Answers of the intake that were not the right ones, and work that was still under way."""

    @property
    def good(self) -> bool:
        """Whether nothing was lost and every answer was right."""
        return self.lost == 0 and not self.unexpected

    def to_json(self) -> str:
        """One line."""
        return orjson.dumps(self).decode()

    def to_table(self) -> Table:
        """For people."""
        table = Table(title="What came of it", show_header=False, title_justify="left")
        table.add_row("notifications accepted", str(self.notifications))
        verdicts = ", ".join(f"{count} {label}" for label, count in self.verdicts.items())
        table.add_row("verdicts", verdicts)
        table.add_row("duplicates dropped", str(self.duplicates))
        table.add_row("dead letters (with reasons)", str(self.dead_letters))
        table.add_row("episodes, each with a card", f"{self.episodes}, {self.cards}")
        table.add_row(
            "answered / closed / escalated", f"{self.answered} / {self.closed} / {self.escalated}"
        )
        table.add_row("answers written in Presence", str(self.written))
        table.add_row("held back", str(self.held))
        table.add_row("lost", str(self.lost))
        if self.p50_ms is not None and self.p99_ms is not None:
            table.add_row("receipt to card", f"{self.p50_ms:.0f} ms, p99 {self.p99_ms:.0f} ms")
        table.add_row("on", self.broker)
        for line in self.unexpected:
            table.add_row("[red]unexpected", line)
        return table


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where everything stood before the story began."""

    at: datetime
    ends: dict[tuple[str, int], int]


def _consumer(stack: LocalStack) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": stack.kafka.bootstrap,
            "group.id": "presence-demo-accounting",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )


_READ = (NOTIFICATIONS.name, INTAKE_DLQ.name, NOTIFICATIONS.dlq, CLASSIFIED.dlq)


def snapshot(stack: LocalStack) -> Snapshot:
    """Where the topics end now."""
    ends: dict[tuple[str, int], int] = {}
    with closing(_consumer(stack)) as consumer:
        there = consumer.list_topics(timeout=10).topics
        for topic in _READ:
            for partition in there[topic].partitions:
                place = TopicPartition(topic, partition)
                _, ends[topic, partition] = consumer.get_watermark_offsets(place, timeout=10)
    return Snapshot(datetime.now(UTC), ends)


def _event_ids(stack: LocalStack, before: Snapshot) -> Iterator[tuple[str, str]]:
    """(topic, event id) of every record since; a dead letter of ingest has no event id."""
    with closing(_consumer(stack)) as consumer:
        consumer.assign([TopicPartition(t, p, end) for (t, p), end in before.ends.items()])
        left = set(before.ends)
        while left:
            message = consumer.poll(10)
            if message is None:
                raise TimeoutError("Kafka did not answer within 10 s")
            if message.error():
                left.discard((message.topic() or "", message.partition() or 0))
                continue
            headers: Any = message.headers() or []
            ids = dict(headers).get("event-id", b"")
            yield message.topic() or "", ids.decode()


def _counted(stack: LocalStack, service: str, metric: str, by: str | None = None) -> dict[str, int]:
    """A counter of one service, summed by one label."""
    found: dict[str, int] = {}
    text = httpx.get(f"{stack.url(service)}/metrics", timeout=10).raise_for_status().text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == metric:
                key = sample.labels[by] if by else ""
                found[key] = found.get(key, 0) + int(sample.value)
    return found


_STATE = """
select (select count(*) from alert.inbox where folded_at is null and failed is null),
       (select count(*) from alert.outbox
         where state in ('pending', 'leased') and due_at <= clock_timestamp()),
       (select count(*) from alert.inbox),
       (select count(*) from alert.answers where state in ('pending', 'sent'))
"""


_READERS = {"presence-classify": NOTIFICATIONS, "presence-alert": CLASSIFIED}


def unread(stack: LocalStack, group: str) -> int:
    """Records that a group has still to read and commit."""
    topic = _READERS[group].name
    consumer = Consumer({"bootstrap.servers": stack.kafka.bootstrap, "group.id": group})
    with closing(consumer):
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        committed = consumer.committed(
            [TopicPartition(topic, one) for one in partitions], timeout=10
        )
        ends = (consumer.get_watermark_offsets(place, timeout=10)[1] for place in committed)
        return sum(end - max(place.offset, 0) for place, end in zip(committed, ends, strict=True))


def _lag(stack: LocalStack) -> int:
    return sum(unread(stack, group) for group in _READERS)


def wait_until_settled(stack: LocalStack, *, within: float) -> bool:
    """Until nothing is under way for a second; False where that took too long."""
    give_up = time.monotonic() + within
    quiet_since: float | None = None
    seen: tuple[Any, ...] | None = None
    with psycopg.connect(stack.postgres.url, autocommit=True) as database:
        while time.monotonic() < give_up:
            state = database.execute(_STATE).fetchone()
            owed = state is None or state[0] or state[1] or state[3]
            busy = owed or state != seen or _lag(stack)
            seen = state
            if busy:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > 1.0:
                return True
            time.sleep(0.2)
    return False


_EPISODES = """
select count(*)::int,
       count(*) filter (where reason = 'answered')::int,
       count(*) filter (where reason is not null and reason <> 'answered')::int
  from alert.episodes where opened_recorded_at >= %(since)s
"""
_CARDS = """
select count(distinct c.episode)::int,
       percentile_cont(0.5) within group (order by waited),
       percentile_cont(0.99) within group (order by waited),
       min(c.posted_at)
  from alert.cards c join alert.episodes e on e.id = c.episode,
       lateral (select 1000 * extract(epoch from c.posted_at - e.received_at)::float as waited) w
 where e.opened_recorded_at >= %(since)s
"""
_ESCALATED = """
select count(distinct p.episode)::int from alert.paged p
 where p.step > 0 and p.at >= %(since)s
"""
_WRITTEN = """
select count(*)::int from alert.answers where state = 'posted' and made_at >= %(since)s
"""
_HELD = "select count(*)::int from alert.items where held and stored_at >= %(since)s"
_INBOX = "select event_id from alert.inbox where stored_at >= %(since)s and failed is null"


def account(
    stack: LocalStack, before: Snapshot, story: Summary, *, began: float, settled: bool
) -> DemoSummary:
    """Count. `began` is the monotonic time of the command's start."""
    produced: set[str] = set()
    dead: set[str] = set()
    dead_letters = 0
    for topic, event_id in _event_ids(stack, before):
        if topic == NOTIFICATIONS.name:
            produced.add(event_id)
        else:
            dead_letters += 1
            dead.add(event_id)
    since = {"since": before.at}
    with psycopg.connect(stack.postgres.url, autocommit=True) as database:
        stored = {row[0] for row in database.execute(_INBOX, since)}
        episodes = database.execute(_EPISODES, since).fetchone() or (0, 0, 0)
        cards = database.execute(_CARDS, since).fetchone() or (0, None, None, None)
        escalated = database.execute(_ESCALATED, since).fetchone() or (0,)
        written = database.execute(_WRITTEN, since).fetchone() or (0,)
        held = database.execute(_HELD, since).fetchone() or (0,)
    unexpected = list(story.unexpected)
    if not settled:
        unexpected.append("work was still under way when the time was over")
    since_start = time.monotonic() - began
    first = (datetime.now(UTC) - cards[3]).total_seconds() if cards[3] else None
    return DemoSummary(
        notifications=len(produced),
        duplicates=_counted(stack, "ingest", "presence_duplicates_total").get("", 0),
        dead_letters=dead_letters,
        verdicts=_counted(stack, "classify", "presence_verdicts_total", by="label"),
        episodes=episodes[0],
        cards=cards[0],
        answered=episodes[1],
        written=written[0],
        closed=episodes[2],
        escalated=escalated[0],
        held=held[0],
        lost=len(produced - stored - dead),
        p50_ms=None if cards[1] is None else round(cards[1], 1),
        p99_ms=None if cards[2] is None else round(cards[2], 1),
        broker=str(stack.kafka.identity),
        first_card_s=None if first is None else round(since_start - first, 2),
        unexpected=tuple(unexpected),
    )
