"""`python -m services.classify.training.languages`: writes the table by which languages are told.

It is taken out of py3langid's model (BSD-3-Clause): the same n-grams of bytes with the same weights, of
our thirty languages alone. py3langid holds 80 MB for it, the table 10; the verdicts are the same.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.classify import languages

_KEPT = 60_000
"""N-grams that tell one of our languages from the others best; the rest tell nothing here."""


def _states(moves: NDArray[np.uint32], rows: NDArray[np.int64]) -> list[bytes]:
    """The n-gram of every state of the automaton: its shortest way from the start."""
    names = [b""] * len(rows)
    seen = np.zeros(len(rows), dtype=bool)
    seen[0] = True
    front = [0]
    while front:
        reached: list[int] = []
        for state in front:
            following = moves[(rows[state] << 8) : (rows[state] << 8) + 256]
            for letter in np.flatnonzero(~seen[following]).tolist():
                one = int(following[letter])
                if not seen[one]:
                    seen[one] = True
                    names[one] = names[state] + bytes([letter])
                    reached.append(one)
        front = reached
    return names


def table() -> bytes:
    """The content of the file."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    model.set_languages(list(languages.LANGUAGES))
    names = _states(
        np.frombuffer(model.tk_nextmove, dtype=np.uint32),
        np.frombuffer(model.tk_row, dtype=np.uint16).astype(np.int64),
    )
    weights = np.asarray(model.nb_ptc, dtype=np.float32)
    spread = (weights - weights.mean(axis=1, keepdims=True)).max(axis=1)
    said = [
        (name, feature)
        for name, feature in zip(names, model.tk_output, strict=True)
        if feature >= 0 and 2 <= len(name) <= 5
    ]
    said.sort(key=lambda one: (-spread[one[1]], one[0]))
    kept = sorted(said[:_KEPT])
    used, place = np.unique([feature for _, feature in kept], return_inverse=True)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        letters=np.frombuffer(b"".join(name for name, _ in kept), dtype=np.uint8),
        lengths=np.array([len(name) for name, _ in kept], dtype=np.uint8),
        features=(place + 1).astype(np.uint16),
        weights=np.asarray(model.nb_ptc)[used].astype(np.float16),
        priors=np.asarray(model.nb_pc, dtype=np.float32),
        languages=np.array(model.nb_classes),
    )
    return buffer.getvalue()


if __name__ == "__main__":
    to = Path(languages.__file__).parent / languages.TABLE
    to.write_bytes(table())
