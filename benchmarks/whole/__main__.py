"""The three services on a real Kafka and PostgreSQL: ready after, resident memory, sent → card.

python -m benchmarks.whole [--starts 3] [--seconds 60] [--rate 200] [--cards 2] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

import httpx
import psutil
import uvloop
from pydantic import SecretStr
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.whole.load import Load
from deploy.local import ports
from deploy.local.chat.app import ChatSettings, create_app, people_and_channels
from deploy.local.chat.workspace import Workspace
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from deploy.local.serving import StreamServer
from services.contracts.topics import PARTITIONS
from services.runtime import configuration, topic_administration
from services.runtime.settings import ServiceSettings
from tests.pipeline.whole import CARE, CONFIG, SECRETS

SERVICES: Final = ("ingest", "classify", "alert")
GOALS: Final = {"ingest": 90, "classify": 250, "alert": 150}
"""Resident MB."""
SETTLES, IDLES = 2.0, 5.0
"""Seconds after ready until idleness is measured, and for how long."""
NOISE = Console(stderr=True)
MB = 1_048_576


class Process:
    """One service, started as the containers start it."""

    def __init__(self, service: str, environment: Mapping[str, str]) -> None:
        self.service = service
        self._port = environment[f"PRESENCE_{service.upper()}_PORT"]
        self._begun = time.perf_counter()
        command = [str(Path(sys.executable).with_name("presence")), service]
        # Standard output is for the figures.
        self._process = subprocess.Popen(command, env=dict(environment), stdout=sys.stderr)
        self._numbers = psutil.Process(self._process.pid)

    def ready(self) -> float:
        """Waits for it; seconds since the start, interpreter and imports included."""
        while time.perf_counter() - self._begun < 60:
            try:
                address = f"http://{ports.LOOPBACK}:{self._port}/health/ready"
                if httpx.get(address, timeout=2.0).status_code == 200:
                    return time.perf_counter() - self._begun
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"{self.service} was not ready within a minute")

    @property
    def rss_mb(self) -> float:
        """Resident memory."""
        return float(self._numbers.memory_info().rss) / MB

    @property
    def cpu(self) -> float:
        """Seconds used so far, start included."""
        used = self._numbers.cpu_times()
        return float(used.user + used.system)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(15)


@contextmanager
def chat(configuration_file: Path, port: int) -> Iterator[Workspace]:
    """The local chat, in a thread of this process."""
    members, channels = people_and_channels(configuration.load(configuration_file).configuration)
    address = f"http://{ports.LOOPBACK}:{port}"
    app = create_app(
        ChatSettings(
            members=members,
            channels=channels,
            signing_secret=SecretStr(SECRETS["PRESENCE_SLACK_SIGNING_SECRET"]),
            token=SecretStr(SECRETS["PRESENCE_SLACK_BOT_TOKEN"]),
            base_url=address,
            interactions_url=f"{address}/nowhere",
        )
    )
    server = StreamServer(app, port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield app.state.workspace
    finally:
        server.should_exit = True
        thread.join(5)


def environment_of(config: Path, kafka: str, database: str) -> dict[str, str]:
    """What the services read; nothing of the caller's own Presence."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRESENCE_")}
    free = {f"PRESENCE_{name.upper()}_PORT": str(ports.random_free_port()) for name in SERVICES}
    return {
        **kept,
        **SECRETS,
        **free,
        "PRESENCE_CONFIG": str(config),
        "PRESENCE_KAFKA": kafka,
        "PRESENCE_DATABASE_URL": database,
        "PRESENCE_PUBLIC_URL": f"http://{ports.LOOPBACK}:{free['PRESENCE_ALERT_PORT']}",
        "PRESENCE_LINK_SECRET": "of-the-benchmark-and-nobody-else",
        "PRESENCE_HOST": ports.LOOPBACK,
        "PRESENCE_LOG_LEVEL": "WARNING",
    }


@dataclass(frozen=True)
class Started:
    """One start."""

    seconds: float
    cpu: float
    """Seconds of CPU until ready: on a busy machine the figure that holds."""
    rss_mb: float
    idle: float
    """Share of a core that it then uses with nothing to do."""


def starts(environment: Mapping[str, str], count: int) -> dict[str, Any]:
    """Each service alone, `count` times."""
    found: dict[str, list[Started]] = {name: [] for name in SERVICES}
    for _ in track(range(count), "starts", console=NOISE):
        for name, measured in found.items():
            measured.append(_start(name, environment))
    return {
        name: {
            "ready_seconds": round(statistics.median(one.seconds for one in measured), 1),
            "ready_cpu_seconds": round(statistics.median(one.cpu for one in measured), 1),
            "ready_rss_mb": round(max(one.rss_mb for one in measured)),
            "idle_cpu_percent": round(statistics.median(one.idle for one in measured) * 100, 1),
        }
        for name, measured in found.items()
        if measured
    }


def _start(name: str, environment: Mapping[str, str]) -> Started:
    process = Process(name, environment)
    try:
        seconds, cpu, rss = process.ready(), process.cpu, process.rss_mb
        time.sleep(SETTLES)
        before = process.cpu
        time.sleep(IDLES)
        return Started(seconds, cpu, rss, (process.cpu - before) / IDLES)
    finally:
        process.stop()


def flow(
    environment: Mapping[str, str], workspace: Workspace, load: Load
) -> tuple[dict[str, Any], dict[str, Any]]:
    """All three under load: what each holds and uses, and how long cards took."""
    processes = [Process(name, environment) for name in SERVICES]
    try:
        for process in processes:
            process.ready()
        before = {process.service: process.cpu for process in processes}
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sent = runner.run(load.send(int(environment["PRESENCE_INGEST_PORT"])))
        _wait_for(load, workspace, sent)
        used = {
            process.service: {
                "loaded_rss_mb": round(process.rss_mb),
                "cpu_us_per_notification": round(
                    (process.cpu - before[process.service]) / load.count * 1e6
                ),
            }
            for process in processes
        }
    finally:
        for process in processes:
            process.stop()
    return used, _latency(load, workspace, sent)


def _wait_for(load: Load, workspace: Workspace, sent: Mapping[str, float]) -> None:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        if len(load.carded(workspace.in_channel(CARE), sent)) == len(sent):
            return
        time.sleep(0.5)


def _latency(load: Load, workspace: Workspace, sent: Mapping[str, float]) -> dict[str, Any]:
    times = sorted(load.carded(workspace.in_channel(CARE), sent).values())
    if len(times) < 2:
        raise RuntimeError(f"{len(times)} of {len(sent)} questions became a card")
    percentiles = statistics.quantiles(times, n=100, method="inclusive")
    return {
        "asked": len(sent),
        "cards": len(times),
        "p50_ms": round(percentiles[49] * 1000),
        "p99_ms": round(percentiles[98] * 1000),
        "late_requests": load.late,
    }


def show(figures: dict[str, Any]) -> None:
    """As a table and a line."""
    table = Table(
        "service", "ready after s", "CPU s", "MB", "idle %", "MB, load", "goal", "CPU µs each"
    )
    for name in SERVICES:
        one = figures["services"][name]
        table.add_row(
            name,
            str(one.get("ready_seconds", "")),
            str(one.get("ready_cpu_seconds", "")),
            str(one.get("ready_rss_mb", "")),
            str(one.get("idle_cpu_percent", "")),
            str(one.get("loaded_rss_mb", "")),
            f"4 s, {GOALS[name]} MB",
            str(one.get("cpu_us_per_notification", "")),
        )
    console = Console()
    console.print(table)
    if flowed := figures.get("receipt_to_card"):
        console.print(
            f"sent → card in the chat: p50 {flowed['p50_ms']} ms (goal 150), p99 {flowed['p99_ms']} ms"
            f" (goal 1,000); {flowed['cards']} cards of {flowed['asked']} questions"
        )


def main() -> None:
    """Start Kafka and PostgreSQL, measure, stop them."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--starts", type=int, default=3, help="of each service")
    options.add_argument("--seconds", type=float, default=60, help="under load; 0: starts only")
    options.add_argument("--rate", type=float, default=200, help="notifications a second")
    options.add_argument("--cards", type=float, default=2, help="of them, questions for a card")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="presence-benchmark-") as folder:
        port = ports.random_free_port()
        config = Path(folder) / "presence.yaml"
        address = f"http://{ports.LOOPBACK}:{port}"
        config.write_text(
            Template(CONFIG.read_text(encoding="utf-8")).substitute(CHAT_URL=address),
            encoding="utf-8",
        )
        kafka = LocalKafka(Path(folder) / "kafka", port=None, throughput=True)
        postgres = LocalPostgres(Path(folder) / "postgres", port=None)
        with kafka, postgres, chat(config, port) as workspace:
            topic_administration.apply(
                ServiceSettings(kafka=kafka.bootstrap), partitions=PARTITIONS
            )
            database = postgres.create_database("benchmark")
            environment = environment_of(config, kafka.bootstrap, database)
            figures: dict[str, Any] = {"services": starts(environment, given.starts)}
            if given.seconds:
                load = Load(given.seconds, given.rate, given.cards)
                used, latency = flow(environment, workspace, load)
                for name, one in used.items():
                    figures["services"].setdefault(name, {}).update(one)
                figures["receipt_to_card"] = latency
    figures["load_average"] = round(os.getloadavg()[0], 1)
    if given.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
