"""What is stored of an episode, for `presence oncall explain`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alert.domain import escalation
from services.alert.domain.explanation import Explanation, explain_record
from services.alert.domain.firing import Surroundings
from services.alert.domain.lifecycle import Record
from services.alert.store.escalating import during
from services.alert.store.rows import record_of
from services.alert.store.sql import Connection, all_of, one_of
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
    pings = await all_of(
        connection,
        "pings_of",
        people=[person.id for person in configuration.people],
        seconds=escalation.PINGS_WITHIN.total_seconds(),
    )
    seen = await one_of(
        connection, "account_first_seen", platform=record.platform, account=record.account_id
    )
    account = configuration.account(record.platform, record.account_id)
    quiet = account.quiet_start if account else timedelta(0)
    around = Surroundings(
        configuration=configuration,
        now=now,
        paged={one["person"]: one["at"] for one in log},
        pings={one["person"]: one["pings"] for one in pings},
        quiet=bool(quiet and seen and seen["paging_on_at"] is None),
        during=await during(connection, record),
    )
    timer = (row["timer_step"], row["timer_due_at"]) if row["timer_step"] is not None else None
    return Explained(
        record,
        tuple(PagedThen(one["person"], one["step"], one["at"]) for one in log),
        explain_record(record, timer, around),
    )
