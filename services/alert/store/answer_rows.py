"""Answers as rows: how one changes, what is audited of it, and the reply that it becomes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from services.alert.acting import Done, Sending
from services.alert.domain.answering import AnswerState
from services.alert.domain.lifecycle import Record
from services.alert.ports import Actor, ActResult
from services.alert.store.acting import Acting, is_id, newest, redraw
from services.alert.store.lines import redraw_answer
from services.alert.store.refold import Held
from services.alert.store.rows import Row, storable
from services.alert.store.sql import Connection, one_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Role
from services.contracts.events import Reply

_COLUMNS = (
    "state",
    "text",
    "approved_by",
    "send_at",
    "expires_at",
    "sent_at",
    "told_at",
    "says",
    "permalink",
    "posted_item_id",
    "until",
    "settled_by",
)

OnAnswer = Callable[[Connection, Held, Record, Writing, Row], Awaitable[Done]]


class AnswerRows(Acting):
    """What every act on an answer shares: its episode's conversation is locked, and the card follows."""

    async def _on(
        self,
        answer_id: str,
        by: Actor,
        act: OnAnswer,
        least: Role = Role.responder,
        *,
        reads: bool = False,
    ) -> Done:
        """An act on an answer, its episode's conversation locked."""
        if not is_id(answer_id):
            return Done(ActResult.unknown)
        async with self._pool.connection() as connection:
            home = await one_of(connection, "answer_episode", id=answer_id)
        if home is None:
            return Done(ActResult.unknown)

        async def on(connection: Connection, held: Held, record: Record, writing: Writing) -> Done:
            row = await one_of(connection, "answer_by_id", id=answer_id)
            if row is None:
                return Done(ActResult.unknown)
            return await act(connection, held, record, writing, row)

        return await self._do(str(home["episode"]), by, on, least, reads=reads)

    async def _put(
        self,
        connection: Connection,
        writing: Writing,
        record: Record,
        row: Row,
        by: Actor,
        act: str,
        **changes: Any,
    ) -> dict[str, Any]:
        """Change an answer, with its card, its lines and the audit record."""
        changed = await put_answer(connection, row, **changes)
        redraw(writing, record)
        self._note(writing, by, act, record.id, row, changed)
        return changed

    @staticmethod
    def _note(
        writing: Writing, by: Actor, act: str, episode: str, before: Row | None, after: Row
    ) -> None:
        writing.audit(
            by.person_id,
            by.through,
            act,
            episode=episode,
            before=audited(before) if before else None,
            after=audited(after),
        )

    def _times(self, writing: Writing, state: AnswerState) -> dict[str, datetime | None]:
        settings = self._configuration().answering
        if state is not AnswerState.pending:
            return {"send_at": None, "expires_at": None}
        send_at = writing.now + settings.undo_for
        return {"send_at": send_at, "expires_at": send_at + settings.expires_after}


async def put_answer(connection: Connection, row: Row, **changes: Any) -> dict[str, Any]:
    """Store an answer's next state; what was said of it is drawn anew."""
    changed = {**row, **changes}
    await run(
        connection,
        "answer_put",
        id=changed["id"],
        **{name: changed[name] for name in _COLUMNS},
    )
    await redraw_answer(connection, str(row["id"]))
    return changed


async def end_as_answered(
    connection: Connection,
    held: Held,
    now: datetime,
    by: str,
    item_id: str | None,
    answered_at: datetime,
) -> None:
    """What stands elsewhere answers what was asked up to now; the caller refolds."""
    await run(
        connection,
        "answered_add",
        conversation=held.id,
        by=by,
        at=now,
        anchor=newest(held),
        item=item_id,
        answered_at=answered_at,
    )


def reply_of(row: Row) -> Reply:
    """What ingest is to post."""
    return Reply(
        reply_id=str(row["id"]),
        item_id=row["item_id"],
        text=row["text"],
        private=row["private"],
        author=row["author"],
        written_at=row["made_at"],
        expires_at=row["expires_at"],
        seen_until=row["seen_until"],
    )


def text_of(written: str) -> str:
    return (storable(written) or "").strip()


def sending_of(row: Mapping[str, Any]) -> Sending:
    return Sending(str(row["id"]), str(row["episode"]), row["text"], row["private"], row["send_at"])


def audited(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("state", "text", "private", "author", "approved_by", "says")
    return {"answer": str(row["id"]), **{name: row.get(name) for name in names}}
