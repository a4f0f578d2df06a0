"""Fires timers that are due: each in a transaction of its own, the conversation's row locked first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from psycopg.rows import DictRow

from services.alert.domain.card import CardState
from services.alert.domain.firing import Firing, Surroundings, fire
from services.alert.domain.lifecycle import Record
from services.alert.domain.next_way import unconfirmed
from services.alert.metrics import AlertMetrics
from services.alert.ports import Purpose
from services.alert.store import pings
from services.alert.store.next_ways import wait_for
from services.alert.store.rows import record_of
from services.alert.store.sql import AWAY, Connection, all_of, one_of, run
from services.alert.store.standings import records_of
from services.alert.store.surroundings import surroundings
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.contracts.events import EpisodeChange
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

BATCH = 50
PUT_OFF = 60
"""Seconds until a step that could not be taken is tried again."""
FAILED = "Presence could not take an escalation step and nobody was paged for it: look at this one."


class Escalating:
    """Fires what is due."""

    def __init__(
        self,
        pool: Pool,
        configuration: Callable[[], Configuration],
        metrics: AlertMetrics,
        refresh: Callable[[Connection], Awaitable[object]] | None = None,
    ) -> None:
        """`refresh` brings `configuration` up to date: who is on call is resolved at each step."""
        self._refresh = refresh
        self._pool = pool
        self._configuration = configuration
        self._metrics = metrics

    async def fire_due(self, *, stale: bool = False) -> int:
        """Fire at most a batch of due timers, newest episodes first; how many fired."""
        async with self._pool.connection() as connection:
            due = await all_of(connection, "timers_due", limit=BATCH)
            if due and self._refresh is not None:
                await self._refresh(connection)
            fired = 0
            for row in due:
                fired += await self._fire_alone(connection, row, stale)
        return fired

    async def _fire_alone(self, connection: Connection, row: DictRow, stale: bool) -> bool:
        """Fire one; where it cannot be, it is put off and told, and stands in no other's way."""
        try:
            return await self._fire(connection, row["episode"], row["conversation"], stale)
        except AWAY:
            raise
        except Exception as error:
            log.exception("an escalation step could not be taken", episode=str(row["episode"]))
            await self._put_off(connection, str(row["episode"]), error)
            return True

    async def _put_off(self, connection: Connection, episode: str, error: Exception) -> None:
        """The step comes again in a minute; the channel hears once that nobody was paged for it."""
        if not await run(connection, "timer_put_off", episode=episode, seconds=PUT_OFF):
            return
        try:
            await self._tell_failure(connection, episode, error)
        except AWAY:
            raise
        except Exception:
            log.exception("nor could the channel be told", episode=episode)

    @staticmethod
    async def _tell_failure(connection: Connection, episode: str, error: Exception) -> None:
        async with connection.transaction():
            record = (await records_of(connection, [episode])).get(episode)
            (clock,) = await all_of(connection, "now")
            writing = Writing(clock["now"])
            if record is not None:
                writing.tell("step-failed", record.destinations[0], FAILED, record=record)
            why = f"{type(error).__name__}: {error}"[:300]
            writing.audit("system", "timer", "step_failed", episode=episode, after={"why": why})
            await writing.flush(connection)

    async def _fire(
        self, connection: Connection, episode: str, conversation: int, stale: bool
    ) -> bool:
        async with connection.transaction():
            if await one_of(connection, "timer_lock", conversation=conversation) is None:
                return False  # somebody changes it right now, or it was merged
            timer = await one_of(connection, "timer_take", episode=episode)
            row = await one_of(connection, "episode_by_id", id=episode)
            if timer is None or row is None:
                return False
            record = record_of(row)
            around = await surroundings(connection, self._configuration(), record, timer["now"])
            around = replace(
                around,
                timer_due=max(timer["due_at"], timer["set_at"]),
                held_closed=timer["late"],
                stale=stale,
                risen=timer["risen"],
            )
            firing = fire(record, timer["step"], around)
            if not record.sensitive:
                firing = await self._in_turn(connection, record, timer["step"], firing, around)
                firing = await self._once_a_group(connection, firing, around)
            await self._write(connection, record, firing, around)
        self._metrics.fired(record, firing)
        return True

    async def _in_turn(
        self,
        connection: Connection,
        record: Record,
        step: int,
        firing: Firing,
        around: Surroundings,
    ) -> Firing:
        """The firing with its people's pings counted while nobody else can page them.

        Two replicas that count at the same instant would both find room for the last ping.
        """
        people = {page.person for page in firing.pages}
        if not people:
            return firing
        held = await pings.hold(connection, people)
        return fire(record, step, replace(around, pings={**around.pings, **held}))

    async def _once_a_group(
        self, connection: Connection, firing: Firing, around: Surroundings
    ) -> Firing:
        """In an incident note that the group is paged; without its page where another was quicker."""
        if not firing.pages or around.during is None or around.during.group is None:
            return firing
        first = await run(
            connection,
            "incident_page",
            incident=around.during.incident,
            group=around.during.group,
            step=firing.step,
            at=around.now,
        )
        return firing if first else replace(firing, pages=())

    async def _write(
        self,
        connection: Connection,
        record: Record,
        firing: Firing,
        around: Surroundings,
    ) -> None:
        now = around.now
        writing = Writing(now)
        changed = record
        if firing.released:
            changed = replace(changed, state=CardState.open, claimed_by=None, claim_until=None)
        if around.stale and firing.pages:
            changed = replace(changed, stale=True)
        if changed is not record:
            changed = replace(changed, version=record.version + 1)
            writing.records[changed.id] = changed
            for destination in changed.destinations:
                writing.send(changed, destination, Purpose.card, "card")
        if firing.released:
            writing.announce_change(changed, EpisodeChange.released, now, record.claimed_by)
            writing.audit(
                "system",
                "timer",
                "released",
                episode=record.id,
                before={"claimed_by": record.claimed_by},
                after={"claimed_by": None},
            )
        await self._wake(connection, changed, firing, writing)
        for tell in firing.tells:
            writing.tell(
                tell.target,
                tell.destination,
                tell.text,
                record=changed if tell.of_episode else None,
                number=tell.number,
                step=firing.step if tell.of_episode else 0,
            )
        if firing.next_step is not None and firing.next_at is not None:
            writing.timer(record.id, firing.next_step, firing.next_at, closed=firing.closed)
        else:
            writing.stop(record.id)
        await writing.flush(connection)
        if firing.waited is not None:
            await run(connection, "waited_add", episode=record.id, why=firing.waited.value, at=now)
        for person in firing.queued:
            await run(connection, "queued_add", episode=record.id, person=person, at=now)
        for person in firing.would_page:
            await run(connection, "would_page_add", episode=record.id, person=person, at=now)
        for page in firing.pages:
            await run(
                connection,
                "paged_add",
                episode=record.id,
                person=page.person,
                step=firing.step,
                at=now,
            )
        await self._await_confirmation(connection, changed, firing, around)

    @staticmethod
    async def _wake(
        connection: Connection, record: Record, firing: Firing, writing: Writing
    ) -> None:
        """Its pages. What rose while somebody has it is due though it is claimed."""
        called = [page for page in firing.pages if page.risen]
        made = await one_of(connection, "calls_made", episode=record.id) if called else None
        words = "Now sensitive" if record.sensitive else "Now urgent"
        for page in firing.pages:
            to, person = page.destination, page.person
            if page.risen:
                writing.call(record, to, person, "risen", words, made["calls"] if made else 0)
            else:
                writing.send(record, to, Purpose.page, person, step=firing.step)

    @staticmethod
    async def _await_confirmation(
        connection: Connection, record: Record, firing: Firing, around: Surroundings
    ) -> None:
        """Who does not confirm the page is woken by their next way: see NextWays."""
        # What rose in urgency while it waited may have shorter waits.
        await run(connection, "unconfirmed_look", episode=record.id, at=around.now)
        # Who was called though somebody has it is not asked to take it.
        pages = [page.person for page in firing.pages if not page.risen]
        people = (*pages, *firing.would_page)
        waits = unconfirmed(around.configuration, record, people, around.now, step=firing.step)
        await wait_for(connection, record, waits)
