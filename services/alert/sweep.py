"""Alert's workers: fold what came, fire what is due, announce what happened, show the figures.

Each loop wakes at once when another has work for it, and looks by itself every so often: a wake-up
that is lost costs a second, never a card. A database or broker that is away is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from confluent_kafka import Message
from prometheus_client import Counter

from services.alert.boards import LiveBoards
from services.alert.domain import rota as rotas
from services.alert.handlers import SERVICE
from services.alert.intake import IntakeProgress
from services.alert.metrics import AlertMetrics
from services.alert.rounds import AWAY, every
from services.alert.store.announcements import Announcements
from services.alert.store.answering import Outgoing
from services.alert.store.escalating import Escalating
from services.alert.store.figures import Figures
from services.alert.store.folding import Folding
from services.alert.store.grouping import Grouping
from services.alert.store.inbox import Inbox, RawEvent
from services.alert.store.next_ways import NextWays
from services.alert.store.reminders import Reminders
from services.alert.store.texts import Texts
from services.contracts.configuration import Configuration
from services.runtime.clock import Clock
from services.runtime.dead_letter import DeadLetterReason, dead_letter
from services.runtime.logs import get_logger
from services.runtime.producer import Producer

log = get_logger(__name__)


@dataclass(slots=True)
class WakeUps:
    """One event a loop, and what else wants to know of new effects."""

    fold: asyncio.Event = field(default_factory=asyncio.Event)
    timers: asyncio.Event = field(default_factory=asyncio.Event)
    announcements: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    groups: asyncio.Event = field(default_factory=asyncio.Event)
    deliveries: Sequence[Callable[[], None]] = ()

    def changed(self) -> None:
        """Effects were written."""
        self.timers.set()
        self.announcements.set()
        for wake in self.deliveries:
            wake()


class Sweep:
    """The loops. Start each as a worker."""

    def __init__(
        self,
        *,
        folding: Folding,
        grouping: Grouping,
        escalating: Escalating,
        next_ways: NextWays,
        announcements: Announcements,
        figures: Figures,
        outgoing: Outgoing,
        reminders: Reminders,
        inbox: Inbox,
        intake: IntakeProgress,
        producer: Producer,
        metrics: AlertMetrics,
        dead_letters: Counter,
        configuration: Callable[[], Configuration],
        clock: Clock,
        wake: WakeUps,
        boards: LiveBoards,
        texts: Texts,
    ) -> None:
        self._folding = folding
        self._grouping = grouping
        self._escalating = escalating
        self._next_ways = next_ways
        self._announcements = announcements
        self._figures = figures
        self._outgoing = outgoing
        self._reminders = reminders
        self._inbox = inbox
        self._intake = intake
        self._producer = producer
        self._metrics = metrics
        self._dead_letters = dead_letters
        self._configuration = configuration
        self._clock = clock
        self._wake = wake
        self._boards = boards
        self._texts = texts

    def loops(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """By name, for Workers."""
        return {
            "fold": lambda: every(self._clock, 1.0, self.fold, self._wake.fold),
            "groups": lambda: every(self._clock, 5.0, self.group, self._wake.groups),
            "timers": lambda: every(self._clock, 0.5, self.fire, self._wake.timers),
            "answers": lambda: every(self._clock, 0.5, self.send, self._wake.answers),
            "announce": lambda: every(self._clock, 1.0, self.announce, self._wake.announcements),
            "boards": lambda: every(self._clock, 5.0, self.keep_boards),
            "figures": lambda: every(self._clock, 2.0, self.show),
            "forget": lambda: every(self._clock, 3600.0, self.forget),
        }

    async def fold(self) -> bool:
        """Fold a batch; whether there is more."""
        done = await self._folding.round()
        for record in done.ended:
            self._metrics.ended(record)
        if done.events:
            self._wake.groups.set()
            self._wake.changed()
        if done.events and done.more:
            return True
        await self._put_poison_aside()
        return done.more and done.events > 0

    async def group(self) -> bool:
        """Compare a batch of new items; whether there is more. Nobody waits for it."""
        try:
            compared = await self._grouping.round()
        except AWAY:
            raise
        except Exception:
            log.exception("new items could not be compared")
            return False
        if compared:
            self._wake.changed()
        return compared > 0

    async def fire(self) -> bool:
        """Fire what is due, if enough is known; whether there is more."""
        allowed = await self._intake.permission()
        if not allowed.page:
            return False
        # Older pages first: where a person's pings are used up, the next one allowed is theirs.
        fired = await self._next_ways.fire_due(stale=allowed.stale)
        fired += await self._escalating.fire_due(stale=allowed.stale)
        if fired:
            self._wake.changed()
        return fired > 0

    async def keep_boards(self) -> bool:
        """Bring the cards that stand for more than one episode up to date."""
        await self._boards.round()
        return False

    async def send(self) -> bool:
        """Send answers whose time to undo is over; remind of snoozes and promises. False: all done."""
        await self._outgoing.round()
        await self._reminders.round()
        return False

    async def announce(self) -> bool:
        """Send corrections and the lifecycle to Kafka; whether there is more."""
        return await self._announcements.send() > 0

    async def show(self) -> bool:
        """Bring the gauges up to date."""
        await self._figures.show()
        now, configuration = self._clock.now(), self._configuration()
        self._metrics.present(
            (
                rota.id,
                rotas.on_call(rota, now) is not None
                or rotas.closed(rota, configuration.hours, now),
            )
            for rota in configuration.rotas
        )
        return False

    async def forget(self) -> bool:
        """Drop the ids of events that cannot be repeated any more, and words past their retention."""
        retention = self._configuration().retention
        await self._inbox.forget(retention.event_ids)
        await self._texts.forget(retention.items)
        await self._grouping.forget()
        return False

    async def _put_poison_aside(self) -> None:
        """Events that could not be folded go to the dead letters, then out of the way."""
        poison = await self._inbox.poison()
        if not poison:
            return
        now = self._clock.now()
        await self._producer.publish(
            [
                dead_letter(
                    cast("Message", _Stored(one.event, one.stored_at)),
                    DeadLetterReason.failed,
                    one.why,
                    service=SERVICE,
                    now=now,
                )
                for one in poison
            ]
        )
        await self._inbox.dead_lettered([one.id for one in poison])
        for one in poison:
            self._dead_letters.labels(one.event.topic, DeadLetterReason.failed.value).inc()


@dataclass(frozen=True, slots=True)
class _Stored:
    """A stored event in the form of the record that it was."""

    event: RawEvent
    at: datetime

    def topic(self) -> str:
        return self.event.topic

    def partition(self) -> int:
        return self.event.partition

    def offset(self) -> int:
        return self.event.offset

    def key(self) -> bytes | None:
        return self.event.key

    def value(self) -> bytes:
        return self.event.payload

    def headers(self) -> list[tuple[str, bytes]]:
        return []

    def timestamp(self) -> tuple[int, int]:
        return 1, int(self.at.astimezone(UTC).timestamp() * 1000)
