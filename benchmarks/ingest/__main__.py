"""Presence's intake against a bare ASGI handler and FastAPI, interleaved, on a real Kafka.

python -m benchmarks.ingest [--rounds 7] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil
import uvloop
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.ingest.servers import VARIANTS
from deploy.local import ports
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from services.runtime import topic_administration
from services.runtime.settings import ServiceSettings
from tests.ingest.brand import payload, platform

CONNECTIONS = 32
PEOPLE = 2_000
NOISE = Console(stderr=True)


@dataclass(frozen=True)
class Measured:
    """One variant in one round."""

    per_second: float
    cpu_us: float


class Server:
    """One variant's process."""

    def __init__(self, variant: str, kafka: str, database: str) -> None:
        self.port = ports.pick(None)
        command = [sys.executable, "-m", "benchmarks.ingest.servers", variant]
        command += [str(self.port), kafka, database]
        # Standard output is for the figures.
        self.process = subprocess.Popen(command, stdout=sys.stderr)
        self.numbers = psutil.Process(self.process.pid)

    def cpu(self) -> float:
        used = self.numbers.cpu_times()
        return float(used.user + used.system)

    async def listens(self) -> None:
        async with asyncio.timeout(60):
            while not ports.is_listening(self.port):  # noqa: ASYNC110 -- another process
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(15)


def requests(first: int, count: int) -> list[bytes]:
    """Signed requests, each of an item of its own, by many people."""
    read: dict[str, Any] = orjson.loads(payload("x", "mention"))
    found = []
    for number in range(first, first + count):
        native = str(7_000_000_000 + number)
        for one in read["tweet_create_events"]:
            one["id"], one["id_str"] = int(native), native
            one["user"]["id_str"] = str(500 + number % PEOPLE)
        body = orjson.dumps(read)
        headers = {
            "host": "localhost",
            "content-length": str(len(body)),
            **platform("x").sign(body),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        found.append(f"POST /webhooks/x HTTP/1.1\r\n{lines}\r\n".encode() + body)
    return found


async def _client(port: int, work: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while work:
        writer.write(work.pop())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
    writer.close()
    await writer.wait_closed()


async def measure(server: Server, work: list[bytes], connections: int) -> Measured:
    """All of `work` over a few kept connections."""
    count, cpu, begun = len(work), server.cpu(), time.perf_counter()
    await asyncio.gather(*(_client(server.port, work) for _ in range(connections)))
    seconds = time.perf_counter() - begun
    return Measured(count / seconds, (server.cpu() - cpu) / count * 1e6)


async def rounds(
    kafka: str, database: str, count: int, per_round: int, connections: int
) -> dict[str, list[Measured]]:
    """Every variant once a round, in a turning order; a first round warms up and is not counted."""
    servers = {name: Server(name, kafka, database) for name in VARIANTS}
    found: dict[str, list[Measured]] = {name: [] for name in VARIANTS}
    try:
        for server in servers.values():
            await server.listens()
        names, number = list(VARIANTS), 0
        for turn in track(range(count + 1), "rounds", console=NOISE):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                size = per_round if turn else per_round // 4
                measured = await measure(servers[name], requests(number, size), connections)
                number += size
                if turn:
                    found[name].append(measured)
    finally:
        for server in servers.values():
            server.stop()
    return found


def summary(found: dict[str, list[Measured]]) -> dict[str, Any]:
    """Medians, and medians of the ratios within a round (throughput; CPU turned over: more is better)."""

    def against(other: str, name: str) -> dict[str, float]:
        pairs = list(zip(found[name], found[other], strict=True))
        rate = statistics.median(mine.per_second / its.per_second for mine, its in pairs)
        cpu = statistics.median(its.cpu_us / mine.cpu_us for mine, its in pairs)
        return {"throughput": round(rate, 2), "cpu": round(cpu, 2)}

    return {
        name: {
            "requests_per_second": round(statistics.median(one.per_second for one in measured)),
            "cpu_us_per_request": round(statistics.median(one.cpu_us for one in measured)),
            "against_bare": against("bare", name),
            "against_fastapi": against("fastapi", name),
            "against_bare_postgres": against("bare+postgres", name),
            "against_fastapi_postgres": against("fastapi+postgres", name),
        }
        for name, measured in found.items()
    }


def show(figures: dict[str, Any]) -> None:
    """As a table."""
    others = ("bare", "fastapi", "bare_postgres", "fastapi_postgres")
    against = (f"against {other.replace('_', '+')}" for other in others)
    table = Table("variant", "requests/s", "CPU µs/request", *against)
    for name, one in figures.items():
        ratios = (one[f"against_{other}"] for other in others)
        table.add_row(
            name,
            str(one["requests_per_second"]),
            str(one["cpu_us_per_request"]),
            *(f"{ratio['throughput']} (CPU {ratio['cpu']})" for ratio in ratios),
        )
    Console().print(table)


def main() -> None:
    """Start Kafka and PostgreSQL, measure, stop them."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--requests", type=int, default=4_000, help="of each variant in a round")
    options.add_argument("--connections", type=int, default=CONNECTIONS, help="kept open at once")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="presence-benchmark-") as folder:
        kafka = LocalKafka(Path(folder) / "kafka", port=None, throughput=True)
        postgres = LocalPostgres(Path(folder) / "postgres", port=None)
        with kafka, postgres:
            topic_administration.apply(ServiceSettings(kafka=kafka.bootstrap), partitions=3)
            database = postgres.create_database("benchmark")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found = runner.run(
                    rounds(
                        kafka.bootstrap, database, given.rounds, given.requests, given.connections
                    )
                )
    figures = summary(found)
    if given.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
