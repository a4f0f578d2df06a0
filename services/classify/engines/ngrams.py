"""Hashed n-grams of characters and words, counted for a whole batch at once.

Training and serving call the same function, so they cannot drift apart. No vocabulary is kept: each
n-gram is hashed into one of 2**bits buckets by a fixed arithmetic that does not change between
processes or machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.text import Text

CHARACTERS = 1_000
"""An engine looks at so many characters of a text, and at as many words as they hold."""
_RUNS = (2, 3, 4, 5)
_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORD = np.uint64(0x51ED270B)
_PAIR = np.uint64(0x2545F491)


class Buckets(NamedTuple):
    """The n-grams of a batch: `bucket[i]` occurs once more in text `row[i]`."""

    row: NDArray[np.intp]
    bucket: NDArray[np.intp]
    weight: NDArray[np.float64]
    """For each text 1 / sqrt(its number of n-grams): long and short texts weigh alike."""


def count(texts: Sequence[Text], bits: int) -> Buckets:
    """Hash every run of 2 to 5 characters, every word and every pair of neighbouring words."""
    rows: list[NDArray[np.intp]] = []
    hashes: list[NDArray[np.uint64]] = []
    points, owner = _characters(texts)
    rolling = np.zeros(len(points), dtype=np.uint64)
    for length in range(1, max(_RUNS) + 1):
        if len(points) < length:
            break
        starts = len(points) - length + 1
        rolling = rolling[:starts] * _PRIME + points[length - 1 :]
        if length in _RUNS:
            whole = owner[:starts] == owner[length - 1 :]
            hashes.append((rolling ^ np.uint64(length << 56))[whole])
            rows.append(owner[:starts][whole])
    words, owner = _words(texts)
    hashes.append(words * _WORD)
    rows.append(owner)
    if len(words) > 1:
        neighbours = owner[:-1] == owner[1:]
        hashes.append((words[:-1] * _PAIR + words[1:] * _PRIME)[neighbours])
        rows.append(owner[:-1][neighbours])
    row = np.concatenate(rows)
    mixed = np.concatenate(hashes)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * _MIX
    bucket = (mixed >> np.uint64(64 - bits)).astype(np.intp)
    total = np.bincount(row, minlength=len(texts))
    return Buckets(row, bucket, 1.0 / np.sqrt(np.maximum(total, 1)))


def _characters(texts: Sequence[Text]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    padded = [f" {text.folded[:CHARACTERS]} " for text in texts]
    points = np.frombuffer("".join(padded).encode("utf-32-le"), dtype=np.uint32)
    owner = np.repeat(np.arange(len(texts), dtype=np.intp), [len(one) for one in padded])
    return points.astype(np.uint64), owner


def _words(texts: Sequence[Text]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    words = [text.words[: CHARACTERS // 4] for text in texts]
    hashed = [crc32(word.encode()) for own in words for word in own]
    owner = np.repeat(np.arange(len(texts), dtype=np.intp), [len(own) for own in words])
    return np.array(hashed, dtype=np.uint64), owner
