"""How a verdict came about: what the text alone says and which words say it, the layers, the thresholds.

The strongest words are found by leaving each out and asking again, so they are found alike for every
engine, in words that a person wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log
from typing import Final

from pydantic import BaseModel, ConfigDict

from services.classify.classifier import Classifier
from services.classify.domain.need import waiting
from services.classify.domain.text import is_unspaced
from services.classify.domain.verdict import Read, keep_from
from services.classify.engines.port import LABELS
from services.classify.stages import Decider, decided_by
from services.contracts.configuration import Costs
from services.contracts.events import Label, Notification, Reason, Verdict

_PIECES: Final = 60
"""So many words are left out, each in turn; what follows is not looked at."""
_SHOWN: Final = 6
_SIGNS: Final = 4
"""Characters of a piece in a script without spaces."""
_NOTHING: Final = 0.05


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Feature(_Model):
    """A piece of the text and what it does for the label that the text alone has."""

    words: str
    weight: float
    """By how much the log-odds of that label fall without it; negative: by how much they rise."""


class TextAlone(_Model):
    """What the text engine says, and on what."""

    engine: str
    model: str
    scores: dict[Label, float]
    features: tuple[Feature, ...]


class Thresholds(_Model):
    """What the decision was taken by."""

    costs: Costs
    kept_from: float
    """The probability of a conversation from which on costs keep it, for who waits this much."""
    needs_answer_from: float


class Explanation(_Model):
    """A verdict and everything behind it."""

    verdict: Verdict
    decided_by: Decider
    why: str
    """One line, as a card has it."""
    layers: dict[str, tuple[Reason, ...]]
    text: TextAlone
    thresholds: Thresholds


def explain(
    classifier: Classifier, item: Notification, needs_answer_from: float = 0.5
) -> Explanation:
    """Judge the item and say how. Costs about sixty times a verdict."""
    read = classifier.read([item])[0]
    verdict = classifier.decide([item], [read])[0]
    layers: dict[str, tuple[Reason, ...]] = {}
    for reason in verdict.reasons:
        layers[reason.layer] = (*layers.get(reason.layer, ()), reason)
    return Explanation(
        verdict=verdict,
        decided_by=decided_by(verdict),
        why="; ".join(reason.says for reason in verdict.reasons[:3]),
        layers=layers,
        text=TextAlone(
            engine=verdict.engine,
            model=verdict.model,
            scores=_scores(read),
            features=_features(classifier, item, read),
        ),
        thresholds=Thresholds(
            costs=classifier.costs,
            kept_from=round(keep_from(classifier.costs, waiting(item, read.reading).value), 4),
            needs_answer_from=needs_answer_from,
        ),
    )


def _scores(read: Read) -> dict[Label, float]:
    return {label: round(score, 4) for label, score in zip(LABELS, read.scores, strict=True)}


def _features(classifier: Classifier, item: Notification, read: Read) -> tuple[Feature, ...]:
    pieces = list(dict.fromkeys(_pieces(item.text)))[:_PIECES]
    if not pieces:
        return ()
    column = max(range(len(LABELS)), key=lambda place: read.scores[place])
    without = classifier.read(
        [item.model_copy(update={"text": item.text.replace(piece, " ")}) for piece in pieces]
    )
    weighed = [
        Feature(
            words=piece, weight=round(_odds(read.scores[column]) - _odds(one.scores[column]), 2)
        )
        for piece, one in zip(pieces, without, strict=True)
    ]
    telling = [one for one in weighed if abs(one.weight) >= _NOTHING]
    return tuple(sorted(telling, key=lambda one: -abs(one.weight))[:_SHOWN])


def _odds(score: float) -> float:
    """Log-odds: what is sure by many words at once still shows which."""
    kept = min(max(score, 1e-6), 1 - 1e-6)
    return log(kept / (1 - kept))


def _pieces(text: str) -> Iterator[str]:
    for word in text.split():
        if is_unspaced(word) and len(word) > _SIGNS:
            yield from (word[start : start + _SIGNS] for start in range(0, len(word), _SIGNS))
        else:
            yield word
