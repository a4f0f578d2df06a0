"""Word lists: what hints at a question, a scam, a danger, in many languages.

A list is data (services/classify/words/*.yaml); this module compiles and matches it. A pattern is a few
words; `word*` matches every ending, `..` up to three words in between. Lists of languages that write
without spaces, and patterns that begin with `*`, are searched as substrings.

Matching is a walk over the words with one dictionary look-up for each word and each length of prefix,
so the number of patterns costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.classify.domain.text import Text, fold, is_unspaced, words_of
from services.contracts.base import StrEnum
from services.contracts.events import Sensitive

_GAP = ".."
_GAP_WORDS = 3


class Cue(StrEnum):
    """What a word hints at, besides the sensitive flags."""

    question = "question"
    complaint = "complaint"
    plea = "plea"
    thanks = "thanks"
    urgent = "urgent"
    promotion = "promotion"
    scam = "scam"
    news = "news"
    me = "me"
    """The writer speaks of themselves."""
    you = "you"
    """The writer speaks to somebody."""


Meaning = Cue | Sensitive


class Hit(NamedTuple):
    """One pattern found in a text."""

    meaning: Meaning
    language: str
    words: str
    """The pattern as listed."""


class _Part(NamedTuple):
    word: str
    open_end: bool

    def matches(self, word: str) -> bool:
        return word.startswith(self.word) if self.open_end else word == self.word


@dataclass(frozen=True, slots=True)
class _Pattern:
    hit: Hit
    rest: tuple[_Part | None, ...]
    """What follows the first word; None is a gap."""


@dataclass(frozen=True, slots=True)
class WordList:
    """The patterns of one language, as read from its file."""

    language: str
    spaced: bool
    patterns: Mapping[Meaning, Sequence[str]]


class Lexicon:
    """All word lists, compiled. Immutable once built."""

    def __init__(self, lists: Iterable[WordList]) -> None:
        self._exact: dict[str, list[_Pattern]] = {}
        self._prefixes: dict[str, list[_Pattern]] = {}
        self._substrings: list[tuple[str, Hit]] = []
        self._unspaced: list[tuple[str, Hit]] = []
        self._meanings: dict[str, frozenset[Meaning]] = {}
        for one in lists:
            self._meanings[one.language] = frozenset(one.patterns)
            for meaning, patterns in one.patterns.items():
                for pattern in patterns:
                    self._add(one, meaning, pattern)
        self._prefix_lengths = tuple(sorted({len(prefix) for prefix in self._prefixes}))
        self.languages = frozenset(self._meanings)

    def _add(self, of: WordList, meaning: Meaning, pattern: str) -> None:
        hit = Hit(meaning, of.language, pattern)
        if not of.spaced:
            self._unspaced.append((fold(pattern), hit))
            return
        if pattern.startswith("*"):
            self._substrings.append((fold(pattern.strip("*")), hit))
            return
        first, *rest = [part for token in pattern.split() for part in _parts(token)]
        if first is None:
            raise ValueError(f"{of.language}: {pattern!r} begins with a gap")
        heads = self._prefixes if first.open_end else self._exact
        heads.setdefault(first.word, []).append(_Pattern(hit, tuple(rest)))

    def meanings(self, language: str) -> frozenset[Meaning]:
        """What the list of that language can hint at."""
        return self._meanings[language]

    def find(self, text: Text) -> list[Hit]:
        """Every pattern that the text holds, each as often as it occurs."""
        found: list[Hit] = []
        words = text.words
        exact, prefixes = self._exact, self._prefixes
        for index, word in enumerate(words):
            if word in exact:
                found += _matching(exact[word], words, index + 1)
            size = len(word)
            for length in self._prefix_lengths:
                if length > size:
                    break
                patterns = prefixes.get(word[:length])
                if patterns is not None:
                    found += _matching(patterns, words, index + 1)
        folded = text.folded
        found += [hit for substring, hit in self._substrings if substring in folded]
        if is_unspaced(folded):
            padded = f" {folded} "  # a pattern may name the edge of a word by a blank
            found += [hit for substring, hit in self._unspaced if substring in padded]
        return found


def _parts(token: str) -> Iterator[_Part | None]:
    if token == _GAP:
        yield None
        return
    words = words_of(fold(token.rstrip("*")))
    for word in words[:-1]:
        yield _Part(word, False)
    yield _Part(words[-1], token.endswith("*"))


def _matching(patterns: list[_Pattern], words: Sequence[str], at: int) -> Iterator[Hit]:
    for pattern in patterns:
        if not pattern.rest or _continues(pattern.rest, words, at):
            yield pattern.hit


def _continues(rest: tuple[_Part | None, ...], words: Sequence[str], at: int) -> bool:
    if not rest:
        return True
    part, after = rest[0], rest[1:]
    if part is None:
        return any(_continues(after, words, at + gap) for gap in range(_GAP_WORDS + 1))
    return at < len(words) and part.matches(words[at]) and _continues(after, words, at + 1)
