"""Look-alikes: noted as they are folded, shown beside their victims' cards, judged by people."""

from __future__ import annotations

from collections.abc import Callable

from services.alert.domain.boards import impersonation, places
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.domain.boards.impersonation import JUDGED, Impostor
from services.alert.domain.boards.places import Home
from services.alert.domain.cards import one_line
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.boards import keeping
from services.alert.store.rows import item_today
from services.alert.store.sql import Connection, all_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.runtime.postgres import Pool

Place = tuple[str, str, str]
"""A brand, a destination, and the look-alike's author id."""


class Impersonation:
    """See services.alert.domain.boards.impersonation."""

    kind = BoardKind.impersonation

    def __init__(self, pool: Pool, configuration: Callable[[], Configuration]) -> None:
        self._pool = pool
        self._configuration = configuration

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper."""
        configuration = self._configuration()
        rows = await all_of(connection, "impostors_found")
        live = await keeping.live(connection, self.kind)
        if not rows and not live:
            return []
        homes: dict[Place, Home] = {}
        found: dict[Place, list[Impostor]] = {}
        for row in rows:
            item = item_today(row)
            route = places.route_of(configuration, item, writing.now)
            home = places.home_of(configuration, route, item.brand, writing.now)
            if row["destination"]:
                shared = places.shared(configuration, row["destination"])
                home = Home(item.brand, row["destination"], shared, home.zone, home.people)
            key = (home.brand, home.destination, item.author_id)
            homes.setdefault(key, home)
            account = configuration.account(item.platform, row["impersonates"])
            name = one_line(row["victim_name"] or row["victim_handle"] or "a customer")
            shown = (account.handle if account else None) or row["impersonates"]
            found.setdefault(key, []).append(Impostor(item, name, shown, row["url"]))
        standing = {self._place(board): board for board in live}
        wanted = []
        for key, home in homes.items():
            wanted += impersonation.impersonation(
                home, key[2], found[key], standing.get(key), writing.now
            )
        for key, board in standing.items():
            if key not in homes:
                wanted.append(await self._over(connection, board))
        return wanted

    @staticmethod
    def _place(board: Board) -> Place:
        # The instant behind the author's id holds colons too, but of a known length.
        author = board.key.period[: -len(board.made_at.isoformat()) - 1]
        return board.key.brand, board.key.destination, author

    async def _over(self, connection: Connection, board: Board) -> Wanted:
        rows = await all_of(connection, "impostors_judged", items=list(board.content.subjects))
        judged = rows[0]["judged"] if rows else ""
        person = self._configuration().person(rows[0]["judged_by"]) if rows else None
        return impersonation.over(board, judged, person.name if person else "")

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """Judge the look-alike: all of its messages on the card."""
        if act not in JUDGED:
            return Pressed(ActResult.unknown)
        if not places.may_press(self._configuration(), by.person_id, board.key.brand):
            return Pressed(ActResult.refused)
        async with self._pool.connection() as connection, connection.transaction():
            (clock,) = await all_of(connection, "now")
            items = list(board.content.subjects)
            done = await run(
                connection, "impostors_judge", items=items, judged=act, by=by.person_id
            )
            writing = Writing(clock["now"])
            for item in items if done else ():
                writing.audit(
                    by.person_id, by.through, "impostor", item=item, after={"judged": act}
                )
            await writing.flush(connection)
        return Pressed(ActResult.done if done else ActResult.already)
