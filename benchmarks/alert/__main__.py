"""Alert on a real PostgreSQL (fsync on): the inbox against bare executemany, folding, the sweep.

python -m benchmarks.alert [inbox] [fold] [sweep] [--episodes 100000] [--rounds 7] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import uvloop
from confluent_kafka import Message
from rich.console import Console
from rich.progress import track
from rich.table import Table

from deploy.local.postgres import LocalPostgres
from services.alert.store.announcements import Announcements
from services.alert.store.figures import Figures
from services.alert.store.inbox import Position, RawEvent
from services.contracts.events import ClassifiedNotification
from services.contracts.topics import CLASSIFIED
from services.runtime import logs
from services.runtime.process import settle_memory
from services.runtime.producer import MemoryProducer
from tests.alert.builders import notified
from tests.alert.story import Story, story
from tests.alert.test_inbox_handler import Handling, raw

NOISE = Console(stderr=True)
GROUP = 500
"""Events in one transaction, as the goal names it."""

BARE_TABLE = """
create table bare (
    id bigint generated always as identity primary key,
    event_id text not null unique,
    payload bytea, topic text not null, partition integer not null, "offset" bigint not null, key bytea
)"""
BARE_INSERT = """
insert into bare (event_id, payload, topic, partition, "offset", key)
values (%s, %s, %s, %s, %s, %s) on conflict (event_id) do nothing"""

Work = Callable[[Sequence[Any]], Awaitable[object]]


@dataclass(frozen=True)
class Measured:
    """One variant in one round."""

    per_second: float
    cpu_us: float
    """Of this process, without PostgreSQL's."""


def questions(numbers: Iterator[int], size: int, now: datetime) -> list[ClassifiedNotification]:
    """Questions of as many people, each an episode of its own when it is folded."""
    return [
        notified(f"n{number}", now - timedelta(seconds=number % 600), who=f"p{number}")
        for number in (next(numbers) for _ in range(size))
    ]


def records(numbers: Iterator[int], size: int, now: datetime) -> list[RawEvent]:
    """The same as they come from Kafka."""
    return [
        RawEvent(
            one.notification.event_id, one.to_bytes(), CLASSIFIED.name, 1, next(numbers), b"key"
        )
        for one in questions(numbers, size, now)
    ]


async def measure(work: Work, events: Sequence[Any]) -> Measured:
    """All events, a group at a time."""
    cpu, begun = time.process_time(), time.perf_counter()
    for start in range(0, len(events), GROUP):
        await work(events[start : start + GROUP])
    seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    return Measured(len(events) / seconds, used / len(events) * 1e6)


async def inbox(url: str, rounds: int, size: int) -> dict[str, Any]:
    """Rows into the inbox: alone, as the handler does it (read, checked), and bare."""
    async with story(url, fresh=False) as told, await psycopg.AsyncConnection.connect(url) as bare:
        await bare.execute(BARE_TABLE)
        await bare.commit()
        handling = Handling(told)

        async def plain(events: Sequence[RawEvent]) -> None:
            rows = [
                (one.event_id, one.payload, one.topic, one.partition, one.offset, one.key)
                for one in events
            ]
            async with bare.transaction(), bare.cursor() as cursor:
                await cursor.executemany(BARE_INSERT, rows)

        async def append(events: Sequence[RawEvent]) -> None:
            end = Position(CLASSIFIED.name, 1, events[-1].offset + 1)
            await told.inbox.append(events, [end])

        async def handle(messages: Sequence[Message]) -> None:
            await handling.handle(messages)

        variants: dict[str, Work] = {"executemany": plain, "append": append, "handler": handle}
        found: dict[str, list[Measured]] = {name: [] for name in variants}
        names, numbers, now = list(variants), count(), datetime.now(UTC)
        for turn in track(range(rounds + 1), "inbox", console=NOISE):
            for name in names[turn % 3 :] + names[: turn % 3]:
                given: Sequence[Any] = records(numbers, size, now)
                if name == "handler":
                    given = [raw(one.offset, one.payload) for one in given]
                measured = await measure(variants[name], given)
                if turn:
                    found[name].append(measured)
    return {name: _against(found, name, "executemany") for name in variants}


def _against(found: dict[str, list[Measured]], name: str, other: str) -> dict[str, float]:
    pairs = list(zip(found[name], found[other], strict=True))
    return {
        "per_second": round(statistics.median(one.per_second for one in found[name])),
        "cpu_us": round(statistics.median(one.cpu_us for one in found[name]), 1),
        "against": round(statistics.median(a.per_second / b.per_second for a, b in pairs), 2),
    }


async def fold(url: str, rounds: int, size: int) -> dict[str, Any]:
    """Events of the inbox into episodes, each a new one with its card and timer."""
    async with story(url, fresh=False) as told:
        numbers, now = count(), datetime.now(UTC)
        found = []
        for turn in track(range(rounds + 1), "fold", console=NOISE):
            await told.receive(questions(numbers, size, now))
            cpu, begun = time.process_time(), time.perf_counter()
            await told.fold()
            seconds, used = time.perf_counter() - begun, time.process_time() - cpu
            if turn:
                found.append(Measured(size / seconds, used / size * 1e6))
    return {
        "per_second": round(statistics.median(one.per_second for one in found)),
        "cpu_us": round(statistics.median(one.cpu_us for one in found), 1),
    }


async def sweep(url: str, rounds: int, episodes: int) -> dict[str, Any]:
    """One round of each of the sweep's loops, with so many episodes open and nothing due.

    The timers of the first steps have fired (as SQL, their cards and pages sent): every episode waits
    for its second step.
    """
    async with story(url, fresh=False) as told:
        numbers, now = count(), datetime.now(UTC)
        groups = range(0, episodes, 5_000)
        for _ in track(groups, f"{episodes} open episodes", console=NOISE):
            await told.receive(questions(numbers, min(5_000, episodes), now))
            await told.fold()
        await _settle(told)
        figures = Figures(told.pool, told.metrics)
        announcements = Announcements(told.pool, MemoryProducer())
        loops: dict[str, Callable[[], Awaitable[object]]] = {
            "timers": told.escalating.fire_due,
            "outbox": lambda: told.outbox.take(20),
            "fold": told.folding.round,
            "announce": announcements.send,
            "gauges": figures.show,
            "boards": told.boards.round,
            "open episodes (a page of 200)": told.episodes.open,
        }
        found: dict[str, list[float]] = {name: [] for name in loops}
        for _ in track(range(rounds * 5), "sweep", console=NOISE):
            for name, loop in loops.items():
                begun = time.perf_counter()
                await loop()
                found[name].append((time.perf_counter() - begun) * 1000)
    return {
        name: {
            "median_ms": round(statistics.median(times), 1),
            "p95_ms": round(statistics.quantiles(times, n=20)[-1], 1),
        }
        for name, times in found.items()
    }


async def _settle(told: Story) -> None:
    async with told.pool.connection() as connection:
        await connection.execute(
            "update alert.timers set step = 1, due_at = alert.now() + interval '1 hour'"
        )
        await connection.execute("update alert.outbox set state = 'sent', sent_at = alert.now()")
        await connection.execute("delete from alert.announcements")
    async with told.pool.connection() as connection:
        await connection.execute("vacuum analyze")


def show(figures: dict[str, dict[str, Any]]) -> None:
    """As tables."""
    console = Console()
    if "inbox" in figures:
        table = Table("inbox", "events/s", "CPU µs/event", "against executemany(500)")
        for name, one in figures["inbox"].items():
            table.add_row(name, *(str(one[key]) for key in ("per_second", "cpu_us", "against")))
        console.print(table)
    if "fold" in figures:
        table = Table("fold", "events/s", "CPU µs/event")
        table.add_row("new episodes", *(str(value) for value in figures["fold"].values()))
        console.print(table)
    if "sweep" in figures:
        table = Table("one round of", "median ms", "p95 ms")
        for name, one in figures["sweep"].items():
            table.add_row(name, str(one["median_ms"]), str(one["p95_ms"]))
        console.print(table)


def main() -> None:
    """Start PostgreSQL, measure what was asked for, stop it."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("what", nargs="*", choices=["inbox", "fold", "sweep", []])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--events", type=int, default=5_000, help="of each variant in a round")
    options.add_argument("--episodes", type=int, default=100_000, help="open while sweeping")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    chosen = given.what or ["inbox", "fold", "sweep"]
    logs.configure("console", "benchmark", "WARNING")
    # As a service does once it has started.
    settle_memory()
    figures: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(prefix="presence-benchmark-") as folder,
        LocalPostgres(Path(folder) / "postgres", port=None) as postgres,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        sizes = {"inbox": given.events, "fold": given.events // 5, "sweep": given.episodes}
        for name, work in (("inbox", inbox), ("fold", fold), ("sweep", sweep)):
            if name in chosen:
                url = postgres.create_database(name)
                figures[name] = runner.run(work(url, given.rounds, sizes[name]))
    if given.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
