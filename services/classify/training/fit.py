"""Fits the heads of the cascade with scikit-learn."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.reading import UNDETERMINED, Reading
from services.classify.domain.structure import COLUMNS
from services.classify.engines.cascade import CascadeEngine, Encoder
from services.classify.engines.model_file import FORMAT, Card, Weights
from services.classify.engines.ngrams import count
from services.classify.engines.port import LABELS
from services.classify.engines.sentence import Floats
from services.classify.reader import Reader
from services.classify.training.augment import varied
from services.classify.training.corpus import Row

OURS = ("written_", "own_training")
"""Sources of text that we wrote begin like this."""


class MissingExtra(Exception):
    """scikit-learn is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what comes out, besides the data."""

    seed: int = 1
    bits: int = 17
    variants: int = 1
    """How many varied copies of each row are learned."""
    at_most: int = 800
    """So many rows of one (source, label) at most."""
    ours: float = 0.75
    """The share of every label's weight that is text which we wrote, where there is any."""
    words_strength: float = 2.0
    """Inverse regularisation of the head that sees n-grams; small means simple."""
    structure_strength: float = 0.3
    hidden: int = 64
    """Units of the sentence head; it is the mean of `heads` networks of that size."""
    heads: int = 3
    weight_decay: float = 2.0
    rounds: int = 12
    loudness: float = 4.0
    """By which an embedding's numbers are multiplied beside the structure's."""
    enough: int = 200
    """A language is known in a label from so many rows on."""
    lean: float = 0.9
    """Log-odds towards a conversation, after calibration: see `Card`."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What fitting found."""

    weights: Weights
    languages: tuple[str, ...]

    def card(self, *, temperature: float = 1.0, sure: float = 2.0, lean: float = 0.0) -> Card:
        """As serving needs it, of a model that was not saved."""
        return Card(
            name="unsaved",
            format=FORMAT,
            labels=tuple(LABELS),
            structure=COLUMNS,
            languages=self.languages,
            encoder="",
            temperature=temperature,
            sure=sure,
            lean=lean,
            sha256="",
        )

    def engine(self, encoder: Encoder | None, card: Card | None = None) -> CascadeEngine:
        """Serve it; without an encoder the cheap heads alone, without a card as fitted."""
        return CascadeEngine(self.weights, card or self.card(), encoder)


@dataclass(frozen=True, slots=True)
class Example:
    """A varied row, read and embedded."""

    reading: Reading
    vector: Floats
    label: int
    source: str


def prepare(rows: Sequence[Row], reader: Reader, encoder: Encoder, recipe: Recipe) -> list[Example]:
    """Choose at most `at_most` rows a (source, label), vary, read and embed them. The seed decides."""
    dice = random.Random(recipe.seed)
    shuffled = list(rows)
    dice.shuffle(shuffled)
    taken: Counter[tuple[str, str]] = Counter()
    chosen: list[tuple[Reading, int, str]] = []
    for row in shuffled:
        pair = (row.source, str(row.label))
        if not row.trainable or taken[pair] >= recipe.at_most:
            continue
        taken[pair] += 1
        label = [str(label) for label in LABELS].index(str(row.label))
        for _ in range(recipe.variants):
            reading = reader.read(varied(row.text, LABELS[label], dice), title=row.title)
            chosen.append((reading, label, row.source))
    vectors = encoder.encode([reading.text.plain for reading, _, _ in chosen]).vectors
    return [
        Example(reading, vector, label, source)
        for (reading, label, source), vector in zip(chosen, vectors, strict=True)
    ]


def balanced(examples: Sequence[Example], ours: float) -> NDArray[np.float64]:
    """Weights under which every label weighs the same, and within a label every source of others.

    What we wrote weighs the share `ours` of a label, each row alike: its sources are many and small.
    """
    pairs = Counter((example.source, example.label) for example in examples)
    rows_of_ours = Counter(one.label for one in examples if one.source.startswith(OURS))
    others = Counter(label for source, label in pairs if not source.startswith(OURS))
    weights = np.array([_weight(one, pairs, rows_of_ours, others, ours) for one in examples])
    return np.asarray(weights * len(examples) / weights.sum(), dtype=np.float64)


def _weight(
    one: Example,
    pairs: Counter[tuple[str, int]],
    rows_of_ours: Counter[int],
    others: Counter[int],
    ours: float,
) -> float:
    written, found = rows_of_ours[one.label], others[one.label]
    share = ours if written and found else float(bool(written))
    if one.source.startswith(OURS):
        return share / written
    return (1.0 - share) / (found * pairs[one.source, one.label])


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
    """Fit the three heads. Raises MissingExtra where scikit-learn is not installed."""
    languages = known_languages(examples, recipe.enough)
    weight = balanced(examples, recipe.ours)
    target = np.array([example.label for example in examples])
    structure = np.array([example.reading.structure.values for example in examples])
    plain = _logistic(structure, target, weight, recipe.structure_strength, recipe.seed)
    known = [i for i, example in enumerate(examples) if example.reading.language in languages]
    words = np.zeros((1 << recipe.bits, len(LABELS)), dtype=np.float32)
    beside, bias = plain.coef_.T, plain.intercept_
    if known:
        found = count([examples[i].reading.text for i in known], recipe.bits)
        features = _with_ngrams(found, structure[known], 1 << recipe.bits)
        full = _logistic(features, target[known], weight[known], recipe.words_strength, recipe.seed)
        words = _half(full.coef_[:, : 1 << recipe.bits].T)
        beside, bias = full.coef_[:, 1 << recipe.bits :].T, full.intercept_
    vectors = np.array([example.vector for example in examples])
    sentence = _networks(vectors, structure.astype(np.float32), target, weight, recipe)
    return Learned(
        Weights(
            words=words,
            words_structure=beside.astype(np.float32),
            words_bias=bias.astype(np.float32),
            structure=plain.coef_.T.astype(np.float32),
            structure_bias=plain.intercept_.astype(np.float32),
            **sentence,
        ),
        languages,
    )


def _networks(
    vectors: Floats,
    structure: Floats,
    target: NDArray[Any],
    weight: NDArray[np.float64],
    recipe: Recipe,
) -> dict[str, Floats]:
    """Networks of one hidden layer, side by side as one whose log-odds are their mean."""
    from sklearn.neural_network import MLPClassifier

    features = np.hstack([vectors * recipe.loudness, structure])
    trained = []
    for head in range(recipe.heads):
        model = MLPClassifier(
            (recipe.hidden,),
            alpha=recipe.weight_decay,
            batch_size=min(128, len(features)),
            learning_rate_init=2e-3,
            max_iter=recipe.rounds,
            random_state=recipe.seed + head,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it might learn longer is the point
            trained.append(model.fit(features, target, sample_weight=weight))
    size = vectors.shape[1]
    first = np.hstack([model.coefs_[0] for model in trained])
    halved = (first[:size] * recipe.loudness).astype(np.float16)
    return {
        "hidden_vector": halved.astype(np.float32),
        "hidden_structure": first[size:].astype(np.float32),
        "hidden_bias": np.hstack([m.intercepts_[0] for m in trained]).astype(np.float32),
        "sentence": (np.vstack([m.coefs_[1] for m in trained]) / recipe.heads).astype(np.float32),
        "sentence_bias": np.mean([m.intercepts_[1] for m in trained], axis=0).astype(np.float32),
    }


def _half(words: NDArray[np.float64]) -> Floats:
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
