"""Snoozing, handing over, notes, promises, private answers that count, reopening. `acting.Doing`."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from services.alert.acting import Done, PrivateAnswer
from services.alert.domain import rota as rotas
from services.alert.domain.card import CardState
from services.alert.domain.contact_ways import way_to
from services.alert.domain.lifecycle import Record
from services.alert.domain.promises import woken_by_promise
from services.alert.ports import Actor, ActResult
from services.alert.store.acting import Acting, is_id, messages, redraw, show
from services.alert.store.acts import PEOPLE_CLOSE_WITH, PostgresEpisodes
from services.alert.store.answers import end_as_answered
from services.alert.store.lines import say
from services.alert.store.refold import Held
from services.alert.store.rows import storable
from services.alert.store.sql import FOLD, Connection, all_of, one_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Role, Who
from services.contracts.events import CloseReason, EpisodeChange, Label

LONGEST_SNOOZE = timedelta(days=7)
HANDED_FOR = timedelta(minutes=10)
"""So long a hand-over holds the pages back; then, without an answer, the next step pages."""
TEXT_LIMIT = 3_000


class Doings(Acting):
    """See acting.Doing. One row an act; a form that is sent twice acts once."""

    async def snooze(
        self, episode_id: str, by: Actor, until: datetime, *, beyond: bool = False
    ) -> Done:
        """See acting.Doing. The one timer waits until then, and so does a claim."""

        async def snooze(
            connection: Connection, _held: Held, record: Record, writing: Writing
        ) -> Done:
            if not record.live:
                return Done(ActResult.already)
            if not writing.now < until <= writing.now + LONGEST_SNOOZE:
                return Done(ActResult.impossible, "Choose a time within the next 7 days.")
            known = await one_of(connection, "snooze_of", episode=record.id)
            if known and known["until"] == until:
                return Done(ActResult.already)
            if until > record.due_at and not beyond:
                says = "That is past the time by which somebody should have answered: say so."
                return Done(ActResult.cautioned, says)
            await run(
                connection,
                "snooze_put",
                episode=record.id,
                until=until,
                by=by.person_id,
                at=writing.now,
            )
            await connection.execute(FOLD["pages_cancel"], {"episodes": [record.id]})
            await run(connection, "unconfirmed_drop", episodes=[record.id])
            timer = await one_of(connection, "timer_step", episode=record.id)
            if timer is not None and not timer["risen"]:
                writing.timer(record.id, timer["step"], until)
            if record.claim_until is not None and record.claim_until < until:
                record = replace(record, claim_until=until)
                writing.records[record.id] = record
            redraw(writing, record)
            writing.audit(
                by.person_id,
                by.through,
                "snooze",
                episode=record.id,
                before={"until": known["until"].isoformat() if known else None},
                after={"until": until.isoformat(), "beyond_due": until > record.due_at},
            )
            return Done(ActResult.done)

        return await self._do(episode_id, by, snooze)

    async def hand_over(self, episode_id: str, by: Actor, to: str | None) -> Done:
        """See acting.Doing. The other is paged, and has it for HANDED_FOR at most."""

        async def hand_over(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> Done:
            if not record.live:
                return Done(ActResult.already)
            person = to or self._next(record, writing.now)
            if person is None:
                return Done(ActResult.impossible, "Nobody is next in the rota: choose a person.")
            if not self._may(person, held.brand, Role.trainee):
                says = f"{self._name(person)} may not answer for {held.brand}."
                return Done(ActResult.impossible, says)
            if record.claimed_by == person:
                return Done(ActResult.already, f"{self._name(person)} has it already.")
            way = way_to(self._configuration(), person, record.destinations)
            if way is None:
                says = f"{self._name(person)} cannot be reached: presence.yaml names no chat of theirs."
                return Done(ActResult.impossible, says)
            until = writing.now + min(HANDED_FOR, record.policy.claim_for)
            taken = await self._take(connection, record, writing, person, until)
            number = await one_of(connection, "calls_made", episode=record.id)
            giver = self._name(by.person_id)
            writing.call(
                taken,
                way,
                person,
                "handover",
                f"{giver} hands over",
                number["calls"] if number else 0,
            )
            await run(
                connection,
                "paged_add",
                episode=record.id,
                person=person,
                step=-1,
                at=writing.now,
            )
            says = f"{giver} handed over to {self._name(person)}."
            await say(
                connection, writing, taken, "hand_over", says, by=by.person_id, mention=person
            )
            self._audit(writing, by, "hand_over", record, taken)
            return Done(ActResult.done)

        return await self._do(episode_id, by, hand_over)

    def _next(self, record: Record, now: datetime) -> str | None:
        """Who comes next in the rota that the episode's policy asks first."""
        configuration = self._configuration()
        named = [
            target.rota for step in record.policy.steps for target in step.targets if target.rota
        ]
        wanted = named[0] if named else configuration.rotas[0].id
        rota = next((one for one in configuration.rotas if one.id == wanted), None)
        return rotas.neighbour(rota, now, Who.next) if rota else None

    async def note(self, episode_id: str, by: Actor, text: str, request: str) -> Done:
        """See acting.Doing. Trainees may note."""

        async def note(
            connection: Connection, _held: Held, record: Record, writing: Writing
        ) -> Done:
            words = (storable(text) or "").strip()[:TEXT_LIMIT]
            if not words:
                return Done(ActResult.impossible, "Write something first.")
            if not await run(connection, "request_add", request=f"note:{request}"):
                return Done(ActResult.already)
            who = self._name(by.person_id)
            await say(
                connection, writing, record, "note", f"Note by {who}:", by=by.person_id, words=words
            )
            writing.audit(
                by.person_id, by.through, "note", episode=record.id, after={"text": words}
            )
            return Done(ActResult.done)

        return await self._do(episode_id, by, note, Role.trainee)

    async def promise(
        self, episode_id: str, by: Actor, what: str, due_at: datetime, request: str
    ) -> Done:
        """See acting.Doing. It outlives the episode's end."""

        async def promise(
            connection: Connection, _held: Held, record: Record, writing: Writing
        ) -> Done:
            words = (storable(what) or "").strip()[:300]
            if not words:
                return Done(ActResult.impossible, "Say what was promised.")
            if due_at <= writing.now:
                return Done(ActResult.impossible, "Choose a time to come.")
            # The form's id makes the promise's: sent twice it is one promise.
            made = str(uuid.uuid5(uuid.NAMESPACE_URL, f"promise:{record.id}:{request}"))
            added = await run(
                connection,
                "promise_add",
                id=made,
                episode=record.id,
                by=by.person_id,
                what=words,
                made_at=writing.now,
                due_at=due_at,
            )
            if not added:
                return Done(ActResult.already)
            redraw(writing, record)
            writing.audit(
                by.person_id,
                by.through,
                "promise",
                episode=record.id,
                after={"promise": made, "what": words, "due_at": due_at.isoformat()},
            )
            return Done(ActResult.done)

        return await self._do(episode_id, by, promise)

    async def keep(self, promise_id: str, by: Actor) -> Done:
        """See acting.Doing."""
        if not is_id(promise_id):
            return Done(ActResult.unknown)
        async with self._pool.connection() as connection:
            home = await one_of(connection, "promise_by_id", id=promise_id)
        if home is None:
            return Done(ActResult.unknown)

        async def keep(
            connection: Connection, _held: Held, record: Record, writing: Writing
        ) -> Done:
            kept = await run(
                connection, "promise_keep", id=promise_id, at=writing.now, by=by.person_id
            )
            if not kept:
                return Done(ActResult.already)
            left = await all_of(connection, "promises_left", episode=record.id)
            if not left:
                await run(connection, "calls_cancel", episode=record.id, call="promise")
            redraw(writing, record)
            writing.audit(
                by.person_id,
                by.through,
                "keep",
                episode=record.id,
                before={"promise": promise_id},
                after={"promise": promise_id, "kept_by": by.person_id},
            )
            return Done(ActResult.done)

        return await self._do(str(home["episode"]), by, keep)

    async def private_answers(self, episode_id: str, by: Actor) -> list[PrivateAnswer]:
        """See acting.Doing."""

        async def find(
            connection: Connection, held: Held, record: Record, _writing: Writing
        ) -> list[PrivateAnswer]:
            return await self._private_answers(connection, held, record)

        found = await self._act(episode_id, by, find, reads=True)
        return [] if isinstance(found, ActResult) else found

    async def _private_answers(
        self, connection: Connection, held: Held, record: Record
    ) -> list[PrivateAnswer]:
        rows = await all_of(
            connection,
            "private_answers",
            platform=held.platform,
            account=held.account_id,
            person=held.counterpart,
            since=record.folded.opened_at,
        )
        return [
            PrivateAnswer(row["item_id"], row["source_time"], row["edit_text"] or row["text"])
            for row in rows
        ]

    async def answered_in_private(self, episode_id: str, by: Actor, item_id: str) -> Done:
        """See acting.Doing."""

        async def link(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> Done:
            if not record.live:
                return Done(ActResult.already)
            if all(item.private for item in messages(held, record)):
                return Done(
                    ActResult.impossible, "They wrote in private: the answer counts by itself."
                )
            found = await self._private_answers(connection, held, record)
            chosen = next((one for one in found if one.item_id == item_id), None)
            if chosen is None:
                says = "There is no such private message to this person since they asked."
                return Done(ActResult.impossible, says)
            await end_as_answered(connection, held, writing.now, by.person_id, item_id, chosen.at)
            await self._refold(connection, held, writing)
            after = writing.records.get(record.id, record)
            self._audit(writing, by, "answered_in_private", record, after)
            return Done(ActResult.done)

        return await self._do(episode_id, by, link)

    async def reopen(self, episode_id: str, by: Actor) -> Done:
        """See acting.Doing. It pages at once: its clock never stopped."""
        relabelled: list[str] = []

        async def reopen(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> Done:
            ending = record.folded.ending
            if record.live or ending is None or record.state is CardState.merged:
                return Done(ActResult.already)
            if ending.reason is CloseReason.relabelled:
                relabelled.extend(record.folded.openers)
                return Done(ActResult.done)
            linked = ending.reason is CloseReason.answered
            if not linked and ending.reason not in PEOPLE_CLOSE_WITH:
                return Done(ActResult.impossible, "Only what a person closed can be reopened.")
            undone = await run(
                connection,
                "closes_undo",
                conversation=held.id,
                reason=ending.reason.value,
                by=ending.by,
                ended_at=ending.at,
                at=writing.now,
            )
            if not undone:
                return Done(ActResult.impossible, "It was answered: that cannot be taken back.")
            if ending.reason is CloseReason.do_not_feed:
                await self._feed_again(connection, held, writing, ending.by)
            await self._refold(connection, held, writing)
            opened = writing.records.get(record.id, record)
            # Its next end is measured: the one that was taken back was none.
            opened = replace(opened, measured=False)
            writing.records[record.id] = opened
            show(writing, opened)
            writing.announce_change(opened, EpisodeChange.reopened, writing.now, by.person_id)
            self._audit(writing, by, "reopen", record, opened)
            return Done(ActResult.done)

        done = await self._do(episode_id, by, reopen)
        if not relabelled:
            return done
        episodes = PostgresEpisodes(self._pool, self._configuration, self._metrics, self._changed)
        results = {await episodes.relabel_item(item, by, Label.conversation) for item in relabelled}
        return Done(ActResult.done if ActResult.done in results else ActResult.already)

    async def _feed_again(
        self, connection: Connection, held: Held, writing: Writing, by: str | None
    ) -> None:
        """The thread's mute ends: what others asked in it meanwhile opens too."""
        ended = await all_of(
            connection,
            "mutes_end",
            thread=held.thread,
            counterpart=held.counterpart,
            by=by,
            at=writing.now,
        )
        if any(mute["counterpart"] is None for mute in ended):
            await self._refold_thread(connection, held, writing)


class Reminders(Acting):
    """Snoozes that are over and promises that are due, each in a transaction of its own."""

    async def round(self) -> int:
        """Do what is due; how many."""
        async with self._pool.connection() as connection:
            over = await all_of(connection, "snoozes_over")
            due = await all_of(connection, "promises_due")
        done = 0
        for row in over:
            done += await self._alone("snooze", self._over(str(row["episode"])))
        for row in due:
            done += await self._alone("promise", self._remind(str(row["id"]), str(row["episode"])))
        return done

    async def _over(self, episode_id: str) -> bool:
        return bool(await self._locked(episode_id, self._wake))

    @staticmethod
    async def _wake(connection: Connection, _held: Held, record: Record, writing: Writing) -> bool:
        known = await one_of(connection, "snooze_of", episode=record.id)
        if known is not None:
            return False  # snoozed anew meanwhile
        await run(connection, "snooze_drop", episode=record.id)
        redraw(writing, record)
        return True

    async def _remind(self, promise_id: str, episode_id: str) -> bool:
        async def remind(
            connection: Connection, _held: Held, record: Record, writing: Writing
        ) -> bool:
            row = await one_of(connection, "promise_by_id", id=promise_id)
            if row is None or not await run(
                connection, "promise_paged", id=promise_id, at=writing.now
            ):
                return False
            configuration, maker = self._configuration(), row["by"]
            woken = woken_by_promise(configuration, record, maker, writing.now)
            secret = bool(record.sensitive) or record.private
            whose = "Promise" if maker in woken else f"{self._name(maker)}'s promise"
            words = f"{whose} due" if secret else f"{whose} due: {row['what']}"
            number = await one_of(connection, "calls_made", episode=record.id)
            for person in woken:
                way = way_to(configuration, person, record.destinations)
                assert way is not None  # they were chosen by it
                calls = number["calls"] if number else 0
                writing.call(record, way, person, "promise", words, calls)
            await say(
                connection,
                writing,
                record,
                "promise",
                f"{self._name(maker)}'s promise is due:",
                words=row["what"],
                mention=woken[0] if woken else None,
            )
            writing.audit(
                "system",
                "promises",
                "due",
                episode=record.id,
                after={"promise": promise_id, "woken": list(woken)},
            )
            return True

        return bool(await self._locked(episode_id, remind))
