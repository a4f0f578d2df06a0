"""Reads what a report is made from. Nothing is written, and no name or text is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

from psycopg.rows import DictRow, dict_row

from services.alert.domain.report import Case, Span, Written
from services.alert.store.sql import Connection
from services.contracts.events import CloseReason
from services.runtime.postgres import load_queries

_QUERIES: dict[str, LiteralString] = load_queries("services.alert.store", "reporting.sql")

Place = tuple[str, str]
"""Platform and account."""


@dataclass(frozen=True, slots=True)
class Found:
    """A period as alert knows it now."""

    as_of: datetime
    cases: tuple[Case, ...]
    written: dict[Place, Written]
    incidents: tuple[Span, ...]
    downtime: dict[Place, tuple[Span, ...]]
    """By source and account."""


async def period(connection: Connection, span: Span, brand: str | None) -> Found:
    """All of it in one transaction, so that the figures fit together."""
    await connection.execute("set transaction isolation level repeatable read, read only")
    about = {"begin": span.begin, "end": span.end, "brand": brand}
    (now,) = await _rows(connection, "report_now")
    down: dict[Place, tuple[Span, ...]] = {}
    for row in await _rows(connection, "report_downtime", **about):
        place = row["source"], row["account"]
        down[place] = (*down.get(place, ()), Span(row["since"], row["ended_at"]))
    return Found(
        as_of=now["now"],
        cases=tuple(_case(row) for row in await _rows(connection, "report_episodes", **about)),
        written={
            (row["platform"], row["account_id"]): Written(row["written"], row["to_somebody"])
            for row in await _rows(connection, "report_outbound", **about)
        },
        incidents=tuple(
            Span(row["declared_at"], row["ended_at"])
            for row in await _rows(connection, "report_incidents", **about)
        ),
        downtime=down,
    )


async def last_week(connection: Connection) -> tuple[dict[Place, float], dict[Place, float]]:
    """Share of conversations answered, and share of what was written to somebody, by account.

    An account without any is in neither.
    """
    (now,) = await _rows(connection, "report_now")
    about = {"begin": now["now"] - timedelta(days=7), "end": now["now"], "brand": None}
    answered = await _rows(connection, "report_presence")
    written = await _rows(connection, "report_outbound", **about)
    return (
        {(one["platform"], one["account_id"]): one["answered"] / one["all"] for one in answered},
        {
            (one["platform"], one["account_id"]): one["to_somebody"] / one["written"]
            for one in written
        },
    )


def _case(row: DictRow) -> Case:
    return Case(
        platform=row["platform"],
        account_id=row["account_id"],
        opened_at=row["opened_at"],
        due_at=row["due_at"],
        first=row["first"],
        counts=row["counts"],
        reason=CloseReason(row["reason"]) if row["reason"] else _merged(row["state"]),
        ended_at=row["ended_at"],
        wall=row["wall_seconds"],
        business=row["business_seconds"],
    )


def _merged(state: str) -> CloseReason | None:
    return CloseReason.merged if state == "merged" else None


async def _rows(connection: Connection, name: str, **values: Any) -> list[DictRow]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_QUERIES[name], values)
        return await cursor.fetchall()
