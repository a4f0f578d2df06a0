"""A challenger in the shadow: it changes nothing, costs a share, and is judged against the odds."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from services.classify.classifier import Classifier
from services.classify.domain.similarity import signatures
from services.classify.domain.text import read
from services.classify.domain.verdict import CORRECTED
from services.classify.engines.port import Scores
from services.classify.engines.stub import StubEngine
from services.classify.handlers import Judged
from services.classify.metrics import Metrics
from services.classify.shadow import Shadow, chosen
from services.classify.training.challenge import SETTLED, compare, wilson
from services.classify.training.corrections import rows
from services.cli.classifier import evaluate
from services.contracts.configuration import Costs
from services.contracts.events import (
    Comparison,
    Corrected,
    Correction,
    Label,
    Opinion,
    Reason,
)
from services.contracts.topics import SHADOW
from services.runtime.clock import ManualClock
from services.runtime.errors import Transient
from services.runtime.producer import MemoryProducer, ProduceReason
from tests.classify.building import NOW, notification, reader, stub_classifier


class Bench:
    def __init__(self, share: float = 1.0, engine: StubEngine | None = None) -> None:
        self.producer = MemoryProducer()
        self.registry = CollectorRegistry()
        challenger = Classifier(reader(), engine or StubEngine(Label.spam, 0.999), Costs())
        metrics = Metrics(self.registry)
        self.shadow = Shadow(challenger, share, self.producer, metrics, ManualClock(NOW))

    def count(self, result: str) -> float:
        return self.registry.get_sample_value("presence_shadow_total", {"result": result}) or 0

    @property
    def said(self) -> list[Comparison]:
        return [
            Comparison.model_validate_json(r.value or b"") for r in self.producer.on(SHADOW.name)
        ]


def judged(count: int, text: str = "Nice day") -> list[Judged]:
    items = [notification(f"{text} {n}", native=str(n)) for n in range(count)]
    return list(zip(items, stub_classifier().judge(items), strict=True))


async def test_what_the_challenger_would_have_said_is_written_without_a_word_of_the_text() -> None:
    bench = Bench()
    bench.shadow.offer(judged(5, "Wonderful weather"))
    await bench.shadow.finished()
    assert [one.challenger.label for one in bench.said] == [Label.spam] * 5
    assert [one.champion.label for one in bench.said] == [Label.conversation] * 5
    assert bench.count("disagreed") == 5
    assert all(b"weather" not in (record.value or b"") for record in bench.producer.records)


async def test_a_share_is_the_same_items_everywhere() -> None:
    bench = Bench(share=0.2)
    everything = judged(400)
    bench.shadow.offer(everything)
    await bench.shadow.finished()
    ids = {one.item_id for one in bench.said}
    assert ids == {item.item_id for item, _ in everything if chosen(item.item_id, 0.2)}
    assert 40 < len(ids) < 130
    assert not chosen("x:42:1", 0.0)


class Slow(StubEngine):
    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def score(self, readings: Sequence[Any]) -> Scores:
        self.go.wait(10)
        return super().score(readings)


async def test_a_slow_challenger_is_left_out_and_a_broken_bus_is_only_counted() -> None:
    slow = Slow()
    bench = Bench(engine=slow)
    bench.shadow.offer(judged(3))
    bench.shadow.offer(judged(4))
    assert bench.count("left_out") == 4
    bench.producer.broken = Transient(ProduceReason.timeout)
    slow.go.set()
    await bench.shadow.finished()
    assert bench.count("failed") == 3
    await bench.shadow.stop()


async def test_what_a_person_decided_is_no_word_of_the_model() -> None:
    bench = Bench()
    ((item, verdict),) = judged(1)
    told = Reason(layer="correction", name=CORRECTED, says="mia said so", weight=1)
    bench.shadow.offer([(item, verdict.model_copy(update={"reasons": (told,)}))])
    await bench.shadow.finished()
    assert bench.said == []


def opinion(label: Label, model: str) -> Opinion:
    scores = {one: 0.9 if one is label else 0.05 for one in Label}
    return Opinion(label=label, scores=scores, needs_answer=0.5, model=model)


def comparison(n: int, champion: Label, challenger: Label, model: str = "new@1") -> Comparison:
    return Comparison(
        item_id=f"x:42:{n}",
        champion=opinion(champion, "old@1"),
        challenger=opinion(challenger, model),
        at=NOW + timedelta(seconds=n),
    )


def correction(n: int, to: Label, **given: Any) -> Correction:
    return Correction(
        item_id=f"x:42:{n}", from_label=Label.news, to_label=to, by="mia", at=NOW, **given
    )


LATER = NOW + 2 * SETTLED
CARD, HIDDEN = (Label.conversation, Label.spam), (Label.spam, Label.conversation)


@pytest.mark.parametrize(
    ("corrected", "let_stand", "better"),
    [(30, 5, "challenger"), (30, 40, "unknown"), (2, 0, "unknown")],
)
def test_a_challenger_is_better_only_against_what_people_saw_and_let_stand(
    corrected: int, let_stand: int, better: str
) -> None:
    said = [comparison(n, *CARD) for n in range(corrected + let_stand)]
    truth = {f"x:42:{n}": correction(n, Label.spam) for n in range(corrected)}
    found = compare(said, truth, LATER)
    assert found["corrected_towards_challenger"] == corrected
    assert found["seen_and_let_stand"] == let_stand
    assert found["better"] == better


def test_what_nobody_looked_at_and_what_is_fresh_count_for_nobody() -> None:
    hidden = [comparison(n, *HIDDEN) for n in range(20)]
    assert compare(hidden, {}, LATER)["nobody_looked"] == 20
    fresh = compare([comparison(1, *CARD)], {}, NOW + timedelta(hours=1))
    assert (fresh["too_fresh"], fresh["better"]) == (1, "unknown")


def test_corrections_towards_the_serving_model_speak_for_it() -> None:
    said = [comparison(n, *CARD) for n in range(20)]
    truth = {f"x:42:{n}": correction(n, Label.conversation) for n in range(20)}
    assert compare(said, truth, LATER)["better"] == "champion"


def test_agreement_repetitions_other_models_and_retractions() -> None:
    same = comparison(1, Label.news, Label.news)
    old = comparison(2, *CARD, model="older@1")
    back = correction(3, Label.spam, retracted=True)
    found = compare([same, same, old, comparison(3, *CARD)], {back.item_id: back}, LATER)
    assert (found["items"], found["agreement"], found["of_other_models"]) == (2, 0.5, 1)
    assert found["seen_and_let_stand"] == 1


def test_the_interval_is_wilsons() -> None:
    low, high = wilson(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert wilson(0, 0) == (0.0, 1.0)


def test_evaluating_needs_files_or_a_shadow() -> None:
    done = CliRunner().invoke(evaluate, [])
    assert done.exit_code == 2
    assert "--shadow" in done.output


def _taught() -> Iterator[Correction]:
    def one(n: int, text: str | None, by: str = "mia", **about: Any) -> Correction:
        signed = signatures([read(text or "words that are not there")])[0]
        said = Corrected(platform="x", author=f"a{n}", similarity=signed, text=text, **about)
        return correction(n, Label.spam, about=said).model_copy(update={"by": by})

    yield one(1, "Cheap followers for your page, write us now", language="en")
    yield one(2, None)
    yield one(3, "This is private and has slipped in", private=True)
    yield one(4, "My child is hurt", sensitive=True)
    yield one(5, "Something taken back again").model_copy(update={"retracted": True})


def test_corrections_train_only_where_their_words_may() -> None:
    found = list(rows(_taught()))
    assert [(row.text, row.label, row.source, row.group, row.lang) for row in found] == [
        ("Cheap followers for your page, write us now", Label.spam, "corrections", "x:a1", "en")
    ]
    assert found[0].trainable


def test_the_flood_of_one_person_does_not_train() -> None:
    words = "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima".split()  # noqa: SIM905
    flood = []
    for n in range(12):
        text = " ".join([words[n]] * 3 + [words[(n * 5 + 1) % 12]] * 3)
        about = Corrected(
            platform="x", author="a", similarity=signatures([read(text)])[0], text=text
        )
        flood.append(correction(n, Label.spam, about=about))
    assert len(list(rows(flood, trusted_per_hour=4))) == 4
