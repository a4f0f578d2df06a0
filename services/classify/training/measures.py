"""Figures of a classifier, in numpy alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from services.classify.engines.port import LABELS, Scores
from services.contracts.events import Label

_BINS = 10


class OfLabel(BaseModel):
    """One label's figures."""

    precision: float
    recall: float
    f1: float
    rows: int


def per_class(
    truth: Sequence[str], said: Sequence[str], weights: NDArray[np.float64] | None = None
) -> dict[str, OfLabel]:
    """Precision, recall and F1 of every label; a label that nobody has and nobody says is left out."""
    weigh = np.ones(len(truth)) if weights is None else weights
    is_label = {label: np.array([one == label for one in truth], dtype=bool) for label in Label}
    is_said = {label: np.array([one == label for one in said], dtype=bool) for label in Label}
    figures = {}
    for label in Label:
        actual, claimed = is_label[label], is_said[label]
        if not actual.any() and not claimed.any():
            continue
        hit = float(weigh[actual & claimed].sum())
        precision = _ratio(hit, float(weigh[claimed].sum()))
        recall = _ratio(hit, float(weigh[actual].sum()))
        figures[label.value] = OfLabel(
            precision=precision,
            recall=recall,
            f1=_ratio(2 * precision * recall, precision + recall),
            rows=int(actual.sum()),
        )
    return figures


def macro_f1(figures: dict[str, OfLabel]) -> float:
    """The mean F1 of the labels that occur."""
    there = [one.f1 for one in figures.values() if one.rows]
    return round(float(np.mean(there)), 4) if there else 0.0


def accuracy(truth: Sequence[str], said: Sequence[str]) -> float:
    """The share that is right."""
    return _ratio(sum(a == b for a, b in zip(truth, said, strict=True)), len(truth))


def each_source_alike(sources: Sequence[str], truth: Sequence[str]) -> NDArray[np.float64]:
    """Weights under which every (source, label) weighs the same."""
    sizes = Counter(zip(sources, truth, strict=True))
    return np.array([1.0 / sizes[pair] for pair in zip(sources, truth, strict=True)])


class Bin(BaseModel):
    """One bar of a reliability diagram."""

    said: float
    """The mean of the highest score."""
    true: float
    """The share that is right."""
    share: float
    """Of all weight."""


def reliability(
    scores: Scores, truth: Sequence[str], weights: NDArray[np.float64] | None = None
) -> list[dict[str, float]]:
    """Ten bins of the highest score: what it says beside how often it is right; empty ones left out."""
    return [one.model_dump() for one in _bins(scores, truth, weights)]


def _bins(scores: Scores, truth: Sequence[str], weights: NDArray[np.float64] | None) -> list[Bin]:
    weigh = np.ones(len(truth)) if weights is None else weights
    right = np.array([LABELS[i] for i in scores.argmax(axis=1)]) == np.array(list(truth))
    confidence = scores.max(axis=1)
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    found = []
    for one in range(_BINS):
        inside = bins == one
        if inside.any():
            w = weigh[inside]
            found.append(
                Bin(
                    said=round(float(np.average(confidence[inside], weights=w)), 4),
                    true=round(float(np.average(right[inside], weights=w)), 4),
                    share=round(float(w.sum() / weigh.sum()), 4),
                )
            )
    return found


def calibration_error(
    scores: Scores, truth: Sequence[str], weights: NDArray[np.float64] | None = None
) -> float:
    """ECE over ten bins of the highest score: how far confidence is from being right."""
    if not len(truth):
        return 0.0
    return round(
        sum(one.share * abs(one.said - one.true) for one in _bins(scores, truth, weights)), 4
    )


def temperature(scores: Scores, truth: Sequence[str], weights: NDArray[np.float64]) -> float:
    """By which log-odds are to be divided so that these scores are as true as they claim to be."""
    column = np.array([[str(label) for label in LABELS].index(one) for one in truth])
    logs = np.log(scores + 1e-9)
    best, chosen = np.inf, 1.0
    for candidate in np.arange(0.5, 4.01, 0.05):
        scaled = logs / candidate
        scaled = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        loss = -float(np.average(scaled[np.arange(len(column)), column], weights=weights))
        if loss < best:
            best, chosen = loss, float(candidate)
    return round(chosen, 2)


def grouped(keys: Sequence[str]) -> dict[str, list[int]]:
    """The places of each key."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    return dict(sorted(places.items()))


def _ratio(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0
