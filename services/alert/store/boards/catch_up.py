"""Catch-up: what a firing put aside, as one card a place."""

from __future__ import annotations

from collections.abc import Callable

from services.alert.domain.boards import places
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.domain.boards.catch_up import catch_up
from services.alert.domain.boards.places import Home
from services.alert.ports import Actor, Pressed
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.boards import keeping
from services.alert.store.boards.waiting import Place, take, waiting_by_place
from services.alert.store.sql import Connection, all_of, run
from services.alert.store.standings import records_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration


class CatchUp:
    """See services.alert.domain.boards.catch_up."""

    kind = BoardKind.catch_up

    def __init__(
        self, configuration: Callable[[], Configuration], episodes: PostgresEpisodes
    ) -> None:
        self._configuration = configuration
        self._episodes = episodes

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper. What has ended waits no more."""
        configuration, now = self._configuration(), writing.now
        await run(connection, "waited_forget")
        rows = await all_of(connection, "waited")
        whys = {str(row["episode"]): row["why"] for row in rows}
        waiting = await waiting_by_place(connection, configuration, whys, now)
        places_of: set[Place] = {*waiting}
        for board in await keeping.live(connection, self.kind):
            places_of.add((board.key.brand, board.key.destination))
        found: list[Wanted] = []
        for brand, destination in sorted(places_of):
            here = waiting.get((brand, destination), [])
            newest = await keeping.latest(connection, self.kind, brand, destination)
            home = await self._home(connection, brand, destination, whys, writing)
            name = places.brand_name(configuration, brand)
            found += catch_up(home, name, here, newest[0] if newest else None, now)
        return found

    async def _home(
        self,
        connection: Connection,
        brand: str,
        destination: str,
        ids: dict[str, str],
        writing: Writing,
    ) -> Home:
        """Everybody who is on call now for one of the routes that the episodes took."""
        configuration = self._configuration()
        records = (await records_of(connection, ids)).values() if ids else ()
        taken = {one.route for one in records if one.destinations[0] == destination}
        people: list[str] = []
        for route in configuration.routes:
            if route.id in taken:
                home = places.home_of(configuration, route, brand, writing.now, further=True)
                people += home.people
        return Home(
            brand,
            destination,
            places.shared(configuration, destination),
            places.zone(configuration),
            tuple(dict.fromkeys(people)),
        )

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """ "I take it"."""
        return await take(self._episodes, act, target, by)
