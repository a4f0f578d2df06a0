"""An engine that costs nothing: to measure the transport alone, and for tests of what surrounds it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.classify.domain.reading import Reading
from services.classify.engines.port import LABELS, Scores
from services.contracts.events import Label


class StubEngine:
    """Says the same of every text."""

    def __init__(self, label: Label = Label.conversation, confidence: float = 0.98) -> None:
        rest = (1.0 - confidence) / (len(LABELS) - 1)
        self._row = np.array([confidence if label is one else rest for one in LABELS])

    @property
    def name(self) -> str:
        """See `TextEngine`."""
        return "stub"

    @property
    def model(self) -> str:
        """See `TextEngine`."""
        return "stub@1"

    def score(self, readings: Sequence[Reading]) -> Scores:
        """See `TextEngine`."""
        return np.tile(self._row, (len(readings), 1))
