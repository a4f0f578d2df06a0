"""A real day as material for a practice. Only the command reads it; a practice's world never does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import DictRow, dict_row

from services.alert.domain.practice.script import Senior
from services.contracts import identity
from services.contracts.events import (
    Author,
    ClassifiedNotification,
    ConversationRef,
    Direction,
    Kind,
    Label,
    Notification,
    Urgency,
    Verdict,
)
from services.contracts.events import Reason as Because
from services.runtime.postgres import Pool, load_queries

_RECORDED = load_queries("services.alert.practice", "recorded.sql")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A day's public questions, and what became of each."""

    events: list[ClassifiedNotification]
    seniors: dict[str, Senior]
    """By the item that asked."""
    left_out: int
    """Episodes that were private or sensitive."""


async def recorded(pool: Pool, begin: datetime, end: datetime) -> Recorded:
    """What opened episodes within `[begin, end)`. Reads only."""
    when = {"begin": begin, "end": end}
    async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        rows = await (await cursor.execute(_RECORDED["asked"], when)).fetchall()
        left = await (await cursor.execute(_RECORDED["left_out"], when)).fetchone()
    seniors = {row["item_id"]: _senior(row) for row in rows if row["first"] and row["reason"]}
    return Recorded([_event(row) for row in rows], seniors, int(left["episodes"]) if left else 0)


def _senior(row: DictRow) -> Senior:
    after = (row["ended_at"] - row["opened_at"]).total_seconds() if row["ended_at"] else None
    return Senior(str(row["reason"]), row["ended_by"], after, row["said"])


def _event(row: DictRow) -> ClassifiedNotification:
    said = Notification(
        event_id=identity.created(row["item_id"]),
        item_id=row["item_id"],
        kinds=frozenset({Kind.mention}),
        direction=Direction.inbound,
        brand=row["brand"],
        platform=row["platform"],
        account_id=row["account_id"],
        # Who wrote it stays one person; what the thread was called says nothing here.
        conversation=ConversationRef(counterpart_id=row["counterpart_id"] or row["author_id"]),
        in_reply_to=row["parent"],
        author=Author(id=row["author_id"], handle=row["handle"], name=row["name"]),
        addressed=row["addressed"],
        text=row["text"],
        source_time=row["source_time"],
        received_at=max(row["source_time"], row["received_at"]),
    )
    return ClassifiedNotification(
        notification=said, verdict=_verdict(row), classified_at=row["classified_at"]
    )


def _verdict(row: DictRow) -> Verdict | None:
    if row["label"] is None:
        return None
    label = Label(row["label"])
    score = row["needs_answer"]
    return Verdict(
        label=label,
        # What is stored is the label alone.
        scores={one: 1.0 if one is label else 0.0 for one in Label},
        needs_answer=score if score is not None else float(row["opens"]),
        urgency=Urgency(row["urgency"]),
        language=row["language"],
        reasons=tuple(Because(layer="text", name="recorded", says=one) for one in row["why"]),
        engine="recorded",
        model="recorded",
    )
