"""Waves of spam: found among the groups, labelled and taken back a bit at a time.

A press only notes what is to be done; each round does some of it, each message in a transaction of its
own. So a process that dies in between leaves nothing half done that the next round does not end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.alert.domain.boards import places, wave
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.domain.boards.places import Home
from services.alert.domain.boards.wave import Counted, Wave, WaveState
from services.alert.domain.items import Item
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.acts import Labelled, PostgresEpisodes
from services.alert.store.boards import keeping
from services.alert.store.rows import Row, item_today
from services.alert.store.sql import Connection, all_of, one_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.contracts.events import Label
from services.runtime.postgres import Pool

AT_ONCE = 100
"""Messages that a round labels or takes back."""


class Waves:
    """See services.alert.domain.boards.wave."""

    kind = BoardKind.wave

    def __init__(
        self, pool: Pool, configuration: Callable[[], Configuration], episodes: PostgresEpisodes
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._episodes = episodes

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper. Goes on with what was pressed, then says how it stands."""
        await self._work()
        await run(connection, "waves_regroup")
        counted = await self._counted(connection)
        for group, (_, numbers) in counted.items():
            if wave.is_wave(numbers):
                await run(connection, "wave_make", group=group)
        live = {board.key.period: board for board in await keeping.live(connection, self.kind)}
        found: list[Wanted] = []
        for row in await all_of(connection, "waves_living"):
            board = live.get(str(row["id"]))
            if row["group_id"] not in counted:
                continue
            brand, numbers = counted[row["group_id"]]
            state = wave.state_now(
                WaveState(row["state"]), numbers, row["labelled_at"], writing.now
            )
            if state != row["state"]:
                known = {"id": row["id"], "was": row["state"]}
                if not await run(connection, "wave_state", state=state.value, **known):
                    continue  # pressed this very moment: the next round shows it
            if board is not None or state is WaveState.gathered:
                stands = {**row, "state": state}
                found += await self._shown(connection, writing.now, brand, numbers, stands, board)
        return found

    async def _counted(self, connection: Connection) -> dict[int, tuple[str, Counted]]:
        rows = await all_of(connection, "waves_counted", spam=wave.FROM)
        names = ("items", "people", "spam", "held", "persons", "quiet")
        return {
            row["id"]: (row["brand"], Counted(**{name: row[name] for name in names}))
            for row in rows
        }

    async def _shown(
        self,
        connection: Connection,
        now: datetime,
        brand: str,
        counted: Counted,
        row: Row,
        board: Board | None,
    ) -> list[Wanted]:
        configuration = self._configuration()
        samples = await all_of(
            connection,
            "group_samples",
            group=row["group_id"],
            label=Label.spam.value,
            limit=wave.SAMPLES,
        )
        items = [item_today(one) for one in samples]
        targets, left_out = await self._targets(connection, row["group_id"])
        person = configuration.person(row["by"]) if row["by"] else None
        found = Wave(
            id=row["id"],
            state=WaveState(row["state"]),
            counted=counted,
            samples=tuple(items),
            targets=tuple(targets),
            left_out=left_out,
            by=person.name if person else row["by"] or "",
            at=row["labelled_at"],
            changed=row["changed"],
        )
        if board is not None:
            destination = board.key.destination
        elif items:
            destination = places.route_of(configuration, items[0], now).destinations[0]
        else:
            return []
        shared = places.shared(configuration, destination)
        home = Home(brand, destination, shared, places.zone(configuration), ())
        return wave.wave(home, places.brand_name(configuration, brand), found, board, now)

    async def _targets(self, connection: Connection, group: int) -> tuple[list[Item], int]:
        """What label-all would change, and how many others it leaves out."""
        rows = await all_of(connection, "wave_targets", group=group)
        found = [
            item
            for item, answered in ((item_today(row), row["answered"]) for row in rows)
            if wave.may_be_labelled(item, answered=answered)
        ]
        return found, len(rows) - len(found)

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """Ask, confirm, undo: each is authorised and audited."""
        if not places.may_press(self._configuration(), by.person_id, board.key.brand):
            return Pressed(ActResult.refused)
        async with self._pool.connection() as connection, connection.transaction():
            row = await one_of(connection, "wave_lock", id=int(board.key.period))
            if row is None:
                return Pressed(ActResult.unknown)
            (clock,) = await all_of(connection, "now")
            writing = Writing(clock["now"])
            pressed = await self._step(connection, row, act, writing.now)
            if isinstance(pressed, Pressed):
                return pressed
            await run(
                connection,
                "wave_step",
                id=row["id"],
                state=pressed.value,
                by=by.person_id,
                through=by.through,
                at=writing.now,
            )
            writing.audit(
                by.person_id,
                by.through,
                "wave",
                before={"wave": row["id"], "state": row["state"]},
                after={"wave": row["id"], "state": pressed.value},
            )
            await writing.flush(connection)
        return Pressed(ActResult.done)

    async def _step(
        self, connection: Connection, row: Row, act: str, now: datetime
    ) -> WaveState | Pressed:
        """Where a press leads from the state that the wave is in."""
        state, id_ = WaveState(row["state"]), row["id"]
        match act, state:
            case wave.LABEL_ALL, WaveState.gathered:
                targets, _ = await self._targets(connection, row["group_id"])
                if not targets:
                    return Pressed(ActResult.already)
                await run(connection, "wave_ask", wave=id_, items=[one.id for one in targets])
                return WaveState.asking
            case wave.CANCEL, WaveState.asking:
                await run(connection, "wave_unask", wave=id_)
                return WaveState.gathered
            case wave.CONFIRM, WaveState.asking:
                await run(connection, "wave_mark", wave=id_, **{"from": "asked", "to": "todo"})
                return WaveState.labelling
            case wave.UNDO, WaveState.labelled:
                if not wave.may_be_undone(row["labelled_at"], now):
                    return Pressed(ActResult.impossible, "It was longer than 30 minutes ago.")
                await run(connection, "wave_mark", wave=id_, **{"from": "done", "to": "undo"})
                return WaveState.undoing
            case wave.NOT_SPAM, WaveState.gathered:
                return WaveState.dismissed
        return Pressed(ActResult.already)

    async def _work(self) -> None:
        async with self._pool.connection() as connection:
            rows = await all_of(connection, "waves_living")
        for row in rows:
            if row["state"] == WaveState.labelling:
                await self._label(row)
            elif row["state"] == WaveState.undoing:
                await self._undo(row)

    async def _label(self, row: Row) -> None:
        by = Actor(row["by"], row["through"])
        items = await self._next(row["id"], "todo")
        for item in items:
            await self._episodes.relabel_item(item, by, Label.spam)
            async with self._pool.connection() as connection:
                there = await one_of(
                    connection,
                    "relabelled_since",
                    item=item,
                    by=by.person_id,
                    to=Label.spam.value,
                    since=row["labelled_at"],
                )
            done = bool(there and there["there"])
            await self._note(row["id"], item, "done" if done else "skipped")
        await self._ended(row, items, WaveState.labelled)

    async def _undo(self, row: Row) -> None:
        by = Actor(row["by"], row["through"])
        labelled = Labelled(row["labelled_by"], Label.spam, row["labelled_at"])
        items = await self._next(row["id"], "undo")
        for item in items:
            await self._episodes.unlabel_item(item, by, labelled)
            await self._note(row["id"], item, "undone")
        await self._ended(row, items, WaveState.undone)

    async def _next(self, wave_id: int, state: str) -> list[str]:
        async with self._pool.connection() as connection:
            rows = await all_of(connection, "wave_next", wave=wave_id, state=state, limit=AT_ONCE)
        return [row["item_id"] for row in rows]

    async def _note(self, wave_id: int, item: str, state: str) -> None:
        async with self._pool.connection() as connection:
            await run(connection, "wave_label_done", wave=wave_id, item=item, state=state)

    async def _ended(self, row: Row, items: list[str], then: WaveState) -> None:
        """Where that was the last of it, the wave goes on to its next state."""
        if len(items) < AT_ONCE:
            async with self._pool.connection() as connection:
                known = {"id": row["id"], "was": row["state"]}
                await run(connection, "wave_state", state=then.value, **known)
