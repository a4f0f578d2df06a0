"""Compares new items with those of the last hours and keeps the groups of near-duplicates.

Invariants: apart from the fold, which it never slows or fails; one replica at a time; what was not
compared yet is remembered with the item, so that nothing is left out by a crash.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from services.alert.domain.groups import (
    NEAR,
    SHOWN_FROM,
    STRETCH,
    Component,
    Signed,
    bands,
    components,
    worth_keeping,
)
from services.alert.store.rows import as_json
from services.alert.store.sql import Connection, all_of, one_of, run
from services.runtime.postgres import Pool

BATCH = 200
"""Items compared in one transaction."""


class Grouping:
    """Finds the groups."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def round(self, limit: int = BATCH) -> int:
        """Compare the next items; how many. 0 where there are none or another replica is at it."""
        async with self._pool.connection() as connection, connection.transaction():
            (lock,) = await all_of(connection, "groups_lock")
            if not lock["mine"]:
                return 0
            rows = await all_of(connection, "to_compare", limit=limit)
            if not rows:
                return 0
            brands: dict[str, list[Signed]] = defaultdict(list)
            for row in rows:
                brands[row["brand"]].append(Signed(row["item_id"], row["similarity"]))
            for brand, fresh in brands.items():
                await self._compare(connection, brand, fresh)
            await run(connection, "compared", numbers=[row["number"] for row in rows])
        return len(rows)

    async def forget(self) -> None:
        """Drop the signatures that nothing is compared with any more."""
        async with self._pool.connection() as connection:
            await run(connection, "signatures_forget", seconds=STRETCH.total_seconds())

    async def _compare(self, connection: Connection, brand: str, fresh: Sequence[Signed]) -> None:
        known = await self._near(connection, brand, fresh)
        kept = worth_keeping(fresh, known)
        if kept:
            await run(connection, "signatures_add", rows=_rows(brand, kept))
        grouped = {one.item_id for one in known if one.group is not None}
        for component in components(fresh, known):
            await self._join(connection, brand, component, grouped)

    async def _near(
        self, connection: Connection, brand: str, fresh: Sequence[Signed]
    ) -> list[Signed]:
        rows = await all_of(
            connection,
            "signatures_near",
            rows=_rows(brand, fresh),
            seconds=STRETCH.total_seconds(),
            near=NEAR,
        )
        again = {one.item_id for one in fresh}
        return [
            Signed(row["item_id"], row["similarity"], row["group_id"])
            for row in rows
            if row["item_id"] not in again
        ]

    async def _join(
        self, connection: Connection, brand: str, component: Component, grouped: set[str]
    ) -> None:
        """Write a component down; the cards of those who joined say how many there are."""
        if component.groups:
            group, *gone = component.groups
            if gone:
                await run(connection, "groups_join", into=group, gone=gone)
        else:
            (made,) = await all_of(connection, "group_make", brand=brand)
            group = made["id"]
        joined = [item for item in component.items if item not in grouped]
        await run(connection, "alike_add", group=group, items=joined)
        count = await one_of(connection, "group_count", group=group)
        if count is None or count["people"] < SHOWN_FROM:
            return
        if count["before"] < SHOWN_FROM:
            rows = await all_of(connection, "items_alike", group=group)
            joined = [row["item_id"] for row in rows]
        episodes = await all_of(connection, "episodes_alike", items=joined)
        if episodes:
            await run(connection, "cards_rearm", episodes=[row["episode"] for row in episodes])


def _rows(brand: str, signed: Sequence[Signed]) -> str:
    return as_json(
        {
            "item_id": one.item_id,
            "brand": brand,
            "similarity": one.similarity,
            "bands": bands(one.similarity),
            "group_id": one.group,
        }
        for one in signed
    )
