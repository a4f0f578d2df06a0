"""Word lists: what hints at a question, a scam, a danger, in many languages.

A list is data (services/classify/words/); this module compiles and matches it. A pattern is a few words:

- `word*` matches every ending, `(one|the other)` either;
- `..` stands for up to three words in between, `...` for up to eight;
- lists of languages that write without spaces, and patterns that begin with `*`, are searched as
  substrings; there a gap is 8 or 24 characters.

An idiom ("killing it", "legal tender") takes back what a pattern found in it.

Matching is a walk over the words: what may begin at a word is looked up once and remembered, and a pattern
is tried only where the text holds a word that it goes on with. Substrings are looked up by their rarest
character. So the number of patterns costs next to nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from services.classify.domain.cues import Cue, Hit, Meaning
from services.classify.domain.patterns import Choice, Gap, Rest, continued, elements
from services.classify.domain.substrings import Substring, Substrings, substrings_of
from services.classify.domain.text import Text, is_unspaced

_ARABIC = re.compile(r"[\u0600-\u06ff]")
_WORDS_REMEMBERED: Final = 8_192
"""So many words are remembered by what may begin with them: about 1 MB."""


class _Pattern(NamedTuple):
    hit: Hit
    rest: Rest
    """What follows the first word."""
    needs: frozenset[str] | None
    """One of these a text must hold for the rest to be found: words, or beginnings with a `*`."""


class _Word(NamedTuple):
    """What the lists know of one word."""

    begins: tuple[_Pattern, ...]
    terms: tuple[str, ...]
    """The words and beginnings of any pattern that it is."""


_UNKNOWN: Final = _Word((), ())


@dataclass(frozen=True, slots=True)
class WordList:
    """The patterns of one language, as read from its file."""

    language: str
    spaced: bool
    patterns: Mapping[Meaning, Sequence[str]]
    idioms: Mapping[Meaning, Sequence[str]] = field(default_factory=dict)


class Lexicon:
    """All word lists, compiled. Immutable once built."""

    def __init__(self, lists: Iterable[WordList]) -> None:
        self._exact: dict[str, list[_Pattern]] = {}
        self._prefixes: dict[str, list[_Pattern]] = {}
        self._terms: set[str] = set()
        self._needs: dict[frozenset[str], frozenset[str]] = {}
        substrings: dict[str, list[Substring]] = {"spaced": [], "arabic": [], "unspaced": []}
        meanings: dict[str, set[Meaning]] = defaultdict(set)
        for one in lists:
            meanings[one.language].update(one.patterns)
            for idiom, listed in ((False, one.patterns), (True, one.idioms)):
                for meaning, patterns in listed.items():
                    for pattern in patterns:
                        self._add(one, Hit(meaning, one.language, pattern, idiom), substrings)
        self._meanings = {language: frozenset(found) for language, found in meanings.items()}
        self._substrings = Substrings(substrings["spaced"])
        self._arabic = Substrings(substrings["arabic"])
        self._unspaced = Substrings(substrings["unspaced"])
        lengths = {len(prefix) for prefix in self._prefixes}
        lengths.update(len(term) - 1 for term in self._terms if term.endswith("*"))
        self._prefix_lengths = tuple(sorted(lengths))
        self._known = lru_cache(_WORDS_REMEMBERED)(self._look_up)
        self.languages = frozenset(
            language
            for language, found in self._meanings.items()
            if any(isinstance(meaning, Cue) for meaning in found)
        )
        """Those whose cues are listed: where none of them is found, that says something."""

    def _add(self, of: WordList, hit: Hit, substrings: dict[str, list[Substring]]) -> None:
        if not of.spaced:
            known = substrings["arabic" if _ARABIC.search(hit.words) else "unspaced"]
            known.extend(substrings_of(hit))
            return
        if hit.words.startswith("*"):
            substrings["spaced"].extend(substrings_of(hit))
            return
        first, *rest = elements(hit.words)
        if isinstance(first, Gap):
            raise ValueError(f"{of.language}: {hit.words!r} begins with a gap")  # noqa: TRY004 - a fault of the data
        for word, runs in first.exact.items():
            self._exact.setdefault(word, []).extend(self._pattern(hit, (*r, *rest)) for r in runs)
        for prefix, run in first.prefixes:
            self._prefixes.setdefault(prefix, []).append(self._pattern(hit, (*run, *rest)))

    def _pattern(self, hit: Hit, rest: Rest) -> _Pattern:
        following = next((part for part in rest if isinstance(part, Choice)), None)
        if following is None:
            return _Pattern(hit, rest, None)
        needs = frozenset(following.terms())
        needs = self._needs.setdefault(needs, needs)  # many patterns go on alike
        self._terms |= needs
        return _Pattern(hit, rest, needs)

    def meanings(self, language: str) -> frozenset[Meaning]:
        """What the list of that language can hint at."""
        return self._meanings[language]

    def find(self, text: Text) -> list[Hit]:
        """Every pattern that the text holds, each as often as it occurs."""
        words, folded = text.words, text.folded
        known = [self._known(word) for word in words]
        held = {term for word in known for term in word.terms}
        found: list[Hit] = []
        for index, word in enumerate(known):
            for hit, rest, needs in word.begins:
                if needs is not None and needs.isdisjoint(held):
                    continue
                followed = continued(rest, words, index + 1)
                if followed is not None:
                    found.append(_found(hit, words[index], followed))
        if self._substrings:
            found += self._substrings.find(folded)
        if is_unspaced(folded):
            padded = f" {folded} "  # a pattern may name the edge of a word by a blank
            arabic = _ARABIC.search(folded) is not None
            found += (self._arabic if arabic else self._unspaced).find(padded)
        return found

    def _look_up(self, word: str) -> _Word:
        begins = list(self._exact.get(word, ()))
        terms = [word] if word in self._terms else []
        for length in self._prefix_lengths:
            if length > len(word):
                break
            prefix = word[:length]
            begins += self._prefixes.get(prefix, ())
            if (term := f"{prefix}*") in self._terms:
                terms.append(term)
        return _Word(tuple(begins), tuple(terms)) if begins or terms else _UNKNOWN


def _found(hit: Hit, first: str, followed: tuple[str, ...]) -> Hit:
    words = " ".join((first, *followed)) if followed else first
    return Hit(hit.meaning, hit.language, hit.words, hit.idiom, words)
