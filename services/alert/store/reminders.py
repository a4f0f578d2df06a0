"""What snoozes and promises bring by themselves, when their time has come."""

from __future__ import annotations

from services.alert.domain.contact_ways import way_to
from services.alert.domain.lifecycle import Record
from services.alert.domain.next_way import Call, unconfirmed
from services.alert.domain.promises import woken_by_promise
from services.alert.store.acting import Acting, redraw
from services.alert.store.lines import say
from services.alert.store.next_ways import wait_for
from services.alert.store.refold import Held
from services.alert.store.sql import Connection, all_of, one_of, run
from services.alert.store.writing import Writing


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
                way = way_to(configuration, person, record.destinations, urgent=record.pressing)
                assert way is not None  # they were chosen by it
                calls = number["calls"] if number else 0
                writing.call(record, way, person, Call.promise.value, words, calls)
            waits = unconfirmed(
                configuration, record, woken, writing.now, call=Call.promise, says=words
            )
            await wait_for(connection, record, waits)
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
