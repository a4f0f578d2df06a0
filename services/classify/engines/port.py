"""The port of the text engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.reading import Reading
from services.contracts.events import Label, Sensitive

LABELS: Final = (Label.conversation, Label.spam, Label.news)
"""The columns of every score."""

Scores = NDArray[np.float64]
"""n x 3: a probability for each of `LABELS`, rows adding up to 1."""


class TextEngine(Protocol):
    """Scores texts; knows nothing of authors, accounts or costs.

    Invariants: a row depends on its reading alone, never on its neighbours in the batch; the same
    reading gives the same row; an empty batch gives an empty array; nothing that a person can write
    makes it raise.
    """

    @property
    def name(self) -> str:
        """What kind of engine: a metric label, so one of a few."""

    @property
    def model(self) -> str:
        """Name and content hash of the model: `presence-1@1a2b3c4d`."""

    def score(self, readings: Sequence[Reading]) -> Scores:
        """One row a reading."""


class Looked(NamedTuple):
    """What an engine says of a batch, a row or element for each reading."""

    scores: Scores
    flags: Sequence[frozenset[Sensitive]]
    """What reads sensitive by its meaning, whatever the word lists find."""


@runtime_checkable
class FlagEngine(Protocol):
    """A text engine that reads sensitive flags as well; the invariants of `TextEngine` hold."""

    def look(self, readings: Sequence[Reading], addressed: Sequence[bool]) -> Looked:
        """Scores and flags; what is addressed to the brand is looked at more readily."""


def softmax(logits: NDArray[np.floating[Any]]) -> Scores:
    """Probabilities of log-odds, row by row."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float64)
