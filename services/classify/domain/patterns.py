"""A pattern of words, read from how it is listed, and whether words continue it.

- `word*` matches every ending, `(one|the other)` either;
- `..` stands for up to three words in between, `...` for up to eight.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from services.classify.domain.text import fold, words_of

_GAPS: Final = {"..": 3, "...": 8}
"""Words that may stand between."""
_TOKENS = re.compile(r"[()|]|[^()|\s]+")


class Gap(NamedTuple):
    """Words that may stand between."""

    at_most: int


class Choice(NamedTuple):
    """One of several runs of words, by their first word or by how it begins."""

    exact: Mapping[str, tuple[Rest, ...]]
    prefixes: tuple[tuple[str, Rest], ...]

    def starting_with(self, word: str) -> Iterator[Rest]:
        """What may follow this word."""
        yield from self.exact.get(word, ())
        for prefix, rest in self.prefixes:
            if word.startswith(prefix):
                yield rest

    def terms(self) -> Iterator[str]:
        """What it may begin with; a beginning of a word ends with a `*`."""
        yield from self.exact
        for prefix, _ in self.prefixes:
            yield f"{prefix}*"


Rest = tuple["Gap | Choice", ...]
"""What a pattern goes on with."""


def elements(pattern: str) -> Rest:
    """A pattern taken apart. Raises ValueError where it cannot be read."""
    tokens = deque(_TOKENS.findall(pattern))
    found = _read_run(tokens)
    if tokens:
        raise ValueError(f"{pattern!r} has a {tokens[0]!r} too many")
    return found


def _read_run(tokens: deque[str]) -> Rest:
    found: list[Gap | Choice] = []
    while tokens and tokens[0] not in ("|", ")"):
        one = tokens.popleft()
        if one == "(":
            found.append(_read_choice(tokens))
        elif one in _GAPS:
            found.append(Gap(_GAPS[one]))
        else:
            found += [_one_word(word) for word in _words_of_token(one)]
    return tuple(found)


def _read_choice(tokens: deque[str]) -> Choice:
    runs = [_read_run(tokens)]
    while tokens and tokens.popleft() == "|":
        runs.append(_read_run(tokens))
    exact: dict[str, list[Rest]] = defaultdict(list)
    prefixes: list[tuple[str, Rest]] = []
    for head, *rest in runs:
        if isinstance(head, Gap):
            raise ValueError("a choice begins with a gap")  # noqa: TRY004 - a fault of the data
        for word, nexts in head.exact.items():
            exact[word] += [(*after, *rest) for after in nexts]
        prefixes += [(prefix, (*after, *rest)) for prefix, after in head.prefixes]
    return Choice({word: tuple(rests) for word, rests in exact.items()}, tuple(prefixes))


def _one_word(word: str) -> Choice:
    return Choice({}, ((word[:-1], ()),)) if word.endswith("*") else Choice({word: ((),)}, ())


def _words_of_token(token: str) -> list[str]:
    """A token as the words that a text is read as: `e-mail*` is `e` and `mail*`."""
    words = list(words_of(fold(token.rstrip("*"))))
    if not words:
        raise ValueError(f"{token!r} holds no word")
    if token.endswith("*"):
        words[-1] += "*"
    return words


def continued(rest: Rest, words: Sequence[str], at: int) -> tuple[str, ...] | None:
    """The words from `at` on that make the rest of a pattern; None where they don't."""
    if not rest:
        return ()
    part, after = rest[0], rest[1:]
    if isinstance(part, Gap):
        last = min(at + part.at_most, len(words) - 1)
        for place in range(at, last + 1):
            followed = continued(after, words, place)
            if followed is not None:
                return followed
        return None
    if at >= len(words):
        return None
    for run in part.starting_with(words[at]):
        followed = continued((*run, *after), words, at + 1)
        if followed is not None:
            return (words[at], *followed)
    return None
