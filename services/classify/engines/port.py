"""The port of the text engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.reading import Reading
from services.contracts.events import Label

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


def softmax(logits: NDArray[np.floating[Any]]) -> Scores:
    """Probabilities of log-odds, row by row."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float64)
