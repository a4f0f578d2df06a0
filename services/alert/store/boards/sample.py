"""The daily digest: made once a day and place, kept with its sample, judged with one press each."""

from __future__ import annotations

from collections.abc import Callable

from psycopg.rows import DictRow

from services.alert.domain.boards import places, sample
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.domain.boards.places import Home
from services.alert.domain.boards.sample import RIGHT, WAS_A_PERSON, Day, Drawn
from services.alert.domain.routing import Facts, route_for
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.boards import keeping
from services.alert.store.rows import item_today
from services.alert.store.sql import Connection, all_of, one_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.contracts.events import Label, Urgency
from services.runtime.postgres import Pool

CLOSEST = 3
"""Chatter that is shown."""
CHATTER = "chatter"


class DailySample:
    """See services.alert.domain.boards.sample."""

    kind = BoardKind.sample

    def __init__(
        self, pool: Pool, configuration: Callable[[], Configuration], episodes: PostgresEpisodes
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._episodes = episodes

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper. Makes the digest of a day where one is due."""
        live = {board.key.brand: board for board in await keeping.live(connection, self.kind)}
        found: list[Wanted] = []
        for brand in self._configuration().brands:
            home = self._home(brand.id, writing)
            was = live.get(brand.id)
            last = await one_of(connection, "digest_last", brand=brand.id)
            if await self._make(connection, home, last, writing):
                if was is not None:
                    found.append(sample.superseded(was))
                was = None
                last = await one_of(connection, "digest_last", brand=brand.id)
            elif was is None:
                continue
            if last is not None:
                # A route that depends on the hour moves no card that stands.
                shared = places.shared(self._configuration(), last["destination"])
                home = Home(brand.id, last["destination"], shared, home.zone, home.people)
                shown = await self._shown(connection, home, brand.name, last, was)
                found += [shown] if shown else []
        return found

    async def _make(
        self, connection: Connection, home: Home, last: DictRow | None, writing: Writing
    ) -> bool:
        if not home.people:
            return False  # it waits for somebody who can judge
        due = sample.due(writing.now, home.zone, last["day"] if last else None)
        if due is None:
            return False
        day, end = due
        begin = sample.begins(end, last["end_at"] if last else None)
        made = await one_of(
            connection,
            "digest_make",
            brand=home.brand,
            destination=home.destination,
            day=day,
            begin=begin,
            end=end,
        )
        if made is None:
            return False
        await run(
            connection,
            "samples_draw",
            digest=made["id"],
            brand=home.brand,
            begin=begin,
            end=end,
            size=sample.SIZE,
        )
        await run(
            connection,
            "chatter_draw",
            digest=made["id"],
            brand=home.brand,
            begin=begin,
            end=end,
            limit=CLOSEST,
        )
        return True

    async def _shown(
        self, connection: Connection, home: Home, name: str, row: DictRow, was: Board | None
    ) -> Wanted | None:
        day = Day(row["day"], row["dropped"], row["chatter"], row["history"])
        rows = await all_of(connection, "samples_of", digest=row["id"])
        chatter = [item_today(one) for one in rows if one["drawn_label"] == CHATTER]
        drawn = [
            Drawn(item_today(one), one["drawn_label"], one["judged"])
            for one in rows
            if one["drawn_label"] != CHATTER
        ]
        return sample.digest(home, name, day, drawn, chatter, was)

    def _home(self, brand: str, writing: Writing) -> Home:
        """Where the brand's ordinary public conversations go."""
        configuration = self._configuration()
        account = next((one for one in configuration.accounts if one.brand == brand), None)
        facts = Facts(
            brand=brand,
            platform=account.platform if account else "",
            account_id=account.id if account else "",
            author_id="",
            label=Label.conversation,
            sensitive=frozenset(),
            language="und",
            urgency=Urgency.normal,
            private=False,
        )
        route = route_for(configuration, facts, writing.now)
        return places.home_of(configuration, route, brand, writing.now)

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """Was a person: a relabel like any other, which pages at once. Right: noted for the estimate."""
        ids = (target,) if target else board.content.subjects
        if act not in (WAS_A_PERSON, RIGHT) or (act == WAS_A_PERSON and not target):
            return Pressed(ActResult.unknown)
        if not set(ids) <= set(board.content.subjects):
            return Pressed(ActResult.unknown)
        if not places.may_press(self._configuration(), by.person_id, board.key.brand):
            return Pressed(ActResult.refused)
        if act == WAS_A_PERSON:
            result = await self._episodes.relabel_item(target, by, Label.conversation)
            if result not in (ActResult.done, ActResult.already):
                return Pressed(result)
        async with self._pool.connection() as connection, connection.transaction():
            (clock,) = await all_of(connection, "now")
            done = await run(
                connection, "samples_judge", items=list(ids), judged=act, by=by.person_id
            )
            writing = Writing(clock["now"])
            for item in ids if done else ():
                writing.audit(by.person_id, by.through, "sample", item=item, after={"judged": act})
            await writing.flush(connection)
        return Pressed(ActResult.done if done else ActResult.already)
