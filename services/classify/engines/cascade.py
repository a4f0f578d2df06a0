"""The shipped engine: three heads on three views of a text, the dearest asked last.

- *structure* sees how a text is built and what the word lists found: any language, any script.
- *words* sees hashed n-grams as well, and is asked only for languages that it met in every label: a
  language that a model knows from news alone looks like news to it.
- *sentence* sees a multilingual embedding beside the structure: what is said, whatever the words. It
  costs ten times the other two together, so it is asked where they are unsure.

Their probabilities are averaged by weight; one temperature makes the result as true as it claims, and a
lean says that unsure means conversation.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.reading import Reading
from services.classify.engines.model_file import Card, UnusableModel, Weights, load
from services.classify.engines.ngrams import count
from services.classify.engines.port import LABELS, Scores, softmax
from services.classify.engines.sentence import Embedded, Floats, MissingEncoder, SentenceEncoder
from services.contracts.base import StrEnum

AT_A_TIME: Final = 128
"""Texts in one pass: more costs memory and saves nothing."""
REMEMBERED: Final = 4_000
"""So many texts are remembered by what the head made of their embeddings: under 1 kB each."""
_WORDS, _STRUCTURE, _SENTENCE = 1.0, 1.0, 2.0
"""How much each head weighs in the mean."""


class Head(StrEnum):
    """What a cascade asks, in this order."""

    linear = "linear"
    """Structure and words."""
    sentence = "sentence"


class Asked(Protocol):
    """Told what a head did: how many texts it saw, how many it settled, and its CPU seconds."""

    def __call__(self, head: Head, texts: int, settled: int, seconds: float) -> None: ...


def nobody(head: Head, texts: int, settled: int, seconds: float) -> None:
    """Where nobody measures."""


class Encoder(Protocol):
    """Turns texts into numbers; `SentenceEncoder` is the real one."""

    def encode(self, texts: Sequence[str]) -> Embedded: ...


class CascadeEngine:
    """See the module. Safe to share by threads."""

    def __init__(
        self, weights: Weights, card: Card, encoder: Encoder | None, asked: Asked = nobody
    ) -> None:
        """Without an encoder the cheap heads decide alone: `--engine linear`."""
        self._weights = weights
        self._languages = frozenset(card.languages)
        self._temperature = card.temperature
        self._lean = np.array([card.lean, 0.0, 0.0])
        self._sure = card.sure
        self._model = f"{card.name}@{card.sha256[:12]}"
        self._encoder = encoder
        self._asked = asked
        self._remembered = _Remembered()

    @classmethod
    def load(
        cls, directory: Path, *, sentence: bool = True, always: bool = False, asked: Asked = nobody
    ) -> CascadeEngine:
        """From a model directory. `always` asks the sentence head of every text. Raises UnusableModel."""
        card, weights = load(directory)
        try:
            encoder = SentenceEncoder.load(card.encoder) if sentence else None
        except MissingEncoder as error:
            raise UnusableModel(f"{directory}: {error}") from error
        return cls(
            weights, card.model_copy(update={"sure": 2.0}) if always else card, encoder, asked
        )

    @property
    def name(self) -> str:
        """See `TextEngine`."""
        return "linear" if self._encoder is None else "cascade"

    @property
    def model(self) -> str:
        """See `TextEngine`."""
        return self._model

    def score(self, readings: Sequence[Reading]) -> Scores:
        """See `TextEngine`. The order of arithmetic differs with the batch: rows agree to about 1e-5."""
        parts = [
            self._score(readings[start : start + AT_A_TIME])
            for start in range(0, len(readings), AT_A_TIME)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(LABELS)))

    def _score(self, readings: Sequence[Reading]) -> Scores:
        begun = time.thread_time()
        scores, weight = self._linear(readings)
        unsure = np.flatnonzero(scores.max(axis=1) < self._sure)
        if self._encoder is None:
            unsure = unsure[:0]
        self._asked(
            Head.linear, len(readings), len(readings) - len(unsure), time.thread_time() - begun
        )
        if len(unsure):
            begun = time.thread_time()
            found, share = self._sentence([readings[i] for i in unsure.tolist()])
            mixed = scores[unsure] * weight[unsure] + found * share
            scores[unsure] = mixed / (weight[unsure] + share)
            self._asked(Head.sentence, len(unsure), len(unsure), time.thread_time() - begun)
        return softmax(np.log(scores + 1e-9) / self._temperature + self._lean)

    def _linear(self, readings: Sequence[Reading]) -> tuple[Scores, NDArray[np.float64]]:
        weights = self._weights
        structure = np.array([reading.structure.values for reading in readings])
        scores = softmax(np.asarray(structure @ weights.structure + weights.structure_bias))
        weight = np.full((len(readings), 1), _STRUCTURE)
        known = np.array([reading.language in self._languages for reading in readings])
        if known.any():
            at = np.flatnonzero(known)
            words = softmax(word_logits(weights, [readings[i] for i in at.tolist()], structure[at]))
            scores[at] = (scores[at] * _STRUCTURE + words * _WORDS) / (_STRUCTURE + _WORDS)
            weight[at] += _WORDS
        return scores, weight

    def _sentence(self, readings: Sequence[Reading]) -> tuple[Scores, NDArray[np.float64]]:
        """The sentence head's probabilities, and how much they weigh: less where pieces are unknown."""
        weights = self._weights
        seen, known = self._embedded([reading.text.plain for reading in readings])
        structure = np.array([reading.structure.values for reading in readings], dtype=np.float32)
        hidden = seen + structure @ weights.hidden_structure + weights.hidden_bias
        logits = np.maximum(hidden, 0) @ weights.sentence + weights.sentence_bias
        return softmax(logits), _SENTENCE * known.astype(np.float64)

    def _embedded(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """What the embedding adds to the hidden layer, and its share of known pieces."""
        assert self._encoder is not None
        found = self._remembered.get(texts)
        new = sorted({text for text, row in zip(texts, found, strict=True) if row is None})
        if new:
            vectors, known = self._encoder.encode(new)
            rows = np.column_stack([vectors @ self._weights.hidden_vector, known])
            self._remembered.put(new, rows)
            fresh = dict(zip(new, rows, strict=True))
            found = [
                fresh[text] if row is None else row for text, row in zip(texts, found, strict=True)
            ]
        stacked = np.array(found)
        return stacked[:, :-1], stacked[:, -1:]


def word_logits(
    weights: Weights, readings: Sequence[Reading], structure: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log-odds of the words head."""
    found = count([reading.text for reading in readings], weights.bits)
    logits = structure @ weights.words_structure + weights.words_bias
    for column in range(len(LABELS)):
        taken = weights.words[found.bucket, column]
        summed = np.bincount(found.row, weights=taken, minlength=len(readings))
        logits[:, column] += summed * found.weight
    return np.asarray(logits, dtype=np.float64)


class _Remembered:
    """What the sentence head made of the latest texts, by a 64-bit hash of each."""

    def __init__(self) -> None:
        self._rows: OrderedDict[int, Floats] = OrderedDict()
        self._lock = Lock()

    def get(self, texts: Sequence[str]) -> list[Floats | None]:
        with self._lock:
            return [self._rows.get(hash(text)) for text in texts]

    def put(self, texts: Sequence[str], rows: Floats) -> None:
        with self._lock:
            for text, row in zip(texts, rows, strict=True):
                self._rows[hash(text)] = row.copy()
            while len(self._rows) > REMEMBERED:
                self._rows.popitem(last=False)
