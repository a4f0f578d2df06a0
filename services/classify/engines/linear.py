"""The linear engine: hashed n-grams and the structure of a text, in numpy alone.

Two heads share a file. The *structure* head sees how a text is built and what the word lists found, so
it holds in every language. The *words* head sees n-grams as well and is asked only for languages that
it met in every label: a language that a model knows from news alone looks like news to it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from services.classify.domain.reading import Reading
from services.classify.domain.structure import COLUMNS
from services.classify.engines.ngrams import count
from services.classify.engines.port import LABELS, Scores, softmax

FORMAT = "presence-linear-1"
WEIGHTS = "weights.npz"
CARD = "card.json"
_AT_A_TIME = 512


class UnusableModel(Exception):
    """A model directory that cannot be served; the message is one line and says why."""


class _Card(BaseModel):
    """What serving needs of a card; training writes much more."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    format: str
    labels: tuple[str, ...]
    structure: tuple[str, ...]
    languages: tuple[str, ...]
    temperature: float
    sha256: str


@dataclass(frozen=True, slots=True)
class Weights:
    """What training finds. One column a label."""

    words: NDArray[np.float32]
    """2**bits x 3, of the n-grams."""
    words_structure: NDArray[np.float32]
    """len(COLUMNS) x 3, beside the n-grams."""
    words_bias: NDArray[np.float32]
    structure: NDArray[np.float32]
    """len(COLUMNS) x 3, where the n-grams are not asked."""
    structure_bias: NDArray[np.float32]

    @property
    def bits(self) -> int:
        """The width of the hash."""
        return int(self.words.shape[0]).bit_length() - 1

    def to_bytes(self) -> bytes:
        """A compressed .npz; the n-grams as half floats, where most are zero."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            words=self.words.astype(np.float16),
            words_structure=self.words_structure,
            words_bias=self.words_bias,
            structure=self.structure,
            structure_bias=self.structure_bias,
        )
        return buffer.getvalue()


class LinearEngine:
    """See the module."""

    def __init__(
        self, weights: Weights, languages: Sequence[str], temperature: float, model: str
    ) -> None:
        self._weights = weights
        self._languages = frozenset(languages)
        self._temperature = temperature
        self._model = model

    @property
    def name(self) -> str:
        """See `TextEngine`."""
        return "linear"

    @property
    def model(self) -> str:
        """See `TextEngine`."""
        return self._model

    @classmethod
    def load(cls, directory: Path) -> LinearEngine:
        """Read a model directory. Raises UnusableModel."""
        try:
            card = _Card.model_validate_json((directory / CARD).read_bytes())
            content = (directory / WEIGHTS).read_bytes()
        except (OSError, ValidationError) as error:
            first = str(error).splitlines()[0]
            raise UnusableModel(f"{directory} is no model directory: {first}") from error
        _check(card, content, directory)
        return cls(
            _read(content, directory),
            card.languages,
            card.temperature,
            f"{card.name}@{card.sha256[:12]}",
        )

    def score(self, readings: Sequence[Reading]) -> Scores:
        """See `TextEngine`."""
        parts = [
            self._score(readings[start : start + _AT_A_TIME])
            for start in range(0, len(readings), _AT_A_TIME)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(LABELS)))

    def _score(self, readings: Sequence[Reading]) -> Scores:
        weights = self._weights
        structure = np.array([reading.structure.values for reading in readings])
        plain = softmax(np.asarray(structure @ weights.structure + weights.structure_bias))
        known = np.array([reading.language in self._languages for reading in readings])
        scores = plain
        if known.any():
            at = np.flatnonzero(known)
            logits = self._word_logits([readings[i] for i in at.tolist()], structure[at])
            scores = plain.copy()
            scores[at] = (plain[at] + softmax(logits)) / 2
        return softmax(np.log(scores + 1e-9) / self._temperature)

    def _word_logits(
        self, readings: Sequence[Reading], structure: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        weights = self._weights
        found = count([reading.text for reading in readings], weights.bits)
        logits = structure @ weights.words_structure + weights.words_bias
        for column in range(len(LABELS)):
            taken = weights.words[found.bucket, column]
            summed = np.bincount(found.row, weights=taken, minlength=len(readings))
            logits[:, column] += summed * found.weight
        return np.asarray(logits, dtype=np.float64)


def _check(card: _Card, content: bytes, directory: Path) -> None:
    if card.format != FORMAT:
        raise UnusableModel(
            f"{directory}: this version serves models of format {FORMAT}, not {card.format!r}"
        )
    if card.labels != tuple(LABELS):
        raise UnusableModel(f"{directory}: its labels are {card.labels}, not {tuple(LABELS)}")
    if card.structure != COLUMNS:
        raise UnusableModel(
            f"{directory}: it was trained with other structural features; train it anew"
        )
    if not card.temperature > 0:
        raise UnusableModel(f"{directory}: its temperature is not positive")
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise UnusableModel(f"{directory}: {WEIGHTS} is not the file that {CARD} describes")


def _read(content: bytes, directory: Path) -> Weights:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            weights = Weights(**{name: file[name].astype(np.float32) for name in file.files})
    except (ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise UnusableModel(f"{directory}: {WEIGHTS} is damaged: {error}") from error
    shapes = [array.shape for array in (weights.words_structure, weights.structure)]
    if shapes != [(len(COLUMNS), len(LABELS))] * 2 or weights.words.shape != (
        1 << weights.bits,
        len(LABELS),
    ):
        raise UnusableModel(f"{directory}: {WEIGHTS} has arrays of another shape")
    return weights
