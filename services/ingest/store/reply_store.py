"""What becomes of replies, in PostgreSQL: one holder of each at a time, nothing sent that is not recorded."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import orjson
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import PoolClosed, PoolTimeout

from services.contracts.events import Notification, Outcome, Reply
from services.ingest.domain.address import Address
from services.ingest.domain.replying import ReplyState
from services.ingest.store.event_store import PACKAGE, StoreReason
from services.runtime.errors import Transient
from services.runtime.postgres import Pool, load_queries

PATIENCE = 5.0
"""Seconds that one statement may take."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A reply that this process holds until its lease runs out."""

    reply: Reply
    lane: str
    lease: uuid.UUID
    cancelled: bool
    state: ReplyState
    sending_since: datetime | None
    attempts: int
    outcome: Outcome | None
    outbound: Notification | None
    told: bool


class PostgresReplyStore:
    """Every method raises Transient where PostgreSQL does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queries: dict[str, LiteralString] = load_queries(PACKAGE, "replies.sql")

    async def receive(self, replies: Sequence[tuple[str, Reply]]) -> None:
        """Keep replies, each with the key of its record; of one reply the first holds.

        A repetition changes nothing, but one marked `cancelled` takes the reply back.
        """
        kept: dict[str, dict[str, Any]] = {}
        for lane, reply in replies:
            row = kept.setdefault(
                reply.reply_id,
                {
                    "reply_id": reply.reply_id,
                    "lane": lane,
                    "reply": orjson.loads(reply.to_bytes()),
                    "cancelled": False,
                },
            )
            row["cancelled"] = row["cancelled"] or bool(reply.cancelled)
        if kept:
            await self._rows("receive", {"replies": Jsonb(list(kept.values()))})

    async def claim(self, limit: int, lease_for: timedelta) -> list[Claimed]:
        """Take up to `limit` of what is due, oldest first."""
        lease = uuid.uuid4()
        rows = await self._rows("claim", {"limit": limit, "lease": lease, "for": lease_for})
        return [
            Claimed(
                reply=Reply.model_validate(row["reply"]),
                lane=row["lane"],
                lease=lease,
                cancelled=row["cancelled"],
                state=ReplyState(row["state"]),
                sending_since=row["sending_since"],
                attempts=row["attempts"],
                outcome=Outcome.model_validate(row["outcome"]) if row["outcome"] else None,
                outbound=Notification.model_validate(row["outbound"]) if row["outbound"] else None,
                told=row["told"],
            )
            for row in sorted(rows, key=lambda row: row["number"])
        ]

    async def address(self, item_id: str) -> Address | None:
        """Where an answer to the item goes; None where we do not know (any more)."""
        rows = await self._rows("address", {"item_id": item_id})
        return Address(**rows[0]) if rows else None

    async def begin(self, one: Claimed, lease_for: timedelta) -> bool:
        """Record that the platform is called now; False: do not call it."""
        found = await self._rows("begin", {**_held(one), "for": lease_for})
        return bool(found)

    async def postpone(
        self, one: Claimed, state: ReplyState, wait: timedelta, outcome: Outcome | None = None
    ) -> bool:
        """Again in `wait`. False: somebody else holds it by now."""
        given = {**_held(one), "state": state.value, "wait": wait, "outcome": _json(outcome)}
        return bool(await self._rows("postpone", given))

    async def settle(
        self, one: Claimed, state: ReplyState, outcome: Outcome, outbound: Notification | None
    ) -> bool:
        """How it ended, and what is to be told. False: somebody else holds it by now."""
        return bool(
            await self._rows(
                "settle",
                {
                    **_held(one),
                    "state": state.value,
                    "outcome": _json(outcome),
                    "outbound": _json(outbound),
                },
            )
        )

    async def told(self, reply_id: str, outcome: Outcome) -> None:
        """Kafka acknowledged what there was to tell."""
        await self._rows("told", {"reply_id": reply_id, "outcome": _json(outcome)})

    async def release(self, one: Claimed) -> None:
        """Give the lease back."""
        await self._rows("release", _held(one))

    async def waiting(self) -> tuple[int, int]:
        """How many replies are unfinished, and how many ends are not told yet."""
        (row,) = await self._rows("waiting", {})
        return row["unfinished"], row["untold"]

    async def forget(self, older_than: timedelta) -> int:
        """Drop replies that ended so long ago; returns how many."""
        gone = 0
        while done := await self._rows("forget_replies", {"older_than": older_than}, count=True):
            gone += len(done)
        return gone

    async def _rows(
        self, name: str, parameters: dict[str, Any], *, count: bool = False
    ) -> list[dict[str, Any]]:
        """The statement's rows; with `count` as many empty ones as it changed."""
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self._pool.connection(timeout=PATIENCE) as connection,
                connection.cursor(row_factory=dict_row) as cursor,
            ):
                await cursor.execute(self._queries[name], parameters)
                if cursor.description is None:
                    return [{}] * cursor.rowcount if count else []
                return await cursor.fetchall()
        except (TimeoutError, PoolTimeout) as error:
            raise Transient(StoreReason.timeout, f"no answer within {PATIENCE} s") from error
        except (psycopg.Error, PoolClosed) as error:
            raise Transient(StoreReason.unavailable, type(error).__name__) from error


def _held(one: Claimed) -> dict[str, Any]:
    return {"reply_id": one.reply.reply_id, "lease": one.lease}


def _json(event: Outcome | Notification | None) -> Jsonb | None:
    return Jsonb(orjson.loads(event.to_bytes())) if event is not None else None
