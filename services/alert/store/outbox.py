"""The outbox over PostgreSQL: what `services.alert.ports.Outbox` promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import DictRow

from services.alert.domain.advancing import came_straight
from services.alert.domain.boards.board import gone_home as boards_gone_home
from services.alert.domain.card import gone_home as card_gone_home
from services.alert.domain.cards import HEADLINE, cut, one_line
from services.alert.domain.contact_ways import chat_id
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import Record
from services.alert.metrics import AlertMetrics
from services.alert.ports import Delivery, DeliveryReason, MessageRef, PersonRef, Purpose
from services.alert.store.boards.keeping import board_of, ref_of
from services.alert.store.lines import line_of, ours
from services.alert.store.rows import Row
from services.alert.store.sql import Connection, all_of, one_of, run
from services.alert.store.standing_in import StandIns
from services.alert.store.standings import card_at, doing_of, is_shared, messages_of, records_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration
from services.contracts.events import EpisodeChange
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)

LEASE = timedelta(seconds=30)
"""Longer than any attempt (8 s to look, 8 s to send, a few for the pace): a lease that runs out belonged to a
process that died. Its page comes so much later at most. One that was only slow finds its row's attempt
counted on, and does not send."""


Boards = Mapping[str, DictRow]
"""By id."""
Copies = Mapping[tuple[str, str], MessageRef | None]
"""Where boards stand in for themselves in another place, by board and destination."""


@dataclass(frozen=True, slots=True)
class _World:
    """What the rows that were taken are drawn from."""

    records: dict[str, Record]
    items: dict[str, list[Item]]
    doing: dict[str, list[Row]]
    refs: dict[tuple[str, str], MessageRef]
    lines: dict[str, Row]
    posts: dict[tuple[str, str, str], MessageRef]


class PostgresOutbox:
    """Leases rows, hands them out with the card as it is now, and records what became of them."""

    def __init__(
        self,
        pool: Pool,
        configuration: Callable[[], Configuration],
        metrics: AlertMetrics,
        may_page: Callable[[], bool] = lambda: True,
    ) -> None:
        """`may_page`: whether enough is known to wake somebody; until then pages stay where they are."""
        self._may_page = may_page
        self._pool = pool
        self._configuration = configuration
        self._metrics = metrics
        self._stand_ins = StandIns(pool, configuration)

    async def take(self, limit: int, destination: str | None = None) -> list[Delivery]:
        """See ports.Outbox."""
        async with self._pool.connection() as connection, connection.transaction():
            await run(connection, "outbox_cancel_pages", destination=destination)
            rows = await all_of(
                connection,
                "outbox_take",
                destination=destination,
                limit=limit,
                pages=self._may_page(),
                lease=LEASE.total_seconds(),
            )
            if not rows:
                return []
            ids = list({str(row["episode"]) for row in rows if row["episode"] is not None})
            records = await records_of(connection, ids)
            items = await messages_of(connection, ids)
            (clock,) = await all_of(connection, "now")
            about = [str(row["board"]) for row in rows if row["board"] is not None]
            found = await all_of(connection, "boards_by_ids", ids=about) if about else []
            boards = {str(row["id"]): row for row in found}
            copies = {
                (str(row["board"]), row["destination"]): ref_of(row)
                for row in (
                    await all_of(connection, "board_copies_of", boards=about) if about else []
                )
            }
            refs = {
                (str(row["episode"]), row["destination"]): MessageRef(
                    row["channel"], row["message"], row["url"]
                )
                for row in await all_of(connection, "cards_of", episodes=ids)
            }
            world = _World(
                records,
                items,
                await doing_of(connection, ids),
                refs,
                await ours(connection, [row["target"] for row in rows]),
                {
                    (str(row["episode"]), row["destination"], row["target"]): MessageRef(
                        row["channel"], row["message"]
                    )
                    for row in await all_of(connection, "thread_posts_of", episodes=ids)
                },
            )
        order = {purpose: place for place, purpose in enumerate(("card", "page", "thread", "told"))}
        rows.sort(
            key=lambda row: (row["rank"], row["answer_due"], row["due_at"], order[row["purpose"]])
        )
        now: datetime = clock["now"]
        drawn = [await self._drawn(row, boards, copies, world, now) for row in rows]
        return [replace(delivery, taken_at=now) for delivery in drawn if delivery is not None]

    async def _drawn(
        self, row: DictRow, boards: Boards, copies: Copies, world: _World, now: datetime
    ) -> Delivery | None:
        """None for a row that cannot be drawn: it is given up, and holds up none of the others."""
        try:
            if row["board"] is not None:
                return self._of_board(row, boards[str(row["board"])], copies)
            return self._delivery(row, world, now)
        except Exception:
            log.exception("a message could not be drawn", delivery_id=str(row["id"]))
        async with self._pool.connection() as connection, connection.transaction():
            given_up = {
                "reason": DeliveryReason.invalid.value,
                "retry_at": None,
                "ambiguous": False,
            }
            await run(connection, "outbox_failed", id=row["id"], attempt=row["attempt"], **given_up)
        return None

    def _of_board(
        self,
        row: DictRow,
        board: DictRow,
        copies: Copies,
    ) -> Delivery:
        page = row["purpose"] == Purpose.page.value
        # A copy in another place (its own failed) is never taken for the board's own message.
        home = row["destination"] == board["destination"]
        shown = board_of(board)
        if row["moved_to"] is not None and not shown.content.over:
            shown = boards_gone_home(shown, row["moved_to"])
        return Delivery(
            id=str(row["id"]),
            episode_id="",
            destination=row["destination"],
            purpose=Purpose(row["purpose"]),
            attempt=row["attempt"],
            ambiguous=row["ambiguous"],
            first_tried_at=row["first_tried_at"],
            card_ref=ref_of(board) if home else copies.get((shown.id, row["destination"])),
            person=_person(self._configuration(), row["target"], row["destination"])
            if page
            else None,
            text=row["text"],
            board=shown,
        )

    def _delivery(self, row: DictRow, world: _World, now: datetime) -> Delivery:
        configuration = self._configuration()
        episode, destination = str(row["episode"] or ""), row["destination"]
        purpose = Purpose(row["purpose"])
        record, said = world.records.get(episode), world.items.get(episode, [])
        card = None
        if record is not None and said:
            doing = world.doing.get(episode, ())
            card = card_at(record, said, configuration, destination, now, doing)
            if row["moved_to"] is not None and record.live:
                card = card_gone_home(card, row["moved_to"])
        text = row["text"]
        if purpose is Purpose.page and text and card is not None:
            # Asked for by a person: its own words come first on the lock screen.
            card = replace(card, headline=cut(one_line(f"{text} · {card.headline}"), HEADLINE))
        if purpose is Purpose.told and card is not None:
            text = f"{text} {card.headline}"
        return Delivery(
            id=str(row["id"]),
            episode_id=episode,
            destination=destination,
            purpose=purpose,
            attempt=row["attempt"],
            ambiguous=row["ambiguous"],
            first_tried_at=row["first_tried_at"],
            card=card,
            card_ref=world.refs.get((episode, destination)),
            line=line_of(
                row["target"],
                said,
                world.lines,
                shared=is_shared(configuration, destination),
                mentioned=_mentioned(configuration, world.lines.get(row["target"]), destination),
            )
            if purpose is Purpose.thread
            else None,
            line_ref=world.posts.get((episode, destination, row["target"])),
            person=_person(configuration, row["target"], destination)
            if purpose is Purpose.page
            else None,
            text=text,
            at_home=record is not None and destination in record.destinations,
        )

    async def still_due(self, delivery: Delivery) -> bool:
        """See ports.Outbox. Waits for a change of the conversation that is under way."""
        async with self._pool.connection() as connection, connection.transaction():
            if delivery.purpose in (Purpose.page, Purpose.told):
                await self._hold(connection, delivery)
            mine = await one_of(
                connection, "outbox_begin", id=delivery.id, attempt=delivery.attempt
            )
        return mine is not None

    async def _hold(self, connection: Connection, delivery: Delivery) -> None:
        """Lock the conversation of a page or a step's line; it may be merged into another meanwhile."""
        locked = None
        while True:
            home = await one_of(connection, "outbox_home", id=delivery.id)
            if home is None or home["conversation"] == locked:
                return
            locked = home["conversation"]
            await one_of(connection, "conversation_hold", id=locked)

    async def sent(self, delivery: Delivery, ref: MessageRef | None) -> None:
        """See ports.Outbox."""
        async with self._pool.connection() as connection, connection.transaction():
            done = await one_of(connection, "outbox_sent", id=delivery.id)
            if done is not None and delivery.board is not None:
                await self._board_sent(connection, delivery, ref)
            if done is None or not delivery.episode_id:
                return
            if delivery.purpose is Purpose.card:
                first = await self._card_stands(connection, delivery, ref)
                if first is not None:
                    self._metrics.card_delivered(first, done["now"])
            elif delivery.purpose is Purpose.thread and ref is not None:
                await run(
                    connection,
                    "thread_post_put",
                    episode=delivery.episode_id,
                    destination=delivery.destination,
                    target=done["target"],
                    channel=ref.channel,
                    message=ref.id,
                )
            elif delivery.purpose is Purpose.page:
                self._metrics.paged(delivery.destination)
                if done["call"] != "promise":  # which pages for no question
                    await self._paged(connection, delivery, done["now"])

    async def _board_sent(
        self, connection: Connection, delivery: Delivery, ref: MessageRef | None
    ) -> None:
        assert delivery.board is not None
        if delivery.purpose is Purpose.card:
            place = {
                "board": delivery.board.id,
                "destination": delivery.destination,
                "channel": ref.channel if ref else "",
                "message": ref.id if ref else "",
                "url": ref.url if ref else None,
            }
            if delivery.destination == delivery.board.key.destination:
                await run(connection, "board_stands", **place)
                await self._at_home(connection, delivery, board=delivery.board.id)
            else:
                await run(connection, "board_copy_put", **place)
        elif delivery.purpose is Purpose.page:
            self._metrics.paged(delivery.destination)

    @staticmethod
    async def _at_home(
        connection: Connection,
        delivery: Delivery,
        *,
        episode: str | None = None,
        board: str | None = None,
    ) -> None:
        """It stands in a place of its own: copies elsewhere say so, and rest."""
        home = delivery.destination
        await run(connection, "copies_home", home=home, episode=episode, board=board)

    async def _card_stands(
        self, connection: Connection, delivery: Delivery, ref: MessageRef | None
    ) -> Record | None:
        """Remember where the card stands; the episode, if this first card anywhere came straight."""
        put = await one_of(
            connection,
            "card_put",
            episode=delivery.episode_id,
            destination=delivery.destination,
            channel=ref.channel if ref else "",
            message=ref.id if ref else "",
            url=ref.url if ref else None,
        )
        only = await one_of(connection, "card_first", episode=delivery.episode_id)
        if delivery.at_home:
            await self._at_home(connection, delivery, episode=delivery.episode_id)
        if not (put and put["first"] and only and only["first"]):
            return None
        episode = delivery.episode_id
        record = (await records_of(connection, [episode])).get(episode)
        said = (await messages_of(connection, [episode])).get(episode, [])
        return record if record is not None and came_straight(record, said) else None

    async def _paged(self, connection: Connection, delivery: Delivery, now: datetime) -> None:
        records = await records_of(connection, [delivery.episode_id])
        if await run(connection, "episode_paged", id=delivery.episode_id):
            writing = Writing(now)
            record = records[delivery.episode_id]
            person = delivery.person.id if delivery.person else None
            writing.announce_change(record, EpisodeChange.paged, now, person)
            await writing.flush(connection)

    async def failed(
        self,
        delivery: Delivery,
        reason: DeliveryReason,
        *,
        retry_at: datetime | None,
        ambiguous: bool,
    ) -> None:
        """See ports.Outbox. What is given up for one destination goes to another, and is told there."""
        async with self._pool.connection() as connection, connection.transaction():
            row = await one_of(
                connection,
                "outbox_failed",
                id=delivery.id,
                attempt=delivery.attempt,
                reason=reason.value,
                retry_at=retry_at,
                ambiguous=ambiguous,
            )
            if row is None or retry_at is not None or reason is DeliveryReason.no_longer_due:
                return
            await self._stand_ins.given_up(connection, row, reason)

    async def down(self, destination: str, reason: DeliveryReason) -> int:
        """See ports.Outbox."""
        return await self._stand_ins.down(destination, reason)

    async def abandon(self, configured: Sequence[str]) -> int:
        """What waits for a destination that left the configuration goes elsewhere; how many rows went."""
        return await self._stand_ins.abandon(configured)

    async def up(self, destination: str) -> None:
        """See ports.Outbox."""
        await self._stand_ins.up(destination)


def _person(configuration: Configuration, person_id: str, destination: str) -> PersonRef:
    person: Any = configuration.person(person_id)
    if person is None:
        return PersonRef(person_id, person_id, None)
    kind = next((one.kind for one in configuration.destinations if one.id == destination), None)
    return PersonRef(person.id, person.name, chat_id(person, kind))


def _mentioned(
    configuration: Configuration, line: Row | None, destination: str
) -> PersonRef | None:
    if line is None or line["mention"] is None:
        return None
    return _person(configuration, line["mention"], destination)
