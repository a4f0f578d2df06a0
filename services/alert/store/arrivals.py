"""Arrivals by hour of the week and handling times, from the episodes that are stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.alert.domain.forecast import HOURS
from services.alert.store.sql import Connection, all_of

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What a forecast starts from."""

    per_hour: tuple[float, ...]
    """By hour of the week, Monday 00:00 first."""
    handling: timedelta | None
    """Mean time from claim to answer; None where no claimed episode was answered."""
    weeks: float
    """What the figures are the mean of; at least 1: a first day says little about a week."""
    episodes: int


async def arrivals(connection: Connection, zone: str, days: int) -> Arrivals:
    """The last `days` days, hours as they are in `zone`."""
    rows = await all_of(connection, "arrivals_by_hour", zone=zone, days=days)
    (since,) = await all_of(connection, "arrivals_since", days=days)
    (handled,) = await all_of(connection, "handling_time", days=days)
    first = since["first"] or since["now"]
    weeks = max(1.0, (since["now"] - first) / WEEK)
    counts = {row["place"]: row["episodes"] for row in rows}
    seconds = handled["seconds"]
    return Arrivals(
        per_hour=tuple(counts.get(place, 0) / weeks for place in range(HOURS)),
        handling=timedelta(seconds=float(seconds)) if seconds is not None else None,
        weeks=weeks,
        episodes=sum(counts.values()),
    )
