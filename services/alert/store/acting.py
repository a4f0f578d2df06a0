"""One act of a person, or of a durable timer, in one transaction: lock, load, authorise, act, write."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from psycopg.errors import DeadlockDetected

from services.alert.acting import Done
from services.alert.domain.card import CardState
from services.alert.domain.fold import in_order
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import Record
from services.alert.metrics import AlertMetrics
from services.alert.ports import Actor, ActResult, Purpose
from services.alert.store.refold import Held, hold, refold
from services.alert.store.sql import AWAY, Connection, all_of, one_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration, Role
from services.contracts.events import EpisodeChange
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

MERGES = 5
"""So often an act begins again: its conversation was merged under its hands, or it met another act."""
R = TypeVar("R")
Act = Callable[[Connection, Held, Record, Writing], Awaitable[R]]


class Acting:
    """What every kind of act shares.

    Invariants: the conversation's row is locked before anything of it is read; an act, its effects and
    its line in the audit record are one transaction. `changed` is called after the commit.
    """

    def __init__(
        self,
        pool: Pool,
        configuration: Callable[[], Configuration],
        metrics: AlertMetrics,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._metrics = metrics
        self._changed = changed

    async def _act(
        self,
        episode_id: str,
        by: Actor,
        act: Act[R],
        least: Role = Role.responder,
        *,
        reads: bool = False,
    ) -> R | ActResult:
        """The act of a person who may; else why not. `reads`: a page is drawn, nobody pressed anything."""

        async def authorised(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> R | ActResult:
            if not self._may(by.person_id, held.brand, least):
                return ActResult.refused
            # Whatever they press, they are there: their page goes on by no further way.
            if not reads:
                await run(connection, "confirmed", person=by.person_id, episode=record.id)
            return await act(connection, held, record, writing)

        result = await self._locked(episode_id, authorised)
        return ActResult.unknown if result is None else result

    async def _do(
        self,
        episode_id: str,
        by: Actor,
        act: Act[Done],
        least: Role = Role.responder,
        *,
        reads: bool = False,
    ) -> Done:
        result = await self._act(episode_id, by, act, least, reads=reads)
        return Done(result) if isinstance(result, ActResult) else result

    async def _locked(self, episode_id: str, act: Act[R]) -> R | None:
        """One transaction around an episode; None where there is no such episode."""
        if not is_id(episode_id):
            return None
        async with self._pool.connection() as connection:
            for _ in range(MERGES):
                try:
                    async with connection.transaction():
                        row = await one_of(connection, "conversation_of_episode", id=episode_id)
                        if row is None:
                            return None
                        held = (await hold(connection, [row["id"]])).get(row["id"])
                        here = held.records if held else []
                        record = next((one for one in here if one.id == episode_id), None)
                        if held is None or record is None:
                            # Merged into another while we waited for its row: look where it is now.
                            continue
                        writing = await self._writing(connection)
                        result = await act(connection, held, record, writing)
                        await writing.flush(connection)
                except DeadlockDetected:
                    continue
                self._after(writing)
                return result
        return None

    async def _alone(self, about: str, work: Awaitable[bool]) -> bool:
        """One of many that are due: what fails is told in the log and stands in no other's way."""
        try:
            return await work
        except AWAY:
            raise
        except Exception:
            log.exception("something that was due could not be done", about=about)
            return False

    def _may(self, person_id: str, brand: str, least: Role = Role.responder) -> bool:
        person = self._configuration().person(person_id)
        if (
            person is None
            or not person.may_answer
            or (person.brands and brand not in person.brands)
        ):
            return False
        return least is Role.trainee or bool(person.roles - {Role.trainee, Role.engineer})

    def _name(self, person_id: str | None) -> str:
        person = self._configuration().person(person_id) if person_id else None
        return person.name if person else person_id or "somebody"

    async def _writing(self, connection: Connection) -> Writing:
        (clock,) = await all_of(connection, "now")
        return Writing(clock["now"])

    def _after(self, writing: Writing) -> None:
        for record in writing.measured:
            self._metrics.ended(record)
        for before, to in writing.corrected:
            self._metrics.corrected(before, to)
        self._changed()

    async def _refold(self, connection: Connection, held: Held, writing: Writing) -> None:
        """Read the conversation again, with the act, and let the fold decide."""
        await self._refold_all(connection, [held.id], writing)

    async def _refold_thread(self, connection: Connection, held: Held, writing: Writing) -> None:
        """The same for everybody else in the thread: what was muted for all may wait again for each."""
        rows = await all_of(connection, "conversations_of_thread", thread=held.thread)
        # Conversations with a lower id are locked after this one: who meets us the other way round makes
        # one of both begin again (`_locked`).
        await self._refold_all(
            connection, [row["id"] for row in rows if row["id"] != held.id], writing
        )

    async def _refold_all(
        self, connection: Connection, conversations: Sequence[int], writing: Writing
    ) -> None:
        rows = await all_of(connection, "accounts")
        caught_up: dict[tuple[str, str], datetime | None] = {
            (row["platform"], row["account_id"]): row["caught_up_at"] for row in rows
        }
        for again in (await hold(connection, conversations)).values():
            refold(again, self._configuration(), writing, caught_up)

    async def _take(
        self,
        connection: Connection,
        record: Record,
        writing: Writing,
        person_id: str,
        until: datetime,
    ) -> Record:
        """It is this person's until then: what was snoozed is not any more, and the timer waits."""
        taken = replace(
            record,
            state=CardState.claimed,
            version=record.version + 1,
            claimed_by=person_id,
            claimed_at=writing.now,
            claim_until=until,
            first_claimed_at=record.first_claimed_at or writing.now,
            first_claimed_by=record.first_claimed_by or person_id,
        )
        await run(connection, "snooze_drop", episode=record.id)
        writing.records[record.id] = taken
        show(writing, taken)
        timer = await one_of(connection, "timer_step", episode=record.id)
        if timer is None or not timer["risen"]:
            writing.timer(record.id, timer["step"] if timer else 0, until)
        writing.announce_change(taken, EpisodeChange.claimed, writing.now, person_id)
        return taken

    def _audit(self, writing: Writing, by: Actor, act: str, before: Record, after: Record) -> None:
        writing.audit(
            by.person_id,
            by.through,
            act,
            episode=before.id,
            before=_as_audited(before),
            after=_as_audited(after),
        )


def show(writing: Writing, record: Record) -> None:
    """The card, where there is one, is brought up to date."""
    for destination in record.destinations if record.has_card else ():
        writing.send(record, destination, Purpose.card, "card")


def redraw(writing: Writing, record: Record) -> None:
    """Something beside the state has changed, which the card shows."""
    latest = writing.records.get(record.id, record)
    if latest is record or latest.version == record.version:
        latest = replace(latest, version=latest.version + 1)
        writing.records[record.id] = latest
    show(writing, latest)


def messages(held: Held, record: Record) -> list[Item]:
    """The person's messages of the episode, in order."""
    return [held.items[item] for item in record.folded.inbound if item in held.items]


def _as_audited(record: Record) -> dict[str, Any]:
    ending = record.folded.ending
    return {
        "state": record.state.value,
        "claimed_by": record.claimed_by,
        "reason": ending.reason.value if ending else None,
        "version": record.version,
    }


def newest(held: Held) -> str:
    """The last item of the conversation in the fold's own order."""
    return [entry.item_id for entry in in_order(held.items.values()) if not entry.deletion][-1]


def is_id(text: str) -> bool:
    """Whether it can be an episode's id: what a link or a button carries is not to be trusted."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
