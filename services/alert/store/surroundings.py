"""What a firing depends on beside its episode, read from the database."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.alert.domain.firing import During, Surroundings
from services.alert.domain.lifecycle import Record
from services.alert.store import pings
from services.alert.store.sql import Connection, all_of, one_of
from services.contracts.configuration import Configuration


async def surroundings(
    connection: Connection, configuration: Configuration, record: Record, now: datetime
) -> Surroundings:
    """As things stand now; the timer's own facts are the caller's to add."""
    paged = await all_of(connection, "paged_for", episode=record.id)
    seen = await one_of(
        connection, "account_first_seen", platform=record.platform, account=record.account_id
    )
    account = configuration.account(record.platform, record.account_id)
    quiet = account.quiet_start if account else timedelta(0)
    return Surroundings(
        configuration=configuration,
        now=now,
        paged={row["person"]: row["at"] for row in paged},
        pings=await pings.of_late(connection, (person.id for person in configuration.people)),
        # Its quiet time ends when a person switches paging on, not by itself.
        quiet=bool(quiet and seen and seen["paging_on_at"] is None),
        during=await during(connection, record),
    )


async def during(connection: Connection, record: Record) -> During | None:
    """The declared incident of the episode's brand, and where its group stands in it."""
    row = await one_of(
        connection, "incident_during", brand=record.brand, openers=list(record.folded.openers)
    )
    if row is None:
        return None
    return During(row["id"], tuple(row["people"]), row["group_id"], frozenset(row["steps"]))
