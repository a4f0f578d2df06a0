"""What becomes of answers by themselves: the time to undo runs out, and ingest tells outcomes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.alert.domain.answering import NO_WORD, AnswerState, after
from services.alert.domain.lifecycle import Record
from services.alert.store.acting import MERGES, Acting, is_id, redraw
from services.alert.store.answer_rows import end_as_answered, put_answer, reply_of
from services.alert.store.lines import say
from services.alert.store.refold import Held
from services.alert.store.rows import Row, storable
from services.alert.store.sql import Connection, all_of, one_of
from services.alert.store.writing import Writing
from services.contracts import topics
from services.contracts.events import Outcome
from services.runtime.logs import get_logger

log = get_logger(__name__)

_Step = Callable[[Connection, Held, Record, Writing, Row], Awaitable[bool]]

SILENCE = "Nothing was heard of it: look whether it is there"


class Outgoing(Acting):
    """Sends what is due, and takes in what became of it. Every step is a transaction of its own.

    Invariants: an answer goes to presence.replies at most once, with its id as the reply's; one that was
    taken back, or whose matter ended first, never does. Outcomes in any order, any number of times, end in
    the same state.
    """

    async def round(self) -> int:
        """Send what is due and ask about what nobody tells the end of; how many."""
        async with self._pool.connection() as connection:
            due = await all_of(connection, "answers_due", no_word=NO_WORD.total_seconds())
        done = 0
        for row in due:
            done += await self._alone("answer", self._of(str(row["id"]), self._advance))
        return done

    async def tell(self, outcome: Outcome) -> bool:
        """Take in an outcome; whether it said anything new."""

        async def take_in(
            connection: Connection, held: Held, record: Record, writing: Writing, row: Row
        ) -> bool:
            state = after(AnswerState(row["state"]), outcome.state)
            if state is None:
                return False
            await self._became(connection, held, record, writing, row, state, outcome)
            return True

        return await self._of(outcome.reply_id, take_in)

    async def _of(self, answer_id: str, step: _Step) -> bool:
        if not is_id(answer_id):
            return False

        async def locked(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> bool | None:
            row = await one_of(connection, "answer_by_id", id=answer_id)
            if row is None:
                return False
            if str(row["episode"]) != record.id:
                return None  # its episode was merged into another meanwhile, and it went along
            return await step(connection, held, record, writing, row)

        for _ in range(MERGES):
            async with self._pool.connection() as connection:
                home = await one_of(connection, "answer_episode", id=answer_id)
            done = await self._locked(str(home["episode"]), locked) if home else False
            if done is not None:
                return done
        return False

    async def _advance(
        self, connection: Connection, held: Held, record: Record, writing: Writing, row: Row
    ) -> bool:
        state = AnswerState(row["state"])
        if state is AnswerState.pending and row["send_at"] <= writing.now:
            if not record.live:
                await self._stop(connection, record, writing, row)
                return True
            expires_at = writing.now + self._configuration().answering.expires_after
            sent = await put_answer(
                connection, row, state="sent", sent_at=writing.now, expires_at=expires_at
            )
            reply = reply_of(sent)
            writing.announce(f"reply:{reply.reply_id}", topics.REPLIES, row["lane"], reply)
            redraw(writing, record)
            self._noted(writing, record, row, "send", sent["state"])
            return True
        waiting = state in (AnswerState.sent, AnswerState.limited)
        if waiting and row["expires_at"] + NO_WORD < writing.now:
            await self._became(connection, held, record, writing, row, AnswerState.unknown, None)
            return True
        return False

    async def _stop(
        self, connection: Connection, record: Record, writing: Writing, row: Row
    ) -> None:
        """Somebody answered, or it ended otherwise, while there was time to undo."""
        await put_answer(connection, row, state="stopped")
        await say(
            connection,
            writing,
            record,
            "stopped",
            f"The matter ended first: {self._name(row['author'])}'s answer was not sent.",
            words=row["text"],
            private=row["private"],
            mention=row["author"],
            answer=str(row["id"]),
        )
        redraw(writing, record)
        self._noted(writing, record, row, "stop", "stopped")

    async def _became(
        self,
        connection: Connection,
        held: Held,
        record: Record,
        writing: Writing,
        row: Row,
        state: AnswerState,
        outcome: Outcome | None,
    ) -> None:
        says = storable(outcome.says) if outcome else SILENCE
        changed = await put_answer(
            connection,
            row,
            state=state.value,
            told_at=writing.now,
            says=says,
            permalink=storable(outcome.permalink) if outcome else None,
            posted_item_id=(outcome.posted_item_id if outcome else None) or row["posted_item_id"],
            until=outcome.until if outcome else None,
        )
        if state is AnswerState.posted and outcome is not None:
            await self._posted(connection, held, record, writing, row, outcome)
        elif state is not AnswerState.limited:
            await self._failed(connection, writing, record, row, state, says)
        redraw(writing, writing.records.get(record.id, record))
        self._noted(writing, record, row, "outcome", changed["state"])

    async def _posted(
        self,
        connection: Connection,
        held: Held,
        record: Record,
        writing: Writing,
        row: Row,
        outcome: Outcome,
    ) -> None:
        public_question = any(
            not held.items[one].private for one in record.folded.openers if one in held.items
        )
        if record.live and row["private"] and public_question:
            # Sent in private from this very card: the person linked the two by sending it there.
            await end_as_answered(
                connection, held, writing.now, row["author"], outcome.posted_item_id, outcome.at
            )
        # The echo may be here already: now it is known who wrote it.
        await self._refold(connection, held, writing)
        twice = row["state"] == AnswerState.replaced
        says = self._says_posted(row)
        if twice:
            says = "The first try is there after all: look whether the answer stands twice."
        await say(
            connection,
            writing,
            writing.records.get(record.id, record),
            "posted",
            says,
            by=row["author"],
            words=row["text"],
            private=row["private"],
            url=storable(outcome.permalink),
            mention=row["author"] if twice else None,
            answer=str(row["id"]),
            at=outcome.at,
        )

    def _says_posted(self, row: Row) -> str:
        where = "in private" if row["private"] else "in public"
        return f"{self._name(row['author'])} answered {where}:"

    async def _failed(
        self,
        connection: Connection,
        writing: Writing,
        record: Record,
        row: Row,
        state: AnswerState,
        says: str | None,
    ) -> None:
        name = self._name(row["author"])
        if state is AnswerState.unknown:
            line = f"Nobody can tell whether {name}'s answer arrived. {says or ''}".strip()
        else:
            line = f"{name}'s answer was not posted: {says or 'the platform gave no reason'}."
        await say(
            connection,
            writing,
            record,
            state.value,
            line,
            words=row["text"],
            private=row["private"],
            mention=row["author"],
            answer=str(row["id"]),
        )

    @staticmethod
    def _noted(writing: Writing, record: Record, row: Row, act: str, state: str) -> None:
        writing.audit(
            "system",
            "answers",
            act,
            episode=record.id,
            before={"answer": str(row["id"]), "state": row["state"]},
            after={"answer": str(row["id"]), "state": state},
        )
