"""Snoozing, handing over, notes and promises. `acting.Doing`."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from services.alert.acting import Done
from services.alert.domain import rota as rotas
from services.alert.domain.contact_ways import way_to
from services.alert.domain.lifecycle import Record
from services.alert.domain.next_way import Call, unconfirmed
from services.alert.ports import Actor, ActResult
from services.alert.store.acting import is_id, redraw
from services.alert.store.endings import Endings
from services.alert.store.lines import say
from services.alert.store.next_ways import wait_for
from services.alert.store.refold import Held
from services.alert.store.rows import storable
from services.alert.store.sql import FOLD, Connection, all_of, one_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Role, Who

LONGEST_SNOOZE = timedelta(days=7)
HANDED_FOR = timedelta(minutes=10)
"""So long a hand-over holds the pages back; then, without an answer, the next step pages."""
TEXT_LIMIT = 3_000


class Doings(Endings):
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
            await run(connection, "unconfirmed_hush", episode=record.id)
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
            way = way_to(self._configuration(), person, record.destinations, urgent=record.pressing)
            if way is None:
                says = f"{self._name(person)} cannot be reached: presence.yaml names no chat of theirs."
                return Done(ActResult.impossible, says)
            until = writing.now + min(HANDED_FOR, record.policy.claim_for)
            taken = await self._take(connection, record, writing, person, until)
            number = await one_of(connection, "calls_made", episode=record.id)
            giver = self._name(by.person_id)
            words = f"{giver} hands over"
            calls = number["calls"] if number else 0
            writing.call(taken, way, person, Call.handover.value, words, calls)
            waits = unconfirmed(
                self._configuration(),
                taken,
                [person],
                writing.now,
                call=Call.handover,
                says=words,
            )
            await wait_for(connection, taken, waits)
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
                await run(connection, "unconfirmed_kept", episode=record.id)
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
