"""An encoder that remembers: leaving eight sources out embeds every text once and not eight times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.classify.engines.cascade import Encoder
from services.classify.engines.sentence import Embedded, Floats

_AT_A_TIME = 512


class RememberingEncoder:
    """Keeps every embedding as half floats, 1 kB a text."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._rows: dict[str, tuple[Floats, float]] = {}

    def encode(self, texts: Sequence[str]) -> Embedded:
        """See `SentenceEncoder`."""
        new = sorted({text for text in texts if text not in self._rows})
        for start in range(0, len(new), _AT_A_TIME):
            some = new[start : start + _AT_A_TIME]
            found = self._encoder.encode(some)
            for text, vector, known in zip(some, found.vectors, found.known, strict=True):
                self._rows[text] = (vector.astype(np.float16), float(known))
        rows = [self._rows[text] for text in texts]
        return Embedded(
            np.array([vector for vector, _ in rows], dtype=np.float32),
            np.array([known for _, known in rows], dtype=np.float32),
        )
