"""Word lists: what hints at a question, a scam, a danger, in many languages.

A list is data (services/classify/words/); this module compiles and matches it. A pattern is a few words:

- `word*` matches every ending, `(one|the other)` either;
- `..` stands for up to three words in between, `...` for up to eight;
- lists of languages that write without spaces, and patterns that begin with `*`, are searched as
  substrings; there a gap is 8 or 24 characters.

An idiom ("killing it", "legal tender") takes back what a pattern found in it.

Matching is a walk over the words with one dictionary look-up for each word and each length of prefix,
so the number of patterns costs next to nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.classify.domain.text import Text, fold, is_unspaced, words_of
from services.contracts.base import StrEnum
from services.contracts.events import Sensitive

_GAPS = {"..": 3, "...": 8}
"""Words that may stand between."""
_GAP_CHARACTERS = {"..": 8, "...": 24}
_CHOICE = re.compile(r"\(([^()]*)\)")
_ARABIC = re.compile(r"[\u0600-\u06ff]")


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
    idiom: bool = False
    """Takes back one hit of the same meaning."""


class _Gap(NamedTuple):
    at_most: int


class _Choice(NamedTuple):
    """One of several runs of words, by their first word or by how it begins."""

    exact: Mapping[str, tuple[_Rest, ...]]
    prefixes: tuple[tuple[str, _Rest], ...]

    def starting_with(self, word: str) -> Iterator[_Rest]:
        yield from self.exact.get(word, ())
        for prefix, rest in self.prefixes:
            if word.startswith(prefix):
                yield rest


_Rest = tuple["_Gap | _Choice", ...]


@dataclass(frozen=True, slots=True)
class _Pattern:
    hit: Hit
    rest: _Rest
    """What follows the first word."""


@dataclass(frozen=True, slots=True)
class _Substring:
    hit: Hit
    start: str
    rest: re.Pattern[str] | None
    """Where more follows after a gap: the whole."""

    def found_in(self, text: str) -> bool:
        return self.start in text and (self.rest is None or self.rest.search(text) is not None)


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
        self._substrings: list[_Substring] = []
        self._arabic: list[_Substring] = []
        self._unspaced: list[_Substring] = []
        meanings: dict[str, set[Meaning]] = defaultdict(set)
        for one in lists:
            meanings[one.language].update(one.patterns)
            for idiom, listed in ((False, one.patterns), (True, one.idioms)):
                for meaning, patterns in listed.items():
                    for pattern in patterns:
                        self._add(one, Hit(meaning, one.language, pattern, idiom))
        self._meanings = {language: frozenset(found) for language, found in meanings.items()}
        self._prefix_lengths = tuple(sorted({len(prefix) for prefix in self._prefixes}))
        self.languages = frozenset(
            language
            for language, found in self._meanings.items()
            if any(isinstance(meaning, Cue) for meaning in found)
        )
        """Those whose cues are listed: where none of them is found, that says something."""

    def _add(self, of: WordList, hit: Hit) -> None:
        if not of.spaced:
            known = self._arabic if _ARABIC.search(hit.words) else self._unspaced
            known.extend(_substrings(hit))
            return
        if hit.words.startswith("*"):
            self._substrings.extend(_substrings(hit))
            return
        first, *rest = _elements(hit.words)
        if isinstance(first, _Gap):
            raise ValueError(f"{of.language}: {hit.words!r} begins with a gap")
        for word, runs in first.exact.items():
            self._exact.setdefault(word, []).extend(_Pattern(hit, (*r, *rest)) for r in runs)
        for prefix, run in first.prefixes:
            self._prefixes.setdefault(prefix, []).append(_Pattern(hit, (*run, *rest)))

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
        found += [one.hit for one in self._substrings if one.found_in(folded)]
        if is_unspaced(folded):
            padded = f" {folded} "  # a pattern may name the edge of a word by a blank
            arabic = _ARABIC.search(folded) is not None
            known = self._arabic if arabic else self._unspaced
            found += [one.hit for one in known if one.found_in(padded)]
        return found


def _elements(pattern: str) -> list[_Gap | _Choice]:
    found: list[_Gap | _Choice] = []
    for place, piece in enumerate(_CHOICE.split(pattern)):
        if place % 2:
            found.append(_choice(piece.split("|")))
            continue
        for token in piece.split():
            found.append(_Gap(_GAPS[token]) if token in _GAPS else _choice([token]))
    return found


def _choice(alternatives: Iterable[str]) -> _Choice:
    exact: dict[str, list[_Rest]] = defaultdict(list)
    prefixes: list[tuple[str, _Rest]] = []
    for alternative in alternatives:
        tokens = [part for token in alternative.split() for part in _tokens(token)]
        head, rest = tokens[0], _run(tokens[1:])
        if head.endswith("*"):
            prefixes.append((head[:-1], rest))
        else:
            exact[head].append(rest)
    return _Choice({word: tuple(rests) for word, rests in exact.items()}, tuple(prefixes))


def _run(tokens: Sequence[str]) -> _Rest:
    return tuple(_Gap(_GAPS[t]) if t in _GAPS else _choice([t]) for t in tokens)


def _tokens(token: str) -> list[str]:
    """A token as the words that a text is read as: `e-mail*` is `e` and `mail*`."""
    if token in _GAPS:
        return [token]
    words = list(words_of(fold(token.rstrip("*"))))
    if not words:
        raise ValueError(f"{token!r} holds no word")
    if token.endswith("*"):
        words[-1] += "*"
    return words


def _matching(patterns: list[_Pattern], words: Sequence[str], at: int) -> Iterator[Hit]:
    for pattern in patterns:
        if not pattern.rest or _continues(pattern.rest, words, at):
            yield pattern.hit


def _continues(rest: _Rest, words: Sequence[str], at: int) -> bool:
    if not rest:
        return True
    part, after = rest[0], rest[1:]
    if isinstance(part, _Gap):
        last = min(at + part.at_most, len(words) - 1)
        return any(_continues(after, words, place) for place in range(at, last + 1))
    return at < len(words) and any(
        _continues((*run, *after), words, at + 1) for run in part.starting_with(words[at])
    )


def _substrings(hit: Hit) -> Iterator[_Substring]:
    """One for each choice at the start; what follows is a regular expression."""
    pieces = _CHOICE.split(hit.words.strip("*"))
    if not pieces[0].strip() and len(pieces) > 1:
        starts, others = pieces[1].split("|"), pieces[2:]
    else:
        before, *gaps = re.split(r"(\s*\.{2,3}\s*)", pieces[0])
        starts, others = [before], ["".join(gaps), *pieces[1:]]
    follows = "".join(
        "(?:" + "|".join(_expression(one) for one in piece.split("|")) + ")"
        if place % 2
        else _expression(piece)
        for place, piece in enumerate(others)
    )
    for start in map(fold, starts):
        rest = re.compile(re.escape(start) + follows, re.DOTALL) if follows else None
        yield _Substring(hit, start, rest)


def _expression(piece: str) -> str:
    parts = re.split(r"\s*(\.{2,3})\s*", piece)
    return "".join(
        f".{{0,{_GAP_CHARACTERS[part]}}}?" if place % 2 else re.escape(fold(part))
        for place, part in enumerate(parts)
    )


def as_shown(pattern: str) -> str:
    """A pattern as a person would write it: the first of each choice, endings and gaps as dots."""
    first = _CHOICE.sub(lambda found: found.group(1).split("|")[0], pattern)
    return re.sub(r"\s*(?:\.{2,3}|\*)\s*", " … ", first).strip(" …")
