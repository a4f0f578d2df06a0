""" "I'm here" at a shift's start, as stored: what `services.alert.ports.ShiftStarts` promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from psycopg.rows import DictRow

from services.alert.domain.boards.shift_start import Ask, ShiftStart
from services.alert.domain.rota import Watch
from services.alert.domain.rota_changes import ChangeKind, RotaChange
from services.alert.domain.rota_words import name_of
from services.alert.domain.shift_start import Asked, begun, next_ask
from services.alert.ports import Actor, ActResult
from services.alert.roster import ChangeResult, Roster
from services.alert.store.sql import Connection, all_of, one_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration, Rota
from services.runtime.postgres import Pool


class PostgresShiftStarts:
    """Asks through the boards, and takes the answers. `roster` puts who stands in on call."""

    def __init__(
        self,
        pool: Pool,
        configuration: Callable[[], Configuration],
        roster: Roster,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._roster = roster
        self._changed = changed

    async def asked(self, now: datetime) -> list[ShiftStart]:
        """See ports.ShiftStarts."""
        async with self._pool.connection() as connection:
            rows = await all_of(connection, "shift_starts_standing", now=now)
            asks = await _asks_of(connection, rows)
        return [
            ShiftStart(
                rota=row["rota"],
                person=row["person"],
                begin=row["begin_at"].astimezone(UTC),
                end=row["end_at"].astimezone(UTC),
                asks=tuple(
                    Ask(one["person"], one["destination"], one["number"])
                    for one in asks
                    if (one["rota"], one["begin_at"]) == (row["rota"], row["begin_at"])
                ),
                here_by=row["here_by"],
                over=row["over_at"] is not None,
            )
            for row in rows
        ]

    async def here(self, rota: str, begin: datetime, by: Actor) -> ActResult:
        """See ports.ShiftStarts. Whoever was asked may say so; another than the shift's takes it over."""
        async with self._pool.connection() as connection, connection.transaction():
            row = await one_of(connection, "shift_start_lock", rota=rota, begin=begin)
            if row is None:
                return ActResult.unknown
            if row["over_at"] is not None:
                return ActResult.already
            asks = await _asks_of(connection, [row])
            if by.person_id not in {row["person"], *(one["person"] for one in asks)}:
                return ActResult.refused
            await run(connection, "shift_start_over", rota=rota, begin=begin, here_by=by.person_id)
            await run(connection, "confirmed", person=by.person_id, episode=None)
            (clock,) = await all_of(connection, "now")
            writing = Writing(clock["now"])
            writing.audit(
                by.person_id,
                by.through,
                "here",
                after={"rota": rota, "shift_of": row["person"], "began": begin.isoformat()},
            )
            await writing.flush(connection)
        if by.person_id != row["person"]:
            await self._stand_in(rota, row, by)
        self._changed()
        return ActResult.done

    async def confirm_shift(self, by: Actor) -> ActResult:
        """The same without naming the shift (a chat command): every one that this person was asked about."""
        async with self._pool.connection() as connection:
            (clock,) = await all_of(connection, "now")
        results = [
            await self.here(one.rota, one.begin, by)
            for one in await self.asked(clock["now"])
            if not one.over and by.person_id in {one.person, *(ask.person for ask in one.asks)}
        ]
        return ActResult.done if ActResult.done in results else ActResult.unknown

    async def _stand_in(self, rota: str, row: DictRow, by: Actor) -> None:
        async with self._pool.connection() as connection:
            (clock,) = await all_of(connection, "now")
        change = RotaChange(
            id="",
            kind=ChangeKind.override,
            rota=rota,
            person=by.person_id,
            begin=clock["now"],
            end=row["end_at"],
            note="said “I'm here” at the shift's start",
        )
        outcome = await self._roster.change(change, by, accept_gaps=True)
        if outcome.result is not ChangeResult.done and outcome.proposal.refused:
            # Quiet hours: they are there all the same, and the channel hears who is on call.
            name = name_of(self._configuration(), by.person_id)
            says = f"{name} is there for {rota}, and the rota is as it was: {outcome.proposal.refused[0]}"
            await self._tell(row, says)

    async def look(self) -> bool:
        """Ask who is to be asked now, and end what has passed; whether anything was written.

        Every replica looks: an ask has its number, and whoever writes it second writes nothing.
        """
        team = self._configuration()
        changed = False
        async with self._pool.connection() as connection:
            (clock,) = await all_of(connection, "now")
            for rota in team.rotas:
                shift = begun(team, rota, clock["now"]) if rota.confirm_within else None
                if shift is not None:
                    await run(connection, "shift_start_add", **_shift(rota, shift))
            for row in await all_of(connection, "shift_starts_standing", now=clock["now"]):
                if row["over_at"] is None:
                    changed = await self._go_on(connection, team, row, clock["now"]) or changed
        if changed:
            self._changed()
        return changed

    async def _go_on(
        self, connection: Connection, team: Configuration, row: DictRow, now: datetime
    ) -> bool:
        key = {"rota": row["rota"], "begin": row["begin_at"]}
        async with connection.transaction():
            held = await one_of(connection, "shift_start_lock", **key)
            if held is None or held["over_at"] is not None:
                return False
            rota = next((one for one in team.rotas if one.id == row["rota"]), None)
            if rota is None or rota.confirm_within is None or now >= row["end_at"]:
                return bool(await run(connection, "shift_start_over", **key, here_by=None))
            asks = await _asks_of(connection, [row])
            asked = [Asked(one["person"], one["destination"], one["at"]) for one in asks]
            shift = Watch(row["begin_at"], row["end_at"], row["person"], "")
            then = next_ask(team, rota, shift, asked, rota.confirm_within, now)
            if then.ask is not None:
                person, destination = then.ask
                ask = {"number": len(asks), "person": person, "destination": destination}
                return bool(await run(connection, "shift_ask_add", **key, **ask))
            if then.nobody_left:
                names = ", ".join(dict.fromkeys(name_of(team, one.person) for one in asked))
                says = f"Nobody said “I'm here” on {rota.id}: asked were {names or 'nobody'}."
                await self._told(connection, team, row, says, now)
                await run(connection, "shift_start_over", **key, here_by=None)
                return True
        return False

    async def _tell(self, row: DictRow, says: str) -> None:
        async with self._pool.connection() as connection:
            (clock,) = await all_of(connection, "now")
            await self._told(connection, self._configuration(), row, says, clock["now"])

    async def _told(
        self, connection: Connection, team: Configuration, row: DictRow, says: str, now: datetime
    ) -> None:
        writing = Writing(now)
        home = team.routes[-1].destinations[0]
        number = int(row["begin_at"].timestamp()) // 60
        writing.tell(f"shift-{row['rota']}", home, says, number=number)
        await writing.flush(connection)


def _shift(rota: Rota, shift: Watch) -> dict[str, object]:
    return {"rota": rota.id, "begin": shift.begin, "person": shift.person, "end": shift.end}


async def _asks_of(connection: Connection, rows: Sequence[DictRow]) -> list[DictRow]:
    return await all_of(
        connection,
        "shift_asks_of",
        rotas=[row["rota"] for row in rows],
        begins=[row["begin_at"] for row in rows],
    )
