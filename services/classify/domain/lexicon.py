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
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from services.classify.domain.text import Text, fold, is_unspaced, words_of
from services.contracts.base import StrEnum
from services.contracts.events import Sensitive

_GAPS = {"..": 3, "...": 8}
"""Words that may stand between."""
_GAP_CHARACTERS = {"..": 8, "...": 24}
_FOLLOWS = re.compile(r"\s*\.\.|[(|]")
_TOKENS = re.compile(r"[()|]|[^()|\s]+")
_ARABIC = re.compile(r"[\u0600-\u06ff]")
_WORDS_REMEMBERED: Final = 8_192
"""So many words are remembered by what may begin with them: about 1 MB."""


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
    found: str = ""
    """The words of the text that make the pattern, without what lies between."""


def standing(hits: Iterable[Hit]) -> dict[Meaning, int]:
    """How often each meaning occurs that no idiom takes back; none of them 0."""
    counted: dict[Meaning, int] = {}
    for hit in hits:
        counted[hit.meaning] = counted.get(hit.meaning, 0) + (-1 if hit.idiom else 1)
    return {meaning: times for meaning, times in counted.items() if times > 0}


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

    def terms(self) -> Iterator[str]:
        """What it may begin with; a beginning of a word ends with a `*`."""
        yield from self.exact
        for prefix, _ in self.prefixes:
            yield f"{prefix}*"


_Rest = tuple["_Gap | _Choice", ...]


class _Pattern(NamedTuple):
    hit: Hit
    rest: _Rest
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
class _Substring:
    hit: Hit
    start: str
    rest: re.Pattern[str] | None
    """Where more follows after a gap: the whole."""


class _Substrings:
    """Many, each by the character of its start that the fewest others hold: a text has few of those."""

    def __init__(self, ones: Sequence[_Substring]) -> None:
        self._all = ones
        held = Counter(character for one in ones for character in set(one.start))
        self._by_character: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for place, one in enumerate(ones):
            rarest = min(one.start, key=lambda character: held[character])
            self._by_character[rarest].append((one.start, place))

    def __len__(self) -> int:
        return len(self._all)

    def find(self, text: str) -> list[Hit]:
        """In the order of the lists."""
        by_character = self._by_character
        places = [
            place
            for character in by_character.keys() & set(text)
            for start, place in by_character[character]
            if start in text
        ]
        found = [self._all[place] for place in sorted(places)]
        return [one.hit for one in found if one.rest is None or one.rest.search(text) is not None]


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
        substrings: dict[str, list[_Substring]] = {"spaced": [], "arabic": [], "unspaced": []}
        meanings: dict[str, set[Meaning]] = defaultdict(set)
        for one in lists:
            meanings[one.language].update(one.patterns)
            for idiom, listed in ((False, one.patterns), (True, one.idioms)):
                for meaning, patterns in listed.items():
                    for pattern in patterns:
                        self._add(one, Hit(meaning, one.language, pattern, idiom), substrings)
        self._meanings = {language: frozenset(found) for language, found in meanings.items()}
        self._substrings = _Substrings(substrings["spaced"])
        self._arabic = _Substrings(substrings["arabic"])
        self._unspaced = _Substrings(substrings["unspaced"])
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

    def _add(self, of: WordList, hit: Hit, substrings: dict[str, list[_Substring]]) -> None:
        if not of.spaced:
            known = substrings["arabic" if _ARABIC.search(hit.words) else "unspaced"]
            known.extend(_substrings(hit))
            return
        if hit.words.startswith("*"):
            substrings["spaced"].extend(_substrings(hit))
            return
        first, *rest = _elements(hit.words)
        if isinstance(first, _Gap):
            raise ValueError(f"{of.language}: {hit.words!r} begins with a gap")  # noqa: TRY004 - a fault of the data
        for word, runs in first.exact.items():
            self._exact.setdefault(word, []).extend(self._pattern(hit, (*r, *rest)) for r in runs)
        for prefix, run in first.prefixes:
            self._prefixes.setdefault(prefix, []).append(self._pattern(hit, (*run, *rest)))

    def _pattern(self, hit: Hit, rest: _Rest) -> _Pattern:
        following = next((part for part in rest if isinstance(part, _Choice)), None)
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
                followed = _continued(rest, words, index + 1)
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


def _elements(pattern: str) -> _Rest:
    tokens = deque(_TOKENS.findall(pattern))
    found = _read_run(tokens)
    if tokens:
        raise ValueError(f"{pattern!r} has a {tokens[0]!r} too many")
    return found


def _read_run(tokens: deque[str]) -> _Rest:
    found: list[_Gap | _Choice] = []
    while tokens and tokens[0] not in ("|", ")"):
        one = tokens.popleft()
        if one == "(":
            found.append(_read_choice(tokens))
        elif one in _GAPS:
            found.append(_Gap(_GAPS[one]))
        else:
            found += [_one_word(word) for word in _words_of_token(one)]
    return tuple(found)


def _read_choice(tokens: deque[str]) -> _Choice:
    runs = [_read_run(tokens)]
    while tokens and tokens.popleft() == "|":
        runs.append(_read_run(tokens))
    exact: dict[str, list[_Rest]] = defaultdict(list)
    prefixes: list[tuple[str, _Rest]] = []
    for head, *rest in runs:
        if isinstance(head, _Gap):
            raise ValueError("a choice begins with a gap")  # noqa: TRY004 - a fault of the data
        for word, nexts in head.exact.items():
            exact[word] += [(*after, *rest) for after in nexts]
        prefixes += [(prefix, (*after, *rest)) for prefix, after in head.prefixes]
    return _Choice({word: tuple(rests) for word, rests in exact.items()}, tuple(prefixes))


def _one_word(word: str) -> _Choice:
    return _Choice({}, ((word[:-1], ()),)) if word.endswith("*") else _Choice({word: ((),)}, ())


def _words_of_token(token: str) -> list[str]:
    """A token as the words that a text is read as: `e-mail*` is `e` and `mail*`."""
    words = list(words_of(fold(token.rstrip("*"))))
    if not words:
        raise ValueError(f"{token!r} holds no word")
    if token.endswith("*"):
        words[-1] += "*"
    return words


def _found(hit: Hit, first: str, followed: tuple[str, ...]) -> Hit:
    words = " ".join((first, *followed)) if followed else first
    return Hit(hit.meaning, hit.language, hit.words, hit.idiom, words)


def _continued(rest: _Rest, words: Sequence[str], at: int) -> tuple[str, ...] | None:
    """The words from `at` on that make the rest of a pattern; None where they don't."""
    if not rest:
        return ()
    part, after = rest[0], rest[1:]
    if isinstance(part, _Gap):
        last = min(at + part.at_most, len(words) - 1)
        for place in range(at, last + 1):
            followed = _continued(after, words, place)
            if followed is not None:
                return followed
        return None
    if at >= len(words):
        return None
    for run in part.starting_with(words[at]):
        followed = _continued((*run, *after), words, at + 1)
        if followed is not None:
            return (words[at], *followed)
    return None


def _substrings(hit: Hit) -> Iterator[_Substring]:
    """One for each choice at the start; what follows is a regular expression."""
    for whole in _unfolded(hit.words.strip("*")):
        first = _FOLLOWS.search(whole)
        start = fold(whole[: first.start()] if first else whole)
        if not start.strip():
            raise ValueError(f"{hit.words!r} begins with a gap")
        rest = re.compile(_expression(whole), re.DOTALL) if first else None
        yield _Substring(hit._replace(found=start.strip()), start, rest)


def _unfolded(pattern: str) -> Iterator[str]:
    """The pattern once for each choice that it begins with."""
    if not pattern.startswith("("):
        yield pattern
        return
    depth, began = 0, 1
    alternatives: list[str] = []
    for place, character in enumerate(pattern):
        depth += (character == "(") - (character == ")")
        if (character == "|" and depth == 1) or depth == 0:
            alternatives.append(pattern[began:place])
            began = place + 1
        if depth == 0:
            break
    for one in alternatives:
        yield from _unfolded(one + pattern[began:])


def _expression(pattern: str) -> str:
    found = []
    for piece in re.split(r"(\s*\.{2,3}\s*|[()|])", pattern):
        gap = _GAP_CHARACTERS.get(piece.strip())
        if gap:
            found.append(f".{{0,{gap}}}?")
        else:
            found.append({"(": "(?:", ")": ")", "|": "|"}.get(piece, re.escape(fold(piece))))
    return "".join(found)
