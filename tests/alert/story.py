"""Stories on a real PostgreSQL: events come in, time is moved, and a room notes what it was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry

from services.alert.boards import LiveBoards
from services.alert.domain.boards.board import Board, BoardKind
from services.alert.domain.card import Card
from services.alert.metrics import AlertMetrics
from services.alert.ports import Actor, Delivery, MessageRef, Purpose
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.answering import Outgoing
from services.alert.store.answers import Answers
from services.alert.store.boards.kinds import open_keepers
from services.alert.store.doings import Doings
from services.alert.store.escalating import Escalating
from services.alert.store.folding import Folding
from services.alert.store.grouping import Grouping
from services.alert.store.inbox import Inbox, Position, RawEvent
from services.alert.store.next_ways import NextWays
from services.alert.store.outbox import PostgresOutbox
from services.alert.store.reminders import Reminders
from services.contracts.configuration import Configuration
from services.contracts.events import ClassifiedNotification, Outcome, OutcomeState, Reply
from services.runtime.postgres import Pool, create_pool, migrate
from tests.alert.builders import at, configuration

MIA = Actor("mia", "slack")
BEN = Actor("ben", "console")
TOM = Actor("tom", "slack")
EVA = Actor("eva", "link")


@dataclass
class Story:
    """A team, its database, and the chat as it was seen."""

    pool: Pool
    file: Configuration
    metrics: AlertMetrics
    registry: CollectorRegistry
    inbox: Inbox
    folding: Folding
    grouping: Grouping
    escalating: Escalating
    next_ways: NextWays
    outbox: PostgresOutbox
    episodes: PostgresEpisodes
    boards: LiveBoards
    answers: Answers
    outgoing: Outgoing
    doings: Doings
    reminders: Reminders
    seen: list[Delivery] = field(default_factory=list)
    offset: int = 0

    async def at(self, minutes: float) -> None:
        """Move every session's clock."""
        await self.moment(at(minutes))

    async def moment(self, now: datetime) -> None:
        """The same, to an instant."""
        async with self.pool.connection() as connection:
            await connection.execute(
                "create or replace function alert.now() returns timestamptz language sql stable"
                f" parallel safe as $$ select '{now.isoformat()}'::timestamptz $$"
            )

    async def hear(self, *events: ClassifiedNotification, fold: bool = True) -> None:
        """Events come from Kafka and are folded."""
        await self.receive(events)
        if fold:
            await self.fold()

    async def receive(self, events: Sequence[ClassifiedNotification]) -> int:
        """Into the inbox only."""
        raw = []
        for event in events:
            self.offset += 1
            said = event.notification
            raw.append(
                RawEvent(
                    said.event_id,
                    event.to_bytes(),
                    "presence.classified",
                    0,
                    self.offset - 1,
                    said.key.encode(),
                )
            )
        return await self.inbox.append(raw, [Position("presence.classified", 0, self.offset)])

    async def fold(self) -> None:
        """Fold all that waits."""
        while (await self.folding.round()).events:
            pass
        while await self.grouping.round():
            pass

    async def sweep(self) -> list[str]:
        """Fire what is due and deliver it; who was paged, in order."""
        await self.outgoing.round()
        await self.reminders.round()
        while await self.next_ways.fire_due() + await self.escalating.fire_due():
            pass
        return await self.keep()

    async def keep(self) -> list[str]:
        """Bring the boards up to date and deliver; who was paged."""
        await self.boards.round()
        return await self.deliver()

    def shown(self, kind: BoardKind) -> list[Board]:
        """Each board of a kind as it was delivered last, in order of its first delivery."""
        found: dict[str, Board] = {}
        for delivery in self.seen:
            if delivery.board is not None and delivery.board.kind is kind:
                found[delivery.board.id] = delivery.board
        return list(found.values())

    async def deliver(self) -> list[str]:
        """Deliver everything; who was paged."""
        paged = []
        while taken := await self.outbox.take(50):
            for delivery in taken:
                if not await self.outbox.still_due(delivery):
                    continue
                self.seen.append(delivery)
                await self.outbox.sent(delivery, MessageRef("C1", f"ts-{len(self.seen)}"))
                if delivery.purpose is Purpose.page and delivery.person:
                    paged.append(delivery.person.id)
        return paged

    async def replies(self) -> list[Reply]:
        """What went to presence.replies, in order."""
        rows = await self.rows(
            "select payload from alert.announcements where topic = 'presence.replies' order by id"
        )
        return [Reply.model_validate_json(bytes(row[0])) for row in rows]

    async def tell(self, reply: Reply, state: OutcomeState, **facts: Any) -> bool:
        """What ingest says of it."""
        (row,) = await self.rows("select alert.now()")
        outcome = Outcome(
            reply_id=reply.reply_id, item_id=reply.item_id, state=state, at=row[0], **facts
        )
        return await self.outgoing.tell(outcome)

    def lines(self) -> list[str]:
        """What we said beneath cards ourselves, in order, as last drawn."""
        last = {one.line.item_id: one.line for one in self.of(Purpose.thread) if one.line}
        return [f"{line.says} {line.words or ''}".strip() for line in last.values() if line.says]

    def card(self) -> Card:
        """The card that was delivered last."""
        card = self.of(Purpose.card)[-1].card
        assert card is not None
        return card

    def of(self, purpose: Purpose) -> list[Delivery]:
        """What was delivered of this kind."""
        return [delivery for delivery in self.seen if delivery.purpose is purpose]

    def posted(self) -> list[Delivery]:
        """New cards, in order."""
        cards = (one for one in self.of(Purpose.card) if one.board is None)
        return [delivery for delivery in cards if delivery.card_ref is None]

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Straight from the database."""
        async with self.pool.connection() as connection:
            return await (await connection.execute(query)).fetchall()

    async def only(self) -> str:
        """The id of the one open episode."""
        (row,) = await self.episodes.open()
        return row.episode_id

    async def states(self) -> list[str]:
        """The state of every episode, oldest first."""
        rows = await self.rows("select state from alert.episodes order by number")
        return [row[0] for row in rows]

    async def ended(self) -> list[tuple[Any, ...]]:
        """What must be the same in any order: openings, ends, labels and seconds."""
        return await self.rows(
            "select key, opened_at, openers, round, reopened, reason, ended_at, label, wall_seconds,"
            " skewed from alert.episodes where state <> 'merged' order by key, opened_at"
        )

    def value(self, name: str, **labels: str) -> float:
        """A metric as Prometheus would read it."""
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def story(
    url: str, file: Configuration | None = None, *, fresh: bool = True, audited: bool = False
) -> AsyncIterator[Story]:
    """A team with a fresh database, on a Monday morning; or one that joins in.

    `audited`: with the auditor, who finds fault with a story in which nothing goes on to Kafka.
    """
    pool = create_pool(url, name="test", max_size=4)
    await pool.open()
    try:
        await migrate(pool, "alert", "services.alert.store.migrations")
        chosen = file or configuration()
        registry = CollectorRegistry()
        metrics = AlertMetrics(registry, chosen)
        episodes = PostgresEpisodes(pool, lambda: told.file, metrics)
        keepers = [
            keeper
            for keeper in open_keepers(pool, lambda: told.file, episodes, metrics)
            if audited or keeper.kind is not BoardKind.audit
        ]
        told = Story(
            pool=pool,
            file=chosen,
            metrics=metrics,
            registry=registry,
            inbox=Inbox(pool, "test-cluster"),
            folding=Folding(pool, lambda: told.file),
            grouping=Grouping(pool),
            escalating=Escalating(pool, lambda: told.file, metrics),
            next_ways=NextWays(pool, lambda: told.file, metrics),
            outbox=PostgresOutbox(pool, lambda: told.file, metrics),
            episodes=episodes,
            answers=Answers(pool, lambda: told.file, metrics),
            outgoing=Outgoing(pool, lambda: told.file, metrics),
            doings=Doings(pool, lambda: told.file, metrics),
            reminders=Reminders(pool, lambda: told.file, metrics),
            boards=LiveBoards(pool, keepers),
        )
        if fresh:
            await told.at(0)
        yield told
    finally:
        await pool.close()
