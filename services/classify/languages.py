"""Which language a text is written in: the platform's hint, the script, the words, n-grams of bytes.

The n-grams and their weights are those of py3langid (BSD-3-Clause), as a table made by
services/classify/training/languages.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from services.classify.domain.cues import Hit
from services.classify.domain.reading import UNDETERMINED
from services.classify.domain.text import Text

LANGUAGES = (
    "ar", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja",
    "ko", "nl", "no", "pl", "pt", "ro", "ru", "sv", "th", "tr", "uk", "ur", "vi", "zh",
)  # fmt: skip
"""What is told apart; everything else is `und`."""

_SCRIPTS = (
    (re.compile(r"[\u3040-\u30ff]"), "ja"),
    (re.compile(r"[\uac00-\ud7af\u1100-\u11ff]"), "ko"),
    (re.compile(r"[\u0e00-\u0e7f]"), "th"),
    (re.compile(r"[\u0590-\u05ff]"), "he"),
    (re.compile(r"[\u0370-\u03ff]"), "el"),
    (re.compile(r"[\u0900-\u097f]"), "hi"),
    (re.compile(r"[\u4e00-\u9fff]"), "zh"),
)
_FEW_WORDS = 4
_SURE = 0.55


class Asked(NamedTuple):
    """A text whose language is asked."""

    text: Text
    hits: Sequence[Hit]
    """What the word lists of every language found in it."""
    hint: str | None
    """What the platform says."""


class Detector(Protocol):
    """Names each text's language as one of `LANGUAGES`, or `und`."""

    def detect(self, asked: Sequence[Asked]) -> list[str]:
        """One a text, whatever its neighbours are."""


TABLE: Final = "languages.npz"
_BYTES: Final = 240
"""So many bytes of a text tell its language."""
_AT_A_TIME: Final = 128
"""Texts: more at once are hardly faster and cost memory."""
_LONGEST, _SHORTEST = 5, 2
"""Bytes of an n-gram."""
_BETWEEN: Final = b"\0" * (_LONGEST - 1)
"""No n-gram holds it: so that every byte has four before it, and none of another text."""


class LanguageDetector:
    """N-grams behind the cheaper signs. Reads its table when built."""

    def __init__(self) -> None:
        with (files("services.classify") / TABLE).open("rb") as opened, np.load(opened) as file:
            self._bounds, self._features = _intervals(
                file["letters"], file["lengths"].astype(np.int64), file["features"]
            )
            self._weights = file["weights"]
            self._priors = file["priors"]
            self._languages = [str(one) for one in file["languages"]]

    def detect(self, asked: Sequence[Asked]) -> list[str]:
        """See `Detector`."""
        found = [_by_cheaper_signs(one) for one in asked]
        open_still = [place for place, language in enumerate(found) if language is None]
        for start in range(0, len(open_still), _AT_A_TIME):
            places = open_still[start : start + _AT_A_TIME]
            texts = [" ".join(asked[place].text.words).encode()[:_BYTES] for place in places]
            for place, (language, confidence) in zip(places, self._classify(texts), strict=True):
                votes = _votes(asked[place].hits)
                voted = votes[0][0] if votes else UNDETERMINED
                found[place] = language if confidence >= _SURE else voted
        return [language or UNDETERMINED for language in found]

    def _classify(self, texts: Sequence[bytes]) -> list[tuple[str, float]]:
        """The likeliest language and its probability: by the longest n-gram ending at each byte."""
        owner, feature = self._longest(texts)
        found = [(UNDETERMINED, 0.0)] * len(texts)
        if not len(owner):
            return found
        # How often each n-gram occurs in each text.
        keys = np.sort(owner << 16 | feature)
        first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
        counts = np.diff(first, append=len(keys)).astype(np.float32)
        owner, feature = keys[first] >> 16, keys[first] & 0xFFFF
        weighed = self._weights[feature - 1].astype(np.float32)
        weighed *= np.log1p(counts)[:, None]
        begins = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
        places = owner[begins].tolist()
        scores = np.add.reduceat(weighed, begins, axis=0) + self._priors
        scores /= np.sqrt([[len(texts[place])] for place in places])
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        best = raised.argmax(axis=1).tolist()
        sure = (1.0 / raised.sum(axis=1)).tolist()  # the best is raised to 1
        for place, language, confidence in zip(places, best, sure, strict=True):
            found[place] = (self._languages[language], confidence)
        return found

    def _longest(self, texts: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each byte that ends an n-gram its text, and the longest one's feature."""
        content = np.frombuffer(_BETWEEN + _BETWEEN.join(texts), dtype=np.uint8).astype(np.int64)
        lengths = np.array([len(one) for one in texts])
        owner = np.repeat(np.arange(len(texts)), lengths)
        ends = np.arange(len(owner)) + len(_BETWEEN) * (owner + 1)
        last_first = np.zeros(len(content), dtype=np.int64)
        for before in range(_LONGEST):
            last_first[before:] |= content[: len(content) - before] << _shift(before)
        windows = np.sort(last_first[ends] << 20 | owner)  # in order they are looked up faster
        interval = np.searchsorted(self._bounds, windows >> 20, side="right") - 1
        feature = self._features[interval]
        known = feature > 0
        return windows[known] & 0xFFFFF, feature[known]


def _by_cheaper_signs(asked: Asked) -> str | None:
    """The language where no n-gram need be counted."""
    text = asked.text
    hinted = (asked.hint or "").split("-")[0].lower()
    if hinted in LANGUAGES:
        return hinted
    if not text.words:
        return UNDETERMINED
    if not text.folded.isascii():
        for script, language in _SCRIPTS:
            if script.search(text.folded):
                return language
    if len(text.words) <= _FEW_WORDS:
        votes = _votes(asked.hits)
        if len(votes) == 1 or (votes and votes[0][1] > votes[1][1]):
            return votes[0][0]
    return None


def _votes(hits: Sequence[Hit]) -> list[tuple[str, int]]:
    return Counter([hit.language for hit in hits]).most_common(2)


def _shift(before: int) -> int:
    """Where the byte stands that is so many before the last, which weighs most."""
    return 8 * (_LONGEST - 1 - before)


def _intervals(
    letters: NDArray[np.uint8], lengths: NDArray[np.int64], features: NDArray[np.uint16]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read backwards, an n-gram is the beginning of an interval of five-byte windows; the longest counts.

    Returns where each interval begins and the feature that counts from there on, 0 for none.
    """
    first = np.cumsum(lengths) - lengths
    low = np.zeros(len(lengths), dtype=np.int64)
    for before in range(_LONGEST):
        there = lengths > before
        letter = letters[(first + lengths - 1 - before)[there]].astype(np.int64)
        low[there] |= letter << _shift(before)
    high = low + (np.int64(1) << (8 * (_LONGEST - lengths)))
    bounds = np.unique(np.concatenate(([0], low, high)))
    counts = np.zeros(len(bounds), dtype=np.int64)
    for length in range(_SHORTEST, _LONGEST + 1):
        one = np.flatnonzero(lengths == length)
        begin, end = np.searchsorted(bounds, low[one]), np.searchsorted(bounds, high[one])
        size = end - begin
        inside = np.arange(size.sum()) + np.repeat(begin - (np.cumsum(size) - size), size)
        counts[inside] = np.repeat(features[one], size)
    return bounds, counts
