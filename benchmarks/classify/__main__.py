"""classify from Kafka to Kafka beside bare loops and other classifiers, interleaved, on a real Kafka.

python -m benchmarks.classify [--rounds 5] [--records 10000] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.classify.variants import VARIANTS, texts_and_labels
from deploy.local import ports
from deploy.local.kafka import LocalKafka
from services.contracts.events import Author
from services.contracts.topics import CLASSIFIED, NOTIFICATIONS
from services.runtime import topic_administration
from services.runtime.broker import create_producer
from services.runtime.producer import Record
from services.runtime.settings import ServiceSettings
from tests.classify.building import notification

PARTITIONS = 4
SINGLE_SHARE = 10
"""The one-by-one handler gets so many times fewer records: it would take minutes."""
NEEDS: Final = {"fasttext": "fasttext", "scikit-learn": "sklearn"}
EXAMPLE = Path(__file__).parents[2] / "presence.example.yaml"
NOISE = Console(stderr=True)


@dataclass(frozen=True)
class Measured:
    """One variant in one round."""

    per_second: float
    cpu_us: float
    rss_mb: float


class Process:
    """One variant's process."""

    def __init__(self, variant: str, kafka: str, sink: str) -> None:
        command = [sys.executable, "-m", "benchmarks.classify.variants", variant, kafka, sink]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._told()

    def _told(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended")
        return line

    def go(self, topic: str, count: int) -> None:
        """Begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{topic} {count}\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, float]:
        """What it said at the end."""
        found: dict[str, float] = json.loads(self._told())
        return found

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(15)


def together(results: Sequence[dict[str, float]]) -> Measured:
    """Several processes' work as one: from the first record to the last."""
    count = sum(one["count"] for one in results)
    seconds = max(one["ended"] for one in results) - min(one["begun"] for one in results)
    cpu = sum(one["cpu"] for one in results) / count * 1e6
    return Measured(count / seconds, cpu, max(one["rss"] for one in results) / 1_048_576)


async def fill(kafka: str, topics: Sequence[str], count: int) -> None:
    """`count` notifications on each topic; no two texts alike: a cache of texts must not help."""
    texts, _ = texts_and_labels()
    producer = create_producer(ServiceSettings(kafka=kafka), service="benchmark")
    producer.start()
    for place, topic in enumerate(topics):
        for start in range(0, count, 1_000):
            records = []
            for number in range(start, min(start + 1_000, count)):
                unique = f"{chr(97 + place % 26)}{place}{number:x}"
                text = f"{texts[number % len(texts)]} {unique.translate(_AS_LETTERS)}"
                author = Author(id=str(number % 5_000), handle=f"person{number % 5_000}")
                item = notification(text, native=unique, author=author)
                records.append(Record(topic, item.key, item.to_bytes()))
            await producer.publish(records)
    await producer.close()


_AS_LETTERS = str.maketrans("0123456789", "ghijklmnop")
"""Digits are all alike to a classifier; letters are not."""


def rounds(kafka: str, names: Sequence[str], count: int, records: int) -> dict[str, list[Measured]]:
    """Every variant once a round, in a turning order; a first round warms up and is not counted."""
    servers = {name: Process(name, kafka, "sink") for name in names}
    found: dict[str, list[Measured]] = {name: [] for name in names}
    try:
        for turn in track(range(count + 1), "rounds", console=NOISE):
            for name in [*names[turn % len(names) :], *names[: turn % len(names)]]:
                size = records // (1 if turn else 4) // (SINGLE_SHARE if name == "single" else 1)
                servers[name].go(f"one.{turn}", size)
                measured = together([servers[name].result()])
                if turn:
                    found[name].append(measured)
    finally:
        for server in servers.values():
            server.stop()
    return found


@dataclass(frozen=True)
class Pair:
    """Two replicas against one, half of the work each."""

    times: float
    """The throughput of one."""
    ceiling: float
    """The same if the machine's cores did nothing but their work and Kafka's."""


def replicas(kafka: LocalKafka, count: int, records: int) -> list[Pair]:
    """Each round, one and then both."""
    pair = [Process("presence", kafka.bootstrap, "sink") for _ in range(2)]
    broker = psutil.Process(kafka.pid)
    found = []
    try:
        for turn in track(range(count + 1), "two replicas", console=NOISE):
            pair[turn % 2].go(f"alone.{turn}", records)
            alone = together([pair[turn % 2].result()])
            begun = _cpu(broker)
            for server, topic in zip(pair, (f"left.{turn}", f"right.{turn}"), strict=True):
                server.go(topic, records // 2)
            both = together([server.result() for server in pair])
            beside = (_cpu(broker) - begun) / records * 1e6
            if turn:
                share = both.cpu_us / (both.cpu_us + beside)
                found.append(
                    Pair(both.per_second / alone.per_second, min(2, os.cpu_count() or 2) * share)
                )
    finally:
        for server in pair:
            server.stop()
    return found


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def whole_service(kafka: str, records: int) -> dict[str, float]:
    """`presence classify` as it runs: seconds to ready, then all of presence.notifications, and its size."""
    topic_administration.apply(ServiceSettings(kafka=kafka), partitions=PARTITIONS)
    asyncio.run(fill(kafka, [NOTIFICATIONS.name], records))
    port = ports.pick(None)
    environment = {
        **os.environ,
        "PRESENCE_CONFIG": str(EXAMPLE),
        "PRESENCE_KAFKA": kafka,
        "PRESENCE_CLASSIFY_PORT": str(port),
        "PRESENCE_HOST": "127.0.0.1",
        "PRESENCE_LOG_LEVEL": "WARNING",
    }
    begun = time.perf_counter()
    service = subprocess.Popen(
        [Path(sys.executable).with_name("presence"), "classify"], env=environment
    )
    try:
        ready = _seconds_to_ready(port, begun)
        numbers = psutil.Process(service.pid)
        while (done := _delivered(kafka)) < records:
            time.sleep(0.2)
        used = numbers.cpu_times()
        return {
            "ready_seconds": round(ready, 1),
            "notifications": done,
            "cpu_us_per_notification": round((used.user + used.system) / done * 1e6),
            "rss_mb": round(numbers.memory_info().rss / 1_048_576),
        }
    finally:
        service.terminate()
        service.wait(15)


def _seconds_to_ready(port: int, begun: float) -> float:
    while time.perf_counter() - begun < 60:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                break
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    return time.perf_counter() - begun


def _delivered(kafka: str) -> int:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "benchmark-counts"})
    try:
        return sum(
            consumer.get_watermark_offsets(TopicPartition(CLASSIFIED.name, part), timeout=5)[1]
            for part in range(PARTITIONS)
        )
    finally:
        consumer.close()


def summary(found: dict[str, list[Measured]]) -> dict[str, Any]:
    """Medians, and medians of the ratios within a round (throughput; CPU turned over: more is better)."""

    def against_b(name: str) -> dict[str, float]:
        pairs = list(zip(found[name], found["b"], strict=True))
        rate = statistics.median(mine.per_second / its.per_second for mine, its in pairs)
        cpu = statistics.median(its.cpu_us / mine.cpu_us for mine, its in pairs)
        return {"throughput": round(rate, 2), "cpu": round(cpu, 2)}

    return {
        name: {
            "notifications_per_second": round(statistics.median(m.per_second for m in measured)),
            "cpu_us_per_notification": round(statistics.median(m.cpu_us for m in measured)),
            "rss_mb": round(max(m.rss_mb for m in measured)),
            "against_b": against_b(name),
        }
        for name, measured in found.items()
    }


def show(figures: dict[str, Any]) -> None:
    """As a table and two lines."""
    table = Table("variant", "notifications/s", "CPU µs each", "against b", "CPU against b", "MB")
    for name, one in figures["variants"].items():
        table.add_row(
            name,
            str(one["notifications_per_second"]),
            str(one["cpu_us_per_notification"]),
            str(one["against_b"]["throughput"]),
            str(one["against_b"]["cpu"]),
            str(one["rss_mb"]),
        )
    console = Console()
    console.print(table)
    console.print(
        f"two replicas against one: {figures['two_replicas']}"
        f" (two cores that also carry Kafka allow {figures['two_replicas_ceiling']})"
    )
    console.print(f"the whole service: {figures['service']}")


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(statistics.median(found), 2) if found else None


def _available() -> list[str]:
    missing = [name for name, module in NEEDS.items() if not importlib.util.find_spec(module)]
    for name in missing:
        NOISE.print(f"{name} is left out: it is not installed (benchmarks/classify/README.md)")
    return [name for name in VARIANTS if name not in missing]


def main() -> None:
    """Start Kafka, fill it, measure, stop it."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--records", type=int, default=10_000, help="of each variant in a round")
    options.add_argument("--variant", action="append", help="only these (b is always there)")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    names = [one for one in _available() if not given.variant or one in {"b", *given.variant}]
    with (
        tempfile.TemporaryDirectory(prefix="presence-benchmark-") as folder,
        LocalKafka(Path(folder) / "kafka", port=None, throughput=True) as kafka,
    ):
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        kinds = ("one",) if given.variant else ("one", "alone", "left", "right")
        inputs = [f"{kind}.{turn}" for kind in kinds for turn in range(given.rounds + 1)]
        topics = [NewTopic(name, PARTITIONS, 1) for name in ("sink", *inputs)]
        for future in admin.create_topics(topics).values():
            future.result(30)
        asyncio.run(fill(kafka.bootstrap, inputs, given.records))
        found = rounds(kafka.bootstrap, names, given.rounds, given.records)
        two = [] if given.variant else replicas(kafka, given.rounds, given.records)
        service = {} if given.variant else whole_service(kafka.bootstrap, given.records)
    figures = {
        "variants": summary(found),
        "two_replicas": _median(one.times for one in two),
        "two_replicas_ceiling": _median(one.ceiling for one in two),
        "service": service,
    }
    if given.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
