"""Which language a text is written in: the platform's hint, the script, the words, a small model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

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


class LanguageDetector:
    """py3langid behind the cheaper signs. Loads its model when built."""

    def __init__(self) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        self._model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self._model.set_languages(list(LANGUAGES))

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
        language, confidence = self._model.classify(" ".join(text.words))
        if confidence >= _SURE:
            return str(language)
        return votes[0][0] if votes else UNDETERMINED
