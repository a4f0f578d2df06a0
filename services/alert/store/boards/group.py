"""Group cards: customers who write much the same, counted where their own cards are."""

from __future__ import annotations

from collections.abc import Callable

from services.alert.domain.boards import group, places
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.domain.boards.group import Alike
from services.alert.domain.boards.places import Home
from services.alert.domain.boards.queue import LISTED, TAKE_NEXT
from services.alert.ports import Actor, Pressed
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.boards import keeping
from services.alert.store.boards.queue import take_first
from services.alert.store.boards.waiting import take, waiting_by_place
from services.alert.store.rows import Row, item_today
from services.alert.store.sql import Connection, all_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.runtime.postgres import Pool

Where = tuple[int, str]
"""A group and a destination."""


class Groups:
    """See services.alert.domain.boards.group."""

    kind = BoardKind.group

    def __init__(
        self, pool: Pool, configuration: Callable[[], Configuration], episodes: PostgresEpisodes
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._episodes = episodes

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper. A group without a row any more was merged into another."""
        configuration = self._configuration()
        live = {
            (group.group_of(board), board.key.destination): board
            for board in await keeping.live(connection, self.kind)
        }
        rows = {
            (row["id"], row["destination"]): row
            for row in await all_of(connection, "groups_shown", people=group.FROM, first=LISTED)
        }
        found: list[Wanted] = []
        for where in sorted({*rows, *live}):
            row, board = rows.get(where), live.get(where)
            if board is None and row is not None and row["waiting"] + row["claimed"] < group.FROM:
                continue
            brand = row["brand"] if row else board.key.brand if board else ""
            shared = places.shared(configuration, where[1])
            home = Home(brand, where[1], shared, places.zone(configuration), ())
            alike = await self._alike(connection, row, writing) if row else None
            name = places.brand_name(configuration, brand)
            found += group.group(home, name, alike, board, writing.now)
        return found

    async def _alike(self, connection: Connection, row: Row, writing: Writing) -> Alike:
        upcoming = dict.fromkeys(row["next"] or (), "")
        places_of = await waiting_by_place(connection, self._configuration(), upcoming, writing.now)
        listed = {one.card.episode_id: one for here in places_of.values() for one in here}
        samples = await all_of(
            connection, "group_samples", group=row["id"], label=None, limit=group.SAMPLES
        )
        return Alike(
            row["id"],
            row["people"],
            row["waiting"],
            row["claimed"],
            row["answered"],
            row["oldest"],
            tuple(listed[one] for one in upcoming if one in listed),
            tuple(item_today(one) for one in samples),
        )

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """ "Take next" of this group, or one of those that are listed."""
        if act != TAKE_NEXT:
            return await take(self._episodes, act, target, by)
        async with self._pool.connection() as connection:
            rows = await all_of(
                connection,
                "group_next",
                group=group.group_of(board),
                destination=board.key.destination,
            )
        return await take_first(self._pool, self._episodes, [row["episode"] for row in rows], by)
