"""Pages that nobody confirmed: each goes on by its person's next way, in a transaction of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from psycopg.rows import DictRow

from services.alert.domain.lifecycle import Record
from services.alert.domain.next_way import Call, FollowUp, Unconfirmed, follow_up
from services.alert.metrics import AlertMetrics
from services.alert.ports import Purpose
from services.alert.store import pings
from services.alert.store.rows import record_of
from services.alert.store.sql import AWAY, Connection, all_of, one_of, run
from services.alert.store.surroundings import surroundings
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

BATCH = 50
PUT_OFF = 60
"""Seconds until a page that could not be looked at is looked at again."""


class NextWays:
    """Uses the next way of what is due.

    Invariants: the conversation's row is locked before the page is read, as every claim, press and end
    locks it; the outbox's row and the page's next state are one transaction, so that whoever is killed in
    it has done nothing, and two replicas use a way once.
    """

    def __init__(
        self,
        pool: Pool,
        configuration: Callable[[], Configuration],
        metrics: AlertMetrics,
        refresh: Callable[[Connection], Awaitable[object]] | None = None,
    ) -> None:
        """`refresh` brings `configuration` up to date: who is asked for is resolved now."""
        self._pool = pool
        self._configuration = configuration
        self._metrics = metrics
        self._refresh = refresh

    async def fire_due(self, *, stale: bool = False) -> int:
        """Look at a batch of what is due; how many were looked at."""
        async with self._pool.connection() as connection:
            due = await all_of(connection, "unconfirmed_due", limit=BATCH)
            if due and self._refresh is not None:
                await self._refresh(connection)
            return sum([await self._fire_alone(connection, row, stale) for row in due])

    async def _fire_alone(self, connection: Connection, due: DictRow, stale: bool) -> bool:
        """Look at one; where that fails it is put off, and stands in no other's way."""
        try:
            return await self._fire(connection, due, stale)
        except AWAY:
            raise
        except Exception:
            log.exception("a page could not go on by the next way", episode=str(due["episode"]))
            key = {"episode": due["episode"], "person": due["person"], "call": due["call"]}
            await run(connection, "unconfirmed_put_off", **key, seconds=PUT_OFF)
            return True

    async def _fire(self, connection: Connection, due: DictRow, stale: bool) -> bool:
        key = {"episode": due["episode"], "person": due["person"], "call": due["call"]}
        async with connection.transaction():
            if await one_of(connection, "timer_lock", conversation=due["conversation"]) is None:
                return False  # somebody changes it right now, or it was merged
            row = await one_of(connection, "unconfirmed_take", **key)
            stored = await one_of(connection, "episode_by_id", id=due["episode"])
            if row is None or stored is None:
                return False  # confirmed, or another replica was quicker
            record, page = record_of(stored), unconfirmed_of(row)
            around = await surroundings(connection, self._configuration(), record, row["now"])
            reached = await self._reached(connection, record, page)
            done = follow_up(record, page, around, reached)
            if done.page is not None and not record.sensitive:
                # Nobody else pings this person until the commit: the count holds.
                held = await pings.hold(connection, [page.person])
                around = replace(
                    around, pings={**around.pings, page.person: held.get(page.person, [])}
                )
                done = follow_up(record, page, around, reached)
            await self._write(connection, record, page, done, Writing(row["now"]), stale)
        if done.why is not None:
            self._metrics.stepped(record, page.step, done.why)
        return True

    @staticmethod
    async def _reached(connection: Connection, record: Record, page: Unconfirmed) -> set[str]:
        if page.call is not Call.step:
            return set()  # each of its ways is a row of another number
        rows = await all_of(
            connection,
            "outbox_tried",
            episode=record.id,
            round=record.paging_round,
            step=page.step,
            target=page.person,
            purpose=Purpose.page.value,
        )
        return {row["destination"] for row in rows}

    async def _write(
        self,
        connection: Connection,
        record: Record,
        page: Unconfirmed,
        done: FollowUp,
        writing: Writing,
        stale: bool,
    ) -> None:
        about = {"episode": record.id, "person": page.person}
        if done.page is not None:
            if stale and not record.stale:
                record = replace(record, stale=True, version=record.version + 1)
                writing.records[record.id] = record
                for destination in record.destinations:
                    writing.send(record, destination, Purpose.card, "card")
            await self._wake(connection, record, page, done.page.destination, writing)
        if done.would_page:
            await run(connection, "would_page_add", **about, at=writing.now)
        if done.again is None:
            await run(connection, "unconfirmed_end", **about, call=page.call.value)
        else:
            again = done.again
            await run(
                connection,
                "unconfirmed_change",
                **about,
                call=page.call.value,
                used=list(again.used),
                due_at=again.due_at,
            )
        await writing.flush(connection)

    @staticmethod
    async def _wake(
        connection: Connection, record: Record, page: Unconfirmed, to: str, writing: Writing
    ) -> None:
        if page.call is Call.step:
            writing.send(record, to, Purpose.page, page.person, step=page.step)
        else:
            made = await one_of(connection, "calls_made", episode=record.id)
            number = made["calls"] if made else 0
            writing.call(record, to, page.person, page.call.value, page.says or "", number)
        if page.call is not Call.promise:
            about = {"episode": record.id, "person": page.person}
            await run(connection, "paged_add", **about, step=page.step, at=writing.now)


async def wait_for(connection: Connection, record: Record, pages: Iterable[Unconfirmed]) -> None:
    """These pages were just written, in this transaction: whoever does not confirm is woken otherwise."""
    for one in pages:
        await run(
            connection,
            "unconfirmed_put",
            episode=record.id,
            person=one.person,
            call=one.call.value,
            step=one.step,
            paged_at=one.paged_at,
            used=list(one.used),
            says=one.says,
            due_at=one.due_at,
        )


def unconfirmed_of(row: DictRow) -> Unconfirmed:
    """A stored page that waits to be confirmed."""
    return Unconfirmed(
        row["person"],
        row["step"],
        row["paged_at"],
        tuple(row["used"]),
        row["due_at"],
        Call(row["call"]),
        row["says"],
    )
