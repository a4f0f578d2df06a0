"""The local Kafka and PostgreSQL: real, durable, and gone when they should be."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres

pytestmark = pytest.mark.integration

TOPIC = "kept"


def write(bootstrap: str, *values: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics([NewTopic(TOPIC, 1, 1)]).values():
        created.result()
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce(TOPIC, value)
    assert producer.flush(10) == 0


def read(bootstrap: str, count: int) -> list[str]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([TOPIC])
    messages = consumer.consume(count, timeout=20)
    consumer.close()
    return [(message.value() or b"").decode() for message in messages]


def test_kafka_keeps_acknowledged_records_when_it_is_killed(data_dir: Path) -> None:
    first = LocalKafka(data_dir, port=None).start()
    try:
        write(first.bootstrap, "one", "two")
    finally:
        first.kill()
    with LocalKafka(data_dir, port=None) as second:
        assert second.bootstrap != first.bootstrap
        assert read(second.bootstrap, 2) == ["one", "two"]


def test_postgres_keeps_committed_rows_when_it_is_killed(data_dir: Path) -> None:
    first = LocalPostgres(data_dir, port=None).start()
    try:
        with psycopg.connect(first.url) as connection:
            connection.execute("create table kept as select 42 as answer")
    finally:
        first.kill()
    with (
        LocalPostgres(data_dir, port=None) as second,
        psycopg.connect(second.url) as connection,
    ):
        assert connection.execute("select answer from kept").fetchone() == (42,)


def test_every_test_gets_a_fresh_database(postgres: Callable[[], str]) -> None:
    one, other = postgres(), postgres()
    assert one != other
    with psycopg.connect(one) as connection:
        connection.execute("create table here ()")
    with psycopg.connect(other) as connection:
        assert connection.execute("select to_regclass('here')").fetchone() == (None,)


def test_the_kafka_of_a_test_run_creates_no_topic_by_itself(kafka: str) -> None:
    metadata = AdminClient({"bootstrap.servers": kafka}).list_topics("never.made", timeout=10)
    assert metadata.topics["never.made"].error is not None
