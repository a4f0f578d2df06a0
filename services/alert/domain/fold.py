"""Episodes as a pure fold over a conversation's items and the acts of people.

The order is reply causality, then source time, then id; it depends on what is known and never on
when it became known. docs/episodes.md works through an example.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.alert.domain.items import Item
from services.contracts.events import CloseReason

MUTED_FOR = timedelta(days=7)
"""How long "do not feed" keeps a thread from opening episodes."""


@dataclass(frozen=True, slots=True)
class Close:
    """A person ended an episode: without an answer, or by one that was given in private elsewhere."""

    id: str
    by: str
    at: datetime
    reason: CloseReason
    anchor: str
    """The newest item that the person could have seen: what comes after it opens the next episode."""
    item_id: str | None = None
    """The private answer that counts, for the reason `answered`."""
    answered_at: datetime | None = None
    """Its source time."""


@dataclass(frozen=True, slots=True)
class Mute:
    """After `begin` and up to `end`, only sensitive items open an episode in the thread."""

    begin: datetime
    end: datetime

    def covers(self, item: Item) -> bool:
        """Whether this item stays silent. What a person called a conversation since does not."""
        if item.sensitive or (item.relabel is not None and not item.relabelled_away):
            return False
        return self.begin < item.source_time <= self.end


@dataclass(frozen=True, slots=True)
class Ending:
    """How and when an episode ended."""

    reason: CloseReason
    at: datetime
    """Source time for answers and withdrawals, the act's time for what people did."""
    item_id: str | None = None
    """The answer."""
    by: str | None = None
    """Who closed it; of an answer who wrote it in Presence, or said that it counts."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One matter that waits (or waited) for a human."""

    key: str
    """The id of the event that opened it: the first item, or the deletion of the sole answer."""
    opened_at: datetime
    openers: tuple[str, ...]
    """The items that need an answer, in order."""
    inbound: tuple[str, ...]
    """Every message of the person that it holds, in order."""
    round: int
    """1: its answer is a first response; more: a next response."""
    reopened: bool = False
    ending: Ending | None = None

    @property
    def anchors(self) -> frozenset[str]:
        """What a stored episode is recognised by."""
        return frozenset({self.key}) if self.reopened else frozenset(self.openers)

    @property
    def wall_seconds(self) -> float | None:
        """Response time in wall-clock seconds, where it was answered; never negative."""
        if self.ending is None or self.ending.reason is not CloseReason.answered:
            return None
        return max(0.0, (self.ending.at - self.opened_at).total_seconds())

    @property
    def skewed(self) -> bool:
        """Whether the clocks say that the answer came before the question."""
        answered = self.ending is not None and self.ending.reason is CloseReason.answered
        return answered and self.ending is not None and self.ending.at < self.opened_at


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    at: datetime
    item_id: str
    deletion: bool
    item: Item = field(compare=False)


def in_order(items: Iterable[Item]) -> list[_Entry]:
    """Creations and deletions: causes before effects, then by source time, then by id."""
    known = {item.id: item for item in items}
    waiting: dict[tuple[str, bool], list[_Entry]] = {}
    ready: list[_Entry] = []
    for item in known.values():
        entry = _Entry(item.source_time, item.id, False, item)
        if item.parent in known and item.parent != item.id:
            waiting.setdefault((item.parent, False), []).append(entry)
        else:
            ready.append(entry)
        if item.deleted_at is not None:
            deletion = _Entry(item.deleted_at, item.id, True, item)
            waiting.setdefault((item.id, False), []).append(deletion)
    heapq.heapify(ready)
    ordered: list[_Entry] = []
    while ready or waiting:
        if not ready:
            # Replies in a circle: nonsense from a platform. Cut it at its oldest, the same for everybody.
            entries_left = (entry for entries in waiting.values() for entry in entries)
            released = min(entry for entry in entries_left if not entry.deletion)
            for entries in waiting.values():
                if released in entries:
                    entries.remove(released)
            waiting = {cause: entries for cause, entries in waiting.items() if entries}
            heapq.heappush(ready, released)
        entry = heapq.heappop(ready)
        ordered.append(entry)
        if not entry.deletion:
            for effect in waiting.pop((entry.item_id, False), ()):
                heapq.heappush(ready, effect)
    return ordered


@dataclass(slots=True)
class _Opening:
    """The episode that is being read."""

    key: str
    opened_at: datetime
    position: int
    openers: list[Item]
    inbound: list[str]
    reopened: bool = False
    gone: set[str] = field(default_factory=set)
    """Openers that were deleted or relabelled away."""

    def ended(self, ending: Ending | None, number: int) -> Episode:
        return Episode(
            key=self.key,
            opened_at=self.opened_at,
            openers=tuple(item.id for item in self.openers),
            inbound=tuple(self.inbound),
            round=number,
            reopened=self.reopened,
            ending=ending,
        )

    def lost(self, item_id: str) -> bool:
        """An opener went; whether it was the last one."""
        ids = {item.id for item in self.openers}
        if item_id not in ids:
            return False
        self.gone.add(item_id)
        return self.gone >= ids


class _Reader:
    """Reads a conversation from its beginning to its end; the state machine of an episode."""

    def __init__(
        self,
        closes: Iterable[Close],
        mutes: Sequence[Mute],
        items: Iterable[Item],
        writers: Mapping[str, str],
    ):
        self.mutes = mutes
        self.writers = writers
        self.episodes: list[Episode] = []
        self.current: _Opening | None = None
        self.answers: dict[str, int] = {}
        """Answers that the counterpart can see, with their position."""
        self.last: _Opening | None = None
        """The opening of the last episode, while that ended by an answer in this conversation."""
        self.closes: dict[str, list[Close]] = {}
        for close in sorted(closes, key=lambda close: (close.at, close.id)):
            self.closes.setdefault(close.anchor, []).append(close)
        self.relabels: dict[str, list[Item]] = {}
        for item in items:
            if item.relabel is not None and item.relabelled_away:
                self.relabels.setdefault(item.relabel.anchor or item.id, []).append(item)

    def read(self, ordered: Sequence[_Entry]) -> tuple[Episode, ...]:
        for position, entry in enumerate(ordered):
            item = entry.item
            if entry.deletion and item.inbound:
                self._author_deleted(item)
            elif entry.deletion:
                self._answer_deleted(item, position)
            elif item.inbound:
                self._heard(item, position)
            elif item.answers:
                self._answered(item, position)
            if not entry.deletion:
                self._acts_seen_up_to(item)
        if self.current is not None:
            self._end(None)
        return tuple(self.episodes)

    def _end(self, ending: Ending | None) -> None:
        assert self.current is not None
        not_for_us = (CloseReason.relabelled, CloseReason.withdrawn)
        earlier = [e for e in self.episodes if e.ending and e.ending.reason not in not_for_us]
        self.episodes.append(self.current.ended(ending, len(earlier) + 1))
        # An answer that a person linked stands elsewhere: no deletion here takes it back.
        answered = ending is not None and ending.item_id in self.answers
        self.last = self.current if answered else None
        self.current = None

    def _heard(self, item: Item, position: int) -> None:
        needs_answer = item.needs_answer and not any(mute.covers(item) for mute in self.mutes)
        if item.gesture and not needs_answer:
            return  # a like says nothing
        if self.current is not None:
            self.current.inbound.append(item.id)
            if needs_answer:
                self.current.openers.append(item)
        elif needs_answer:
            self.current = _Opening(item.id, item.source_time, position, [item], [item.id])

    def _answered(self, item: Item, position: int) -> None:
        self.answers[item.id] = position
        if self.current is not None:
            by = self.writers.get(item.id)
            self._end(Ending(CloseReason.answered, item.source_time, item_id=item.id, by=by))

    def _author_deleted(self, item: Item) -> None:
        if self.current is not None and self.current.lost(item.id):
            at = item.deleted_at or item.source_time
            self._end(Ending(CloseReason.withdrawn, at))
        elif self.last is not None:
            self.last.lost(item.id)

    def _answer_deleted(self, item: Item, position: int) -> None:
        """The deletion of the sole answer opens a new episode; the first keeps its response time."""
        if self.answers.pop(item.id, None) is None or self.last is None or self.current:
            return
        if any(at > self.last.position for at in self.answers.values()):
            return
        left = [opener for opener in self.last.openers if opener.id not in self.last.gone]
        if not left:
            return
        self.current = _Opening(
            key=f"{item.id}:deleted",
            opened_at=item.deleted_at or item.source_time,
            position=position,
            openers=left,
            inbound=[opener.id for opener in left],
            reopened=True,
        )

    def _acts_seen_up_to(self, item: Item) -> None:
        for relabelled in self.relabels.get(item.id, ()):
            assert relabelled.relabel is not None
            if self.current is not None and self.current.lost(relabelled.id):
                at, by = relabelled.relabel.at, relabelled.relabel.by
                self._end(Ending(CloseReason.relabelled, at, by=by))
            elif self.last is not None:
                self.last.lost(relabelled.id)
        for close in self.closes.get(item.id, ()):
            if self.current is not None:
                at = close.answered_at or close.at
                self._end(Ending(close.reason, at, item_id=close.item_id, by=close.by))


def fold(
    items: Iterable[Item],
    closes: Iterable[Close] = (),
    mutes: Sequence[Mute] = (),
    writers: Mapping[str, str] | None = None,
) -> tuple[Episode, ...]:
    """The episodes of one conversation, oldest first.

    `items` are those of the conversation in any order, with what happened to them laid over;
    `closes` the closings of its people; `mutes` those of its thread; `writers` who wrote which of the
    brand's items in Presence. The same sets give the same episodes.
    """
    known = list(items)
    return _Reader(closes, mutes, known, writers or {}).read(in_order(known))
