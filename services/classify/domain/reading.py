"""What is known of an item's text before any engine is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from services.classify.domain.cues import Cue, Hit, Meaning, standing
from services.classify.domain.lexicon import Lexicon
from services.classify.domain.structure import Structure, describe
from services.classify.domain.text import Text
from services.contracts.events import Sensitive

UNDETERMINED = "und"
_LONG_ENOUGH = 7
_FEW = 2
_PERSONAL = frozenset({Cue.me, Cue.you, Cue.question, Cue.plea, Cue.thanks})


@dataclass(frozen=True)
class Reading:
    """A text with its language, its build and what the word lists found in it."""

    text: Text
    language: str
    listed: bool
    """Whether the word lists cover it: where they don't, that nothing was found means nothing."""
    structure: Structure
    hits: tuple[Hit, ...]
    """Cues of the text's own language and of English; sensitive flags of every language."""
    standing: Mapping[Meaning, int]
    """How often each meaning occurs that no idiom takes back; none of them 0."""

    def count(self, cue: Cue) -> int:
        """How often the text hints at this."""
        return self.standing.get(cue, 0)

    def first(self, meaning: Cue | Sensitive) -> str | None:
        """The first words that hint at this."""
        found = (hit.found for hit in self.hits if hit.meaning is meaning and not hit.idiom)
        return next(found, None)

    @property
    def flags(self) -> frozenset[Sensitive]:
        """The sensitive flags that any list raises and no idiom takes back."""
        return frozenset(flag for flag in self.standing if isinstance(flag, Sensitive))

    @cached_property
    def speaks_of_nobody(self) -> bool:
        """Neither the writer nor a reader occurs, and nothing is asked."""
        return (
            self.listed
            and not self.structure.questions
            and not any(hit.meaning in _PERSONAL for hit in self.hits)
        )


def read_with(
    lexicon: Lexicon, text: Text, language: str, hits: Iterable[Hit], links: int | None = None
) -> Reading:
    """Put a reading together from what was found.

    Cues count in the text's own language and in English, which people mix in everywhere; in a text of
    unknown language every list counts. Sensitive flags count from every list, because a wrong guess of
    the language must not hide one; only words too short to belong to one language must be at home.
    """
    few = len(text.words) <= _FEW
    listed = language in lexicon.languages or (language == UNDETERMINED and few)
    others = {"en"} if language in lexicon.languages else lexicon.languages
    spoken = {language, *others}
    kept = tuple(
        hit
        for hit in hits
        if hit.language in spoken
        or (isinstance(hit.meaning, Sensitive) and len(hit.found) >= _LONG_ENOUGH)
    )
    counted = standing(kept)
    return Reading(text, language, listed, describe(text, counted, links), kept, counted)
