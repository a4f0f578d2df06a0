"""Handoffs: noticed when somebody else is on call, shown with what is open, taken over by a press."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from psycopg.rows import DictRow

from services.alert.domain import rota as rotas
from services.alert.domain.boards import handoff, places
from services.alert.domain.boards.board import Board, BoardKind, Wanted, ended
from services.alert.domain.boards.handoff import Handoff, Promise
from services.alert.domain.boards.waiting import Waiting
from services.alert.domain.card import CardState
from services.alert.domain.lifecycle import Record
from services.alert.ports import Actor, ActResult, Pressed, Purpose
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.boards import keeping
from services.alert.store.boards.waiting import Place, waiting_by_place
from services.alert.store.refold import hold
from services.alert.store.sql import Connection, all_of, one_of, run
from services.alert.store.standings import records_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration, Policy
from services.contracts.events import EpisodeChange
from services.runtime.postgres import Pool

MOST = 300
"""Open episodes looked at; the most pressing come first."""


class Handoffs:
    """See services.alert.domain.boards.handoff."""

    kind = BoardKind.handoff

    def __init__(
        self, pool: Pool, configuration: Callable[[], Configuration], episodes: PostgresEpisodes
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._episodes = episodes

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper. Also remembers who is on call."""
        await self._look(connection, writing)
        rows = await all_of(
            connection, "handoffs_lately", seconds=handoff.LASTS.total_seconds() + 600
        )
        if not rows:
            return []
        found: list[Wanted] = []
        latest: dict[str, Handoff] = {}
        for row in rows:
            one = Handoff(row["rota"], row["outgoing"], row["incoming"], row["at"])
            if one.rota in latest:
                found += await self._superseded(connection, latest[one.rota])
            latest[one.rota] = one
        for one in latest.values():
            found += await self._cards(connection, one, writing)
        return found

    async def _look(self, connection: Connection, writing: Writing) -> None:
        configuration, now = self._configuration(), writing.now
        known = {row["rota"]: row for row in await all_of(connection, "watches")}
        for rota in configuration.rotas:
            held = rotas.on_call(rota, now)
            person = held.person if held else None
            was = known.get(rota.id)
            shut = rotas.closed(rota, configuration.hours, now)
            outgoing = was["person"] if was else None
            if person is None or (outgoing != person and was is not None and shut):
                continue
            if outgoing != person:
                await run(connection, "watch_put", rota=rota.id, person=person, at=now)
            if handoff.changed(outgoing, person, closed=shut):
                await run(
                    connection,
                    "handoff_add",
                    rota=rota.id,
                    outgoing=outgoing,
                    incoming=person,
                    at=now,
                )
                writing.audit(
                    "system",
                    "rota",
                    "handoff",
                    before={"rota": rota.id, "on_call": outgoing},
                    after={"rota": rota.id, "on_call": person},
                )

    async def _superseded(self, connection: Connection, one: Handoff) -> list[Wanted]:
        return [
            Wanted(board.key, ended(board.content, "Handed off again: see the newer card"))
            for board in await keeping.live(connection, self.kind)
            if board.key.period == one.period
        ]

    async def _cards(self, connection: Connection, one: Handoff, writing: Writing) -> list[Wanted]:
        configuration = self._configuration()
        whys = await self._open(connection, one)
        owed = await self._owed(connection, one)
        waiting = await waiting_by_place(
            connection,
            configuration,
            whys | dict.fromkeys(owed, ""),
            writing.now,
            also_ended=owed,
        )
        rows = await all_of(connection, "handoff_promises", episodes=list(whys))
        rows += owed.values()
        promises = {
            str(row["episode"]): Promise(
                row["what"], row["due_at"], _name(configuration, row["by"])
            )
            for row in rows
        }
        boards = {
            (board.key.brand, board.key.destination): board
            for board in await keeping.live(connection, self.kind)
            if board.key.period == one.period
        }
        names = (_name(configuration, one.outgoing), _name(configuration, one.incoming))
        zone = places.zone(configuration)
        found: list[Wanted] = []
        every: list[Place] = sorted({*waiting, *boards})
        for place in every:
            here: list[Waiting] = waiting.get(place, [])
            was = boards.get(place) or await self._over(connection, one, place)
            found += handoff.handoff(one, names, place, zone, here, promises, was, writing.now)
        return found

    async def _over(self, connection: Connection, one: Handoff, place: Place) -> Board | None:
        newest = await keeping.latest(connection, self.kind, *place, limit=5)
        return next((board for board in newest if board.key.period == one.period), None)

    async def _open(self, connection: Connection, one: Handoff) -> dict[str, str]:
        """The rota's open episodes that are not the incoming person's own."""
        rows = await all_of(connection, "episodes_open", limit=MOST)
        ids = [str(row["id"]) for row in rows if row["shows"] == "card"]
        records = await records_of(connection, ids)
        return {
            record.id: ""
            for record in records.values()
            if _asks(record.policy, one.rota) and record.claimed_by in (None, one.outgoing)
        }

    async def _owed(self, connection: Connection, one: Handoff) -> dict[str, DictRow]:
        """The outgoing person's promises in matters of this rota that are answered already."""
        rows = await all_of(connection, "handoff_owed", person=one.outgoing)
        found = {str(row["episode"]): row for row in rows}
        records = await records_of(connection, found) if found else {}
        return {
            episode: row
            for episode, row in found.items()
            if episode in records and _asks(records[episode].policy, one.rota)
        }

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """Take one, or all that the card lists: what the outgoing person had claimed is released first."""
        ids = board.content.subjects if act == handoff.TAKE_ALL else (target,)
        if act not in (handoff.TAKE_ALL, handoff.TAKE_OVER) or not set(ids) <= set(
            board.content.subjects
        ):
            return Pressed(ActResult.unknown)
        configuration = self._configuration()
        if not places.may_press(configuration, by.person_id, board.key.brand):
            return Pressed(ActResult.refused)
        results = []
        for one in ids:
            await self._release(one, board, by)
            results.append(await self._episodes.claim(one, by))
        taken = results.count(ActResult.done)
        if len(results) == 1:
            return Pressed(results[0])
        result = ActResult.done if taken else ActResult.already
        return Pressed(result, f"{taken} of {len(results)} are yours.")

    async def _release(self, episode_id: str, board: Board, by: Actor) -> None:
        """A claim of somebody who went off shift ends; anybody else's stays theirs."""
        async with self._pool.connection() as connection, connection.transaction():
            row = await one_of(connection, "handoff_of", period=board.key.period)
            home = await one_of(connection, "conversation_of_episode", id=episode_id)
            if row is None or home is None or by.person_id == row["outgoing"]:
                return
            held = (await hold(connection, [home["id"]])).get(home["id"])
            record = (
                next((one for one in held.records if one.id == episode_id), None) if held else None
            )
            if record is None or not _claimed_by(record, row["outgoing"]):
                return
            (clock,) = await all_of(connection, "now")
            writing = Writing(clock["now"])
            free = replace(
                record,
                state=CardState.open,
                claimed_by=None,
                claim_until=None,
                version=record.version + 1,
            )
            writing.records[free.id] = free
            for destination in free.destinations if free.has_card else ():
                writing.send(free, destination, Purpose.card, "card")
            writing.announce_change(free, EpisodeChange.released, writing.now, record.claimed_by)
            writing.audit(
                by.person_id,
                by.through,
                "handoff_released",
                episode=record.id,
                before={"claimed_by": record.claimed_by},
                after={"claimed_by": None},
            )
            await writing.flush(connection)


def _claimed_by(record: Record, person: str) -> bool:
    return record.state is CardState.claimed and record.claimed_by == person


def _asks(policy: Policy, rota: str) -> bool:
    targets = [target for step in policy.steps for target in step.targets]
    return any(target.rota == rota for target in targets)


def _name(configuration: Configuration, person_id: str) -> str:
    person = configuration.person(person_id)
    return person.name if person else person_id
