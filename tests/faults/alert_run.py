"""A fault run: two alert replicas on a real Kafka and PostgreSQL, and one after another is killed with -9.

    python -m tests.faults.alert_run --minutes 10

Twenty matters a minute open with short answer budgets, so that each has several steps, by direct message and
in the channel; the first of those paged never confirms and is called on the phone besides. People answer,
claim, snooze and close some of them at random, through whichever replica is there. The chat (a strict Slack
twin in this process, and a telephone) writes down each post with its delivery's id, and takes its time before
and after it has posted, so that many a kill comes in the middle of a send.

What must hold at the end, by an account of its own: each question is one episode; each step of each episode
that was due is posted, and posted once; a post whose sender died is found again and not repeated (at most
one may be); nothing was sent for what had ended; no timer stands still. Exit code 1 where it does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml
from confluent_kafka import Producer
from pydantic import SecretStr
from rich.console import Console

from deploy.local import ports
from deploy.local.chat.app import ChatSettings, create_app, people_and_channels
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from deploy.local.serving import StreamServer
from services.contracts.configuration import Configuration
from tests.alert.builders import iid
from tests.faults.alert_accounts import Accounts, Tally, failures, rows
from tests.faults.alert_people import SIGNING_SECRET, People
from tests.faults.alert_team import configuration
from tests.faults.ingest_run import SAY, Replica, table
from tests.faults.slow_chat import LINK_SECRET, Post, SlowChat
from tests.integration.ingest_service import settings_for


class Run:
    """Everything, and what breaks it."""

    def __init__(
        self,
        folder: Path,
        seconds: float,
        *,
        seed: int = 1,
        per_minute: float = 20.0,
        budget: float = 60.0,
        between: tuple[float, float] = (2.0, 10.0),
    ) -> None:
        self.folder, self.seconds, self.per_minute, self.budget = (
            folder, seconds, per_minute, budget,
        )  # fmt: skip
        self.between = between
        self.chance = random.Random(seed)
        self.tally = Tally()
        self.posts: list[Post] = []
        self.calls: list[tuple[str, float]] = []
        """Episodes that Mia was called for, and when."""
        self.kafka = LocalKafka(folder / "kafka", port=ports.pick(None))
        self.postgres = LocalPostgres(folder / "postgres", port=None)
        self.replicas: list[Replica] = []
        self.database = ""
        self._slack: StreamServer | None = None
        self._thread: threading.Thread | None = None

    async def prepare(self, http: httpx.AsyncClient) -> None:
        """Kafka, PostgreSQL, the chat, both replicas."""
        await asyncio.to_thread(self.kafka.start)
        await asyncio.to_thread(self.postgres.start)
        self.database = self.postgres.create_database("faults")
        await asyncio.to_thread(settings_for, self.kafka.bootstrap, self.database)
        port = ports.random_free_port()
        chat = f"http://127.0.0.1:{port}"
        raw = configuration(chat, self.budget)
        written = self.folder / "presence.yaml"
        written.write_text(yaml.safe_dump(raw))
        members, channels = people_and_channels(Configuration.model_validate(raw))
        app = create_app(
            ChatSettings(
                members=members,
                channels=channels,
                signing_secret=SecretStr(SIGNING_SECRET),
                token=SecretStr("xoxb-faults"),
                base_url=chat,
            )
        )
        chance = random.Random(self.chance.random())
        app.add_middleware(SlowChat, chance=chance, posts=self.posts, calls=self.calls)
        self._slack = StreamServer(app, port)
        self._thread = threading.Thread(target=self._slack.run, daemon=True)
        self._thread.start()
        environment = {
            **{name: value for name, value in os.environ.items() if "PRESENCE" not in name},
            "PRESENCE_SLACK_BOT_TOKEN": "xoxb-faults",
            "PRESENCE_SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "PRESENCE_CONFIG": str(written),
            "PRESENCE_KAFKA": self.kafka.bootstrap,
            "PRESENCE_DATABASE_URL": self.database,
            "PRESENCE_LINK_SECRET": LINK_SECRET,
            "PRESENCE_MIA_PHONE": f"json://127.0.0.1:{port}/phone",
            "PRESENCE_PUBLIC_URL": "http://127.0.0.1:1",
            "PRESENCE_HOST": "127.0.0.1",
        }
        self.replicas = [
            Replica(environment, self.folder / f"alert-{n}.log", service="alert") for n in (1, 2)
        ]
        for replica in self.replicas:
            replica.start()
        for replica in self.replicas:
            await replica.until_ready(http)
        self.bus = Producer({"bootstrap.servers": self.kafka.bootstrap, "linger.ms": 5})

    def stop_chat(self) -> None:
        """At the end."""
        if self._slack is not None and self._thread is not None:
            self._slack.should_exit = True
            self._thread.join(5)

    # -- faults

    async def faults(self, http: httpx.AsyncClient) -> None:
        """One replica is killed, and started again a while later; then the next."""
        while True:
            await asyncio.sleep(self.chance.uniform(*self.between))
            replica = self.chance.choice(self.replicas)
            self.tally.kills += 1
            SAY.print(f"[dim]{time.strftime('%H:%M:%S')}[/] kill -9 of {replica.log.stem}")
            replica.kill()
            await asyncio.sleep(self.chance.uniform(0.2, 4))
            replica.start()
            await replica.until_ready(http)

    async def watch(self) -> None:
        """Note when each matter was seen to be over."""
        statement = (
            "select openers[1] as opener from alert.episodes"
            " where state not in ('open', 'claimed', 'merged')"
        )
        while True:
            over = {row["opener"] for row in await asyncio.to_thread(self.rows, statement)}
            now = time.time()
            for matter in self.tally.matters:
                if matter.ended_at is None and iid(matter.native) in over:
                    matter.ended_at = now
            await asyncio.sleep(0.3)

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Of the database, at once."""
        return rows(self.database, statement, *values)

    # -- accounts

    async def settle(self, within: float = 180.0) -> dict[str, Any]:
        """Until nothing is owed any more; then the figures."""
        await asyncio.to_thread(self.bus.flush, 30)
        until = datetime.now(UTC)
        give_up = time.monotonic() + within
        while True:
            figures = await asyncio.to_thread(self.figures, until)
            owed = figures["unfolded"] + figures["undelivered"] + figures["missing"]
            if not owed or time.monotonic() > give_up:
                return figures
            await asyncio.sleep(1)

    def figures(self, until: datetime) -> dict[str, Any]:
        """What was due by `until`, and what is there."""
        accounts = Accounts(self.database, self.posts, self.calls, self.tally, self.budget)
        return {
            "seconds": self.seconds,
            "per_minute": self.per_minute,
            "budget_seconds": self.budget,
            **accounts.figures(until),
        }


async def run(one: Run) -> dict[str, Any]:
    """The whole run; returns its figures."""
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(limits=limits) as http:
        try:
            await one.prepare(http)
            watching = asyncio.create_task(one.watch())
            faults = asyncio.create_task(one.faults(http))
            people = People(one.bus, one.replicas, one.database, one.tally, one.chance, one.budget)
            await people.load(http, one.seconds, one.per_minute)
            faults.cancel()
            await asyncio.gather(faults, return_exceptions=True)
            for replica in one.replicas:
                if replica.process is None or replica.process.poll() is not None:
                    replica.start()
            figures = await one.settle()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            return figures
        finally:
            await asyncio.to_thread(_end, one)


def _end(one: Run) -> None:
    for replica in one.replicas:
        replica.kill()
    one.stop_chat()
    one.postgres.stop()
    one.kafka.stop()


def main() -> int:
    """Run it and say the figures."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--per-minute", type=float, default=20.0, help="episodes a minute")
    options.add_argument("--budget", type=float, default=60.0, help="seconds to answer in")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder", type=Path, help="keep logs and data here")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="presence-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    one = Run(
        folder,
        given.minutes * 60,
        seed=given.seed,
        per_minute=given.per_minute,
        budget=given.budget,
    )
    figures = asyncio.run(run(one))
    if given.json:
        print(json.dumps(figures))
    else:
        Console().print(table(figures))
    wrong = failures(figures)
    SAY.print(f"[red]wrong: {', '.join(wrong)}; logs in {folder}" if wrong else "[green]all there")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
