"""The worker's half of intake: events from the inbox into items, threads and episodes.

Invariants: a batch is one transaction; one replica folds at a time; a batch that fails is halved until
the one event that fails alone is put aside with its reason; a database that does not answer puts
nothing aside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.alert.domain.groups import comparable
from services.alert.domain.items import Item, Trace, item_from, trace_from
from services.alert.domain.lifecycle import Record
from services.alert.store.belonging import (
    Place,
    conversations_at,
    place_members,
    tie_threads,
)
from services.alert.store.lines import redraw
from services.alert.store.refold import hold, refold
from services.alert.store.rows import as_json, item_row, trace_of, trace_row
from services.alert.store.sql import AWAY, FOLD, Connection, all_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.contracts.events import Action, ClassifiedNotification, Corrected, Correction, Label
from services.contracts.topics import CORRECTIONS
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

BATCH = 200
"""Events folded in one transaction: many enough to share statements, few enough to be quick."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What a round did."""

    events: int
    opened: int = 0
    ended: tuple[Record, ...] = ()
    """Episodes that ended for the first time, to be measured."""
    more: bool = False


class Folding:
    """Folds the inbox."""

    def __init__(self, pool: Pool, configuration: Callable[[], Configuration]) -> None:
        self._pool = pool
        self._configuration = configuration

    async def round(self, limit: int = BATCH) -> Folded:
        """Fold the next events; `events` is 0 when there are none or another replica is at it."""
        async with self._pool.connection() as connection:
            try:
                return await self._fold(connection, limit)
            except AWAY:
                raise
            except Exception:
                log.exception("a batch failed and is halved")
            return await self._halve(connection, limit)

    async def _halve(self, connection: Connection, limit: int) -> Folded:
        """Fold one half after the other; an event that fails alone is put aside."""
        events, opened = 0, 0
        ended: list[Record] = []
        size = limit
        while size > 1:
            size //= 2
            try:
                done = await self._fold(connection, size)
            except AWAY:
                raise
            except Exception:
                log.info("still failing", events=size)
                continue
            events += done.events
            opened += done.opened
            ended += done.ended
        try:
            done = await self._fold(connection, 1)
            events += done.events
        except AWAY:
            raise
        except Exception as error:
            await self._put_aside(connection, error)
            events += 1
        return Folded(events, opened, tuple(ended), more=True)

    async def _put_aside(self, connection: Connection, error: Exception) -> None:
        rows = await all_of(connection, "inbox_next", limit=1)
        for row in rows:
            log.error("an event was put aside", event_id=row["event_id"], error=repr(error))
            why = f"{type(error).__name__}: {error}"[:1000].replace("\x00", "")
            await connection.execute(FOLD["inbox_failed"], {"id": row["id"], "why": why})

    async def _fold(self, connection: Connection, limit: int) -> Folded:
        async with connection.transaction():
            (lock,) = await all_of(connection, "fold_lock")
            if not lock["mine"]:
                return Folded(0)
            rows = await all_of(connection, "inbox_next", limit=limit)
            if not rows:
                return Folded(0)
            (clock,) = await all_of(connection, "now")
            writing = Writing(clock["now"])
            events = [ClassifiedNotification.model_validate_json(row["payload"]) for row in rows]
            await self._apply(connection, events, writing)
            await writing.flush(connection)
            ids = [row["id"] for row in rows]
            await connection.execute(FOLD["inbox_folded"], {"ids": ids})
        return Folded(len(rows), writing.opened, tuple(writing.measured), more=len(rows) == limit)

    async def _apply(
        self, connection: Connection, events: Sequence[ClassifiedNotification], writing: Writing
    ) -> None:
        configuration = self._configuration()
        threshold = configuration.classify.needs_answer
        said = [event.notification for event in events]
        created = {
            event.notification.item_id: item_from(event, threshold)
            for event in events
            if event.notification.action is Action.created
        }
        caught_up = await self._accounts(connection, list(created.values()))
        traced = await self._trace(
            connection,
            {one.item_id for one in said},
            [(one.item_id, trace_from(one)) for one in said if one.action is not Action.created],
            writing,
        )
        touched, places = await self._store(connection, created, traced)
        await self._note_impostors(connection, events)
        changed = [one.item_id for one in said if one.action is not Action.created]
        for row in await all_of(connection, "members_of", ids=changed):
            places.add(Place(row["thread"], row["counterpart"]))
        threads = {place.thread for place in places}
        like = {
            row["thread"]: row
            for row in await all_of(connection, "threads_like", threads=list(threads))
        }
        touched += await conversations_at(connection, places, like)
        for held in (await hold(connection, touched)).values():
            refold(held, configuration, writing, caught_up)

    async def _store(
        self, connection: Connection, created: dict[str, Item], traced: dict[str, Trace]
    ) -> tuple[list[int], set[Place]]:
        """Insert what is new, with its thread and people."""
        known = {row["item_id"] for row in await all_of(connection, "items_known", ids=[*created])}
        new = [item for item in created.values() if item.id not in known]
        if not new:
            return [], set()
        threads, touched = await tie_threads(connection, new)
        rows = [item_row(item, threads[item.id]) for item in new]
        for row in rows:
            trace = traced.get(row["item_id"])
            if trace is not None and trace.deleted_at is not None:
                row["text"], row["permalink"], row["why"] = "", None, []
        await connection.execute(FOLD["items_add"], {"items": as_json(rows)})
        alike = [item.id for item in new if comparable(item)]
        if alike:
            await run(connection, "to_compare_add", items=alike)
        return touched, await place_members(connection, new, threads)

    async def _note_impostors(
        self, connection: Connection, events: Sequence[ClassifiedNotification]
    ) -> None:
        """Look-alikes of our accounts, for a card of their own."""
        found = {
            event.notification.item_id: event.verdict.impersonates
            for event in events
            if event.verdict is not None and event.verdict.impersonates
        }
        if found:
            items, accounts = list(found), list(found.values())
            await run(connection, "impostors_add", items=items, accounts=accounts)

    async def _trace(
        self,
        connection: Connection,
        ids: set[str],
        fresh: list[tuple[str, Trace]],
        writing: Writing,
    ) -> dict[str, Trace]:
        """Join what is known of these items with what came; returns all of it."""
        rows = await all_of(connection, "traces_of", ids=list(ids))
        known = {row["item_id"]: trace_of(row) for row in rows}
        joined = dict(known)
        for item_id, trace in fresh:
            joined[item_id] = joined.get(item_id, Trace()).joined(trace)
        changed = {item_id: joined[item_id] for item_id, _ in fresh}
        if changed:
            put = as_json(trace_row(item_id, trace) for item_id, trace in changed.items())
            await connection.execute(FOLD["traces_put"], {"traces": put})
            gone = [item_id for item_id, trace in changed.items() if trace.deleted_at is not None]
            await self._take_words_back(connection, gone, writing)
            await connection.execute(FOLD["redact"], {"ids": gone})
            await redraw(connection, gone)
        return joined

    async def _take_words_back(
        self, connection: Connection, gone: list[str], writing: Writing
    ) -> None:
        """Corrections of deleted items are compacted away by ones that carry no words."""
        for row in await all_of(connection, "corrections_with_words", ids=gone):
            bare = Correction(
                item_id=row["item_id"],
                from_label=Label(row["from_label"]),
                to_label=Label(row["to_label"]),
                by=row["by"],
                at=row["at"],
                reason=row["reason"],
                about=Corrected(
                    platform=row["platform"],
                    author=row["author_id"],
                    language=row["language"],
                    similarity=row["similarity"],
                    addressed=row["addressed"],
                ),
            )
            writing.announce(f"correction:{row['id']}:bare", CORRECTIONS, bare.item_id, bare)

    async def _accounts(
        self, connection: Connection, items: Sequence[Item]
    ) -> dict[tuple[str, str], datetime | None]:
        """Note accounts that are seen for the first time; when each source last caught up."""
        seen = sorted({(item.platform, item.account_id) for item in items})
        await connection.execute(
            FOLD["accounts_seen"],
            {"platforms": [p for p, _ in seen], "accounts": [a for _, a in seen]},
        )
        rows = await all_of(connection, "accounts")
        return {(row["platform"], row["account_id"]): row["caught_up_at"] for row in rows}
