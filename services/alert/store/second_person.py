"""The second person: sends a trainee's answer, or does not; and says what became of one that got lost."""

from __future__ import annotations

import uuid
from dataclasses import replace

from services.alert.acting import AnswerForm, Done, Written
from services.alert.domain.answering import AnswerState
from services.alert.domain.lifecycle import Record
from services.alert.ports import Actor, ActResult
from services.alert.store.answer_forms import AnswerForms
from services.alert.store.answer_rows import end_as_answered, sending_of, text_of
from services.alert.store.lines import say
from services.alert.store.refold import Held
from services.alert.store.rows import Row, storable
from services.alert.store.sql import Connection, run
from services.alert.store.writing import Writing


class SecondPerson(AnswerForms):
    """Acts on answers that somebody else wrote. Who wrote it is never the second person."""

    async def review(self, answer_id: str, by: Actor) -> AnswerForm | Done:
        """See acting.Answering."""
        found: list[AnswerForm] = []

        async def draw(
            connection: Connection, held: Held, record: Record, writing: Writing, row: Row
        ) -> Done:
            if row["state"] != AnswerState.review:
                return Done(ActResult.already)
            form = await self._form(
                connection, held, record, writing, by, row["private"], but=answer_id
            )
            if isinstance(form, Done):
                return form
            found.append(replace(form, text=row["text"], answer_id=answer_id, needs_approval=False))
            return Done(ActResult.done)

        done = await self._on(answer_id, by, draw, reads=True)
        return found[0] if found else done

    async def approve(self, answer_id: str, by: Actor, written: Written | None = None) -> Done:
        """See acting.Answering. Who wrote it is never the second person."""

        async def approve(
            connection: Connection, held: Held, record: Record, writing: Writing, row: Row
        ) -> Done:
            if row["state"] != AnswerState.review:
                return Done(ActResult.already, sending=sending_of(row))
            if row["author"] == by.person_id:
                return Done(ActResult.refused)
            text = row["text"]
            if written is not None:
                edited = replace(written, private=row["private"])
                checked = await self._checked(
                    connection, held, record, writing, by, edited, but=answer_id
                )
                if isinstance(checked, Done):
                    return checked
                text = text_of(edited.text)
            elif not record.live:
                return Done(ActResult.already)
            changes = {
                "text": text,
                "state": AnswerState.pending.value,
                "approved_by": by.person_id,
                **self._times(writing, AnswerState.pending),
            }
            changed = await self._put(connection, writing, record, row, by, "approve", **changes)
            await run(connection, "draft_drop", episode=record.id, person=by.person_id)
            return Done(ActResult.done, sending=sending_of(changed))

        return await self._on(answer_id, by, approve)

    async def reject(self, answer_id: str, by: Actor, why: str) -> Done:
        """See acting.Answering."""

        async def reject(
            connection: Connection, _held: Held, record: Record, writing: Writing, row: Row
        ) -> Done:
            if row["state"] != AnswerState.review:
                return Done(ActResult.already)
            said = (storable(why) or "").strip() or None
            await self._put(
                connection, writing, record, row, by, "reject", state="rejected", says=said
            )
            await say(
                connection,
                writing,
                record,
                "rejected",
                f"{self._name(by.person_id)} did not send {self._name(row['author'])}'s answer"
                + (":" if said else "."),
                by=by.person_id,
                words=said,
                private=row["private"],
                mention=row["author"],
                answer=answer_id,
            )
            return Done(ActResult.done)

        return await self._on(answer_id, by, reject)

    async def settle(self, answer_id: str, by: Actor, *, there: bool) -> Done:
        """See acting.Answering."""

        async def settle(
            connection: Connection, held: Held, record: Record, writing: Writing, row: Row
        ) -> Done:
            if row["state"] != AnswerState.unknown:
                return Done(ActResult.already)
            if there:
                return await self._it_is_there(connection, held, record, writing, row, by)
            if not record.live:
                return Done(ActResult.already)
            await self._put(
                connection,
                writing,
                record,
                row,
                by,
                "send_again",
                state="replaced",
                settled_by=by.person_id,
            )
            again = {
                **{name: row[name] for name in ("lane", "text", "private", "author", "seen_until")},
                "item": row["item_id"],
                "episode": record.id,
                "id": str(uuid.uuid4()),
                "request": f"again:{row['id']}",
                "through": by.through,
                "approved_by": by.person_id,
                "made_at": writing.now,
                "state": AnswerState.pending.value,
                **self._times(writing, AnswerState.pending),
            }
            await run(connection, "answer_add", **again)
            self._note(writing, by, "answer", record.id, None, again)
            return Done(ActResult.done, sending=sending_of(again))

        return await self._on(answer_id, by, settle)

    async def _it_is_there(
        self,
        connection: Connection,
        held: Held,
        record: Record,
        writing: Writing,
        row: Row,
        by: Actor,
    ) -> Done:
        """A person saw it: the episode is answered, from the time of its sending."""
        await self._put(
            connection,
            writing,
            record,
            row,
            by,
            "it_is_there",
            state="posted",
            settled_by=by.person_id,
        )
        if record.live:
            await end_as_answered(
                connection, held, writing.now, row["author"], None, row["sent_at"] or writing.now
            )
            await self._refold(connection, held, writing)
        await say(
            connection,
            writing,
            writing.records.get(record.id, record),
            "posted",
            f"{self._name(by.person_id)} found {self._name(row['author'])}'s answer on the platform.",
            by=by.person_id,
            answer=str(row["id"]),
        )
        return Done(ActResult.done)
