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
from collections import Counter
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
import psycopg
import yaml
from confluent_kafka import Producer
from psycopg.rows import dict_row
from pydantic import SecretStr
from rich.console import Console
from slack_sdk.signature import SignatureVerifier

from deploy.local import ports
from deploy.local.chat.app import ChatSettings, create_app, people_and_channels
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from deploy.local.serving import StreamServer
from services.alert.chat.links import Links
from services.alert.chat.slack_act_forms import ACT_CALLBACK
from services.alert.chat.slack_modals import CLOSE_CALLBACK
from services.contracts.configuration import Configuration
from services.contracts.events import ClassifiedNotification, Sensitive
from services.contracts.topics import CLASSIFIED
from services.runtime.asgi import App, Receive, Scope, Send
from services.runtime.clock import SystemClock
from tests.alert.builders import iid, notified, verdict
from tests.faults.ingest_run import SAY, Replica, table
from tests.integration.ingest_service import settings_for

SIGNING_SECRET = "signing-secret-of-the-faults"
CHANNEL = "C0CARE"
LINK_SECRET = "the link secret of the fault runs, long enough"
SHARES = (0, 15, 30, 45)
"""Of the answer budget: when the steps are due."""
PHONES, CALLED_AFTER = "phones", 4
"""Seconds after her page, which she never confirms, Mia is called."""
ACTS = ("leave", "leave", "leave", "answer", "answer", "claim", "snooze", "close", "answer_claimed")
HOP = 2.0
"""Seconds that a request which had begun may take to reach the chat."""


CALLED = {
    "phone": "PRESENCE_MIA_PHONE",
    "notification_rules": {
        "urgent": [{"by": "slack"}, {"by": "phone", "after": f"{CALLED_AFTER}s"}]
    },
}


def configuration(chat: str, budget: float) -> dict[str, Any]:
    """One rota would do; different people at each step, so that none is merged into another."""
    people = ("mia", "jonas", "ines", "fay", "ada")
    threats = [
        {"at": f"{share}%", "targets": [target]}
        for share, target in zip(
            SHARES,
            ({"person": "mia"}, {"person": "jonas"}, {"person": "ines"}, {"channel": "care"}),
            strict=True,
        )
    ]
    common = {"answer_within": f"{budget:.0f}s", "claim_for": f"{budget / 2:.0f}s"}
    lines = [{"at": f"{share}%", "targets": [{"channel": "care"}]} for share in SHARES]
    week = {"every": "weekly", "starts": "2026-01-05", "members": ["mia"]}
    care = {"id": "care", "kind": "slack", "channel": CHANNEL, "base_url": f"{chat}/api/"}
    return {
        "version": 1,
        "brands": [{"id": "air", "name": "Air"}],
        "accounts": [{"id": "4001", "brand": "air", "platform": "x", "quiet_start": "0s"}],
        "people": [
            {"id": one, "name": one.title(), "slack": f"U0{one.upper()}", "zone": "UTC"}
            | (CALLED if one == "mia" else {})
            for one in people
        ],
        "rotas": [{"id": "social", "zone": "UTC", "layers": [{"id": "week", "rotation": week}]}],
        "policies": [
            {"id": "threat", **common, "steps": threats, "fallback": {"person": "fay"}},
            {"id": "plain", **common, "steps": lines},
        ],
        "destinations": [
            {**care, "posts_per_second": 1000, "updates_per_second": 1000},
            {"id": PHONES, "kind": "phone", "posts_per_second": 1000},
        ],
        "routes": [
            {
                "id": "threat",
                "match": {"sensitive": "any"},
                "policy": "threat",
                "destinations": ["care"],
            },
            {"id": "everything", "policy": "plain", "destinations": ["care"]},
        ],
    }


@dataclass(frozen=True, slots=True)
class Post:
    """Something that the chat has posted."""

    delivery: str
    channel: str
    at: float


class SlowChat:
    """Before the chat: a line that takes its time, and a list of what was posted when."""

    def __init__(
        self, app: App, chance: random.Random, posts: list[Post], calls: list[tuple[str, float]]
    ) -> None:
        self._app = app
        self._chance = chance
        self.posts = posts
        self.calls = calls
        self._links = Links("http://127.0.0.1:1", SecretStr(LINK_SECRET), SystemClock())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        calls = scope["type"] == "http" and str(scope["path"]) == "/phone"
        if not calls and (
            scope["type"] != "http" or not str(scope["path"]).endswith("chat.postMessage")
        ):
            await self._app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        arrived = time.time()
        await asyncio.sleep(self._chance.uniform(0, 0.3))
        said: list[MutableMapping[str, Any]] = []

        async def again() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: MutableMapping[str, Any]) -> None:
            said.append(message)

        # The caller may be dead by now: what it asked for happens all the same.
        if calls:
            token = orjson.loads(body)["message"].rsplit("/", 1)[-1]
            self.calls.append((self._links.read_episode(token).episode_id, arrived))
            said.append({"type": "http.response.start", "status": 200, "headers": []})
            said.append({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, again, keep)
            self._write_down(body, b"".join(one.get("body", b"") for one in said), arrived)
        await asyncio.sleep(self._chance.uniform(0, 0.5))
        for message in said:
            await send(message)

    def _write_down(self, body: bytes, answer: bytes, arrived: float) -> None:
        asked, answered = orjson.loads(body), orjson.loads(answer)
        if answered.get("ok"):
            payload = (asked.get("metadata") or {}).get("event_payload") or {}
            self.posts.append(
                Post(str(payload.get("delivery_id")), str(answered["channel"]), arrived)
            )


@dataclass
class Matter:
    """What somebody asked, and what a person did about it."""

    native: str
    who: str
    at: datetime
    threat: bool
    act: str
    left_alone: bool = True
    """Nobody did anything about it."""
    ended_at: float | None = None
    """When the database was seen to say that it is over."""


@dataclass
class Tally:
    """What happened."""

    matters: list[Matter] = field(default_factory=list)
    acts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    kills: int = 0


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

    # -- load

    async def load(self, http: httpx.AsyncClient) -> None:
        """Questions, evenly, and what people do about them."""
        begun, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as people:
            while (now := time.monotonic() - begun) < self.seconds:
                while number < now * self.per_minute / 60:
                    number += 1
                    people.create_task(self._matter(http, number))
                self.bus.poll(0)
                await asyncio.sleep(0.05)

    async def _matter(self, http: httpx.AsyncClient, number: int) -> None:
        act = ACTS[number % len(ACTS)]
        matter = Matter(f"q{number}", f"p{number}", datetime.now(UTC), number % 2 == 0, act)
        self.tally.matters.append(matter)
        flags = frozenset({Sensitive.threat}) if matter.threat else frozenset()
        judged = verdict(sensitive=flags)
        text = f"@air this is matter {number}, who helps me?"
        self._put(notified(matter.native, matter.at, matter.who, text=text, judged=judged))
        if act == "leave":
            return
        await asyncio.sleep(self.chance.uniform(1, self.budget * 0.8))
        matter.left_alone = False
        if act in ("answer", "answer_claimed"):
            if act == "answer_claimed":
                await self._press(http, matter, "claim")
                await asyncio.sleep(self.chance.uniform(1, self.budget * 0.3))
            await self._answer(matter)
        else:
            await self._press(http, matter, act)
        self.tally.acts[act] += 1

    async def _answer(self, matter: Matter) -> None:
        said = notified(
            f"a{matter.native}", datetime.now(UTC), outbound=True, to=matter.who,
            parent=matter.native, text="We are on it.",
        )  # fmt: skip
        self._put(said)

    def _put(self, said: ClassifiedNotification) -> None:
        self.bus.produce(
            CLASSIFIED.name, said.model_dump_json().encode(), key=said.notification.key.encode()
        )

    async def _press(self, http: httpx.AsyncClient, matter: Matter, act: str) -> None:
        """Once there is a card to press on; again, at the other replica, until one says that it was heard."""
        episode = await self._episode(matter)
        payload = _payload(act, episode, matter.native)
        body = urlencode({"payload": json.dumps(payload)})
        attempt = self.chance.randrange(2)
        while True:
            now = str(int(time.time()))
            signature = SignatureVerifier(SIGNING_SECRET).generate_signature(
                timestamp=now, body=body
            )
            headers = {
                "x-slack-request-timestamp": now,
                "x-slack-signature": signature or "",
                "content-type": "application/x-www-form-urlencoded",
            }
            replica = self.replicas[attempt % 2]
            attempt += 1
            try:
                url = f"http://127.0.0.1:{replica.port}/slack/interactions"
                answer = await http.post(url, content=body, headers=headers, timeout=10)
            except httpx.TransportError as error:
                self.tally.refused[type(error).__name__] += 1
                await asyncio.sleep(0.3)
                continue
            if answer.status_code == 200:
                return
            self.tally.refused[str(answer.status_code)] += 1
            await asyncio.sleep(0.3)

    async def _episode(self, matter: Matter) -> str:
        statement = "select id from alert.episodes where %s = any(openers) and state <> 'merged'"
        async with asyncio.timeout(120):
            while True:
                found = await asyncio.to_thread(self.rows, statement, iid(matter.native))
                if found:
                    return str(found[0]["id"])
                await asyncio.sleep(0.5)

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
        with psycopg.connect(self.database, row_factory=dict_row) as connection:
            return connection.execute(statement, values).fetchall()

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
        effects = {
            str(row["id"]): row
            for row in self.rows(
                "select o.*, e.openers[1] as opener, e.opened_at from alert.outbox o"
                " left join alert.episodes e on e.id = o.episode"
            )
        }
        posts: dict[str, list[Post]] = {}
        for post in (*self.posts, *self._called(effects)):
            posts.setdefault(post.delivery, []).append(post)
        matters = {iid(one.native): one for one in self.tally.matters}
        steps = _steps_posted(effects, posts)
        late = _lateness(effects, posts, matters, self.budget)
        (counts,) = self.rows(_COUNTS)
        found_again = [
            name for name, done in posts.items()
            if name in effects and effects[name]["state"] == "sent" and effects[name]["attempt"] > 1
            and len(done) == 1
        ]  # fmt: skip
        return {
            "seconds": self.seconds,
            "per_minute": self.per_minute,
            "budget_seconds": self.budget,
            "kills": self.tally.kills,
            "matters": len(matters),
            "acts": dict(self.tally.acts),
            "presses_that_met_a_dead_replica": dict(self.tally.refused),
            **counts,
            "posts": len(self.posts),
            "calls": len(self.calls),
            "cards": sum(1 for row in effects.values() if _posted(row, posts) == "card"),
            "steps_posted": sum(len(found) for found in steps.values()),
            "sends_hit_by_a_crash": sum(row["attempt"] > 1 for row in effects.values()),
            "found_again": len(found_again),
            "posted_twice": sum(len(done) > 1 for done in posts.values()),
            "said_to_be_sent_and_is_not": sum(
                row["state"] == "sent" and name not in posts for name, row in effects.items()
            ),
            "step_posted_twice": sum(
                count > 1 for found in steps.values() for count in found.values()
            ),
            "missing": len(self._missing(steps, until)),
            "without_a_card": len(set(matters) - _with_card(effects, posts)),
            "after_the_end": sum(_after_the_end(effects, posts, matters)),
            "posted_after_it_was_due_seconds": _spread(late),
        }

    def _called(self, effects: Effects) -> list[Post]:
        """A call carries no delivery's id: it is the one page of its episode that goes by phone."""
        rows = {
            str(row["episode"]): name
            for name, row in effects.items()
            if row["destination"] == PHONES
        }
        return [Post(rows.get(episode, ""), PHONES, at) for episode, at in self.calls]

    def _missing(self, steps: dict[str, Counter[str]], until: datetime) -> list[tuple[str, str]]:
        """Steps and calls of matters that nobody touched which were due and did not come."""
        missing = []
        for matter in self.tally.matters:
            if not matter.left_alone:
                continue
            called = matter.at + timedelta(seconds=CALLED_AFTER)
            if (
                matter.threat
                and called <= until
                and not steps.get(iid(matter.native), Counter())["0/phones"]
            ):
                missing.append((matter.native, "call"))
            for number, share in enumerate(SHARES):
                due = matter.at + timedelta(seconds=self.budget * share / 100)
                if due <= until and not steps.get(iid(matter.native), Counter())[str(number)]:
                    missing.append((matter.native, str(number)))
        return missing


_COUNTS = """
select
    (select count(*) from alert.inbox) as inbox,
    (select count(*) from alert.inbox where folded_at is null) as unfolded,
    (select count(*) from alert.episodes where state <> 'merged') as episodes,
    (select count(*) from (
        select from alert.episodes, unnest(openers) as opener
        where state <> 'merged' group by opener having count(*) > 1
    ) as twice) as opened_twice,
    (select count(*) from alert.outbox
        where state in ('pending', 'leased') and due_at <= alert.now()) as undelivered,
    (select count(*) from alert.episodes e left join alert.timers t on t.episode = e.id
        where e.state in ('open', 'claimed')
          and (t.episode is null or t.due_at < alert.now() - interval '30 s')) as timers_standing_still
"""


def _payload(act: str, episode: str, request: str) -> dict[str, Any]:
    who = {"id": "U0ADA"}
    if act == "claim":
        pressed = {"action_id": "presence:claim", "value": episode, "action_ts": request}
        return {
            "type": "block_actions", "user": who, "trigger_id": "1.2.a",
            "container": {"channel_id": CHANNEL}, "channel": {"id": CHANNEL}, "actions": [pressed],
        }  # fmt: skip
    values: dict[str, Any]
    if act == "snooze":
        kept = {"a": "snooze", "e": episode, "c": CHANNEL, "r": request}
        ticked = {"selected_options": [{"value": "beyond"}]}
        values = {"choice": {"choice": {"selected_option": {"value": "15m"}}}}
        values["beyond"] = {"beyond": ticked}
        callback = ACT_CALLBACK
    else:
        kept = {"e": episode, "c": CHANNEL}
        values = {"choice": {"choice": {"selected_option": {"value": "no_reply_needed"}}}}
        callback = CLOSE_CALLBACK
    view = {"id": "V1", "callback_id": callback, "private_metadata": json.dumps(kept)}
    return {
        "type": "view_submission",
        "user": who,
        "view": {**view, "state": {"values": values}},
    }


Effects = dict[str, dict[str, Any]]
Posts = dict[str, list[Post]]


def _posted(row: dict[str, Any], posts: Posts) -> str | None:
    return str(row["purpose"]) if str(row["id"]) in posts else None


def _is_step(row: dict[str, Any]) -> bool:
    """A page, or the channel's line of a step; not what a person asked for, not "nobody is there"."""
    if row["episode"] is None or row["call"] is not None:
        return False
    told = row["purpose"] == "told" and str(row["target"]).startswith("step-")
    return told or row["purpose"] == "page"


def _steps_posted(effects: Effects, posts: Posts) -> dict[str, Counter[str]]:
    """Per opener: how often each step (and beyond the chain each person and line of it) was posted."""
    found: dict[str, Counter[str]] = {}
    for name, done in posts.items():
        row = effects.get(name)
        if row is None or not _is_step(row):
            continue
        step = str(row["step"]) + ("/phones" if row["destination"] == PHONES else "")
        if row["step"] >= len(SHARES) or row["round"]:
            step = f"{row['round']}/{row['step']}/{row['target']}"
        found.setdefault(row["opener"], Counter())[step] += len(done)
    return found


def _with_card(effects: Effects, posts: Posts) -> set[str]:
    return {
        row["opener"]
        for name, row in effects.items()
        if row["purpose"] == "card" and row["episode"] is not None and name in posts
    }


def _after_the_end(effects: Effects, posts: Posts, matters: dict[str, Matter]) -> list[bool]:
    after = []
    for name, done in posts.items():
        row = effects.get(name)
        if row is None or row["purpose"] != "page" or row["opener"] not in matters:
            continue
        ended = matters[row["opener"]].ended_at
        after += [ended is not None and one.at > ended + HOP for one in done]
    return after


def _lateness(
    effects: Effects, posts: Posts, matters: dict[str, Matter], budget: float
) -> list[float]:
    """Of matters that nobody touched: seconds from when a step was due to its post, crashes included."""
    late = []
    for name, done in posts.items():
        row = effects.get(name)
        if row is None or not _is_step(row) or row["step"] >= len(SHARES):
            continue
        if row["destination"] == PHONES:
            continue
        matter = matters[row["opener"]]
        if matter.left_alone:
            due = matter.at.timestamp() + budget * SHARES[row["step"]] / 100
            late.append(done[0].at - due)
    return late


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    at = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[int(last * share)], 2) for name, share in at.items()}


async def run(one: Run) -> dict[str, Any]:
    """The whole run; returns its figures."""
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(limits=limits) as http:
        try:
            await one.prepare(http)
            watching = asyncio.create_task(one.watch())
            faults = asyncio.create_task(one.faults(http))
            await one.load(http)
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


NEVER = (
    "unfolded", "opened_twice", "undelivered", "timers_standing_still", "said_to_be_sent_and_is_not",
    "missing", "without_a_card", "after_the_end",
)  # fmt: skip


def failures(figures: dict[str, Any], *, kills: int = 1) -> list[str]:
    """What should not be."""
    wrong = [name for name in NEVER if figures[name]]
    if figures["episodes"] != figures["matters"]:
        wrong.append("episodes")
    # Where a crash hit the send, one more post is allowed; nowhere else.
    if figures["posted_twice"] > figures["sends_hit_by_a_crash"]:
        wrong.append("posted_twice")
    if figures["kills"] < kills:
        wrong.append("kills")
    return wrong


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
