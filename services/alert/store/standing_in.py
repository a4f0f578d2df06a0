"""Failing over: what one destination does not take goes to another, once, and the engineers hear of it.

The order: the destination's named fallback and its fallbacks; for a page then the person's own contact
ways; where nothing is named, any other destination, the engineers' own last. What stands somewhere
already (a mirror, an earlier failing over) goes nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from psycopg.rows import DictRow

from services.alert.domain.contact_ways import ways_to
from services.alert.domain.lifecycle import Record
from services.alert.ports import DeliveryReason, Purpose
from services.alert.store.boards.troubles import Troubles
from services.alert.store.sql import Connection, all_of, run
from services.alert.store.standings import is_shared, records_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.contracts.events import Notice, NoticeKind
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

AT_ONCE = 500
"""Rows that one look hands on, so that no transaction grows with the backlog."""
_STANDS = frozenset({"pending", "leased", "sent"})


def fallbacks(configuration: Configuration, destination: str) -> list[str]:
    """Where this destination's messages go instead, in order."""
    named = {one.id: one.fallback for one in configuration.destinations}
    chain: list[str] = []
    step = named.get(destination)
    while step is not None and step not in chain and step != destination:
        chain.append(step)
        step = named.get(step)
    if chain:
        return chain
    others = [
        one.id
        for one in configuration.destinations
        if one.id != destination and one.kind != "phone"  # which has no channel
    ]
    # A place that the file has dropped is followed by where cards go now.
    now = configuration.routes[-1].destinations if destination not in named else ()
    return sorted(others, key=lambda one: (one == configuration.engineers, one not in now))


class StandIns:
    """Finds places for what a destination did not take."""

    def __init__(self, pool: Pool, configuration: Callable[[], Configuration]) -> None:
        self._pool = pool
        self._configuration = configuration
        self._troubles = Troubles(pool)

    async def given_up(self, connection: Connection, row: DictRow, reason: DeliveryReason) -> None:
        """A row was given up for its destination: once to the next place that was not tried."""
        away = await down_now(connection)
        left = await self._place(connection, row, away)
        (clock,) = await all_of(connection, "now")
        writing = Writing(clock["now"])
        writing.audit(
            "system",
            "delivery",
            "given_up",
            episode=str(row["episode"]) if row["episode"] else None,
            before={"destination": row["destination"], "purpose": row["purpose"]},
            after={"reason": reason.value, "destination": left},
        )
        if left is None:
            log.error("an effect was given up", destination=row["destination"], reason=reason.value)
        else:
            records = await records_of(connection, [str(row["episode"])] if row["episode"] else [])
            self._again(writing, row, next(iter(records.values()), None), left)
        await writing.flush(connection)

    async def down(self, destination: str, reason: DeliveryReason) -> int:
        """See ports.Outbox. Cards stay armed where they belong; pages and lines leave."""
        async with self._pool.connection() as connection, connection.transaction():
            known = await down_now(connection)
            away = known | {destination}
            rows = await all_of(
                connection,
                "outbox_stranded",
                destination=destination,
                away=sorted(away),
                limit=AT_ONCE,
            )
            handed = await self._hand_on(connection, rows, away) if rows else 0
            (clock,) = await all_of(connection, "now")
        if destination not in known:
            says = (
                f"{destination} takes no messages ({reason.value}): look at its token and channel"
            )
            await self._note(NoticeKind.destination_down, destination, says, clock)
        return handed

    async def abandon(self, configured: Collection[str]) -> int:
        """Hand on what waits for places that the team's file has dropped: nobody delivers there."""
        async with self._pool.connection() as connection, connection.transaction():
            gone = [
                row["destination"]
                for row in await all_of(connection, "outbox_homeless", known=sorted(configured))
            ]
            if not gone:
                return 0
            away = await down_now(connection) | set(gone)
            handed = dropped = 0
            for destination in gone:
                await run(connection, "outbox_unlease", destination=destination)
                rows = await all_of(
                    connection,
                    "outbox_stranded",
                    destination=destination,
                    away=sorted(away),
                    limit=AT_ONCE,
                )
                handed += await self._hand_on(connection, rows, away) if rows else 0
                dropped += await run(connection, "outbox_abandon", destination=destination)
        if handed or dropped:
            log.warning("places left the configuration", destinations=gone, handed_on=handed)
        return handed

    async def up(self, destination: str) -> None:
        """See ports.Outbox."""
        async with self._pool.connection() as connection:
            known = await down_now(connection)
            (clock,) = await all_of(connection, "now")
        if destination in known:
            says = f"{destination} takes messages again"
            await self._note(NoticeKind.destination_up, destination, says, clock)

    async def _note(self, kind: NoticeKind, destination: str, says: str, clock: DictRow) -> None:
        await self._troubles.note(
            Notice(kind=kind, service="alert", source=destination, says=says, at=clock["now"])
        )

    async def _hand_on(
        self, connection: Connection, rows: Iterable[DictRow], away: Collection[str]
    ) -> int:
        (clock,) = await all_of(connection, "now")
        writing, moved = Writing(clock["now"]), dict[str, int]()
        rows = list(rows)
        episodes = {str(row["episode"]) for row in rows if row["episode"] is not None}
        records = await records_of(connection, episodes)
        gone: list[str] = []
        for row in rows:
            place = await self._place(connection, row, away)
            if place is None:
                continue
            moved[place] = moved.get(place, 0) + 1
            self._again(writing, row, records.get(str(row["episode"])), place)
            if row["purpose"] != Purpose.card.value:
                gone.append(row["id"])
        if gone:
            await run(connection, "outbox_handed_on", ids=gone)
        if moved:
            before = {"destination": next(iter(rows))["destination"]}
            writing.audit("system", "delivery", "handed_on", before=before, after=moved)
        await writing.flush(connection)
        return sum(moved.values())

    async def _place(
        self, connection: Connection, row: DictRow, away: Collection[str]
    ) -> str | None:
        """The next place for it; None where it stands somewhere already, or nothing is left."""
        if row["purpose"] == Purpose.thread.value:
            return None  # it belongs beneath its card
        asked = {name: row[name] for name in ("episode", "round", "step", "target", "purpose")}
        found = await all_of(connection, "outbox_tried", **asked)
        tried = {one["destination"]: one["state"] for one in found}
        for place in self._candidates(row):
            if place in away or place == row["destination"]:
                continue
            if tried.get(place) in _STANDS:
                return None
            if place not in tried:
                return place
        return None

    def _candidates(self, row: DictRow) -> list[str]:
        configuration, home = self._configuration(), row["destination"]
        chain = fallbacks(configuration, home)
        if row["purpose"] == Purpose.page.value:
            ways = ways_to(configuration, row["target"], ())
            named = [one for one in chain if one in ways] if self._named(home) else []
            chain = list(dict.fromkeys((*named, *ways)))
        if row["board"] is not None:
            # A board was made for one place: it goes to no other that more people read.
            private = not is_shared(configuration, home)
            chain = [one for one in chain if not (private and is_shared(configuration, one))]
        return chain

    def _named(self, destination: str) -> bool:
        places = self._configuration().destinations
        return any(one.id == destination and one.fallback is not None for one in places)

    def _again(
        self, writing: Writing, row: DictRow, record: Record | None, destination: str
    ) -> None:
        purpose = Purpose(row["purpose"])
        if row["board"] is not None:
            writing.board(
                str(row["board"]),
                row["step"],
                destination,
                purpose,
                row["target"],
                round_=row["round"],
                rank=row["rank"],
                text=row["text"],
                stand_in=True,
            )
        elif purpose is Purpose.told:
            writing.tell(
                row["target"],
                destination,
                row["text"] or "",
                record=record,
                number=row["round"],
                step=row["step"],
            )
        elif record is not None and row["call"] is not None:
            target, text = row["target"], row["text"] or ""
            number = row["round"]
            writing.call(record, destination, target, row["call"], text, number, stand_in=True)
        elif record is not None:
            target, step = row["target"], row["step"]
            writing.send(record, destination, purpose, target, step=step, stand_in=True)
        if purpose is Purpose.card:
            # For those who read there and wonder; the engineers hear of it on a card of their own.
            hour = int(writing.now.timestamp()) // 3600
            text = f"{row['destination']} takes no messages: its cards come here for now."
            writing.tell(f"down-{row['destination']}", destination, text, number=hour)


async def down_now(connection: Connection) -> frozenset[str]:
    """Destinations that a pipeline said to be down and that nothing has arrived at since."""
    return frozenset(row["destination"] for row in await all_of(connection, "destinations_down"))
