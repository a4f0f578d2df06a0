"""Webhooks on a real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from deploy.local import ports
from deploy.local.kafka import LocalKafka
from services.ingest.sources.registry import build_sources
from tests.conftest import FreshDatabase
from tests.ingest.brand import LINK_SECRET, NOW, SECRETS, payload
from tests.integration.ingest_service import Records, running, settings_for, unique, with_accounts

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def records(kafka: str) -> Iterator[Callable[[str], Records]]:
    made: list[Records] = []

    def reader(account: str) -> Records:
        made.append(Records(kafka, account))
        return made[-1]

    yield reader
    for one in made:
        one.close()


def x_account(account: str) -> dict[str, Any]:
    return {
        "platform": "x", "id": account, "brand": "air", "settings": {"consumer_secret": "X_ONE"},
    }  # fmt: skip


def mention(account: str, post: int = 9001) -> bytes:
    body = payload("x", "mention").replace(b"2244994945", account.encode())
    return body.replace(b"9001", str(post).encode())


def post(http: httpx.AsyncClient, account: str, body: bytes) -> Any:
    file = with_accounts(x_account(account))
    source = build_sources(file, lambda name: SecretStr(SECRETS[name]), LINK_SECRET)["x"]
    return http.post("/webhooks/x", content=body, headers=source.sign(body, NOW))


async def test_what_is_answered_with_2xx_is_on_kafka_and_a_repetition_is_not(
    kafka: str, postgres: FreshDatabase, records: Callable[[str], Records]
) -> None:
    account, database = unique("77"), postgres()
    settings = settings_for(kafka, database)
    async with running(settings, with_accounts(x_account(account))) as http:
        first = await post(http, account, mention(account))
        assert first.status_code == 200
        assert first.json()["accepted"] == 1
        reader = records(account)
        (found,) = await reader.until(lambda found: len(found) == 1)
        again = await post(http, account, mention(account))
        assert again.json() == {"accepted": 0, "duplicates": 1, "dead_letters": 0, "ignored": 0}
        ready = await http.get("/health/ready")
        assert ready.status_code == 200, ready.text
        metrics = (await http.get("/metrics")).text
    assert len(await reader.settled()) == 1
    assert (
        'presence_duplicates_total{direction="inbound",kind="mention",origin="live",source="x"} 1.0'
        in metrics
    )
    with psycopg.connect(database) as connection:
        kept = connection.execute("select body, source from ingest.payloads").fetchall()
        seen = connection.execute("select event_id from ingest.seen").fetchall()
    assert kept == [(mention(account), "x")]
    assert seen == [(found.event_id,)]


async def test_a_restarted_service_knows_what_it_took_in(
    kafka: str, postgres: FreshDatabase, records: Callable[[str], Records]
) -> None:
    account = unique("78")
    settings = settings_for(kafka, postgres())
    for accepted in (1, 0):
        async with running(settings, with_accounts(x_account(account))) as http:
            answer = await post(http, account, mention(account))
            assert answer.json()["accepted"] == accepted
    assert len(await records(account).settled()) == 1


async def test_many_at_once_are_each_on_kafka_once(
    kafka: str, postgres: FreshDatabase, records: Callable[[str], Records]
) -> None:
    account = unique("79")
    settings = settings_for(kafka, postgres())
    async with running(settings, with_accounts(x_account(account))) as http:
        bodies = [mention(account, 9100 + number) for number in range(100)] * 2
        answers = await asyncio.gather(*(post(http, account, body) for body in bodies))
        assert {answer.status_code for answer in answers} == {200}
        assert sum(answer.json()["accepted"] for answer in answers) == 100
    reader = records(account)
    found = await reader.until(lambda found: len({one.event_id for one in found}) == 100)
    assert len({one.event_id for one in found}) == 100


async def test_an_absent_kafka_is_said_within_a_second_and_a_returned_one_takes_everything(
    tmp_path: Path, postgres: FreshDatabase
) -> None:
    account = unique("80")
    broker = LocalKafka(tmp_path / "kafka", port=ports.pick(None))
    broker.start()
    try:
        settings = settings_for(broker.bootstrap, postgres())
        async with running(settings, with_accounts(x_account(account))) as http:
            assert (await post(http, account, mention(account, 1))).status_code == 200
            await asyncio.to_thread(broker.stop)
            for number in range(2, 6):
                begun = time.monotonic()
                refused = await post(http, account, mention(account, number))
                assert refused.status_code == 503
                assert int(refused.headers["retry-after"]) >= 1
                assert time.monotonic() - begun < 1.3, "a second, and what this machine adds"
            ready = await http.get("/health/ready")
            assert ready.status_code == 503
            assert "Kafka" in ready.text
            await asyncio.to_thread(broker.start)
            for number in range(2, 6):
                await _until_taken(http, account, number)
        reader = Records(broker.bootstrap, account)
        found = await reader.until(lambda found: len({one.event_id for one in found}) == 5)
        reader.close()
        assert len({one.event_id for one in found}) == 5
    finally:
        broker.stop()


async def _until_taken(http: httpx.AsyncClient, account: str, number: int) -> None:
    """As a platform does: again and again."""
    for _ in range(60):
        if (await post(http, account, mention(account, number))).status_code == 200:
            return
        await asyncio.sleep(0.5)
    pytest.fail("Kafka is back and nothing is taken")


async def test_without_its_tables_intake_goes_on_and_counts_it(
    kafka: str, postgres: FreshDatabase, records: Callable[[str], Records]
) -> None:
    account, database = unique("81"), postgres()
    settings = settings_for(kafka, database)
    async with running(settings, with_accounts(x_account(account))) as http:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("alter schema ingest rename to away")
        answer = await post(http, account, mention(account))
        assert answer.status_code == 200
        metrics = (await http.get("/metrics")).text
        assert 'presence_ingest_store_failures_total{call="known"} 1.0' in metrics
    assert len(await records(account).settled()) == 1
