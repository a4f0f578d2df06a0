"""A fault run: two ingest replicas on a real Kafka and PostgreSQL, under load, while everything breaks.

    python -m tests.faults.ingest_run --minutes 10

Sources: the X webhook (the sender tries again until it hears 2xx, as platforms do) and a Mastodon server
(mastodon-mock, a process that we did not write). Faults, one after another, chosen by chance: a replica is
killed with -9, a replica is paused for longer than its lease, Kafka is stopped and started, the Mastodon
server is killed and started.

Behind them run the real classify and alert with a chat, so that what a repeated record comes to is seen: one
row in the inbox, one episode, one card. Some webhooks are delivered twice on purpose, the second time to the
other replica.

What must hold at the end: whatever was accepted (2xx, or a status on the Mastodon server) is on the bus and
in the inbox once; nothing else is; records of one event are all the same event; nothing opened two episodes
and no episode has two cards; every kind of fault and the double deliveries did happen. Exit code 1 where it
does not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import orjson
import psycopg
import yaml
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console
from rich.table import Table

from deploy.local import ports
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from services.contracts.events import Notification
from services.contracts.topics import NOTIFICATIONS
from tests.faults.downstream import PRESENCE, TOKENS, Downstream
from tests.ingest.brand import SECRETS, payload, platform
from tests.integration.ingest_service import settings_for, with_accounts
from tests.integration.test_ingest_mastodon import Server

X_ACCOUNT = "2244994945"
MASTODON_SHARE = 0.1
AT_ONCE = 200
"""Open requests, as a platform bounds them too: thousands at once would only time out in this process."""
TWICE = 7
"""One webhook in so many is delivered again although it was accepted."""
SAY = Console(stderr=True)


@dataclass
class Replica:
    """One `presence ingest`, or another service."""

    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=lambda: ports.pick(None))
    service: str = "ingest"
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        port = {f"PRESENCE_{self.service.upper()}_PORT": str(self.port)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [PRESENCE, self.service], env={**self.environment, **port}, stdout=log, stderr=log
            )

    def send(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def until_ready(self, http: httpx.AsyncClient) -> None:
        async with asyncio.timeout(90):
            while True:
                try:
                    url = f"http://127.0.0.1:{self.port}/health/ready"
                    if (await http.get(url, timeout=3)).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.2)


@dataclass
class Tally:
    """What the world outside was told."""

    sent: int = 0
    accepted: set[str] = field(default_factory=set)
    posted: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    twice: int = 0
    known_again: int = 0
    """Of those, answered as duplicates."""
    faults: Counter[str] = field(default_factory=Counter)


class Run:
    """Everything, and what breaks it."""

    def __init__(
        self, folder: Path, seconds: float, rate: float, seed: int, *, whole: bool = True
    ) -> None:
        self.folder, self.seconds, self.rate = folder, seconds, rate
        self.chance = random.Random(seed)
        self.tally = Tally()
        self.kafka = LocalKafka(folder / "kafka", port=ports.pick(None))
        self.postgres = LocalPostgres(folder / "postgres", port=None)
        self.mastodon = Server(folder)
        self.replicas: list[Replica] = []
        self.air = ""
        self.database = ""
        self.whole = whole
        self.room = asyncio.Semaphore(AT_ONCE)
        self.listens_on = 5
        """Seconds after all is there, for what should not be."""
        self.kinds = [self._kill_replica, self._kafka, self._mastodon, self._pause_replica]
        self.tally.faults.update({_name(kind): 0 for kind in self.kinds})
        self.downstream: Downstream | None = None
        self.over = asyncio.Event()
        """The faults are through: no more load."""
        self.lasted = 0.0
        """Seconds under load."""

    async def prepare(self, http: httpx.AsyncClient) -> None:
        self.kafka.start()
        self.postgres.start()
        await asyncio.to_thread(self.mastodon.start)
        self.database = self.postgres.create_database("faults")
        settings_for(self.kafka.bootstrap, self.database)
        who = await http.get(
            f"{self.mastodon.url}/api/v1/accounts/verify_credentials",
            headers={"authorization": "Bearer air_token"},
        )
        self.air = f"{who.json()['id']}@faults"
        server = {
            "url": self.mastodon.url, "access_token": "MASTODON_TOKEN", "backfill_limit": 10_000,
        }  # fmt: skip
        file = with_accounts(
            {
                "platform": "x",
                "id": X_ACCOUNT,
                "brand": "air",
                "settings": {"consumer_secret": "X_ONE"},
            },
            {"platform": "mastodon", "id": self.air, "brand": "air", "settings": server},
        )
        raw = file.model_dump(mode="json", by_alias=True, exclude_none=True)
        if self.whole:
            self.downstream = Downstream(self.folder, raw)
            raw = self.downstream.configuration
        written = self.folder / "presence.yaml"
        written.write_text(yaml.safe_dump(raw))
        environment = {
            **os.environ, **SECRETS, **TOKENS,
            "MASTODON_TOKEN": "air_token",
            "PRESENCE_CONFIG": str(written),
            "PRESENCE_KAFKA": self.kafka.bootstrap,
            "PRESENCE_DATABASE_URL": self.database,
            "PRESENCE_LINK_SECRET": "the link secret of the fault runs, long enough",
            "PRESENCE_PUBLIC_URL": "http://127.0.0.1:1",
            "PRESENCE_HOST": "127.0.0.1",
        }  # fmt: skip
        if self.downstream is not None:
            self.downstream.start(environment)
        self.replicas = [Replica(environment, self.folder / f"ingest-{n}.log") for n in (1, 2)]
        for replica in self.replicas:
            replica.start()
        for replica in self.replicas:
            await replica.until_ready(http)
        await self._somebody_listens(http)

    async def _somebody_listens(self, http: httpx.AsyncClient) -> None:
        async with asyncio.timeout(30):
            while True:
                for replica in self.replicas:
                    text = (await http.get(f"http://127.0.0.1:{replica.port}/metrics")).text
                    if f'presence_source_up{{account="{self.air}",source="mastodon"}} 1.0' in text:
                        return
                await asyncio.sleep(0.2)

    # -- load

    async def load(self) -> None:
        """`rate` notifications a second, until it is over; each webhook is sent until it is accepted."""
        begun, number = time.monotonic(), 0
        template = payload("x", "mention").decode()
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(3)
            ) as http,
            asyncio.TaskGroup() as senders,
        ):
            while not self.over.is_set():
                now = self.lasted = time.monotonic() - begun
                while number < now * self.rate:
                    number += 1
                    if number % round(1 / MASTODON_SHARE) == 0:
                        senders.create_task(self._post(http, number))
                    else:
                        senders.create_task(self._deliver(http, template, number))
                await asyncio.sleep(0.01)

    async def _deliver(self, http: aiohttp.ClientSession, template: str, number: int) -> None:
        native = str(8_000_000_000 + number)
        read: dict[str, Any] = orjson.loads(template)
        for one in read["tweet_create_events"]:
            one["id"], one["id_str"] = int(native), native
            if number % 10 == 7:
                one["text"] = f"@ExampleAir you lost my suitcase, can you please help me? {number}"
        body = orjson.dumps(read)
        headers = platform("x").sign(body)
        self.tally.sent += 1
        begun = time.monotonic()
        # Some platforms deliver twice for no reason.
        copies = 2 if number % TWICE == 0 else 1
        attempt = 0
        while copies:
            replica = self.replicas[(number + attempt) % 2]
            attempt += 1
            url = f"http://127.0.0.1:{replica.port}/webhooks/x"
            try:
                async with self.room, http.post(url, data=body, headers=headers) as answer:
                    status, wait = answer.status, answer.headers.get("retry-after", "0")
                    said = await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                self.tally.answers[type(error).__name__] += 1
                await asyncio.sleep(0.5 + self.chance.random())
                continue
            self.tally.answers[str(status)] += 1
            if status == 200:
                copies -= 1
                if native in self.tally.accepted:
                    self.tally.twice += 1
                    self.tally.known_again += orjson.loads(said)["duplicates"]
                self.tally.accepted.add(native)
            elif status == 503:
                await asyncio.sleep(float(wait) * self.chance.random() + 0.5)
            else:
                raise RuntimeError(f"an answer that no fault explains: {status}")
        self.tally.waits.append(time.monotonic() - begun)

    async def _post(self, http: aiohttp.ClientSession, number: int) -> None:
        """A person on the Mastodon server; what it did not take they do not send again."""
        try:
            async with http.post(
                f"{self.mastodon.url}/api/v1/statuses",
                data={"status": f"@air fault run {number}"},
                headers={"authorization": "Bearer bob_token"},
            ) as answer:
                if answer.status == 200:
                    self.tally.posted.add(str((await answer.json())["id"]))
        except (aiohttp.ClientError, TimeoutError):
            pass

    # -- faults

    async def faults(self) -> None:
        """One every 12 to 20 s, until the time is over."""
        while True:
            self.chance.shuffle(self.kinds)
            for fault in self.kinds:
                await asyncio.sleep(self.chance.uniform(4, 8))
                SAY.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {_name(fault)}")
                self.tally.faults[_name(fault)] += 1
                await fault()

    async def _kill_replica(self) -> None:
        await kill(self.chance.choice(self.replicas), self.chance.uniform(1, 10))

    async def _pause_replica(self) -> None:
        await pause(self.chance.choice(self.replicas), self.chance.uniform(8, 14))

    async def _kafka(self) -> None:
        await away(self.kafka.stop, self.kafka.start, self.chance.uniform(1, 6))

    async def _mastodon(self) -> None:
        await away(self.mastodon.kill, self.mastodon.start, self.chance.uniform(1, 8))

    # -- accounts

    async def on_the_server(self, http: httpx.AsyncClient) -> set[str]:
        """Every mention that the Mastodon server itself shows the brand."""
        found: set[str] = set()
        query: dict[str, str] = {"limit": "80"}
        while True:
            answer = await http.get(
                f"{self.mastodon.url}/api/v1/notifications",
                params=query,
                headers={"authorization": "Bearer air_token"},
                timeout=30,
            )
            page = answer.raise_for_status().json()
            if not page:
                return found
            found |= {str(one["status"]["id"]) for one in page if one["type"] == "mention"}
            query["max_id"] = str(page[-1]["id"])

    async def settle(self, http: httpx.AsyncClient) -> dict[str, Any]:
        """Everything is well again: wait for what is due, and count."""
        for replica in self.replicas:
            await replica.until_ready(http)
        posted = await self.on_the_server(http)
        wanted = {("x", native) for native in self.tally.accepted}
        wanted |= {("mastodon", native) for native in posted}
        bus = Bus(self.kafka.bootstrap)
        give_up = time.monotonic() + 150
        while wanted - bus.items and time.monotonic() < give_up:
            await asyncio.to_thread(bus.read, 1.0)
        for _ in range(self.listens_on):
            await asyncio.to_thread(bus.read, 1.0)
        bus.close()
        figures = self._figures(bus, wanted, posted)
        if self.downstream is not None:
            figures["effects"] = await self.downstream.settle(len(bus.events))
        return figures

    def _takeovers(self) -> int:
        """How often one replica took over listening from the other."""
        with psycopg.connect(self.database) as connection:
            row = connection.execute("select coalesce(sum(fence - 1), 0) from ingest.leases")
            return int((row.fetchone() or (0,))[0])

    def _figures(self, bus: Bus, wanted: set[tuple[str, str]], posted: set[str]) -> dict[str, Any]:
        waits = sorted(self.tally.waits) or [0.0]
        return {
            "seconds": round(self.lasted),
            "notifications_per_second": self.rate,
            "faults": dict(self.tally.faults),
            "webhooks_sent": self.tally.sent,
            "webhooks_accepted": len(self.tally.accepted),
            "answers": dict(self.tally.answers),
            "mastodon_statuses": len(posted),
            "delivered_twice_on_purpose": self.tally.twice,
            "of_them_answered_as_duplicates": self.tally.known_again,
            "leases_taken_over": self._takeovers(),
            "accepted": len(wanted),
            "on_the_bus": len(bus.items),
            "missing": len(wanted - bus.items),
            "never_sent": len(bus.items - wanted),
            "records": bus.records,
            "events": len(bus.events),
            "repeated_records": bus.records - len(bus.events),
            "events_with_two_contents": bus.contradictions,
            "webhook_accepted_after_seconds": {
                "p50": round(statistics.median(waits), 3),
                "p99": round(waits[int(len(waits) * 0.99) - 1], 1),
                "max": round(waits[-1], 1),
            },
            "mastodon_heard_after_seconds": _spread(bus.delays),
        }


async def kill(replica: Replica, seconds: float) -> None:
    """With -9, and started again after a while."""
    replica.kill()
    await asyncio.sleep(seconds)
    replica.start()


async def pause(replica: Replica, seconds: float) -> None:
    """As a machine does that hangs: it goes on where it was, and believes what it believed."""
    replica.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        replica.send(signal.SIGCONT)


async def away(stop: Callable[[], None], start: Callable[[], object], seconds: float) -> None:
    """What others need is gone for a while."""
    try:
        await asyncio.to_thread(stop)
        await asyncio.sleep(seconds)
    finally:
        await asyncio.to_thread(start)


def _name(fault: Callable[[], Awaitable[None]]) -> str:
    return fault.__name__.strip("_")


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    return {
        "p50": round(statistics.median(ordered), 2),
        "p99": round(ordered[int(len(ordered) * 0.99) - 1], 1),
        "max": round(ordered[-1], 1),
    }


class Bus:
    """presence.notifications, from its beginning."""

    def __init__(self, kafka: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": kafka, "group.id": "faults", "enable.auto.commit": False}
        )
        topic = NOTIFICATIONS.name
        known = self._consumer.list_topics(topic, timeout=30).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, 0) for number in known])
        self.records = 0
        self.items: set[tuple[str, str]] = set()
        self.events: dict[str, tuple[str, str]] = {}
        self.contradictions = 0
        self.delays: list[float] = []

    def read(self, seconds: float) -> None:
        for message in self._consumer.consume(2_000, seconds):
            value = message.value()
            if message.error() is None and isinstance(value, bytes):
                self._one(Notification.model_validate_json(value))

    def _one(self, one: Notification) -> None:
        self.records += 1
        content = one.item_id, one.text
        if one.event_id not in self.events and one.platform == "mastodon":
            self.delays.append((one.received_at - one.source_time).total_seconds())
        if self.events.setdefault(one.event_id, content) != content:
            self.contradictions += 1
        self.items.add((one.platform, one.item_id.rsplit(":", 1)[1]))

    def close(self) -> None:
        self._consumer.close()


async def run(one: Run) -> dict[str, Any]:
    """The whole run; returns its figures."""
    async with httpx.AsyncClient() as http:
        try:
            await one.prepare(http)
            loading = asyncio.create_task(one.load())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(one.seconds):
                    await one.faults()
            one.over.set()
            for replica in one.replicas:
                if replica.process is None or replica.process.poll() is not None:
                    replica.start()
            if not one.kafka.running:
                one.kafka.start()
            await loading
            return await one.settle(http)
        finally:
            for replica in one.replicas:
                replica.send(signal.SIGCONT)
                replica.kill()
            if one.downstream is not None:
                await asyncio.to_thread(one.downstream.stop)
            one.mastodon.kill()
            one.postgres.stop()
            one.kafka.stop()


NEVER = ("missing", "never_sent", "events_with_two_contents")
NO_EFFECT_TWICE = ("unfolded", "opened_twice", "episodes_with_two_cards", "undelivered")


def failures(figures: dict[str, Any]) -> list[str]:
    """What should not be."""
    wrong = [name for name in NEVER if figures[name]]
    if figures["webhooks_sent"] != figures["webhooks_accepted"]:
        wrong.append("webhooks_accepted")
    # A run in which nothing went wrong proves nothing.
    wrong += [f"no {name}" for name, count in figures["faults"].items() if not count]
    wrong += [
        f"no {name}"
        for name in ("delivered_twice_on_purpose", "of_them_answered_as_duplicates")
        if not figures[name]
    ]
    if effects := figures.get("effects"):
        wrong += [name for name in NO_EFFECT_TWICE if effects[name]]
        if effects["inbox"] != figures["events"]:
            wrong.append("inbox")
        # The webhooks' questions are of yesterday: history, which never gets a card. Each status asks now.
        if effects["cards"] != figures["mastodon_statuses"]:
            wrong.append("a card that is missing, or one of history")
    return wrong


def table(figures: dict[str, Any]) -> Table:
    """For a person."""
    made = Table("figure", "value")
    for name, value in figures.items():
        shown = value.items() if isinstance(value, dict) else [("", value)]
        for part, number in shown:
            made.add_row(f"{name} {part}".replace("_", " ").strip(), str(number))
    return made


def main() -> int:
    """Run it and say the figures."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--rate", type=float, default=50.0, help="notifications a second")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder", type=Path, help="keep logs and data here")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="presence-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    figures = asyncio.run(run(Run(folder, given.minutes * 60, given.rate, given.seed)))
    if given.json:
        print(json.dumps(figures))
    else:
        Console().print(table(figures))
    wrong = failures(figures)
    SAY.print(f"[red]wrong: {', '.join(wrong)}; logs in {folder}" if wrong else "[green]all there")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
