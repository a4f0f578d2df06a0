"""Patterns searched as substrings: in languages that write without spaces, and inside of words.

Each is looked up by the rarest character of its start; what follows a gap is a regular expression.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.classify.domain.cues import Hit
from services.classify.domain.text import fold

_GAP_CHARACTERS: Final = {"..": 8, "...": 24}
_FOLLOWS = re.compile(r"\s*\.\.|[(|]")


@dataclass(frozen=True, slots=True)
class Substring:
    """One pattern from one of its starts on."""

    hit: Hit
    start: str
    rest: re.Pattern[str] | None
    """Where more follows after a gap: the whole."""


class Substrings:
    """Many, each by the character of its start that the fewest others hold: a text has few of those."""

    def __init__(self, ones: Sequence[Substring]) -> None:
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


def substrings_of(hit: Hit) -> Iterator[Substring]:
    """One for each choice at the start; what follows is a regular expression."""
    for whole in _unfolded(hit.words.strip("*")):
        first = _FOLLOWS.search(whole)
        start = fold(whole[: first.start()] if first else whole)
        if not start.strip():
            raise ValueError(f"{hit.words!r} begins with a gap")
        rest = re.compile(_expression(whole), re.DOTALL) if first else None
        yield Substring(hit._replace(found=start.strip()), start, rest)


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
