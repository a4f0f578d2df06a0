"""The queue cards: who was pinged often enough, and what waits for them."""

from __future__ import annotations

from collections.abc import Callable

from services.alert.domain.boards import places, queue
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.domain.boards.places import Home
from services.alert.domain.boards.queue import TAKE_NEXT, Queue
from services.alert.domain.boards.waiting import Waiting
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.boards import keeping
from services.alert.store.boards.waiting import take, waiting_by_place
from services.alert.store.sql import Connection, all_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.runtime.postgres import Pool

Line = tuple[str, str, str]
"""A brand, a destination and a person."""


class Queues:
    """See services.alert.domain.boards.queue."""

    kind = BoardKind.queue

    def __init__(
        self, pool: Pool, configuration: Callable[[], Configuration], episodes: PostgresEpisodes
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._episodes = episodes

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper. What has an owner or an end waits no more."""
        configuration, now = self._configuration(), writing.now
        await run(connection, "queued_forget")
        rows = await all_of(connection, "queued", first=queue.LISTED)
        shown = {one: "" for row in rows for one in row["next"]}
        listed: dict[str, Waiting] = {}
        for here in (await waiting_by_place(connection, configuration, shown, now)).values():
            listed |= {one.card.episode_id: one for one in here}
        waits: dict[Line, Queue] = {}
        for row in rows:
            person = configuration.person(row["person"])
            waits[row["brand"], row["destination"], row["person"]] = Queue(
                row["person"],
                person.name if person else row["person"],
                row["many"],
                row["oldest"],
                tuple(listed[one] for one in row["next"] if one in listed),
            )
        live = {self._line(board): board for board in await keeping.live(connection, self.kind)}
        found: list[Wanted] = []
        for line in sorted({*waits, *live}):
            brand, destination, _ = line
            shared = places.shared(configuration, destination)
            home = Home(brand, destination, shared, places.zone(configuration), ())
            found += queue.queue(home, waits.get(line), live.get(line), now)
        return found

    @staticmethod
    def _line(board: Board) -> Line:
        return board.key.brand, board.key.destination, queue.queue_of(board)

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """ "Take next" is a claim of the first that is still free, for whoever presses."""
        if act != TAKE_NEXT:
            return await take(self._episodes, act, target, by)
        brand, destination, person = self._line(board)
        async with self._pool.connection() as connection:
            rows = await all_of(
                connection, "queue_next", person=person, brand=brand, destination=destination
            )
        return await take_first(self._pool, self._episodes, [row["episode"] for row in rows], by)


async def take_first(pool: Pool, episodes: PostgresEpisodes, ids: list[str], by: Actor) -> Pressed:
    """Claim the first of these that nobody has; says whose it is and where its card stands."""
    for episode in ids:
        result = await episodes.claim(episode, by)
        if result is ActResult.refused:
            return Pressed(result)
        if result is not ActResult.done:
            continue  # somebody was quicker: the next one
        card = await episodes.card(episode)
        async with pool.connection() as connection:
            refs = await all_of(connection, "cards_of", episodes=[episode])
        url = next((row["url"] for row in refs if row["url"]), None)
        says = f"Yours: {card.who}" if card else "It is yours"
        return Pressed(ActResult.done, f"{says}. {url}" if url else f"{says}.", episode)
    return Pressed(ActResult.already, "Nobody waits here any more: all of them were taken.")
