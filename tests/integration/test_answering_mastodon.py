"""A reply on presence.replies is posted on mastodon-mock (a server that we did not write) by the whole
service, on a real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from services.contracts.events import Action, Direction, Outcome, OutcomeState, Reply
from services.contracts.topics import OUTCOMES, REPLIES
from tests.conftest import FreshDatabase
from tests.integration.ingest_service import Records, running, settings_for, unique
from tests.integration.test_ingest_mastodon import (
    Server,
    _in_thread,
    connected,
    file_for,
    said,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def _outcomes(kafka: str, reply_id: str, within: float = 30.0) -> list[Outcome]:
    """What was told about one reply, from the topic's beginning until there is something."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": unique("outcomes-")})
    try:
        partitions = (
            consumer.list_topics(OUTCOMES.name, timeout=10).topics[OUTCOMES.name].partitions
        )
        consumer.assign([TopicPartition(OUTCOMES.name, number, 0) for number in partitions])
        found: list[Outcome] = []
        for _ in range(int(within / 0.2)):
            for message in consumer.consume(100, 0.2):
                value = message.value()
                if message.error() is None and isinstance(value, bytes):
                    one = Outcome.model_validate_json(value)
                    found += [one] if one.reply_id == reply_id else []
            if found:
                break
        return found
    finally:
        consumer.close()


def _send(kafka: str, key: str, reply: Reply) -> None:
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    producer.produce(REPLIES.name, key=key, value=reply.to_bytes())
    assert producer.flush(10) == 0


async def test_a_reply_stands_in_the_thread_and_its_echo_is_the_same_event(
    kafka: str, postgres: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTODON_TOKEN", "air_token")
    server = Server(tmp_path)
    await asyncio.to_thread(server.start)
    native = str((await _in_thread(server.person("air").me))["id"])
    account = f"{native}@{unique('run')}"
    bob = server.person("bob")
    settings = settings_for(kafka, postgres())
    reader = Records(kafka, account)
    try:
        async with running(settings, file_for(server, account)) as http:
            await connected(http, account)
            asked = await _in_thread(bob.status_post, "@air is the bridge open?")
            (question,) = [
                one for one in await reader.until(said("bridge")) if "bridge" in one.text
            ]
            now = datetime.now(UTC)
            reply = Reply(
                reply_id=uuid.uuid4().hex,
                item_id=question.item_id,
                text="It is, since nine.",
                private=False,
                author="mia",
                written_at=now,
                expires_at=now + timedelta(minutes=10),
            )
            await asyncio.to_thread(_send, kafka, question.key, reply)
            await asyncio.to_thread(_send, kafka, question.key, reply)
            (outcome,) = await asyncio.to_thread(_outcomes, kafka, reply.reply_id)
            thread = await _in_thread(bob.status_context, asked["id"])
            found = await reader.until(said("since nine"))
            # The account's own statuses are read again: the echo is dropped by its id.
            await reader.settled()
    finally:
        reader.close()
        await asyncio.to_thread(server.kill)
    assert outcome.state is OutcomeState.posted, outcome.says
    (below,) = thread["descendants"]
    assert str(below["in_reply_to_id"]) == str(asked["id"])
    assert str(below["account"]["id"]) == native
    assert outcome.permalink == below["url"]
    ours = [
        one for one in found if one.direction is Direction.outbound and one.action is Action.created
    ]
    assert {one.item_id for one in ours} == {outcome.posted_item_id}
    assert len({one.event_id for one in ours}) == 1
    assert ours[0].item_id.endswith(f":{below['id']}")
    assert ours[0].conversation == question.conversation
