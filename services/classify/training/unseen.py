"""How good it is on sources it has never seen: each source judged by a model trained without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.reading import Reading
from services.classify.domain.verdict import Judgement, Read, judge, likeliest
from services.classify.engines.port import LABELS, Scores
from services.classify.engines.rules import RulesEngine
from services.classify.reader import Reader
from services.classify.training.corpus import NOT_SPAM, Row
from services.classify.training.evaluate import notification_of
from services.classify.training.fit import Example, Recipe, fit
from services.classify.training.measures import (
    calibration_error,
    each_source_alike,
    grouped,
    macro_f1,
    per_class,
    temperature,
)
from services.contracts.configuration import Costs
from services.contracts.events import Verdict

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Unseen:
    """Pooled predictions on unseen sources; every (source, label) weighs the same."""

    rows: list[Row]
    readings: list[Reading]
    scores: Scores
    """Of the text engine alone, before any temperature."""
    rules: list[str]

    def temperature(self) -> float:
        """Found where it matters: on what the model had not seen."""
        return temperature(self.scores, self._truth, self._weights)

    @property
    def _truth(self) -> list[str]:
        return [str(row.label) for row in self.rows]

    @property
    def _weights(self) -> NDArray[np.float64]:
        return each_source_alike([row.source for row in self.rows], self._truth)

    def _verdicts(self, scale: float) -> list[Verdict]:
        by = Judgement(Costs())
        scores = _scaled(self.scores, scale).tolist()
        return [
            judge(notification_of(row), Read(reading, text), by)
            for row, reading, text in zip(self.rows, self.readings, scores, strict=True)
        ]

    def figures(self) -> dict[str, object]:
        """What the card says: all layers together, the text engine alone, the trivial rules."""
        truth, weights = self._truth, self._weights
        scale = self.temperature()
        verdicts = self._verdicts(scale)
        said = [likeliest(verdict.scores).value for verdict in verdicts]
        served = [verdict.label.value for verdict in verdicts]
        alone = [LABELS[i].value for i in self.scores.argmax(axis=1)]
        all_layers = np.array([[one.scores[label] for label in LABELS] for one in verdicts])

        def f1(found: list[str]) -> float:
            return macro_f1(per_class(truth, found, weights))

        return {
            "macro_f1": f1(said),
            "text_alone_macro_f1": f1(alone),
            "rules_macro_f1": f1(self.rules),
            "ece": calibration_error(all_layers, truth, weights),
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


def _scaled(scores: Scores, by: float) -> Scores:
    raised = np.exp(np.log(scores + 1e-9) / by)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)


def measure_unseen(
    rows: Sequence[Row], examples: Sequence[Example], reader: Reader, recipe: Recipe, tell: Tell
) -> Unseen:
    """Leave every source out once. Sources that may only be measured are never in the training."""
    rows = [row for row in rows if row.label != NOT_SPAM]
    judged: list[Row] = []
    readings: list[Reading] = []
    rules: list[str] = []
    scores: list[Scores] = []
    whole = None
    for source, places in grouped([row.source for row in rows]).items():
        tell(f"without {source}")
        rest = [example for example in examples if example.source != source]
        if len({example.label for example in rest}) < len(LABELS):
            continue
        if len(rest) == len(examples):
            whole = whole or fit(rest, recipe)
        learned = whole if whole and len(rest) == len(examples) else fit(rest, recipe)
        here = [reader.read(rows[i].text, title=rows[i].title) for i in places]
        judged += [rows[i] for i in places]
        readings += here
        scores.append(learned.engine().score(here))
        rules += [LABELS[i].value for i in RulesEngine().score(here).argmax(axis=1)]
    return Unseen(judged, readings, np.concatenate(scores), rules)
