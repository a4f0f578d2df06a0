"""The set that we wrote ourselves: small, in eleven languages, honest minimum figures."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.classify.classifier import Classifier
from services.classify.engines.rules import RulesEngine
from services.classify.training.corpus import Row, UnusableData, load
from services.classify.training.evaluate import Judged, judge_rows, report
from services.cli.classifier import evaluate
from services.contracts.configuration import Costs
from services.contracts.events import Label
from tests.classify.building import reader, shipped

OWN = Path(__file__).parent / "data" / "own.jsonl"


def judged(rows: list[Row]) -> list[Judged]:
    return list(judge_rows(rows, Classifier(reader(), shipped(), Costs())))


@cache
def own() -> tuple[Judged, ...]:
    return tuple(judged(load([OWN])))


def test_the_set_holds_every_label_in_at_least_eight_languages() -> None:
    rows = load([OWN])
    assert len(rows) >= 90
    languages = {row.lang for row in rows}
    assert len(languages) >= 11
    for language in languages:
        assert {row.label for row in rows if row.lang == language} == set(Label), language


def test_the_likeliest_label_is_right_nearly_always_and_far_beyond_the_trivial_rules() -> None:
    rules = list(
        judge_rows(load([OWN]), Classifier(reader(), RulesEngine(), Costs(), text_only=True))
    )
    found = report(own(), rules, 0.5)
    assert found["macro_f1"] >= 0.9
    assert found["rules"]["macro_f1"] < 0.5
    assert set(found) >= {"accuracy", "per_class", "by_source", "by_language", "ece"}
    for language, figures in found["by_language"].items():
        assert figures["accuracy"] >= 0.75, language
    assert found["needs_answer"]["recall"] >= 0.95
    assert found["needs_answer"]["false_alarms"] <= 0.1
    assert found["sensitive"]["any_recall"] == 1.0
    assert found["sensitive"]["false_alarms"] <= 0.05


def test_no_person_is_served_as_spam_or_news() -> None:
    lost = [
        one.row.text
        for one in own()
        if one.row.label is Label.conversation and one.verdict.label is not Label.conversation
    ]
    assert lost == []


def test_most_spam_and_news_is_served_as_what_it_is() -> None:
    other = [one for one in own() if one.row.label is not Label.conversation]
    right = [one for one in other if one.verdict.label == one.row.label]
    assert len(right) >= 0.85 * len(other)


def test_evaluate_prints_a_table_and_json_with_predictions(tmp_path: Path) -> None:
    import json

    runner = CliRunner()
    shown = runner.invoke(evaluate, [str(OWN)], catch_exceptions=False)
    assert "per language" in shown.output
    lines = tmp_path / "out.jsonl"
    result = runner.invoke(
        evaluate, [str(OWN), "--json", "--predictions", str(lines)], catch_exceptions=False
    )
    found = json.loads(result.output.splitlines()[-1])
    assert {"macro_f1", "accuracy", "per_class", "by_source", "by_language", "ece", "rules"} <= set(
        found
    )
    first = json.loads(lines.read_text(encoding="utf-8").splitlines()[0])
    assert {"predicted", "scores", "needs_answer", "sensitive"} <= set(first)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "x"}', "label"),
        ('{"text": "x", "label": "eggs"}', "label"),
        ("not json", "line"),
    ],
)
def test_a_mistake_in_labelled_text_is_told_with_its_line(
    tmp_path: Path, line: str, says: str
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "hi", "label": "conversation"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UnusableData, match=rf"rows.jsonl:2: {says}"):
        load([file])


def test_a_row_may_say_more_than_its_text() -> None:
    row = Row.model_validate(
        {
            "text": "Great crypto profits, DM me",
            "label": "spam",
            "kinds": ["direct"],
            "addressed": True,
            "private": True,
            "author": {"handle": "x"},
        }
    )
    assert judged([row])[0].verdict.label in (Label.spam, Label.conversation)
    assert judged([row])[0].verdict.held is (judged([row])[0].verdict.label is Label.spam)
