"""The Kafka side of the command line, on a real Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from confluent_kafka import Message, Producer
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Mount

from deploy.local.kafka import LocalKafka
from services.cli.main import main, presence
from services.contracts.topics import GROUPS, NOTIFICATIONS, TOPICS, Header
from services.ingest import replay_mark
from services.ingest.collector import Collector
from services.ingest.intake import Intake
from services.ingest.metrics import Metrics
from services.ingest.store.event_store import MemoryEventStore
from services.runtime.asgi import Router
from services.runtime.clock import SystemClock
from services.runtime.dead_letter import DeadLetterReason, intake_dead_letter
from services.runtime.dead_letter_limit import tripped
from services.runtime.producer import MemoryProducer
from services.runtime.settings import ServiceSettings, load
from services.runtime.trace import continued
from tests.ingest.brand import LINK_SECRET, SECRETS, configuration, payload, sources
from tests.serving import serve

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


def dead_letter_of(kafka: str, source: str, body: bytes, headers: dict[str, str]) -> str:
    """Where ingest's dead letter is, as a person names it."""
    record = intake_dead_letter(
        body,
        DeadLetterReason.malformed,
        "the mapping finds nothing",
        key=source,
        source=source,
        now=datetime.now(UTC),
        headers=headers,
        trace=continued(None),
    )
    producer, at = Producer({"bootstrap.servers": kafka}), list[Message]()
    producer.produce(
        record.topic, value=record.value, headers=list(record.headers),
        on_delivery=lambda _, message: at.append(message),
    )  # fmt: skip
    assert producer.flush(10) == 0
    return f"{record.topic}:{at[0].partition()}:{at[0].offset()}"


def in_memory_intake(producer: MemoryProducer) -> Router:
    """The real intake, with Kafka and PostgreSQL in memory."""
    clock, metrics = SystemClock(), Metrics(CollectorRegistry())
    key = replay_mark.key_of(LINK_SECRET.get_secret_value().encode())
    collector = Collector(producer, MemoryEventStore(), metrics, clock)
    router = Router()
    intake = Intake(
        sources(), collector, metrics, clock,
        body_limit=100_000, tolerance=timedelta(minutes=5), replay_key=key,
    )  # fmt: skip
    router.route("/webhooks/", intake)
    return router


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
    assert {(row["group"], row["partition"]) for row in rows} == {
        (group.value, partition) for group, _ in GROUPS for partition in range(3)
    }
    shown = run("lag").stdout
    assert all(group.value in shown for group, _ in GROUPS)


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


def test_a_webhooks_dead_letter_goes_through_the_intake_again_when_it_is_mended(
    run: Run, kafka: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run("topics", "apply", "--partitions", "3")
    headers = {"content-type": "application/json", "x-discourse-event": "post_created"}
    good, broken = (payload("discourse", "post_created"), b'{"post": {"id": 7}}')
    places = [
        dead_letter_of(kafka, source, body, headers)
        for source, body in (("discourse", good), ("discourse", broken), ("mastodon", b"{}"))
    ]
    file = tmp_path / "presence.yaml"
    dumped = configuration().model_dump(mode="json", by_alias=True, exclude_none=True)
    file.write_text(yaml.safe_dump(dumped), encoding="utf-8")
    monkeypatch.setenv("PRESENCE_CONFIG", str(file))
    monkeypatch.setenv("PRESENCE_LINK_SECRET", LINK_SECRET.get_secret_value())
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    shown = json.loads(run("dlq", "show", places[0], "--json").stdout)
    assert (shown["headers"], shown["body"]) == (headers, good.decode())
    ingest = Starlette(routes=[Mount("/", app=in_memory_intake(producer := MemoryProducer()))])
    ingest.state.stop = lambda: None
    with serve(ingest) as url:
        back = run("dlq", "replay", places[0], "--url", url)
        assert (back.exit_code, "1 accepted" in back.stdout) == (0, True)
        (record,) = producer.on(NOTIFICATIONS.name)
        assert json.loads(record.value or b"")["origin"] == "replay"
        still = run("dlq", "replay", places[1], "--url", url)
        assert still.exit_code == 1
        assert "author.id" in still.output
        pulled = run("dlq", "replay", places[2], "--url", url)
        assert (pulled.exit_code, "posts nothing" in pulled.output) == (1, True)


def test_a_place_that_is_none_is_used_wrongly(run: Run) -> None:
    assert run("dlq", "show", "presence.notifications").exit_code == 2
    assert run("dlq", "replay", "nowhere:1:1").exit_code == 2


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
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRESENCE_KAFKA", "127.0.0.1:1")
    for command in ("dlq list", "dlq resume alert"):
        with pytest.raises(SystemExit) as ended:
            main(command.split())
        assert ended.value.code == 1
        # From the file descriptor: librdkafka would write there by itself.
        said = capfd.readouterr().err
        assert said.count("\n") == 1
        assert "127.0.0.1:1 (PRESENCE_KAFKA)" in said
