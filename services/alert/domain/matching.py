"""A refold against what is stored: which stored episode goes on as which.

Ids of episodes are surrogates that own a card. A refold keeps the episode that owns the card and
moves its opening; a split opens a new one; a merge retires the newer card.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.alert.domain.fold import Episode


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored episode, as far as it is recognised by it."""

    id: str
    number: int
    """Age: a lower number was stored earlier."""
    anchors: frozenset[str]
    key: str
    has_card: bool = True


@dataclass(frozen=True, slots=True)
class Matched:
    """Every episode of the refold with its stored id (None: new), and the ids that are retired."""

    kept: tuple[tuple[Episode, str | None], ...]
    retired: tuple[str, ...]
    heirs: tuple[tuple[str, str], ...] = ()
    """Of those that are retired, the ids that go on as part of another: (retired, the one that stays)."""


def match(episodes: Sequence[Episode], stored: Sequence[Stored]) -> Matched:
    """Pair a refold with the stored episodes. Each is used at most once."""
    owner: dict[int, str] = {}
    # Who owns a card chooses first, then age: the newer card of two that became one is retired.
    for one in sorted(stored, key=lambda one: (not one.has_card, one.number)):
        wanted = [
            (episode.key != one.key, one.key not in episode.anchors, place)
            for place, episode in enumerate(episodes)
            if place not in owner and (one.anchors & episode.anchors or one.key == episode.key)
        ]
        if wanted:
            owner[min(wanted)[2]] = one.id
    used = set(owner.values())
    retired = [one for one in stored if one.id not in used]
    return Matched(
        kept=tuple((episode, owner.get(place)) for place, episode in enumerate(episodes)),
        retired=tuple(one.id for one in retired),
        heirs=tuple(
            (one.id, owner[place])
            for one in retired
            for place, episode in enumerate(episodes)
            if place in owner and one.anchors & episode.anchors
        ),
    )
