"""What alert reads from Kafka: three lines, each with a group, a limit and a pace of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faststream.confluent import KafkaBroker
from prometheus_client import Counter

from services.alert.handlers import SERVICE, InboxHandler, NoticeHandler, OutcomeHandler
from services.alert.store.answering import Outgoing
from services.alert.store.boards.troubles import Troubles
from services.alert.store.inbox import Inbox
from services.alert.store.sources import Sources
from services.alert.sweep import WakeUps
from services.contracts.events import Notice
from services.contracts.topics import CLASSIFIED, NOTICES, OUTCOMES, Group, Topic
from services.runtime.broker import LEISURELY, POLLING_INTERVAL, Handler, subscribe_batch
from services.runtime.clock import Clock
from services.runtime.consumption import Consumption
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.postgres import Pool
from services.runtime.producer import Producer


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Subscribes. Lines of their own: what holds up episodes does not hold up answers."""

    broker: KafkaBroker
    producer: Producer
    announce: Callable[[Notice], Awaitable[None]]
    dead_letters: Counter
    clock: Clock
    wake: WakeUps

    def classified(self, inbox: Inbox, consumption: Consumption) -> None:
        """Events, into the inbox."""
        handler = InboxHandler(
            inbox,
            self.producer,
            self._guard(CLASSIFIED, consumption),
            self.dead_letters,
            self.clock,
            arrived=self.wake.fold.set,
        )
        self._read(CLASSIFIED, handler, Group.alert, consumption)

    def notices(self, pool: Pool, consumption: Consumption) -> None:
        """What the engineers should know, and which sources have caught up."""
        handler = NoticeHandler(
            Sources(pool),
            Troubles(pool),
            self.producer,
            self.dead_letters,
            self.clock,
            changed=self.wake.changed,
        )
        self._read(NOTICES, handler, Group.alert_notices, consumption)

    def outcomes(self, outgoing: Outgoing, consumption: Consumption) -> None:
        """What became of people's answers."""
        guard = self._guard(OUTCOMES, consumption)
        handler = OutcomeHandler(outgoing, self.producer, guard, self.dead_letters, self.clock)
        self._read(OUTCOMES, handler, Group.alert_outcomes, consumption)

    def _guard(self, topic: Topic, consumption: Consumption) -> DeadLetterGuard:
        return DeadLetterGuard(
            service=SERVICE, topic=topic, consumption=consumption, announce=self.announce
        )

    def _read(self, topic: Topic, handler: Handler, group: Group, consumption: Consumption) -> None:
        subscribe_batch(
            self.broker,
            topic,
            handler,
            group=group,
            consumption=consumption,
            clock=self.clock,
            waits=POLLING_INTERVAL if topic is CLASSIFIED else LEISURELY,
        )
