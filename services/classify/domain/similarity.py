"""A signature under which near-duplicates stay near: 64-bit SimHash over short runs of characters.

Two texts that share most of their runs differ in few bits; `distance` counts them. Links, handles and
digits are masked before, so that the same scam with another link keeps its signature.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.classify.domain.text import HANDLE, LINK, Text

_RUN = 5
_CHARACTERS = 600
_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MASKS = str.maketrans(dict.fromkeys((LINK, HANDLE), " "))


def signatures(texts: Sequence[Text]) -> list[str | None]:
    """One signature a text as 16 hex digits; None where nothing is left to sign."""
    return [_signature(text) for text in texts]


def distance(one: str, other: str) -> int:
    """How many of the 64 bits differ; under about 10 the texts are near-duplicates."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def _signature(text: Text) -> str | None:
    letters = " ".join(text.folded.translate(_MASKS).split())[:_CHARACTERS]
    if not letters:
        return None
    points = np.frombuffer(letters.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    runs = max(len(points) - _RUN + 1, 1)
    hashes = np.zeros(runs, dtype=np.uint64)
    for offset in range(min(_RUN, len(points))):
        hashes = hashes * _PRIME + points[offset : offset + runs]
    hashes = (hashes ^ (hashes >> np.uint64(29))) * _MIX
    hashes ^= hashes >> np.uint64(32)
    hashes *= _MIX
    bits = np.unpackbits(hashes.view(np.uint8).reshape(runs, 8), axis=1)
    majority = bits.sum(axis=0, dtype=np.int64) * 2 > runs
    return np.packbits(majority).tobytes().hex()
