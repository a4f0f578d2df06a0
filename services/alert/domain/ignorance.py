"""Never page from ignorance: whether enough is known to wake somebody. A pure decision.

After a start, or with a lag, an answer may lie unread between us and the end of the topic. So the
sweep waits until intake has passed the end that it saw then, at most LONGEST; after that it pages, and
says that its state may be stale: silence would be worse.

The end of the topic is looked at every LOOK, and how far all replicas together have read is in the
database. So a replica also knows what another one (slow, or just killed) has not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

LAG = timedelta(seconds=30)
LONGEST = timedelta(seconds=60)
LOOK = timedelta(seconds=10)

Ends = Mapping[int, int]
"""The next offset of each partition."""


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether the sweep may page now."""

    page: bool
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """The end of the topic, as it was at a moment."""

    at: datetime
    ends: Ends


@dataclass(frozen=True, slots=True)
class Waiting:
    """Since when, and for what."""

    since: datetime
    ends: Ends | None
    """None: Kafka did not say where the topic ends."""
    newest: int | None = None
    """Once that is read: the newest event that was stored then. What comes later is not waited for."""


def read(ends: Ends, progress: Mapping[int, int]) -> bool:
    """Whether everything up to these ends is stored."""
    return all(progress.get(partition, 0) >= end for partition, end in ends.items())


def permission(waiting: Waiting | None, unfolded: int | None, now: datetime) -> Permission:
    """Whether to page. `unfolded`: of what is waited for; None while not even all of it is stored."""
    if waiting is None or unfolded == 0:
        return Permission(page=True)
    if now - waiting.since >= LONGEST:
        return Permission(page=True, stale=True)
    return Permission(page=False)


def lags(seen: Sequence[Seen], progress: Mapping[int, int], now: datetime) -> bool:
    """Whether an end that was seen over LAG ago has not been read by anybody."""
    return any(now - one.at > LAG and not read(one.ends, progress) for one in seen)
