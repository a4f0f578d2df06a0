"""Lines beneath a card: a person's later messages, and what we have to say ourselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from services.alert.domain.answering import AnswerState
from services.alert.domain.card import CardLine, LineAct
from services.alert.domain.cards import hides, line_for
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import Record
from services.alert.ports import PersonRef, Purpose
from services.alert.store.rows import Row, storable
from services.alert.store.sql import Connection, all_of, one_of, run
from services.alert.store.writing import Writing

OURS = "line/"
"""Begins the target of a line of ours; an item's id holds no slash."""

ASKS: Mapping[str, tuple[LineAct, ...]] = {
    AnswerState.review: (LineAct.approve, LineAct.edit, LineAct.reject),
    AnswerState.unknown: (LineAct.it_is_there, LineAct.send_again),
}
"""What a line asks for, while the answer that it is about stands so."""


async def say(
    connection: Connection,
    writing: Writing,
    record: Record,
    kind: str,
    says: str,
    *,
    by: str | None = None,
    words: str | None = None,
    private: bool = False,
    url: str | None = None,
    mention: str | None = None,
    answer: str | None = None,
    at: datetime | None = None,
) -> None:
    """Say something beneath the episode's card, in the caller's transaction.

    `words` are hidden in shared places where `private` or where the card's own words are.
    """
    row = await one_of(
        connection,
        "line_add",
        episode=record.id,
        at=at or writing.now,
        kind=kind,
        by=by,
        says=storable(says),
        words=storable(words),
        private=private,
        url=url,
        mention=mention,
        answer=answer,
    )
    if row is not None and record.has_card:
        writing.send(record, record.destinations[0], Purpose.thread, f"{OURS}{row['id']}")


async def redraw_answer(connection: Connection, answer: str) -> None:
    """What was said of an answer is drawn anew: it may ask for nothing any more."""
    rows = await all_of(connection, "lines_of_answer", answer=answer)
    await redraw(connection, [f"{OURS}{row['id']}" for row in rows])


async def redraw(connection: Connection, targets: Sequence[str]) -> None:
    """These lines are drawn anew where they stand."""
    if targets:
        await run(connection, "lines_again", targets=list(targets))


async def ours(connection: Connection, targets: Iterable[str]) -> dict[str, Row]:
    """Our own lines by their targets."""
    ids = [target.removeprefix(OURS) for target in targets if target.startswith(OURS)]
    if not ids:
        return {}
    rows = await all_of(connection, "lines_by_ids", ids=ids)
    return {f"{OURS}{row['id']}": row for row in rows}


def line_of(
    target: str,
    items: list[Item],
    lines: Mapping[str, Row],
    *,
    shared: bool,
    mentioned: PersonRef | None,
) -> CardLine | None:
    """The line of this target as it is today, for a place that is `shared` or not."""
    row = lines.get(target)
    if row is not None:
        hide = shared and (row["private"] or hides(items, shared=True))
        asks = ASKS.get(row["answer_state"] or "", ()) if row["kind"] == row["answer_state"] else ()
        return CardLine(
            item_id=target,
            who=row["by"] or "",
            at=row["at"],
            words=None if hide or row["words"] is None else row["words"],
            says=row["says"],
            url=row["url"],
            mention=mentioned.chat_id if mentioned else None,
            about=str(row["answer"]) if row["answer"] else None,
            asks=asks,
        )
    for item in items:
        if item.id == target:
            return line_for(item, hide=hides(items, shared=shared))
    return None
