"""One variant as a process: told "go TOPIC COUNT" on standard input, it handles so many records and says
what that cost, as a line of JSON. Between rounds it stays, with its model warm.

python -m benchmarks.classify.variants VARIANT KAFKA SINK
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, cast
from unittest.mock import patch

import orjson
import psutil
from confluent_kafka import Consumer, Message, Producer
from faststream import AckPolicy
from faststream.confluent import KafkaBroker
from prometheus_client import CollectorRegistry

from services.classify import handlers
from services.classify.classifier import Classifier
from services.classify.engines.stub import StubEngine
from services.classify.handlers import BatchHandler
from services.classify.metrics import Metrics
from services.classify.model import create_reader, load_engine
from services.classify.sign_lists import shipped_signs
from services.contracts.configuration import Costs
from services.contracts.events import (
    ClassifiedNotification,
    Label,
    Notice,
    Notification,
    Verdict,
)
from services.contracts.topics import Topic
from services.runtime import kafka_settings
from services.runtime.broker import create_broker, create_producer, subscribe_batch
from services.runtime.clock import SystemClock
from services.runtime.consumption import Consumption
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.settings import ServiceSettings

BATCH = 500
OWN = Path(__file__).parents[2] / "tests" / "classify" / "data"
LABELS = tuple(Label)


class Tally:
    """From the first record in hand to the last one delivered."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.count = count
        self.begun = self.ended = 0.0
        self._cpu = self.cpu = 0.0

    def begin(self) -> None:
        if not self.begun:
            self.begun, self._cpu = time.perf_counter(), time.process_time()

    def delivered(self, records: int) -> None:
        self.left -= records
        self.ended = time.perf_counter()
        self.cpu = time.process_time() - self._cpu

    def as_json(self) -> bytes:
        return orjson.dumps(
            {
                "count": self.count - self.left,
                "begun": self.begun,
                "ended": self.ended,
                "cpu": self.cpu,
                "rss": psutil.Process().memory_info().rss,
            }
        )


class Variant(Protocol):
    """Handles `count` records of `topic`."""

    def __call__(self, topic: str, tally: Tally) -> None: ...


def texts_and_labels() -> tuple[list[str], list[str]]:
    """The labelled rows in this repository: what the other classifiers are trained on, for their speed."""
    rows = [
        orjson.loads(line)
        for file in sorted(OWN.rglob("*.jsonl"))
        for line in file.read_bytes().splitlines()
    ]
    return [row["text"] for row in rows], [row["label"] for row in rows]


@cache
def stub_verdict(label: Label = Label.conversation) -> Verdict:
    """As Presence's own stub says it."""
    scores = {one: 0.98 if one is label else 0.01 for one in Label}
    return Verdict(label=label, scores=scores, needs_answer=0.5, engine="stub", model="stub@1")


class StubClassifier:
    """No reading, no model: what is left is the transport."""

    engine = "stub"

    def judge(self, items: Sequence[Notification]) -> list[Verdict]:
        return [stub_verdict()] * len(items)


def _bare(
    kafka: str, sink: str, transform: Callable[[list[bytes]], list[bytes]], topic: str, tally: Tally
) -> None:
    """consume(500) → transform → produce, delivered → commit: no framework, nothing else."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 100,
        }
    )
    producer = Producer({"bootstrap.servers": kafka, **kafka_settings.PRODUCER})
    consumer.subscribe([topic])
    while tally.left > 0:
        messages = consumer.consume(min(BATCH, tally.left), 0.02)
        if not messages:
            continue
        tally.begin()
        values = transform([message.value() or b"" for message in messages])
        for message, value in zip(messages, values, strict=True):
            producer.produce(sink, value, message.key())
        producer.flush()
        consumer.commit(asynchronous=False)
        tally.delivered(len(messages))
    consumer.close()


def _with_orjson(values: list[bytes]) -> list[bytes]:
    verdict = stub_verdict().model_dump(mode="json", exclude_none=True)
    now = datetime.now(UTC)
    return [
        orjson.dumps(
            {"notification": orjson.loads(value), "verdict": verdict, "classified_at": now}
        )
        for value in values
    ]


def _with_pydantic(
    judge: Callable[[list[Notification]], list[Verdict]], values: list[bytes]
) -> list[bytes]:
    items = [Notification.model_validate_json(value) for value in values]
    now = datetime.now(UTC)
    return [
        ClassifiedNotification(notification=item, verdict=verdict, classified_at=now).to_bytes()
        for item, verdict in zip(items, judge(items), strict=True)
    ]


def _scikit_learn() -> Callable[[list[Notification]], list[Verdict]]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    model = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
        ),
        LogisticRegression(max_iter=500),
    )
    model.fit(*texts_and_labels())

    def judge(items: list[Notification]) -> list[Verdict]:
        model.predict_proba([item.text for item in items])
        return [stub_verdict()] * len(items)

    return judge


def _fasttext() -> Callable[[list[Notification]], list[Verdict]]:
    import tempfile

    import fasttext

    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for text, label in zip(*texts_and_labels(), strict=True):
            file.write(f"__label__{label} {' '.join(text.split())}\n")
        file.flush()
        model = fasttext.train_supervised(
            file.name, dim=50, wordNgrams=2, minn=2, maxn=5, epoch=25, bucket=200_000, verbose=0
        )

    def judge(items: list[Notification]) -> list[Verdict]:
        for item in items:
            model.f.predict(" ".join(item.text.split()) + "\n", 3, 0.0, "strict")
        return [stub_verdict()] * len(items)

    return judge


def _single(kafka: str, sink: str, topic: str, tally: Tally) -> None:
    """FastStream as its tutorial has it, but at least once: a model in, a model out, one by one."""

    async def run() -> None:
        broker = KafkaBroker(kafka, logger=None, acks="all", enable_idempotence=True)

        @broker.publisher(sink)
        @broker.subscriber(
            topic,
            group_id=uuid.uuid4().hex,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
        )
        async def handle(item: Notification) -> ClassifiedNotification:
            tally.begin()
            tally.delivered(1)
            return ClassifiedNotification(
                notification=item, verdict=stub_verdict(), classified_at=datetime.now(UTC)
            )

        await _until_done(broker, tally)

    asyncio.run(run())


def _presence(
    kafka: str, sink: str, classifier: Classifier | StubClassifier, topic: str, tally: Tally
) -> None:
    """The service's own handler, subscription, producer, guard and metrics."""
    settings = ServiceSettings(kafka=kafka)
    registry = CollectorRegistry()
    consumption = Consumption()
    source = Topic(topic, Notification, "key", (), (), "", dead_letters=True)

    async def announce(notice: Notice) -> None:
        raise RuntimeError(notice.says)

    async def run() -> None:
        producer = create_producer(settings, service="benchmark")
        producer.start()
        broker = create_broker(
            settings, service="benchmark", registry=registry, consumption=consumption
        )
        guard = DeadLetterGuard(
            service="classify", topic=source, consumption=consumption, announce=announce
        )
        handler = BatchHandler(
            cast("Classifier", classifier), producer, Metrics(registry), guard, SystemClock()
        )

        async def handle(messages: Sequence[Message]) -> None:
            tally.begin()
            await handler(messages)
            tally.delivered(len(messages))

        subscribe_batch(
            broker,
            source,
            handle,
            group=uuid.uuid4().hex,
            consumption=consumption,
            clock=SystemClock(),
        )
        await _until_done(broker, tally)
        await producer.close()

    import uvloop

    classified = Topic(sink, ClassifiedNotification, "key", (), (), "")
    with (
        patch.object(handlers, "CLASSIFIED", classified),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(run())


async def _until_done(broker: KafkaBroker, tally: Tally) -> None:
    await broker.start()
    while tally.left > 0:  # noqa: ASYNC110 -- the other side is a thread of librdkafka
        await asyncio.sleep(0.02)
    await broker.stop()


def shipped() -> Classifier:
    """What the service runs by default."""
    return Classifier(create_reader(), load_engine(None), Costs(), signs=shipped_signs())


def _make(variant: str, kafka: str, sink: str) -> Variant:
    bare = partial(_bare, kafka, sink)
    made: dict[str, Callable[[], Any]] = {
        "a": lambda: partial(bare, _with_orjson),
        "b": lambda: partial(bare, partial(_with_pydantic, StubClassifier().judge)),
        "single": lambda: partial(_single, kafka, sink),
        "stub": lambda: partial(_presence, kafka, sink, StubClassifier()),
        "layers": lambda: partial(
            _presence, kafka, sink, Classifier(create_reader(), StubEngine(), Costs())
        ),
        "presence": lambda: partial(_presence, kafka, sink, shipped()),
        "scikit-learn": lambda: partial(bare, partial(_with_pydantic, _scikit_learn())),
        "fasttext": lambda: partial(bare, partial(_with_pydantic, _fasttext())),
    }
    return cast("Variant", made[variant]())


VARIANTS = ("a", "b", "stub", "layers", "presence", "scikit-learn", "fasttext", "single")


def main() -> None:
    variant, kafka, sink = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # logs must not be taken for answers
    work = _make(variant, kafka, sink)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        topic, count = line.split()
        tally = Tally(int(count))
        work(topic, tally)
        print(tally.as_json().decode(), file=answers, flush=True)


if __name__ == "__main__":
    main()
