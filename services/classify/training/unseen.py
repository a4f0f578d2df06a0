"""How good it is on sources it has never seen: each source judged by a model trained without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from services.classify import need_weights
from services.classify.domain.need import waiting
from services.classify.domain.reading import Reading
from services.classify.domain.verdict import Judgement, Read, decide, judge, keep_from, likeliest
from services.classify.engines.cascade import Encoder
from services.classify.engines.port import LABELS, Scores, softmax
from services.classify.engines.rules import RulesEngine
from services.classify.reader import Reader
from services.classify.sign_lists import shipped_signs
from services.classify.training.corpus import NOT_SPAM, Row
from services.classify.training.evaluate import notification_of
from services.classify.training.fit import OURS, Example, Recipe, fit
from services.classify.training.measures import (
    calibration_error,
    each_source_alike,
    grouped,
    macro_f1,
    per_class,
    reliability,
    temperature,
)
from services.contracts.configuration import Costs
from services.contracts.events import Label, Verdict

Tell = Callable[[str], None]
_LIKE_THE_DEAREST = 0.01
"""So much macro-F1 at most is given up to ask the sentence head less often."""
_LOST_PERSONS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
"""What a lost person may cost, in cards: the curve from which the default was chosen."""
_SURENESSES = (0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99)


@dataclass(frozen=True)
class Unseen:
    """Pooled predictions on unseen sources; every (source, label) weighs the same."""

    rows: list[Row]
    readings: list[Reading]
    whole: Scores
    """All heads, of every text, before any temperature."""
    linear: Scores
    """The cheap heads alone."""
    rules: list[str]
    lean: float

    def cascade(self, sure: float) -> Scores:
        """What is served where the cheap heads decide alone from `sure` on."""
        alone = self.linear.max(axis=1, keepdims=True) >= sure
        return np.where(alone, self.linear, self.whole)

    def sureness(self) -> float:
        """The least sureness that loses next to nothing; 2 where every text should be embedded."""
        best = self._f1_of(self.whole)
        for sure in _SURENESSES:
            if self._f1_of(self.cascade(sure)) >= best - _LIKE_THE_DEAREST:
                return sure
        return 2.0

    def temperature(self, sure: float) -> float:
        """Found where it matters: on what the model had not seen."""
        return temperature(self.cascade(sure), self.truth, self.weights)

    @cached_property
    def truth(self) -> list[str]:
        """The labels."""
        return [str(row.label) for row in self.rows]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Of every row."""
        return each_source_alike([row.source for row in self.rows], self.truth)

    def _f1_of(self, scores: Scores) -> float:
        return self._f1([LABELS[i].value for i in scores.argmax(axis=1)])

    def _f1(self, found: list[str]) -> float:
        return macro_f1(per_class(self.truth, found, self.weights))

    def _verdicts(self, scores: Scores) -> list[Verdict]:
        by = Judgement(Costs(), signs=shipped_signs(), need=need_weights.built_in())
        return [
            judge(notification_of(row), Read(reading, text), by)
            for row, reading, text in zip(self.rows, self.readings, scores.tolist(), strict=True)
        ]

    def _by_cost(self, verdicts: Sequence[Verdict]) -> list[dict[str, float]]:
        """Recall as served by what a lost person costs, of all rows and of the worst source."""
        needs = [
            waiting(notification_of(row), reading, need_weights.built_in()).value
            for row, reading in zip(self.rows, self.readings, strict=True)
        ]
        curve = []
        for cost in _LOST_PERSONS:
            costs = Costs(lost_person=cost)
            served = [
                Label.conversation.value
                if one.sensitive
                else decide(one.scores, keep_from(costs, need)).value
                for one, need in zip(verdicts, needs, strict=True)
            ]
            found = per_class(self.truth, served, self.weights)
            curve.append(
                {"lost_person": cost, "macro_f1": macro_f1(found)}
                | {label: one.recall for label, one in found.items()}
                | {f"worst_{label}": self._worst(label, served) for label in found}
            )
        return curve

    def _worst(self, label: str, served: Sequence[str]) -> float:
        hits: dict[str, list[bool]] = {}
        for row, truth, said in zip(self.rows, self.truth, served, strict=True):
            if truth == label:
                hits.setdefault(row.source, []).append(said == label)
        return round(min(sum(one) / len(one) for one in hits.values()), 4) if hits else 0.0

    def figures(self, sure: float) -> dict[str, object]:
        """What the card says: all layers together, each engine alone, the trivial rules."""
        truth, weights = self.truth, self.weights
        text = scaled(self.cascade(sure), self.temperature(sure), self.lean)
        verdicts = self._verdicts(text)
        said = [likeliest(verdict.scores).value for verdict in verdicts]
        served = [verdict.label.value for verdict in verdicts]
        layers = np.array([[one.scores[label] for label in LABELS] for one in verdicts])
        spared = float(np.average(self.linear.max(axis=1) >= sure, weights=weights))
        return {
            "macro_f1": self._f1(said),
            "text_alone_macro_f1": self._f1_of(text),
            "embedding_macro_f1": self._f1_of(self.whole),
            "linear_macro_f1": self._f1_of(self.linear),
            "rules_macro_f1": self._f1(self.rules),
            "settled_by_the_cheap_heads": round(spared, 3),
            "ece": calibration_error(layers, truth, weights),
            "reliability": reliability(layers, truth, weights),
            "by_cost": self._by_cost(verdicts),
            "per_class": _recalls(truth, weights, likeliest=said, served=served, rules=self.rules),
            "by_source": {
                source: _recalls(
                    [truth[i] for i in places],
                    None,
                    likeliest=[said[i] for i in places],
                    served=[served[i] for i in places],
                    rules=[self.rules[i] for i in places],
                )
                for source, places in grouped([row.source for row in self.rows]).items()
            },
        }


def _recalls(
    truth: list[str], weights: NDArray[np.float64] | None, **said: list[str]
) -> dict[str, dict[str, float]]:
    """Recall of every label that occurs, by each way of deciding."""
    figures = {name: per_class(truth, found, weights) for name, found in said.items()}
    return {
        label: {"rows": truth.count(label)} | {name: figures[name][label].recall for name in said}
        for label in sorted(set(truth))
    }


def scaled(scores: Scores, by: float, lean: float) -> Scores:
    """Probabilities at another temperature, leaning towards a conversation."""
    return softmax(np.log(scores + 1e-9) / by + np.array([lean, 0.0, 0.0]))


def measure_unseen(
    rows: Sequence[Row],
    examples: Sequence[Example],
    reader: Reader,
    encoder: Encoder,
    recipe: Recipe,
    tell: Tell,
) -> Unseen:
    """Leave every source out once. Sources that may only be measured are never in the training.

    What we wrote is never left out: it ships, and no hidden source is like it.
    """
    rows = [row for row in rows if row.label != NOT_SPAM and not row.source.startswith(OURS)]
    judged: list[Row] = []
    readings: list[Reading] = []
    rules: list[str] = []
    wholes: list[Scores] = []
    linears: list[Scores] = []
    full = None
    for source, places in grouped([row.source for row in rows]).items():
        tell(f"without {source}")
        rest = [example for example in examples if example.source != source]
        if len({example.label for example in rest}) < len(LABELS):
            continue
        if len(rest) == len(examples):
            full = full or fit(rest, recipe)
        learned = full if full and len(rest) == len(examples) else fit(rest, recipe)
        here = [reader.read(rows[i].text, title=rows[i].title) for i in places]
        judged += [rows[i] for i in places]
        readings += here
        wholes.append(learned.engine(encoder).score(here))
        linears.append(learned.engine(None).score(here))
        rules += [LABELS[i].value for i in RulesEngine().score(here).argmax(axis=1)]
    whole, linear = np.concatenate(wholes), np.concatenate(linears)
    return Unseen(judged, readings, whole, linear, rules, recipe.lean)
