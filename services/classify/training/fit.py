"""Fits the two heads of the linear engine with scikit-learn."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.reading import UNDETERMINED, Reading
from services.classify.engines.linear import LinearEngine, Weights
from services.classify.engines.ngrams import count
from services.classify.engines.port import LABELS
from services.classify.reader import Reader
from services.classify.training.augment import varied
from services.classify.training.corpus import Row


class MissingExtra(Exception):
    """scikit-learn is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what comes out, besides the data."""

    seed: int = 1
    bits: int = 17
    variants: int = 2
    """How many varied copies of each row are learned."""
    at_most: int = 1_200
    """So many rows of one (source, label) at most."""
    words_strength: float = 2.0
    """Inverse regularisation of the head that sees n-grams; small means simple."""
    structure_strength: float = 0.3
    enough: int = 25
    """A language is known in a label from so many rows on."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What fitting found."""

    weights: Weights
    languages: tuple[str, ...]

    def engine(self, model: str = "unsaved", temperature: float = 1.0) -> LinearEngine:
        """Serve it."""
        return LinearEngine(self.weights, self.languages, temperature, model)


@dataclass(frozen=True, slots=True)
class Example:
    """A varied row, read."""

    reading: Reading
    label: int
    source: str


def prepare(rows: Sequence[Row], reader: Reader, recipe: Recipe) -> list[Example]:
    """Choose at most `at_most` rows a (source, label), vary and read them. Decided by the seed alone."""
    dice = random.Random(recipe.seed)
    shuffled = list(rows)
    dice.shuffle(shuffled)
    taken: Counter[tuple[str, str]] = Counter()
    examples = []
    for row in shuffled:
        pair = (row.source, str(row.label))
        if not row.trainable or taken[pair] >= recipe.at_most:
            continue
        taken[pair] += 1
        label = [str(label) for label in LABELS].index(str(row.label))
        for _ in range(recipe.variants):
            reading = reader.read(varied(row.text, dice), title=row.title)
            examples.append(Example(reading, label, row.source))
    return examples


def balanced(examples: Sequence[Example]) -> NDArray[np.float64]:
    """Weights under which every label weighs the same, and within a label every source."""
    pairs = Counter((example.source, example.label) for example in examples)
    sources = Counter(label for _, label in pairs)
    weights = np.array(
        [
            1.0 / (pairs[example.source, example.label] * sources[example.label])
            for example in examples
        ]
    )
    return np.asarray(weights * len(examples) / weights.sum(), dtype=np.float64)


def known_languages(examples: Sequence[Example], enough: int) -> tuple[str, ...]:
    """Languages with enough rows in every label: only of these may the words decide."""
    seen = Counter((example.reading.language, example.label) for example in examples)
    languages = {language for language, _ in seen}
    return tuple(
        sorted(
            language
            for language in languages - {UNDETERMINED}
            if all(seen[language, label] >= enough for label in range(len(LABELS)))
        )
    )


def fit(examples: Sequence[Example], recipe: Recipe) -> Learned:
    """Fit both heads. Raises MissingExtra where scikit-learn is not installed."""
    languages = known_languages(examples, recipe.enough)
    weight = balanced(examples)
    target = np.array([example.label for example in examples])
    structure = np.array([example.reading.structure.values for example in examples])
    plain = _logistic(structure, target, weight, recipe.structure_strength, recipe.seed)
    known = [i for i, example in enumerate(examples) if example.reading.language in languages]
    found = count([examples[i].reading.text for i in known], recipe.bits)
    features = _with_ngrams(found, structure[known], 1 << recipe.bits)
    full = _logistic(features, target[known], weight[known], recipe.words_strength, recipe.seed)
    words = full.coef_[:, : 1 << recipe.bits].T
    return Learned(
        Weights(
            words=_half(words),
            words_structure=full.coef_[:, 1 << recipe.bits :].T.astype(np.float32),
            words_bias=full.intercept_.astype(np.float32),
            structure=plain.coef_.T.astype(np.float32),
            structure_bias=plain.intercept_.astype(np.float32),
        ),
        languages,
    )


def _half(words: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round as the file does, so that what is measured is what is shipped."""
    small = np.abs(words).max(axis=1, keepdims=True) < 0.02
    return np.where(small, 0.0, words).astype(np.float16).astype(np.float32)


def _with_ngrams(found: Any, structure: NDArray[np.float64], width: int) -> Any:
    from scipy.sparse import csr_matrix, hstack

    values = found.weight[found.row]
    ngrams = csr_matrix((values, (found.row, found.bucket)), shape=(len(structure), width))
    return hstack([ngrams, csr_matrix(structure)], format="csr")


def _logistic(
    features: Any, target: NDArray[Any], weight: NDArray[np.float64], strength: float, seed: int
) -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra("training needs scikit-learn: pip install 'presence[train]'") from error
    model = LogisticRegression(C=strength, max_iter=300, tol=1e-3, random_state=seed)
    return model.fit(features, target, sample_weight=weight)
