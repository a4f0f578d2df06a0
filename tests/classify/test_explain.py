"""A verdict explained: what the text says and which words, the layers, the thresholds."""

from __future__ import annotations

import httpx
import orjson
import pytest
from click.testing import CliRunner

from services.classify.classifier import Classifier
from services.classify.engines.cascade import Head
from services.classify.explain import explain
from services.classify.http import classify_app
from services.classify.stages import Stage
from services.cli.run import classify
from services.contracts.configuration import Costs
from services.contracts.events import Label
from tests.classify.building import notification, reader, shipped, verdict_on

SCAM = "Crypto signals: guaranteed profit, join our group https://bit.ly/x"


def classifier() -> Classifier:
    return Classifier(reader(), shipped(), Costs())


def test_the_strongest_words_are_words_of_the_text() -> None:
    found = explain(classifier(), notification(SCAM))
    assert found.verdict == verdict_on(notification(SCAM))
    assert found.verdict.label is Label.spam
    assert found.text.features
    assert all(feature.words in SCAM for feature in found.text.features)
    weights = [abs(feature.weight) for feature in found.text.features]
    assert weights == sorted(weights, reverse=True)
    assert found.thresholds.costs == Costs()
    assert 0 < found.thresholds.kept_from < 1
    assert found.why.startswith(found.verdict.reasons[0].says)


@pytest.mark.parametrize("text", ["", "🙂", "a " * 500, "届かない" * 100])
def test_whatever_the_text_is_it_can_be_explained(text: str) -> None:
    found = explain(classifier(), notification(text))
    assert set(found.text.scores) == set(Label)


def test_what_speaks_for_the_label_comes_before_what_speaks_against_it() -> None:
    item = notification("Crypto giveaway, free entry, claim now", private=True, addressed=True)
    reasons = [reason for reason in verdict_on(item).reasons if reason.layer != "sensitive"]
    signs = [reason.weight >= 0 for reason in reasons]
    assert signs == sorted(signs, reverse=True)
    assert reasons[-1].says == "though a private message to you"


async def test_the_route_explains_when_asked() -> None:
    transport = httpx.ASGITransport(classify_app(classifier(), 0.4))
    async with httpx.AsyncClient(transport=transport, base_url="http://classify") as http:
        plain = await http.post("/v1/classify", json={"text": SCAM})
        told = await http.post("/v1/classify?explain", json={"text": SCAM})
        off = await http.post("/v1/classify?explain=0", json={"text": SCAM})
    assert told.json()["verdict"] == plain.json() == off.json()
    assert told.json()["thresholds"]["needs_answer_from"] == 0.4
    assert "spam_sign" in told.json()["layers"]


def test_the_command_reads_texts_rows_and_notifications() -> None:
    lines = [
        b"Where is my parcel?",
        b"",
        orjson.dumps({"text": SCAM, "label": "spam", "source": "mine"}),
        notification("Thanks!").to_bytes(),
    ]
    done = CliRunner().invoke(classify, ["--file", "-", "--json"], input=b"\n".join(lines))
    assert done.exit_code == 0, done.output
    labels = [orjson.loads(line)["verdict"]["label"] for line in done.output.splitlines()]
    assert labels == ["conversation", "spam", "conversation"]
    shown = CliRunner().invoke(classify, ["--text", SCAM])
    assert "strongest words" in shown.output
    broken = CliRunner().invoke(classify, ["--file", "-"], input=b"fine\n{broken\n")
    assert broken.exit_code == 1
    assert "line 2" in broken.output


def test_every_head_of_the_cascade_is_a_stage_of_the_metrics() -> None:
    assert {head.value for head in Head} <= {stage.value for stage in Stage}
