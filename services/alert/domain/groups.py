"""Which messages resemble each other: groups by their similarity signatures. A pure decision.

An item belongs to a group when it is within NEAR bits of any member, so a group is a connected
component: in which order its items come, and how they are cut into batches, does not matter. A group
says that many write the same, never that it is spam (docs/classifier.md, docs/decisions/0118).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.alert.domain.items import Item

NEAR = 28
"""Of 128 bits: members of one group differ by no more from some other member (0118)."""
COPY = 4
LETTERS = 12
"""Texts with fewer are alike by chance."""
STRETCH = timedelta(hours=6)
"""So long after its arrival an item still draws others into its group."""
SHOWN_FROM = 3
"""From so many people on their cards say so."""
_SIGNATURE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Signed:
    """An item with its signature."""

    item_id: str
    similarity: str
    group: int | None = None
    """The stored group that it belongs to."""


@dataclass(frozen=True, slots=True)
class Component:
    """Items that hang together."""

    items: tuple[str, ...]
    groups: tuple[int, ...]
    """Stored groups that they belong to: the oldest takes the others in; none is a new group."""


def comparable(item: Item) -> bool:
    """Whether it can be in a group.

    A sensitive one is never counted among others: it goes its own way, to people of its own.
    """
    if not item.inbound or item.sensitive or item.similarity is None:
        return False
    return bool(_SIGNATURE.fullmatch(item.similarity)) and letters(item.shown.text) >= LETTERS


def letters(text: str) -> int:
    """How much there is to compare; a sign of a script that writes syllables or words counts twice."""
    words = re.sub(r"https?://\S+|@\w+", " ", text)
    return sum(1 + (ord(one) >= 0x3040) for one in words if one.isalpha())


def bands(similarity: str) -> list[int]:
    """The signature's bytes with their places.

    Two signatures that differ in 28 of 128 bits share one with a likelihood of 0.9, in 20 bits of 0.99,
    and a member that was missed by one is found by the next. Strangers share one in 16 times 1/256.
    """
    return [place * 256 + value for place, value in enumerate(bytes.fromhex(similarity))]


def distance(one: str, other: str) -> int:
    """How many bits differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def worth_keeping(fresh: Sequence[Signed], known: Iterable[Signed]) -> list[Signed]:
    """Those that newer items are to be compared with: not the copies of one that is kept.

    A thousand copies of one text would otherwise be a thousand comparisons for the next.
    """
    kept = [int(one.similarity, 16) for one in known]
    found = []
    for one in fresh:
        number = int(one.similarity, 16)
        if all((number ^ other).bit_count() > COPY for other in kept):
            kept.append(number)
            found.append(one)
    return found


def components(fresh: Sequence[Signed], known: Iterable[Signed]) -> list[Component]:
    """The components that new items form among themselves and with those known; lone ones left out.

    `known`: whoever may be near; those nobody is near to do not matter.
    """
    every = [*fresh, *known]
    numbers = [int(one.similarity, 16) for one in every]
    above = list(range(len(every)))

    def top(place: int) -> int:
        while above[place] != place:
            above[place] = above[above[place]]
            place = above[place]
        return place

    for place in range(len(fresh)):
        number = numbers[place]
        for other in range(place + 1, len(every)):
            if (number ^ numbers[other]).bit_count() <= NEAR:
                above[top(other)] = top(place)
    met: dict[int, list[Signed]] = {}
    for place, one in enumerate(every):
        met.setdefault(top(place), []).append(one)
    touched = {top(place) for place in range(len(fresh))}
    found = []
    for place in sorted(touched):
        members = met[place]
        if len(members) > 1:
            groups = sorted({one.group for one in members if one.group is not None})
            found.append(Component(tuple(one.item_id for one in members), tuple(groups)))
    return found
