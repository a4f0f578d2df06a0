"""Answers that people write in Presence. `services.alert.acting.Answering`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from services.alert.acting import AnswerForm, Done, Written
from services.alert.domain.answering import AnswerState, mark
from services.alert.domain.card import CardState
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import Record
from services.alert.ports import Actor, ActResult
from services.alert.store.acting import is_id, redraw
from services.alert.store.answer_rows import reply_of, sending_of, text_of
from services.alert.store.lines import say
from services.alert.store.refold import Held
from services.alert.store.rows import Row
from services.alert.store.second_person import SecondPerson
from services.alert.store.sql import Connection, one_of, run
from services.alert.store.writing import Writing
from services.contracts import identity, topics
from services.contracts.configuration import Role


class Answers(SecondPerson):
    """Forms, sending, undoing, the second person, and what nobody can tell.

    Invariants: an answer is one row, made once for one form; its conversation's row is locked whenever
    its state changes; exactly one reply goes to Kafka for it, written in the transaction that says `sent`.
    """

    async def form(
        self, episode_id: str, by: Actor, *, private: bool | None = None
    ) -> AnswerForm | Done:
        """See acting.Answering."""

        async def draw(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> AnswerForm | Done:
            if not record.live:
                return Done(ActResult.already)
            form = await self._form(connection, held, record, writing, by, private)
            if isinstance(form, AnswerForm):
                seconds = self._configuration().answering.writing_for.total_seconds()
                await run(
                    connection,
                    "draft_put",
                    episode=record.id,
                    person=by.person_id,
                    seconds=seconds,
                )
            return form

        result = await self._act(episode_id, by, draw, Role.trainee)
        return Done(result) if isinstance(result, ActResult) else result

    async def leave(self, episode_id: str, by: Actor) -> None:
        """See acting.Answering."""
        if is_id(episode_id):
            async with self._pool.connection() as connection:
                await run(connection, "draft_drop", episode=episode_id, person=by.person_id)

    async def send(self, written: Written, by: Actor) -> Done:
        """See acting.Answering."""

        async def send(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> Done:
            known = await one_of(connection, "answer_of_request", request=written.request)
            if known is not None:
                return Done(ActResult.already, sending=sending_of(known))
            checked = await self._checked(connection, held, record, writing, by, written)
            if isinstance(checked, Done):
                return checked
            needs_approval = not self._may(by.person_id, held.brand)
            row = self._row(held, record, writing, by, written, checked)
            state = AnswerState.review if needs_approval else AnswerState.pending
            row = {**row, "state": state.value, **self._times(writing, state)}
            await run(connection, "answer_add", **row)
            await run(connection, "draft_drop", episode=record.id, person=by.person_id)
            if record.state is CardState.open:
                until = writing.now + record.policy.claim_for
                await self._take(connection, record, writing, by.person_id, until)
            redraw(writing, record)
            if needs_approval:
                await self._ask_second_person(connection, writing, record, row)
            self._note(writing, by, "answer", record.id, None, row)
            return Done(ActResult.done, sending=sending_of({**row, "episode": record.id}))

        return await self._do(written.episode_id, by, send, Role.trainee)

    async def undo(self, answer_id: str, by: Actor) -> Done:
        """See acting.Answering. After it went out, ingest is asked not to post it."""

        async def undo(
            connection: Connection, held: Held, record: Record, writing: Writing, row: Row
        ) -> Done:
            match AnswerState(row["state"]):
                case AnswerState.pending | AnswerState.review:
                    mine = row["author"] == by.person_id
                    if not mine and not self._may(by.person_id, held.brand):
                        return Done(ActResult.refused)
                    await self._put(connection, writing, record, row, by, "undo", state="undone")
                    return Done(ActResult.done, sending=sending_of(row))
                case AnswerState.sent | AnswerState.limited:
                    reply = reply_of(row).model_copy(update={"cancelled": True})
                    writing.announce(
                        f"reply:{row['id']}:cancelled", topics.REPLIES, row["lane"], reply
                    )
                    self._note(writing, by, "take_back", record.id, row, row)
                    says = "It went out already. Presence asked to stop it; the card tells what became of it."
                    return Done(ActResult.already, says)
                case AnswerState.undone:
                    return Done(
                        ActResult.already, "It was taken back already.", sending=sending_of(row)
                    )
                case _:
                    return Done(ActResult.already, "Too late: it went out.")

        return await self._on(answer_id, by, undo, Role.trainee)

    def _row(
        self,
        held: Held,
        record: Record,
        writing: Writing,
        by: Actor,
        written: Written,
        item: Item,
    ) -> dict[str, Any]:
        seen = next((one for one in held.items if mark(one) == written.seen), None)
        return {
            "id": str(uuid.uuid4()),
            "request": written.request,
            "episode": record.id,
            "item": item.id,
            "lane": identity.counterpart_key(
                item.platform, item.account_id, item.counterpart_id, item.id
            ),
            "text": text_of(written.text),
            "private": written.private,
            "author": by.person_id,
            "approved_by": None,
            "through": by.through,
            "seen_until": seen,
            "made_at": writing.now,
        }

    async def _ask_second_person(
        self, connection: Connection, writing: Writing, record: Record, row: Mapping[str, Any]
    ) -> None:
        where = "in private" if row["private"] else "in public"
        await say(
            connection,
            writing,
            record,
            AnswerState.review.value,
            f"{self._name(row['author'])} wrote an answer, to be sent {where} by a second person:",
            by=row["author"],
            words=row["text"],
            private=row["private"],
            answer=row["id"],
        )
