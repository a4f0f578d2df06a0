"""Which threads are read again, how often, and what of them concerns our customers. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from services.contracts.events import EpisodeChange
from services.ingest.domain.address import Details

SOONEST = timedelta(seconds=30)
"""From an episode's opening to the first look: an impostor is quick, and so is a bot."""
SEEN_KEPT = 500
"""Items of one thread whose versions are remembered between two looks."""
OPENING = frozenset({EpisodeChange.opened, EpisodeChange.reopened})
ENDING = frozenset(
    {
        EpisodeChange.answered,
        EpisodeChange.closed,
        EpisodeChange.withdrawn,
        EpisodeChange.relabelled,
        EpisodeChange.merged,
    }
)


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread in which a customer of ours waits, or waited a moment ago."""

    root: str
    """Native id of its first item, as far as it was known when the customer wrote."""
    items: tuple[Details, ...]
    """Where answers to the waiting items go: their own ids, in their source's words."""
    customers: frozenset[str]
    """Author ids of those who wait."""
    seen: Mapping[str, str] = field(default_factory=dict)
    """Native id and version of every item that the last look found."""
    quiet_looks: int = 0
    """Looks since something was last found."""


@dataclass(frozen=True, slots=True)
class Node:
    """One item of a thread, as far as it takes to say whom it concerns."""

    native_id: str
    parent: str | None
    author: str | None


def next_look(quiet_looks: int, slowest: timedelta) -> timedelta:
    """How long to leave a thread alone after so many looks that found nothing."""
    return min(slowest, SOONEST * (1 << min(max(quiet_looks, 0), 16)))


def concerning(
    nodes: Iterable[Node], items: Collection[str], customers: Collection[str]
) -> frozenset[str]:
    """What is said by or to our customers: their own items, and all below these and the waiting ones.

    A customer is one of many in somebody else's thread: the rest of it is none of our business.
    """
    known = {node.native_id: node for node in nodes}
    found: dict[str, bool] = {}

    def concerns(native_id: str) -> bool:
        path: list[str] = []
        current: str | None = native_id
        answer = False
        while current is not None and current not in path:
            if current in found:
                answer = found[current]
                break
            path.append(current)
            node = known.get(current)
            if current in items or (node is not None and node.author in customers):
                answer = True
                break
            current = node.parent if node is not None else None
        for one in path:
            found[one] = answer
        return answer

    return frozenset(native_id for native_id in known if concerns(native_id))


def changed(versions: Mapping[str, str], seen: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Of what stands there now: the items that are new since the last look, and those that were edited."""
    new = [native_id for native_id in versions if native_id not in seen]
    edited = [
        native_id
        for native_id, version in versions.items()
        if native_id in seen and seen[native_id] != version
    ]
    return new, edited


def remembered(
    versions: Mapping[str, str], missing: Collection[str], seen: Mapping[str, str]
) -> dict[str, str]:
    """For the next look: what stands there, and what is missing and not known to be gone. Bounded."""
    kept = {native_id: seen[native_id] for native_id in missing if native_id in seen}
    return dict(list({**kept, **versions}.items())[-SEEN_KEPT:])
