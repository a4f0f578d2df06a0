"""The text engines: what is served is what was learned, and a bad model is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.classify import beside
from services.classify.domain.reading import Reading
from services.classify.engines.cascade import CascadeEngine, Head
from services.classify.engines.model_file import Card, UnusableModel, identity
from services.classify.engines.ngrams import count
from services.classify.engines.port import LABELS, TextEngine
from services.classify.engines.rules import RulesEngine
from services.classify.engines.sentence import fingerprint
from services.classify.engines.stub import StubEngine
from services.classify.model import BUILT_IN, engine_named, load_engine
from services.classify.training.corpus import Row, UnusableData
from services.classify.training.diagram import of_card
from services.classify.training.fit import Recipe, fit, prepare
from services.classify.training.remembering import RememberingEncoder
from services.classify.training.train import train
from services.classify.training.written import ours, templates, written
from services.contracts.events import Label
from services.runtime.errors import WrongConfiguration
from tests.classify.building import encoder, reader, reading, shipped

TEXTS = (
    "Where is my parcel? I waited all day",
    "BREAKING: minister resigns after report https://example.org/1",
    "Earn $500 per day with crypto, DM me https://bit.ly/1",
    "Wo bleibt mein Geld?",
    "",
    "🙂",
    "x" * 5_000,
    "@a @b",
)
SMALL = Recipe(bits=12, variants=1, enough=5, hidden=4, heads=2, rounds=20)


def rows() -> list[Row]:
    """Three labels from two sources each, small and separable."""
    said = {
        Label.conversation: "my order {} is late, can you help me please?",
        Label.spam: "win a free prize {} now, claim your bitcoin gift card",
        Label.news: "minister announces plan {} after report, police said",
    }
    return [
        Row(text=text.format(n), label=label, source=f"{label}-{n % 2}", group=str(n))
        for label, text in said.items()
        for n in range(24)
    ]


@cache
def readings() -> tuple[Reading, ...]:
    return tuple(reading(text) for text in TEXTS)


def embedding() -> TextEngine:
    return load_engine(None, name="embedding")


def linear() -> TextEngine:
    return load_engine(None, name="linear")


ENGINES = (shipped, embedding, linear, RulesEngine, StubEngine)


@pytest.mark.parametrize("make", ENGINES)
def test_every_engine_gives_each_text_probabilities_of_its_own(make: Any) -> None:
    engine: TextEngine = make()
    together = engine.score(readings())
    assert together.shape == (len(TEXTS), len(LABELS))
    assert np.allclose(together.sum(axis=1), 1.0)
    alone = np.concatenate([engine.score([one]) for one in readings()])
    assert np.allclose(together, alone, atol=1e-4)
    assert engine.score([]).shape == (0, len(LABELS))
    assert np.array_equal(engine.score(readings()), together)


def test_served_scores_are_those_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    recipe = dataclasses.replace(SMALL, heads=1)
    examples = prepare(rows(), reader(), encoder(), recipe)
    learned = fit(examples, recipe)
    texts = [example.reading for example in examples]
    structure = np.array([one.structure.values for one in texts])
    found = count([one.text for one in texts], recipe.bits)
    features = np.zeros((len(texts), 1 << recipe.bits))
    np.add.at(features, (found.row, found.bucket), found.weight[found.row])
    model = LogisticRegression()
    model.classes_ = np.arange(len(LABELS))

    def predicted(x: Any, coefficients: Any, bias: Any) -> Any:
        model.coef_, model.intercept_ = coefficients.T.astype(float), bias.astype(float)
        return model.predict_proba(x)

    weights = learned.weights
    plain = predicted(structure, weights.structure, weights.structure_bias)
    full = predicted(
        np.hstack([features, structure]),
        np.vstack([weights.words, weights.words_structure]),
        weights.words_bias,
    )
    vectors = np.array([example.vector for example in examples])
    network = MLPClassifier((recipe.hidden,), max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.fit(np.hstack([vectors, structure]), [example.label for example in examples])
    network.coefs_ = [
        np.vstack([weights.hidden_vector, weights.hidden_structure]),
        weights.sentence,
    ]
    network.intercepts_ = [weights.hidden_bias, weights.sentence_bias]
    sentence = network.predict_proba(np.hstack([vectors, structure]).astype(np.float32))
    assert learned.languages == ("en",)
    known = np.array([one.language == "en" for one in texts])[:, None]
    cheap = np.where(known, (plain + full) / 2, plain)
    assert np.allclose(learned.engine(None).score(texts), cheap, atol=1e-6)
    parts = np.where(known, 2.0, 1.0)
    expected = (cheap * parts + 6 * sentence) / (parts + 6)
    assert np.allclose(learned.engine(encoder()).score(texts), expected, atol=1e-3)


def test_the_sentence_head_is_asked_only_where_the_cheap_heads_are_unsure() -> None:
    learned = fit(prepare(rows(), reader(), encoder(), SMALL), SMALL)
    texts = [reading(text) for text in ("help, where is my order 7?", "zxqv", "my order is late")]
    cheap = learned.engine(None).score(texts)
    told: list[tuple[Head, int, int]] = []
    sure = float(cheap.max(axis=1).mean())
    card = learned.card(sure=sure)
    engine = CascadeEngine(
        learned.weights,
        card,
        encoder(),
        lambda head, seen, settled, seconds: told.append((head, seen, settled)),
    )
    found = engine.score(texts)
    unsure = cheap.max(axis=1) < sure
    assert 0 < unsure.sum() < len(texts)
    assert np.allclose(found[~unsure], cheap[~unsure])
    assert not np.allclose(found[unsure], cheap[unsure])
    asked = int(unsure.sum())
    assert told == [(Head.linear, 3, 3 - asked), (Head.sentence, asked, asked)]


def test_what_we_wrote_holds_every_label_in_many_languages_and_is_decided_by_the_seed() -> None:
    rows = written(2, seed=1)
    assert rows == written(2, seed=1)
    assert rows != written(2, seed=2)
    labels = {(row.lang, row.label) for row in rows}
    languages = {language for language, _ in labels}
    assert len(languages) >= 15
    assert labels == {(language, label) for language in languages for label in Label}
    assert not any(mark in row.text for row in rows for mark in ("{", "}", "|}", "<link"))
    assert len({row.text for row in rows}) > len(list(templates()))
    assert {row.source for row in ours(1, seed=1)} >= {row.source for row in written(1, seed=1)}


def test_what_is_saved_serves_as_what_was_learned_and_training_is_deterministic(
    tmp_path: Path,
) -> None:
    def run(name: str, seed: int = 1) -> bytes:
        train(
            rows(),
            reader(),
            encoder(),
            to=tmp_path / name,
            name="small",
            encoder_sha256=fingerprint(),
            recipe=dataclasses.replace(SMALL, seed=seed),
            licences={"spam-0": "mine"},
            on=date(2026, 1, 2),
            tell=lambda _: None,
        )
        return (tmp_path / name / "weights.npz").read_bytes()

    once = run("one")
    assert once == run("two")
    assert (tmp_path / "one/card.json").read_bytes() == (tmp_path / "two/card.json").read_bytes()
    assert run("three", seed=2) != once
    card = json.loads((tmp_path / "one/card.json").read_bytes())
    assert card["date"] == "2026-01-02"
    assert card["data"][-1]["source"] == "spam-1"
    assert {one["licence"] for one in card["data"]} == {"mine", "not given"}
    assert card["unseen_sources"]["macro_f1"] > card["unseen_sources"]["rules_macro_f1"]
    learned = fit(prepare(rows(), reader(), RememberingEncoder(encoder()), SMALL), SMALL)
    served = CascadeEngine.load(tmp_path / "one").score(readings())
    settings = {name: card[name] for name in ("temperature", "sure", "lean")}
    engine = learned.engine(encoder(), learned.card(**settings))
    assert np.allclose(served, engine.score(readings()), atol=1e-4)


def test_a_source_that_may_only_be_measured_is_never_trained() -> None:
    forbidden = [
        row.model_copy(update={"source": source, "label": Label.spam})
        for row in rows()[:5]
        for source in ("airline_eval_only", "own")
    ]
    assert [row for row in forbidden if row.trainable] == []
    both = prepare([*rows(), *forbidden], reader(), encoder(), SMALL)
    assert {example.source for example in both} == {row.source for row in rows()}


def test_training_without_one_of_the_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="news"):
        train(
            [row for row in rows() if row.label is not Label.news],
            reader(),
            encoder(),
            to=tmp_path,
            name="x",
            encoder_sha256="",
            recipe=SMALL,
            licences={},
            on=date(2026, 1, 1),
            tell=lambda _: None,
        )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    built_in = Path(str(files("services.classify.engines"))) / "models" / BUILT_IN
    return Path(shutil.copytree(built_in, tmp_path / "model"))


def test_the_shipped_model_is_small_and_says_what_it_was_made_of(copied: Path) -> None:
    assert sum(file.stat().st_size for file in copied.iterdir()) < 2_000_000
    card = json.loads((copied / "card.json").read_bytes())
    trained = {one["source"] for one in card["data"]}
    assert "airline_eval_only" not in trained
    assert all(one["licence"] != "not given" for one in card["data"])
    unseen = card["unseen_sources"]
    assert unseen["macro_f1"] >= 0.85 > unseen["rules_macro_f1"] + 0.3
    assert unseen["ece"] <= 0.05
    spam = {source: one["spam"] for source, one in unseen["by_source"].items() if "spam" in one}
    assert len(spam) >= 3
    assert all(min(one["likeliest"], one["served"]) >= 0.6 for one in spam.values())
    curve = [one["conversation"] for one in unseen["by_cost"]]
    assert curve == sorted(curve)


def test_verdicts_name_another_model_where_anything_that_decides_has_changed(copied: Path) -> None:
    names = {load_engine(str(copied)).model}
    for changes in ({"lean": 0.0}, {"temperature": 1.7}, {"sure": 0.5}, {"flags": None}):
        _with_card(copied, **changes)
        names.add(load_engine(str(copied)).model)
    assert len(names) == 5
    card = Card.model_validate_json((copied / "card.json").read_bytes())
    assert identity(card, "one") != identity(card, "other")


def test_a_mended_word_list_is_another_model_and_the_same_files_are_the_same(
    tmp_path: Path,
) -> None:
    package = Path(str(files("services.classify")))
    for name in beside.READ:
        if (package / name).is_dir():
            shutil.copytree(package / name, tmp_path / name)
        else:
            shutil.copy(package / name, tmp_path / name)
    found = {beside.digest(tmp_path)}
    assert found == {beside.shipped()}
    for path in ("words/it.yaml", "words/sensitive/en.yaml", "signs/lures.yaml", "need.json"):
        with (tmp_path / path).open("a", encoding="utf-8") as file:
            file.write("\n")
        found.add(beside.digest(tmp_path))
    assert len(found) == 5


def test_the_reliability_diagram_in_the_docs_is_that_of_the_shipped_model(copied: Path) -> None:
    drawn = Path(__file__).parents[2] / "docs/reliability.svg"
    assert drawn.read_text(encoding="utf-8") == of_card(copied / "card.json")


def _with_card(copied: Path, **changes: Any) -> None:
    card = json.loads((copied / "card.json").read_bytes())
    (copied / "card.json").write_text(json.dumps(card | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "presence-9"}, "format presence-2"),
        ({"labels": ["spam", "ham", "eggs"]}, "labels"),
        ({"structure": ["length"]}, "structural features"),
        ({"temperature": 0.0}, "temperature"),
        ({"lean": -1.0}, "no model directory"),
        ({"sha256": "0" * 64}, "not the file"),
        ({"encoder": "0" * 64}, "other weights"),
        ({"sha256": None}, "no model directory"),
    ],
)
def test_a_model_that_we_do_not_know_is_refused_in_one_line(
    copied: Path, changes: dict[str, Any], says: str
) -> None:
    _with_card(copied, **changes)
    with pytest.raises(UnusableModel, match=says) as refused:
        CascadeEngine.load(copied)
    assert "\n" not in str(refused.value)


def test_a_damaged_or_missing_model_stops_the_start_with_one_line(copied: Path) -> None:
    (copied / "weights.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(WrongConfiguration, match=r"classify\.model"):
        load_engine(str(copied))
    import hashlib

    _with_card(copied, sha256=hashlib.sha256(b"PK\x03\x04 cut off").hexdigest())
    with pytest.raises(WrongConfiguration, match="damaged"):
        load_engine(str(copied))
    with pytest.raises(WrongConfiguration, match="no model directory"):
        engine_named("cascade", str(copied / "nowhere"))
