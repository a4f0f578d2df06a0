"""Incidents: suggested from what came, declared, joined and ended by people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from services.alert.domain import routing
from services.alert.domain.boards import incident, places
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.domain.boards.group import Alike
from services.alert.domain.boards.incident import Incident, IncidentState
from services.alert.domain.boards.places import Home
from services.alert.domain.cards import cut, one_line
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.boards import keeping
from services.alert.store.rows import Row, item_today, storable
from services.alert.store.sql import Connection, all_of, one_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.contracts.events import Label, Urgency
from services.runtime.postgres import Pool

NAME = 60
"""Characters of an incident's name."""
LOOKED = timedelta(seconds=30)
"""So often arrivals are counted."""
BEFORE = timedelta(hours=1)
"""What came so long before it was noticed belongs to it."""


class Incidents:
    """See services.alert.domain.boards.incident."""

    kind = BoardKind.incident

    def __init__(self, pool: Pool, configuration: Callable[[], Configuration]) -> None:
        self._pool = pool
        self._configuration = configuration
        self._looked: datetime | None = None

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper."""
        if self._looked is None or writing.now - self._looked >= LOOKED:
            self._looked = writing.now
            for brand in self._configuration().brands:
                await self._suggest(connection, brand.id, writing.now)
        live = {board.key.period: board for board in await keeping.live(connection, self.kind)}
        found: list[Wanted] = []
        for row in await all_of(connection, "incidents_shown"):
            board = live.get(str(row["id"]))
            standing = row["state"] in (IncidentState.suggested, IncidentState.declared)
            if board is None and not standing:
                continue
            home = self._home(row["brand"], board, writing.now)
            name = places.brand_name(self._configuration(), row["brand"])
            stands = await self._incident(connection, row)
            found += incident.incident(home, name, stands, board, writing.now)
        return found

    async def _suggest(self, connection: Connection, brand: str, now: datetime) -> None:
        lately = await one_of(
            connection,
            "incident_dismissed_lately",
            brand=brand,
            seconds=incident.QUIET.total_seconds(),
        )
        if lately and lately["lately"]:
            return
        stretch = incident.STRETCH.total_seconds()
        rows = await all_of(connection, "arrivals", brand=brand, seconds=stretch)
        group = await one_of(connection, "groups_came", brand=brand, seconds=stretch)
        usual = [row["came"] for row in rows[1:] if row["known"]]
        says = incident.surge(rows[0]["came"], usual, group["people"] if group else 0)
        if says is None:
            return
        zone = places.zone(self._configuration())
        name = f"Surge at {places.at_clock(now, zone)}"
        await run(connection, "incident_suggest", brand=brand, title=name, says=says)

    def _home(self, brand: str, board: Board | None, now: datetime) -> Home:
        configuration = self._configuration()
        account = next((one for one in configuration.accounts if one.brand == brand), None)
        facts = routing.Facts(
            brand=brand,
            platform=account.platform if account else "",
            account_id=account.id if account else "",
            author_id="",
            label=Label.conversation,
            sensitive=frozenset(),
            language="und",
            urgency=Urgency.high,
            private=False,
        )
        route = routing.route_for(configuration, facts, now)
        home = places.home_of(configuration, route, brand, now)
        if board is None:
            return home
        shared = places.shared(configuration, board.key.destination)
        return Home(brand, board.key.destination, shared, home.zone, home.people)

    async def _incident(self, connection: Connection, row: Row) -> Incident:
        standing = row["state"] in (IncidentState.suggested, IncidentState.declared)
        topics: list[Alike] = []
        if standing:
            since = row["made_at"] - BEFORE
            found = await all_of(connection, "incident_topics", brand=row["brand"], since=since)
            topics = [await self._topic(connection, topic) for topic in found]
        return Incident(
            id=row["id"],
            name=row["name"],
            state=IncidentState(row["state"]),
            says=row["says"] or "",
            since=row["declared_at"] or row["made_at"],
            by=self._name(row["by"]),
            declared_by=self._name(row["declared_by"]),
            people=tuple(self._name(one) for one in row["people"]),
            topics=tuple(topics),
        )

    @staticmethod
    async def _topic(connection: Connection, row: Row) -> Alike:
        samples = []
        if row["id"] is not None:
            samples = await all_of(
                connection, "group_samples", group=row["id"], label=None, limit=1
            )
        return Alike(
            row["id"] or 0,
            row["people"],
            row["waiting"],
            row["claimed"],
            row["answered"],
            row["oldest"],
            samples=tuple(item_today(one) for one in samples),
        )

    def _name(self, person_id: str | None) -> str:
        person = self._configuration().person(person_id) if person_id else None
        return person.name if person else person_id or ""

    async def declare(self, name: str, by: Actor, brand: str | None = None) -> Pressed:
        """See ports.Incidents."""
        chosen = brand or self._only_brand(by.person_id)
        if chosen is None:
            return Pressed(ActResult.impossible, "Say for which brand.")
        if not places.may_press(self._configuration(), by.person_id, chosen):
            return Pressed(ActResult.refused)
        words = cut(one_line(storable(name) or ""), NAME)
        async with self._pool.connection() as connection, connection.transaction():
            (clock,) = await all_of(connection, "now")
            writing = Writing(clock["now"])
            row = await one_of(
                connection,
                "incident_declare",
                brand=chosen,
                title=words or "Incident",
                by=by.person_id,
            )
            if row is None:
                return Pressed(ActResult.already, "An incident is declared already.")
            await run(connection, "incident_begin", id=row["id"])
            self._audit(writing, by, row, {"state": "declared", "name": row["name"]})
            await writing.flush(connection)
        return Pressed(ActResult.done, f"Declared: {row['name']}.")

    def _only_brand(self, person_id: str) -> str | None:
        person = self._configuration().person(person_id)
        brands = [one.id for one in self._configuration().brands]
        if person is not None and person.brands:
            brands = [one for one in brands if one in person.brands]
        return brands[0] if len(brands) == 1 else None

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """Declare, dismiss, join, leave, end: each is authorised and audited."""
        if not places.may_press(self._configuration(), by.person_id, board.key.brand):
            return Pressed(ActResult.refused)
        async with self._pool.connection() as connection, connection.transaction():
            (clock,) = await all_of(connection, "now")
            writing = Writing(clock["now"])
            row = await one_of(connection, "incident_lock", id=int(board.key.period))
            if row is None:
                return Pressed(ActResult.unknown)
            after = _after(row, act, by.person_id)
            if after is None:
                return Pressed(ActResult.already)
            state, people = after
            if act == incident.DECLARE:
                await run(
                    connection,
                    "incident_declare",
                    brand=row["brand"],
                    title=row["name"],
                    by=by.person_id,
                )
                await run(connection, "incident_begin", id=row["id"])
            else:
                await run(
                    connection,
                    "incident_put",
                    id=row["id"],
                    state=state.value,
                    by=by.person_id,
                    people=people,
                )
            self._audit(writing, by, row, {"state": state.value, "people": people})
            await writing.flush(connection)
        return Pressed(ActResult.done)

    @staticmethod
    def _audit(writing: Writing, by: Actor, row: Row, after: dict[str, object]) -> None:
        writing.audit(
            by.person_id,
            by.through,
            "incident",
            before={
                "incident": row["id"],
                "state": row["state"],
                "people": row["people"],
            },
            after={"incident": row["id"], **after},
        )


def _after(row: Row, act: str, person: str) -> tuple[IncidentState, list[str]] | None:
    """The state and the people after a press; None where it changes nothing."""
    state, people = IncidentState(row["state"]), list(row["people"])
    match act, state:
        case incident.DECLARE, IncidentState.suggested:
            return IncidentState.declared, people
        case incident.DISMISS, IncidentState.suggested:
            return IncidentState.dismissed, people
        case incident.END, IncidentState.declared:
            return IncidentState.ended, people
        case incident.JOIN, IncidentState.declared if person not in people:
            return state, [*people, person]
        case incident.LEAVE, IncidentState.declared if person in people:
            return state, [one for one in people if one != person]
    return None
