"""A model directory: `weights.npz` and the `card.json` that says what it is."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.classify.domain.structure import COLUMNS
from services.classify.engines.flag_heads import FlagCard
from services.classify.engines.port import LABELS
from services.classify.engines.sentence import DIMENSIONS

FORMAT: Final = "presence-2"
WEIGHTS: Final = "weights.npz"
CARD: Final = "card.json"
_HALVED = ("words", "hidden_vector")


class UnusableModel(Exception):
    """A model directory that cannot be served; the message is one line and says why."""


class Card(BaseModel):
    """What serving needs of a card; training writes much more."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    format: str
    labels: tuple[str, ...]
    structure: tuple[str, ...]
    languages: tuple[str, ...]
    """Where the n-grams are asked: languages met often enough in every label."""
    encoder: str
    """The fingerprint of the sentence encoder that it was trained with."""
    temperature: float
    lean: float = Field(ge=0, le=3)
    """Log-odds towards a conversation: in a brand's stream people are no third, and unsure means person."""
    sure: float = Field(gt=0)
    """From this probability on the cheap heads decide alone; over 1: never."""
    sha256: str
    flags: FlagCard | None = None
    """The heads that read sensitive flags by meaning; None: the word lists alone do."""


def identity(card: Card, beside: str = "") -> str:
    """What a verdict names as its model: the name, and a hash of everything that scores depend on.

    The card names the weights and the flags by their hash, and holds what calibrates them; `beside` is
    the digest of what is read beside a model: word lists, what tells languages, who waits, spam signs.
    """
    content = f"{card.model_dump_json()}{beside}".encode()
    return f"{card.name}@{hashlib.sha256(content).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Weights:
    """What training finds. One column a label."""

    words: NDArray[np.float32]
    """2**bits x 3, of the n-grams."""
    words_structure: NDArray[np.float32]
    """len(COLUMNS) x 3, beside the n-grams."""
    words_bias: NDArray[np.float32]
    structure: NDArray[np.float32]
    """len(COLUMNS) x 3, of how a text is built alone."""
    structure_bias: NDArray[np.float32]
    hidden_vector: NDArray[np.float32]
    """512 x hidden, of the sentence embedding."""
    hidden_structure: NDArray[np.float32]
    """len(COLUMNS) x hidden, beside it."""
    hidden_bias: NDArray[np.float32]
    sentence: NDArray[np.float32]
    """hidden x 3."""
    sentence_bias: NDArray[np.float32]

    @property
    def bits(self) -> int:
        """The width of the hash of the n-grams."""
        return int(self.words.shape[0]).bit_length() - 1

    def to_bytes(self) -> bytes:
        """A compressed .npz; the large arrays as half floats, most of the n-grams zero."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in _HALVED:
            arrays[name] = arrays[name].astype(np.float16)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()


def load(directory: Path) -> tuple[Card, Weights]:
    """Read and check a model directory. Raises UnusableModel."""
    try:
        card = Card.model_validate_json((directory / CARD).read_bytes())
        content = (directory / WEIGHTS).read_bytes()
    except (OSError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise UnusableModel(f"{directory} is no model directory: {first}") from error
    _check(card, content, directory)
    return card, _read(content, directory)


def _check(card: Card, content: bytes, directory: Path) -> None:
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
    labels, hidden = len(LABELS), len(weights.hidden_bias)
    expected = {
        "words": (1 << weights.bits, labels),
        "words_structure": (len(COLUMNS), labels),
        "structure": (len(COLUMNS), labels),
        "hidden_vector": (DIMENSIONS, hidden),
        "hidden_structure": (len(COLUMNS), hidden),
        "hidden_bias": (hidden,),
        "sentence": (hidden, labels),
        "words_bias": (labels,),
        "structure_bias": (labels,),
        "sentence_bias": (labels,),
    }
    if any(getattr(weights, name).shape != shape for name, shape in expected.items()):
        raise UnusableModel(f"{directory}: {WEIGHTS} has arrays of another shape")
    if not all(np.isfinite(getattr(weights, name)).all() for name in expected):
        raise UnusableModel(f"{directory}: {WEIGHTS} holds numbers that are none")
    return weights
