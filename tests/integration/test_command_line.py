"""The Kafka side of the command line, on a real Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from deploy.local.kafka import LocalKafka
from services.cli.main import main, presence
from services.contracts.topics import NOTIFICATIONS, TOPICS, Header
from services.runtime.dead_letter_limit import tripped
from services.runtime.settings import ServiceSettings, load

pytestmark = pytest.mark.integration
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Kafka of its own: what is put back here would surprise the readers of other tests."""
    with LocalKafka(tmp_path_factory.mktemp("kafka-of-the-command-line"), port=None) as own:
        yield own.bootstrap


@pytest.fixture
def run(kafka: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("PRESENCE_KAFKA", kafka)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(presence, arguments, catch_exceptions=False)

    return run


def test_topics_are_made_as_registered_once(run: Run) -> None:
    first = run("topics", "apply", "--partitions", "3", "--json")
    assert first.exit_code == 0
    again = run("topics", "apply", "--partitions", "3", "--json")
    assert json.loads(again.stdout) == {"changed": []}
    status = run("topics", "status", "--partitions", "3", "--json")
    assert status.exit_code == 0
    assert {one["name"] for one in json.loads(status.stdout)["topics"]} == {t.name for t in TOPICS}


def test_another_number_of_partitions_is_refused_because_keys_would_move(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("topics", "apply", "--partitions", "3")
    with pytest.raises(SystemExit) as ended:
        main(["topics", "apply", "--partitions", "6"])
    assert ended.value.code == 2
    assert "keys would move" in capsys.readouterr().err


def test_lag_tells_every_group_and_partition(run: Run) -> None:
    run("topics", "apply", "--partitions", "3")
    rows = json.loads(run("lag", "--json").stdout)["lag"]
    assert {(row["group"], row["partition"]) for row in rows} >= {("presence-classify", 0)}


def test_a_dead_letter_is_listed_shown_and_put_back(run: Run, kafka: str) -> None:
    run("topics", "apply", "--partitions", "3")
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(
        NOTIFICATIONS.dlq,
        value=b"{broken",
        key="someone",
        headers=[
            (Header.event_id.value, b"x:1:9:created"),
            (Header.reason.value, b"malformed"),
            (Header.detail.value, b"line 1"),
        ],
    )
    assert producer.flush(10) == 0
    listed = [json.loads(line) for line in run("dlq", "list", "--json").stdout.splitlines()]
    letter = next(one for one in listed if one["event_id"] == "x:1:9:created")
    assert (letter["reason"], letter["body"]) == ("malformed", "{broken")
    place = f"{letter['topic']}:{letter['partition']}:{letter['offset']}"
    assert run("dlq", "show", place).stdout.strip() == "{broken"
    back = run("dlq", "replay", place)
    assert f"{place} is on presence.notifications again" in back.stdout


def test_a_resume_is_the_last_word_about_a_tripped_limit(run: Run, kafka: str) -> None:
    from services.contracts.events import Notice, NoticeKind
    from services.contracts.topics import NOTICES

    run("topics", "apply", "--partitions", "3")
    notice = Notice(
        kind=NoticeKind.dead_letter_limit,
        service="classify",
        source=NOTIFICATIONS.name,
        says="too many",
        at=datetime.now(UTC),
    )
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(NOTICES.name, value=notice.to_bytes(), key=notice.key)
    assert producer.flush(10) == 0
    settings = load(ServiceSettings)
    assert tripped(settings, "classify") == {NOTIFICATIONS.name}
    assert run("dlq", "resume", "classify").exit_code == 0
    assert not tripped(settings, "classify")


def test_a_kafka_that_does_not_answer_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRESENCE_KAFKA", "127.0.0.1:1")
    with pytest.raises(SystemExit) as ended:
        main(["dlq", "list"])
    assert ended.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
