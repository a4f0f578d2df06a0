"""How good it is on sources it has never seen: each source judged by a model trained without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.reading import Reading
from services.classify.engines.port import LABELS, Scores
from services.classify.engines.rules import RulesEngine
from services.classify.reader import Reader
from services.classify.training.corpus import NOT_SPAM, Row
from services.classify.training.fit import Example, Recipe, fit
from services.classify.training.measures import (
    calibration_error,
    each_source_alike,
    grouped,
    macro_f1,
    per_class,
    temperature,
)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Unseen:
    """Pooled predictions on unseen sources; every (source, label) weighs the same."""

    sources: list[str]
    truth: list[str]
    scores: Scores
    rules: list[str]

    @property
    def weights(self) -> NDArray[np.float64]:
        """One a row."""
        return each_source_alike(self.sources, self.truth)

    @property
    def said(self) -> list[str]:
        """The likeliest label of each."""
        return [LABELS[i].value for i in self.scores.argmax(axis=1)]

    def figures(self) -> dict[str, object]:
        """What the card says."""
        said, weights = self.said, self.weights
        by_source = {}
        for source, places in grouped(self.sources).items():
            truth = [self.truth[i] for i in places]
            here = per_class(truth, [said[i] for i in places])
            rules = per_class(truth, [self.rules[i] for i in places])
            by_source[source] = {
                label: {"rows": one.rows, "recall": one.recall, "rules": rules[label].recall}
                for label, one in here.items()
                if one.rows
            }
        scale = temperature(self.scores, self.truth, weights)
        return {
            "macro_f1": macro_f1(per_class(self.truth, said, weights)),
            "rules_macro_f1": macro_f1(per_class(self.truth, self.rules, weights)),
            "ece_after_temperature": calibration_error(
                _scaled(self.scores, scale), self.truth, weights
            ),
            "recall_by_source": by_source,
        }

    def temperature(self) -> float:
        """Found where it matters: on what the model had not seen."""
        return temperature(self.scores, self.truth, self.weights)


def _scaled(scores: Scores, by: float) -> Scores:
    raised = np.exp(np.log(scores + 1e-9) / by)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)


def measure_unseen(
    rows: Sequence[Row], examples: Sequence[Example], reader: Reader, recipe: Recipe, tell: Tell
) -> Unseen:
    """Leave every source out once. Sources that may only be measured are never in the training."""
    rows = [row for row in rows if row.label != NOT_SPAM]
    sources: list[str] = []
    truth: list[str] = []
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
        readings: list[Reading] = [reader.read(rows[i].text, title=rows[i].title) for i in places]
        sources += [source] * len(places)
        truth += [str(rows[i].label) for i in places]
        scores.append(learned.engine().score(readings))
        rules += [LABELS[i].value for i in RulesEngine().score(readings).argmax(axis=1)]
    return Unseen(sources, truth, np.concatenate(scores), rules)
