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
from services.classify.engines.flag_heads import FlagHeads, UnusableFlags, raised
from services.classify.engines.flag_heads import load as load_flags
from services.classify.engines.model_file import Card, UnusableModel, Weights, identity, load
from services.classify.engines.ngrams import Buckets, count
from services.classify.engines.port import LABELS, Looked, Scores, softmax
from services.classify.engines.sentence import Embedded, Floats, MissingEncoder, SentenceEncoder
from services.contracts.base import StrEnum
from services.contracts.events import Sensitive

AT_A_TIME: Final = 128
"""Texts in one pass: more costs memory and saves nothing."""
REMEMBERED: Final = 4_000
"""So many texts are remembered by what the head made of their embeddings: under 1 kB each."""
_WORDS, _STRUCTURE, _SENTENCE = 1.0, 1.0, 6.0
"""How much each head weighs in the mean: where it is asked, what a text says outweighs how it is built."""


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
        self,
        weights: Weights,
        card: Card,
        encoder: Encoder | None,
        asked: Asked = nobody,
        flag_heads: FlagHeads | None = None,
        beside: str = "",
    ) -> None:
        """Without an encoder the cheap heads decide alone: `--engine linear`. `beside`: see `identity`."""
        self._flags = card.flags.flags if card.flags else ()
        self._flag_heads = flag_heads if encoder is not None else None
        self._weights = weights
        self._languages = frozenset(card.languages)
        self._temperature = card.temperature
        self._lean = np.array([card.lean, 0.0, 0.0])
        self._sure = card.sure
        self._model = identity(card, beside)
        self._encoder = encoder
        self._asked = asked
        self._remembered = _Remembered()

    @classmethod
    def load(
        cls,
        directory: Path,
        *,
        sentence: bool = True,
        always: bool = False,
        asked: Asked = nobody,
        beside: str = "",
    ) -> CascadeEngine:
        """From a model directory. `always` asks the sentence head of every text. Raises UnusableModel."""
        card, weights = load(directory)
        try:
            encoder = SentenceEncoder.load(card.encoder) if sentence else None
            heads = load_flags(directory, card.flags) if card.flags else None
        except (MissingEncoder, UnusableFlags) as error:
            raise UnusableModel(f"{directory}: {error}") from error
        served = card.model_copy(update={"sure": 2.0}) if always else card
        return cls(weights, served, encoder, asked, heads, beside)

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
        return self._in_parts(readings, None).scores

    def look(self, readings: Sequence[Reading], addressed: Sequence[bool]) -> Looked:
        """See `FlagEngine`. Labels are scored with the embedding of whatever is embedded for the flags."""
        return self._in_parts(readings, np.array(addressed, dtype=bool))

    def _in_parts(self, readings: Sequence[Reading], addressed: NDArray[np.bool_] | None) -> Looked:
        scores: list[Scores] = [np.zeros((0, len(LABELS)))]
        flags: list[frozenset[Sensitive]] = []
        for start in range(0, len(readings), AT_A_TIME):
            part = slice(start, start + AT_A_TIME)
            looked = self._look(readings[part], None if addressed is None else addressed[part])
            scores.append(looked.scores)
            flags += looked.flags
        return Looked(np.concatenate(scores), flags)

    def _look(self, readings: Sequence[Reading], addressed: NDArray[np.bool_] | None) -> Looked:
        """Flags are read where it is known who is addressed."""
        begun = time.thread_time()
        heads = self._flag_heads if addressed is not None else None
        found = None
        if heads is not None:
            found = count([reading.text for reading in readings], self._weights.bits)
        scores, weight = self._linear(readings, found)
        unsure = scores.max(axis=1) < self._sure
        if self._encoder is None:
            unsure[:] = False
        wanted = unsure
        if heads is not None and addressed is not None and found is not None:
            wanted = unsure | heads.cued(found, self._weights.bits, addressed)
        at = np.flatnonzero(wanted)
        self._asked(Head.linear, len(readings), len(readings) - len(at), time.thread_time() - begun)
        flags: list[frozenset[Sensitive]] = [frozenset()] * len(readings)
        if len(at):
            begun = time.thread_time()
            said, share, logits = self._sentence([readings[i] for i in at.tolist()])
            # Who is embedded for the flags is scored by it as well: it costs nothing more.
            mixed = (scores[at] * weight[at] + said * share) / (weight[at] + share)
            scores[at] = mixed
            if heads is not None:
                for i, row in zip(at.tolist(), logits, strict=True):
                    flags[i] = raised(row, self._flags)
            self._asked(Head.sentence, len(at), len(at), time.thread_time() - begun)
        calibrated = softmax(np.log(scores + 1e-9) / self._temperature + self._lean)
        return Looked(calibrated, flags)

    def _linear(
        self, readings: Sequence[Reading], found: Buckets | None
    ) -> tuple[Scores, NDArray[np.float64]]:
        """`found` are the n-grams of all readings, where they were counted already."""
        weights = self._weights
        structure = np.array([reading.structure.values for reading in readings])
        scores = softmax(np.asarray(structure @ weights.structure + weights.structure_bias))
        weight = np.full((len(readings), 1), _STRUCTURE)
        known = np.array([reading.language in self._languages for reading in readings])
        if known.any():
            at = np.flatnonzero(known)
            if found is None:
                logits = word_logits(weights, [readings[i] for i in at.tolist()], structure[at])
            else:
                logits = logits_of(weights, found, structure)[at]
            words = softmax(logits)
            scores[at] = (scores[at] * _STRUCTURE + words * _WORDS) / (_STRUCTURE + _WORDS)
            weight[at] += _WORDS
        return scores, weight

    def _sentence(self, readings: Sequence[Reading]) -> tuple[Scores, NDArray[np.float64], Floats]:
        """The sentence head's probabilities, how much they weigh (less where pieces are unknown), and
        how far each flag is over its threshold."""
        weights = self._weights
        seen, known, flags = self._embedded([reading.text.plain for reading in readings])
        structure = np.array([reading.structure.values for reading in readings], dtype=np.float32)
        hidden = seen + structure @ weights.hidden_structure + weights.hidden_bias
        logits = np.maximum(hidden, 0) @ weights.sentence + weights.sentence_bias
        return softmax(logits), _SENTENCE * known.astype(np.float64), flags

    def _embedded(self, texts: Sequence[str]) -> tuple[Floats, Floats, Floats]:
        """What the embedding adds to the hidden layer, its share of known pieces, and its flags."""
        assert self._encoder is not None
        found = self._remembered.get(texts)
        new = sorted({text for text, row in zip(texts, found, strict=True) if row is None})
        if new:
            vectors, known = self._encoder.encode(new)
            heads = self._flag_heads
            flags = np.zeros((len(new), 0)) if heads is None else heads.logits(vectors)
            rows = np.column_stack([vectors @ self._weights.hidden_vector, known, flags])
            rows = rows.astype(np.float32)
            self._remembered.put(new, rows)
            fresh = dict(zip(new, rows, strict=True))
            found = [
                fresh[text] if row is None else row for text, row in zip(texts, found, strict=True)
            ]
        stacked = np.array(found)
        hidden = len(self._weights.hidden_bias)
        return stacked[:, :hidden], stacked[:, hidden : hidden + 1], stacked[:, hidden + 1 :]


def word_logits(
    weights: Weights, readings: Sequence[Reading], structure: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log-odds of the words head."""
    return logits_of(weights, count([one.text for one in readings], weights.bits), structure)


def logits_of(
    weights: Weights, found: Buckets, structure: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The same of n-grams that were counted already."""
    logits = structure @ weights.words_structure + weights.words_bias
    for column in range(len(LABELS)):
        taken = weights.words[found.bucket, column]
        summed = np.bincount(found.row, weights=taken, minlength=len(structure))
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
