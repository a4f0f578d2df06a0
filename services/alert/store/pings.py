"""How often a person is pinged: the one place that counts, whatever the ping is about.

A ping is a page of the outbox: a step, a person's next way, a hand-over, a promise, a board's. The one
that stands in for another which failed is the same ping. Beyond five in ten minutes a step's episodes join
the queue card; every other ping waits until one more is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from services.alert.domain.allowance import PINGS_WITHIN, next_ping
from services.alert.store.rows import as_json
from services.alert.store.sql import Connection, all_of, run

Pinged = dict[str, list[datetime]]
"""When each person was pinged within the last ten minutes, and what waits for its turn."""


async def of_late(connection: Connection, people: Iterable[str]) -> Pinged:
    """Everybody's pings; those about something sensitive do not count."""
    seconds = PINGS_WITHIN.total_seconds()
    rows = await all_of(connection, "pings_of", people=list(people), seconds=seconds)
    return {row["person"]: row["ats"] for row in rows}


async def hold(connection: Connection, people: Iterable[str]) -> Pinged:
    """The same for each of them, and nobody else pings them until this transaction ends."""
    wanted = list(people)
    await all_of(connection, "pings_hold", people=wanted)
    nothing: Pinged = {one: [] for one in wanted}
    return nothing | await of_late(connection, wanted)


async def admit(
    connection: Connection, pages: list[tuple[dict[str, Any], bool]], now: datetime
) -> None:
    """Count pages that are about to be written, and put off those that are too many.

    A page is its row of the outbox, whose `due_at` is set where it has to wait, and whether it is exempt.
    What stands in the outbox already is neither counted nor touched.
    """
    found = await all_of(connection, "pages_new", rows=as_json(row for row, _ in pages))
    fresh = [pages[one["place"] - 1] for one in found]
    if not fresh:
        return
    pinged = await hold(connection, (row["target"] for row, _ in fresh))
    ats: list[datetime] = []
    for row, exempt in fresh:
        mine = pinged.setdefault(row["target"], [])
        at = now if exempt else next_ping(mine, now)
        if at > now:
            row["due_at"] = at
        if not exempt:
            mine.append(at)
        ats.append(at)
    await run(
        connection,
        "pings_add",
        people=[row["target"] for row, _ in fresh],
        ats=ats,
        exempt=[exempt for _, exempt in fresh],
        episodes=[row["episode"] for row, _ in fresh],
        boards=[row.get("board") for row, _ in fresh],
    )
