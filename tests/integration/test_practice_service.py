"""A practice from the command to its debrief, in the real service with a real Kafka: none of it gets out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr
from slack_sdk.signature import SignatureVerifier

from deploy.local.kafka import LocalKafka
from services.alert.app import AlertService, AlertSettings
from services.cli.practice import practice
from services.contracts.topics import TOPICS
from services.runtime import configuration as presence_yaml
from services.runtime import topic_administration
from services.runtime.clock import SystemClock
from tests.alert.builders import PRESENCE, at, notified
from tests.alert.chat_builders import SECRET
from tests.alert.chat_servers import TOKEN, SlackServer, serving
from tests.alert.practice_ground import PRACTICE, TRAINING, action_of, fingerprint
from tests.conftest import FreshDatabase
from tests.integration.ingest_service import unique

pytestmark = pytest.mark.integration
SIGNING = "the signing secret"
ENVIRONMENT = {
    "PRESENCE_SLACK_BOT_TOKEN": TOKEN,
    "PRESENCE_SLACK_SIGNING_SECRET": SIGNING,
    "PRESENCE_TEAMS_WORKFLOW_URL": "http://127.0.0.1:9/",
}


def ends(kafka: str) -> dict[str, int]:
    """How many records each topic ever had."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": unique("ends-")})
    found = {}
    known = consumer.list_topics(timeout=10).topics
    for topic in (one.name for one in TOPICS if one.name in known):
        places = [TopicPartition(topic, number) for number in known[topic].partitions]
        found[topic] = sum(consumer.get_watermark_offsets(one, timeout=10)[1] for one in places)
    consumer.close()
    return found


async def figures(http: httpx.AsyncClient) -> list[str]:
    """Every figure of alert's own, but for how far its consumers are."""
    text = (await http.get("/metrics")).text
    return [one for one in text.splitlines() if one.startswith("presence_") and "_lag" not in one]


async def until(what: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for it."""
    give_up = asyncio.get_running_loop().time() + seconds
    while not (found := what()):
        assert asyncio.get_running_loop().time() < give_up
        await asyncio.sleep(0.05)
    return found


def request(payload: dict[str, Any]) -> dict[str, Any]:
    """As Slack signs it."""
    body, now = urlencode({"payload": json.dumps(payload)}), SystemClock().now()
    timestamp = str(int(now.timestamp()))
    signature = SignatureVerifier(SIGNING).generate_signature(timestamp=timestamp, body=body)
    headers = {
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": signature or "",
        "content-type": "application/x-www-form-urlencoded",
    }
    return {"content": body, "headers": headers}


@pytest.fixture
def quiet_kafka(tmp_path: Path) -> Iterator[str]:
    """One on which nobody else has written: what is there after a practice is the practice's."""
    with LocalKafka(tmp_path / "kafka", port=None) as own:
        yield own.bootstrap


async def test_a_whole_practice_leaves_no_trace_on_topics_figures_or_in_alerts_database(
    quiet_kafka: str, postgres: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = postgres()
    monkeypatch.setenv("PRESENCE_DATABASE_URL", real)
    monkeypatch.setenv("PRESENCE_PRACTICE_DATABASE_URL", postgres())
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    server, file = SlackServer(), tmp_path / "presence.yaml"
    script = tmp_path / "script.jsonl"
    events = [notified("1", at(0), "ana", text="Where is my bag?"), notified("2", at(0.1), "bo")]
    script.write_bytes(b"\n".join(one.to_bytes() for one in events))

    async def ask(*arguments: str) -> Any:
        done = await asyncio.to_thread(CliRunner().invoke, practice, [*arguments, "--json"])
        assert done.exit_code == 0, done.output
        # Alert runs in this very process, and logs there too.
        return json.loads(done.stdout.splitlines()[-1])

    async with serving("/api/{method}", server.handle) as address:
        file.write_text((PRESENCE + PRACTICE).replace("$SLACK", f"{address}/api/"))
        settings = AlertSettings(
            kafka=quiet_kafka,
            config=file,
            database_url=SecretStr(real),
            public_url="https://presence.example",
            link_secret=SecretStr(SECRET),
            host="127.0.0.1",
        )
        topic_administration.apply(settings, partitions=3)
        service = AlertService(settings, presence_yaml.load(file))
        await service.start()
        try:
            transport = httpx.ASGITransport(app=service.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://alert") as http:
                before = await asyncio.to_thread(ends, quiet_kafka), await fingerprint(real)
                shown = await figures(http)
                assert {"presence.replies", "presence.episodes"} <= before[0].keys()
                assert any(one.startswith("presence_pages_total") for one in shown)
                where = ("--person", "tom", "--destination", "training", "--config", str(file))
                await ask("start", str(script), *where, "--speed", "1000")
                cards = await until(lambda: _cards(server, 2))
                for card, act in ((cards[0], "claim"), (cards[1], "not_for_us")):
                    answered = await http.post("/slack/interactions", **request(_press(card, act)))
                    assert answered.status_code == 200
                form = server.views[-1]["view"]
                values = {"choice": {"choice": {"selected_option": {"value": "spam"}}}}
                sent = {"id": "V1", **form, "state": {"values": values}}
                submission = {"type": "view_submission", "user": {"id": "U4"}, "view": sent}
                await http.post("/slack/interactions", **request(submission))
                await until(lambda: "Tom has it" in json.dumps(server.all_messages()))
                await until(lambda: "Not for us" in json.dumps(server.all_messages()))
                ended = await ask("stop")
                assert ended["debrief"]["episodes"] == 2
                assert {one["channel"] for one in server.all_messages()} == {TRAINING}
                assert await asyncio.to_thread(ends, quiet_kafka) == before[0]
                after = await fingerprint(real)
                # The real world draws up its own daily digest meanwhile, of nobody.
                changed = {one for one in after if after[one] != before[1][one]}
                assert changed <= {"alert.digests"}
                assert await figures(http) == shown
        finally:
            await service.workers.stop()
            await service.stop()


def _cards(server: SlackServer, number: int) -> list[dict[str, Any]]:
    found = [one for one in server.all_messages() if '"practice:claim"' in json.dumps(one)]
    return found if len(found) == number else []


def _press(card: dict[str, Any], act: str) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": "U4"},
        "trigger_id": "1.2.3",
        "container": {"type": "message", "channel_id": TRAINING},
        "channel": {"id": TRAINING},
        "actions": [{**action_of(card, act), "action_ts": card["ts"]}],
    }
