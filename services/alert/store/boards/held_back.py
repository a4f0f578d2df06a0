"""Held back: read from the items, judged through the episodes' own relabelling."""

from __future__ import annotations

from collections.abc import Callable

from services.alert.domain.boards import held_back, places
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.domain.items import Item
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.boards import keeping
from services.alert.store.rows import item_today
from services.alert.store.sql import Connection, all_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.contracts.events import Label
from services.runtime.postgres import Pool

MOST = 500
"""Items read at once; beyond that the oldest come first."""


class HeldBack:
    """See services.alert.domain.boards.held_back."""

    kind = BoardKind.held_back

    def __init__(
        self, pool: Pool, configuration: Callable[[], Configuration], episodes: PostgresEpisodes
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._episodes = episodes

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper."""
        configuration, now = self._configuration(), writing.now
        rows = await all_of(connection, "items_held_back", limit=MOST)
        items = [item_today(row) for row in rows]
        waiting: dict[tuple[str, str], list[Item]] = {}
        homes: dict[tuple[str, str], places.Home] = {}
        for item in items:
            route = places.route_of(configuration, item, now)
            key = (item.brand, route.destinations[0])
            waiting.setdefault(key, []).append(item)
            if key not in homes or not homes[key].people:
                homes[key] = places.home_of(configuration, route, item.brand, now)
        for board in await keeping.live(connection, self.kind):
            key = (board.key.brand, board.key.destination)
            if key not in homes:
                shared = places.shared(configuration, key[1])
                homes[key] = places.Home(*key, shared, board.content.zone, ())
        found: list[Wanted] = []
        for key, home in homes.items():
            newest = await keeping.latest(connection, self.kind, *key)
            name = places.brand_name(configuration, home.brand)
            found += held_back.held_back(
                home, name, waiting.get(key, []), newest[0] if newest else None, now
            )
        return found

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """Release or confirm one, or all that the card counted. Each is authorised and audited alone."""
        ids = held_back.targets(board, act, target)
        release = act in (held_back.RELEASE, held_back.RELEASE_ALL)
        results = [await self._judge(one, by, release=release) for one in ids]
        if not results:
            return Pressed(ActResult.already)
        for worst in (ActResult.refused, ActResult.reason_needed):
            if worst in results:
                return Pressed(worst)
        done = results.count(ActResult.done)
        if not done:
            return Pressed(ActResult.already)
        if len(results) == 1:
            return Pressed(ActResult.done)
        verb = "released" if release else "confirmed"
        return Pressed(ActResult.done, f"{done} of {len(results)} {verb}.")

    async def _judge(self, item_id: str, by: Actor, *, release: bool) -> ActResult:
        if release:
            return await self._episodes.relabel_item(item_id, by, Label.conversation)
        async with self._pool.connection() as connection:
            rows = await all_of(connection, "item_label", item=item_id)
        if not rows:
            return ActResult.unknown
        if rows[0]["judged"]:
            return ActResult.already
        return await self._episodes.relabel_item(item_id, by, Label(rows[0]["label"]))
