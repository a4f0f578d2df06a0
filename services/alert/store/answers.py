"""Answers that people write in Presence. `services.alert.acting.Answering`."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.alert.acting import AnswerForm, Done, Sending, Written
from services.alert.domain.answering import (
    AnswerState,
    Around,
    Way,
    answered_item,
    cautions,
    mark,
    too_long,
    ways,
)
from services.alert.domain.card import CardState
from services.alert.domain.cards import card_for, line_for
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import Record
from services.alert.ports import Actor, ActResult
from services.alert.store.acting import Acting, is_id, messages, newest, redraw
from services.alert.store.lines import redraw_answer, say
from services.alert.store.refold import Held
from services.alert.store.rows import Row, storable
from services.alert.store.sql import Connection, all_of, one_of, run
from services.alert.store.standings import doing_of, standing_of
from services.alert.store.writing import Writing
from services.contracts import identity, topics
from services.contracts.configuration import Role
from services.contracts.events import Reply

SHOWN = 3
"""So many of the person's messages stand in the form."""
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
NOWHERE = "Presence cannot answer there: answer on the platform itself, the card will follow."

OnAnswer = Callable[[Connection, Held, Record, Writing, Row], Awaitable[Done]]


class Answers(Acting):
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
                return Done(ActResult.already, sending=_sending(known))
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
            return Done(ActResult.done, sending=_sending({**row, "episode": record.id}))

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
                    return Done(ActResult.done, sending=_sending(row))
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
                        ActResult.already, "It was taken back already.", sending=_sending(row)
                    )
                case _:
                    return Done(ActResult.already, "Too late: it went out.")

        return await self._on(answer_id, by, undo, Role.trainee)

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
                return Done(ActResult.already, sending=_sending(row))
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
                text = _text(edited.text)
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
            return Done(ActResult.done, sending=_sending(changed))

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
            return Done(ActResult.done, sending=_sending(again))

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
            before=_audited(before) if before else None,
            after=_audited(after),
        )

    def _times(self, writing: Writing, state: AnswerState) -> dict[str, datetime | None]:
        settings = self._configuration().answering
        if state is not AnswerState.pending:
            return {"send_at": None, "expires_at": None}
        send_at = writing.now + settings.undo_for
        return {"send_at": send_at, "expires_at": send_at + settings.expires_after}

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
            "text": _text(written.text),
            "private": written.private,
            "author": by.person_id,
            "approved_by": None,
            "through": by.through,
            "seen_until": seen,
            "made_at": writing.now,
        }

    async def _checked(
        self,
        connection: Connection,
        held: Held,
        record: Record,
        writing: Writing,
        by: Actor,
        written: Written,
        but: str | None = None,
    ) -> Item | Done:
        """The item that it answers, or why it does not go out as it is."""
        if not record.live:
            return Done(ActResult.already, "It has ended meanwhile: nothing was sent.")
        text = _text(written.text)
        found = await self._ways(connection, held, record)
        way = next((one for one in found[1] if one.private == written.private), None)
        if found[0] is None or way is None:
            return Done(ActResult.impossible, NOWHERE)
        if not text:
            return Done(ActResult.impossible, "Write something first.")
        if (over := too_long(record.platform, text, way)) is not None:
            return Done(ActResult.impossible, f"Too long: {over[0]} of {over[1]} characters.")
        around = await self._around(connection, held, record, writing, by, way, written.seen, but)
        same = await one_of(connection, "answers_same_text", text=text, brand=held.brand)
        around = replace(around, same_text=same["sent"] if same else 0)
        warned = cautions(text, around)
        if any(one.key not in written.accepted for one in warned):
            return Done(ActResult.cautioned, warned=warned)
        return found[0]

    async def _ways(
        self, connection: Connection, held: Held, record: Record
    ) -> tuple[Item | None, tuple[Way, ...]]:
        item = answered_item(messages(held, record), record.folded.openers)
        if item is None:
            return None, ()
        heard = await one_of(
            connection,
            "heard_in_private",
            platform=item.platform,
            account=item.account_id,
            person=item.author_id,
        )
        account = self._configuration().account(item.platform, item.account_id)
        return item, ways(account, item, heard["at"] if heard else None)

    async def _around(
        self,
        connection: Connection,
        held: Held,
        record: Record,
        writing: Writing,
        by: Actor,
        way: Way,
        seen: str | None,
        but: str | None = None,
    ) -> Around:
        said = [item.id for item in messages(held, record)]
        place = next((n for n, one in enumerate(said, 1) if mark(one) == seen), len(said))
        writing_now = await all_of(connection, "drafts_of", episode=record.id, but=by.person_id)
        under_way = await all_of(
            connection, "answers_under_way", episode=record.id, but=[but] if but else []
        )
        other = record.claimed_by not in (None, by.person_id)
        return Around(
            now=writing.now,
            way=way,
            platform=record.platform,
            unseen=len(said) - place,
            writing=tuple(self._name(row["person"]) for row in writing_now),
            claimed_by=self._name(record.claimed_by) if other and but is None else None,
            under_way=tuple(self._name(row["author"]) for row in under_way),
            same_text=0,
            same_text_most=self._configuration().answering.same_text_an_hour,
        )

    async def _form(
        self,
        connection: Connection,
        held: Held,
        record: Record,
        writing: Writing,
        by: Actor,
        private: bool | None,
        but: str | None = None,
    ) -> AnswerForm | Done:
        """`but`: the answer that is looked at, which is no reason to be careful."""
        item, possible = await self._ways(connection, held, record)
        if item is None or not possible:
            return Done(ActResult.impossible, NOWHERE)
        way = next((one for one in possible if one.private == private), possible[0])
        configuration = self._configuration()
        said = messages(held, record)
        doing = (await doing_of(connection, [record.id])).get(record.id, ())
        card = card_for(standing_of(record, said, configuration, doing), writing.now, shared=False)
        around = await self._around(connection, held, record, writing, by, way, None, but)
        return AnswerForm(
            card=card,
            words=tuple(line_for(one, hide=False) for one in said[-SHOWN:]),
            way=way,
            other=next((one for one in possible if one.private is not way.private), None),
            seen=mark(said[-1].id),
            warned=cautions("", around),
            saved=tuple(
                one
                for one in configuration.answering.saved
                if not one.brands or held.brand in one.brands
            ),
            needs_approval=not self._may(by.person_id, held.brand),
        )

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


def _text(written: str) -> str:
    return (storable(written) or "").strip()


def _sending(row: Mapping[str, Any]) -> Sending:
    return Sending(str(row["id"]), str(row["episode"]), row["text"], row["private"], row["send_at"])


def _audited(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("state", "text", "private", "author", "approved_by", "says")
    return {"answer": str(row["id"]), **{name: row.get(name) for name in names}}
