"""Which language a text is written in: the platform's hint, the script, the words, n-grams of bytes.

The n-grams and their weights are those of py3langid (BSD-3-Clause), as a table made by
services/classify/training/languages.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from math import sqrt
from typing import Final, Protocol

import numpy as np

from services.classify.domain.lexicon import Hit
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


class Detector(Protocol):
    """Names a text's language as one of `LANGUAGES`, or `und`."""

    def detect(self, text: Text, hits: Sequence[Hit], hint: str | None) -> str:
        """`hits` are what the word lists of every language found; `hint` is what the platform says."""


TABLE: Final = "languages.npz"
_BYTES = 240
"""So many bytes of a text tell its language."""
_BEFORE: Final = b"\0" * 4
"""No n-gram holds it: so that every byte has five behind it."""


class LanguageDetector:
    """N-grams behind the cheaper signs. Reads its table when built."""

    def __init__(self) -> None:
        with (files("services.classify") / TABLE).open("rb") as opened, np.load(opened) as file:
            letters, lengths = file["letters"].tobytes(), file["lengths"]
            starts = np.cumsum(lengths, dtype=np.int64) - lengths
            self._features = {
                letters[start : start + length]: feature
                for start, length, feature in zip(
                    starts.tolist(), lengths.tolist(), file["features"].tolist(), strict=True
                )
            }
            self._weights = file["weights"]
            self._priors = file["priors"]
            self._languages = [str(one) for one in file["languages"]]

    def detect(self, text: Text, hits: Sequence[Hit], hint: str | None) -> str:
        """See `Detector`."""
        hinted = (hint or "").split("-")[0].lower()
        if hinted in LANGUAGES:
            return hinted
        if not text.words:
            return UNDETERMINED
        if not text.folded.isascii():
            for script, language in _SCRIPTS:
                if script.search(text.folded):
                    return language
        votes = Counter(hit.language for hit in hits).most_common(2)
        if votes and len(text.words) <= _FEW_WORDS and (
            len(votes) == 1 or votes[0][1] > votes[1][1]
        ):  # fmt: skip
            return votes[0][0]
        language, confidence = self._classify(" ".join(text.words).encode()[:_BYTES])
        if confidence >= _SURE:
            return language
        return votes[0][0] if votes else UNDETERMINED

    def _classify(self, text: bytes) -> tuple[str, float]:
        """The likeliest language and its probability: by the longest n-gram ending at each byte."""
        get = self._features.get
        padded = _BEFORE + text
        found = Counter(
            [
                get(padded[end - 5 : end])
                or get(padded[end - 4 : end])
                or get(padded[end - 3 : end])
                or get(padded[end - 2 : end])
                for end in range(len(_BEFORE) + 1, len(padded) + 1)
            ]
        )
        del found[None]
        if not found:
            return UNDETERMINED, 0.0
        counts = np.fromiter(found.values(), dtype=np.float32, count=len(found))
        places = np.fromiter((one or 0 for one in found), dtype=np.intp, count=len(found))
        weights = self._weights[places - 1]
        scores = (np.log1p(counts) @ weights.astype(np.float32) + self._priors) / sqrt(len(text))
        raised = np.exp(scores - scores.max())
        best = int(raised.argmax())
        return self._languages[best], float(raised[best] / raised.sum())
