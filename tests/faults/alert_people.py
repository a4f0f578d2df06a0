"""The people of alert's fault runs: who asks, and who presses, answers, snoozes and closes."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
from confluent_kafka import Producer
from slack_sdk.signature import SignatureVerifier

from services.alert.chat.slack_act_forms import ACT_CALLBACK
from services.alert.chat.slack_modals import CLOSE_CALLBACK
from services.contracts.events import ClassifiedNotification, Sensitive
from services.contracts.topics import CLASSIFIED
from tests.alert.builders import iid, notified, verdict
from tests.faults.alert_accounts import Matter, Tally, rows
from tests.faults.alert_team import CHANNEL
from tests.faults.ingest_run import Replica

SIGNING_SECRET = "signing-secret-of-the-faults"
ACTS = ("leave", "leave", "leave", "answer", "answer", "claim", "snooze", "close", "answer_claimed")


@dataclass
class People:
    """They write through Kafka and press through whichever replica is there."""

    bus: Producer
    replicas: Sequence[Replica]
    database: str
    tally: Tally
    chance: random.Random
    budget: float
    """Seconds to answer in."""

    async def load(self, http: httpx.AsyncClient, seconds: float, per_minute: float) -> None:
        """Questions, evenly, and what people do about them."""
        begun, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as people:
            while (now := time.monotonic() - begun) < seconds:
                while number < now * per_minute / 60:
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
                found = await asyncio.to_thread(rows, self.database, statement, iid(matter.native))
                if found:
                    return str(found[0]["id"])
                await asyncio.sleep(0.5)


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
