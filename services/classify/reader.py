"""From raw text to a `Reading`: normalise, search the word lists, tell the language, measure."""

from __future__ import annotations

from services.classify.domain.lexicon import Lexicon
from services.classify.domain.reading import Reading, read_with
from services.classify.domain.text import read
from services.classify.languages import Detector


class Reader:
    """Word lists and a language detector, put together once per process. Safe to share by threads."""

    def __init__(self, lexicon: Lexicon, detector: Detector) -> None:
        self._lexicon = lexicon
        self._detector = detector

    def read(
        self,
        text: str,
        *,
        title: str | None = None,
        hint: str | None = None,
        links: int | None = None,
    ) -> Reading:
        """Read one text. `hint` is the platform's language; `links` how many links it counts."""
        forms = read(text, title)
        hits = self._lexicon.find(forms)
        language = self._detector.detect(forms, hits, hint)
        return read_with(self._lexicon, forms, language, hits, links)
