"""Practices as rows: begun, played message by message, ended, forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from psycopg import errors
from psycopg.rows import DictRow, dict_row

from services.alert.domain.practice.debrief import OPEN, Debrief, Handled
from services.alert.domain.practice.script import Cue, Senior, at, judged
from services.alert.domain.practice.team import Reached
from services.alert.practice.database import clear_world
from services.alert.store.sql import Connection
from services.alert.store.sql import run as run_statement
from services.contracts.base import StrEnum
from services.contracts.events import ClassifiedNotification, CloseReason
from services.runtime.errors import Permanent
from services.runtime.postgres import Pool, load_queries

_RUNS = load_queries("services.alert.practice", "runs.sql")
AT_ONCE = 50
GRACE = timedelta(seconds=20)
"""So long after the last message and the last open episode a practice is finished."""
PATIENCE = timedelta(seconds=20)
"""So long its last words may take to reach the channel."""


class RunReason(StrEnum):
    """Why a practice does not begin."""

    under_way = "under_way"
    nothing = "nothing"


@dataclass(frozen=True, slots=True)
class Run:
    """A practice."""

    number: int
    people: tuple[str, ...]
    destination: str
    source: str
    """What is replayed, in words."""
    speed: float
    state: str
    began_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    why: str | None
    debrief: dict[str, Any] | None
    cues: int = 0
    played: int = 0

    @property
    def over(self) -> bool:
        """Whether its world is gone."""
        return self.state == "ended"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a practice is to be."""

    people: tuple[str, ...]
    destination: str
    source: str
    speed: float
    limit: timedelta
    cues: tuple[Cue, ...]


class Runs:
    """Reads and writes the schema `practice`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def there(self) -> bool:
        """Whether anybody ever prepared this database."""
        return bool((await self._all("there"))[0]["there"])

    async def now(self) -> datetime:
        """The database's time: the one clock of the practice's world."""
        at: datetime = (await self._all("now"))[0]["now"]
        return at

    async def begin(self, plan: Plan) -> int:
        """Write a run with all its messages, at once or not at all; its number. Its world is empty.

        Raises Permanent where another one is under way.
        """
        try:
            async with self._pool.connection() as connection, connection.transaction():
                (row,) = await _rows(
                    connection,
                    "add",
                    people=list(plan.people),
                    destination=plan.destination,
                    source=plan.source,
                    speed=plan.speed,
                    seconds=plan.limit.total_seconds(),
                )
                await clear_world(connection)
                cues = plan.cues
                await connection.execute(
                    _RUNS["cues_add"],
                    {
                        "run": row["number"],
                        "numbers": list(range(len(cues))),
                        "afters": [one.after.total_seconds() for one in cues],
                        "items": [one.event.notification.item_id for one in cues],
                        "events": [one.event.to_bytes() for one in cues],
                        "classifiers": [judged(one.event) for one in cues],
                        "seniors": [_json(one.senior) for one in cues],
                    },
                )
        except errors.UniqueViolation:
            raise Permanent(
                RunReason.under_way, "another practice is under way: `presence practice stop`"
            ) from None
        return int(row["number"])

    async def live(self) -> Run | None:
        """The run that is under way."""
        rows = await self._all("live")
        return _run(rows[0]) if rows else None

    async def all(self, limit: int = 50) -> list[Run]:
        """The newest first."""
        return [_run(row) for row in await self._all("all", limit=limit)]

    async def get(self, number: int | None = None) -> Run | None:
        """The run of that number; the last one without."""
        rows = await self._all("by_number", number=number)
        return _run(rows[0]) if rows else None

    async def reached(self, run: int) -> frozenset[Reached]:
        """The accounts that its messages were written to."""
        said = [
            ClassifiedNotification.model_validate_json(bytes(row["event"])).notification
            for row in await self._all("reached", run=run)
        ]
        return frozenset(Reached(one.platform, one.account_id, one.brand) for one in said)

    async def play(self, run: int) -> int:
        """Put what is due into the world's inbox, as written now; how many. Once, whatever happens."""
        async with self._pool.connection() as connection, connection.transaction():
            due = await _rows(connection, "cues_due", run=run, limit=AT_ONCE)
            if not due:
                return 0
            (clock,) = await _rows(connection, "now")
            read = [ClassifiedNotification.model_validate_json(bytes(row["event"])) for row in due]
            await hear(connection, [at(one, clock["now"]) for one in read])
            numbers = [row["number"] for row in due]
            await connection.execute(_RUNS["cues_played"], {"run": run, "numbers": numbers})
        return len(due)

    async def cue(self, run: int, item_id: str) -> ClassifiedNotification | None:
        """The message of that item."""
        rows = await self._all("cue_of", run=run, item=item_id)
        return ClassifiedNotification.model_validate_json(bytes(rows[0]["event"])) if rows else None

    async def over(self, run: int) -> str | None:
        """Why it is over: `finished`, `time_over` or `stopped`; None while it goes on."""
        rows = await self._all("over", run=run, grace=GRACE.total_seconds())
        return rows[0]["why"] if rows else None

    async def stop(self) -> bool:
        """Ask the run that is under way to end; whether there was one."""
        return bool(await self._all("stop"))

    async def close(
        self,
        run: int,
        why: str,
        name_of: Callable[[str | None], str | None],
        tell: Callable[[Connection, str], Any] | None = None,
    ) -> None:
        """Draw up the debrief and keep it, with its line for the channel; nothing where that was done."""
        async with self._pool.connection() as connection, connection.transaction():
            rows = await _rows(connection, "handled", run=run)
            (clock,) = await _rows(connection, "now")
            debrief = Debrief(clock["now"], tuple(_handled(row, name_of) for row in rows))
            closed = await connection.execute(
                _RUNS["closing"],
                {"run": run, "why": why, "debrief": orjson.dumps(debrief.as_json()).decode()},
            )
            if closed.rowcount and tell is not None:
                await tell(connection, debrief.in_a_line(run))

    async def told(self, run: int) -> bool:
        """Whether the channel has what it is to get."""
        rows = await self._all("told", run=run, patience=PATIENCE.total_seconds())
        return bool(rows and rows[0]["told"])

    async def end(self, run: int) -> None:
        """It is over: only its row and its debrief stay."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_RUNS["ended"], {"run": run})
            await connection.execute(_RUNS["cues_gone"])

    async def remove(self, number: int | None = None) -> int:
        """Forget ended runs: one, or all of them; how many."""
        return await self._run("remove", number=number)

    async def forget(self, older: timedelta) -> int:
        """Forget what ended so long ago; how many."""
        return await self._run("forget", seconds=older.total_seconds())

    async def _all(self, name: str, **values: Any) -> list[DictRow]:
        async with self._pool.connection() as connection:
            return await _rows(connection, name, **values)

    async def _run(self, name: str, **values: Any) -> int:
        async with self._pool.connection() as connection:
            return (await connection.execute(_RUNS[name], values)).rowcount


async def hear(connection: Connection, events: Sequence[ClassifiedNotification]) -> None:
    """Into the world's inbox, in the caller's transaction; an event that is there stays as it is."""
    said = [one.notification for one in events]
    await run_statement(
        connection,
        "inbox_append",
        event_ids=[one.event_id for one in said],
        payloads=[one.to_bytes() for one in events],
        topics=["practice"] * len(said),
        partitions=[0] * len(said),
        offsets=[0] * len(said),
        keys=[one.key.encode() for one in said],
    )


async def _rows(connection: Connection, name: str, **values: Any) -> list[DictRow]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_RUNS[name], values)
        return await cursor.fetchall()


def _run(row: DictRow) -> Run:
    names = Run.__dataclass_fields__
    given = {name: row[name] for name in names if name in row}
    return Run(**{**given, "people": tuple(row["people"])})


def _json(senior: Senior | None) -> str | None:
    return None if senior is None else orjson.dumps(asdict(senior)).decode()


def _handled(row: DictRow, name_of: Callable[[str | None], str | None]) -> Handled:
    opened = row["opened_at"]
    reason = row["reason"]
    how = OPEN if row["state"] in ("open", "claimed") or reason is None else str(reason)
    if row["to_label"] is not None:
        how = CloseReason.relabelled.value
    by = row["author"] or row["ended_by"] or row["first_claimed_by"]
    return Handled(
        who=row["name"] or row["handle"] or row["author_id"],
        words=None if row["hidden"] else row["text"],
        opened_at=opened,
        due_at=row["due_at"],
        how=how,
        by=name_of(by),
        claimed_after=_seconds(opened, row["first_claimed_at"]),
        ended_after=_seconds(opened, row["ended_at"]),
        said=row["said"],
        classifier=row["classifier"],
        relabelled=row["to_label"],
        senior=Senior(**row["senior"]) if row["senior"] else None,
    )


def _seconds(begin: datetime, end: datetime | None) -> float | None:
    return None if end is None else max(0.0, (end - begin).total_seconds())
