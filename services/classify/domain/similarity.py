"""A signature under which near-duplicates stay near: 128 one-bit MinHashes over runs of letters.

What a sender changes to look new is taken away first: links, handles, digits, emoji, punctuation,
spaces, capitals, accents, repeated letters, and letters of other alphabets that look Latin. What is
left is a set of runs of four letters (two characters of a script that writes syllables or words), and
each bit of the signature is a coin that two texts toss alike where their sets' smallest hashes agree.
So `distance` is expected to be 64 x (1 - J), J being the share of runs that two texts have in common:
0 for the same words, 64 for strangers. docs/decisions/0118 says what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.text import Text

BITS: Final = 128
NEAR: Final = 28
"""Members of one group differ by no more; strangers on one subject rarely do (60 pairs in a million)."""
SAME: Final = 24
"""So near that what a person said of the one holds for the other."""

_RUN = 4
_CHARACTERS = 600
_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_DROPPED = "0_"
_LATIN = str.maketrans(
    {
        "а": "a", "в": "b", "е": "e", "з": "e", "і": "i", "ї": "i", "ј": "j", "к": "k", "м": "m", "н": "h",
        "о": "o", "р": "p", "с": "c", "т": "t", "у": "y", "х": "x", "ѕ": "s", "ԁ": "d", "ӏ": "l", "һ": "h",
        "α": "a", "β": "b", "ε": "e", "η": "n", "ι": "i", "κ": "k", "ν": "v", "ο": "o", "ρ": "p", "τ": "t",
        "υ": "u", "χ": "x", "ω": "w", "ı": "i", "ł": "l", "ø": "o", "đ": "d", "ɑ": "a", "ɡ": "g", "ʀ": "r",
    }
    | dict.fromkeys(_DROPPED, "")
)  # fmt: skip
_WIDE = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF))


def signatures(texts: Sequence[Text]) -> list[str | None]:
    """One signature a text as 32 hex digits; None where no letter is left to sign."""
    points, owner = _letters(texts)
    if not len(points):
        return [None] * len(texts)
    hashes, owner = _runs(points, owner)
    first = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
    bits = np.empty((len(first), BITS), dtype=np.uint8)
    for column, (salt, factor) in enumerate(_COINS):
        mixed = (hashes ^ salt) * factor
        mixed ^= mixed >> np.uint64(31)
        smallest = np.minimum.reduceat(mixed, first)
        bits[:, column] = (smallest * _MIX) >> np.uint64(63)
    signed: list[str | None] = [None] * len(texts)
    for place, packed in zip(owner[first].tolist(), np.packbits(bits, axis=1), strict=True):
        signed[place] = packed.tobytes().hex()
    return signed


def distance(one: str, other: str) -> int:
    """How many of the 128 bits differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def packed(signed: Sequence[str]) -> NDArray[np.uint64]:
    """Signatures as two words each, for `distances`."""
    content = bytes.fromhex("".join(signed))
    return np.frombuffer(content, dtype=np.uint64).reshape(len(signed), BITS // 64)


def distances(one: str, others: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """How many bits each of `others` differs by."""
    differing = np.bitwise_count(others ^ packed([one]))
    return np.asarray(differing[:, 0] + differing[:, 1], dtype=np.uint8)


def weight(text: Text) -> int:
    """How many letters there are to compare; a syllable or word sign counts twice.

    Two texts of a word or two are alike by chance.
    """
    letters = "".join(text.words).translate(_LATIN)
    if letters.isascii():
        return len(letters)
    return len(letters) + sum(any(low <= ord(c) <= high for low, high in _WIDE) for c in letters)


def _letters(texts: Sequence[Text]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    kept = ["".join(text.words).translate(_LATIN)[:_CHARACTERS] for text in texts]
    points = np.frombuffer("".join(kept).encode("utf-32-le"), dtype=np.uint32)
    owner = np.repeat(np.arange(len(kept), dtype=np.intp), [len(one) for one in kept])
    fresh = np.ones(len(points), dtype=bool)
    fresh[1:] = (points[1:] != points[:-1]) | (owner[1:] != owner[:-1])
    points, owner = points[fresh], owner[fresh]
    wide = np.zeros(len(points), dtype=bool)
    for low, high in _WIDE:
        wide |= (points >= low) & (points <= high)
    # Such a sign says as much as two letters: written twice, a run of four holds two of them.
    times = np.where(wide, 2, 1)
    return np.repeat(points, times).astype(np.uint64), np.repeat(owner, times)


def _runs(
    points: NDArray[np.uint64], owner: NDArray[np.intp]
) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """Hashes of every run within a text, which is padded in front: so even one letter has a run."""
    begins = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
    before = np.repeat(begins, _RUN - 1)
    padded = np.insert(points, before, 0)
    owners = np.insert(owner, before, owner[before])
    count = max(len(padded) - _RUN + 1, 0)
    hashes = np.zeros(count, dtype=np.uint64)
    for offset in range(_RUN):
        hashes = hashes * _PRIME + padded[offset : offset + count]
    whole = owners[:count] == owners[_RUN - 1 : _RUN - 1 + count]
    hashes, owners = hashes[whole], owners[:count][whole]
    hashes = (hashes ^ (hashes >> np.uint64(29))) * _MIX
    hashes ^= hashes >> np.uint64(32)
    return hashes * _MIX, owners


def _coins() -> tuple[tuple[np.uint64, np.uint64], ...]:
    """Fixed salts and odd factors (splitmix64), the same in every process and on every machine."""
    state, drawn = 0x9E3779B97F4A7C15, []
    for _ in range(2 * BITS):
        state = (state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        drawn.append(mixed ^ (mixed >> 31))
    return tuple(
        (np.uint64(salt), np.uint64(factor | 1))
        for salt, factor in zip(drawn[::2], drawn[1::2], strict=True)
    )


_COINS: Final = _coins()
