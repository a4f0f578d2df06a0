"""Never page from ignorance: whether enough is known to wake somebody. A pure decision.

After a start, or with a lag, an answer may lie unread between us and the end of the topic. So the
sweep waits until intake has passed the end that it saw then, at most LONGEST; after that it pages, and
says that its state may be stale: silence would be worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

LAG = timedelta(seconds=30)
LONGEST = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether the sweep may page now."""

    page: bool
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Since when, and for which end of each partition."""

    since: datetime
    ends: Mapping[int, int] = field(default_factory=dict)


def passed(waiting: Waiting, progress: Mapping[int, int], unfolded: int) -> bool:
    """Whether everything up to the end that was seen is read and folded."""
    read = all(progress.get(partition, 0) >= end for partition, end in waiting.ends.items())
    return read and unfolded == 0


def permission(
    waiting: Waiting | None, progress: Mapping[int, int], unfolded: int, now: datetime
) -> Permission:
    """Whether to page. `waiting` is None while nothing is waited for."""
    if waiting is None or passed(waiting, progress, unfolded):
        return Permission(page=True)
    if now - waiting.since >= LONGEST:
        return Permission(page=True, stale=True)
    return Permission(page=False)


def lags(newest_handled: datetime | None, behind: int, now: datetime) -> bool:
    """Whether intake is more than LAG behind: records wait, and the last one read is that old."""
    return behind > 0 and newest_handled is not None and now - newest_handled > LAG
