"""What is stored of an episode, for `presence oncall explain`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.alert.domain.explanation import Explanation, explain_record
from services.alert.domain.lifecycle import Record
from services.alert.store.next_ways import unconfirmed_of
from services.alert.store.rows import record_of
from services.alert.store.sql import Connection, all_of, one_of
from services.alert.store.surroundings import surroundings
from services.contracts.configuration import Configuration


@dataclass(frozen=True, slots=True)
class PagedThen:
    """A page that was written."""

    person: str
    step: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Explained:
    """A stored episode: what happened, and what happens next if nobody does anything."""

    record: Record
    paged: tuple[PagedThen, ...]
    next: Explanation


async def explain_episode(
    connection: Connection, configuration: Configuration, name: str
) -> Explained | None:
    """The episode of that id or number; None where there is none."""
    row = await one_of(connection, "episode_named", wanted=name)
    if row is None:
        return None
    record, now = record_of(row), row["now"]
    log = await all_of(connection, "paged_log", episode=record.id)
    around = await surroundings(connection, configuration, record, now)
    waits = [
        unconfirmed_of(one) for one in await all_of(connection, "unconfirmed_of", episode=record.id)
    ]
    timer = (row["timer_step"], row["timer_due_at"]) if row["timer_step"] is not None else None
    return Explained(
        record,
        tuple(PagedThen(one["person"], one["step"], one["at"]) for one in log),
        explain_record(record, timer, around, waits),
    )
