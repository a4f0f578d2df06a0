"""From raw text to a `Reading`: normalise, search the word lists, tell the language, measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from services.classify.domain.lexicon import Lexicon
from services.classify.domain.reading import Reading, read_with
from services.classify.domain.text import read
from services.classify.languages import Asked, Detector


class Written(NamedTuple):
    """A text as it came."""

    text: str
    title: str | None = None
    hint: str | None = None
    """The platform's language."""
    links: int | None = None
    """How many links the platform counts."""


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
        """Read one text; see `Written`."""
        return self.read_all([Written(text, title, hint, links)])[0]

    def read_all(self, batch: Sequence[Written]) -> list[Reading]:
        """Read many: their languages are told at once."""
        forms = [read(one.text, one.title) for one in batch]
        hits = [self._lexicon.find(form) for form in forms]
        asked = [
            Asked(*known) for known in zip(forms, hits, (one.hint for one in batch), strict=True)
        ]
        return [
            read_with(self._lexicon, form, language, found, one.links)
            for one, form, found, language in zip(
                batch, forms, hits, self._detector.detect(asked), strict=True
            )
        ]
