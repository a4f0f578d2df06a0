"""A batch from Kafka: what is an event is stored with its place, what is none is a dead letter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from services.alert.handlers import SERVICE, InboxHandler, NoticeHandler
from services.alert.store.boards.troubles import Troubles
from services.alert.store.sources import Sources
from services.contracts.base import Contract
from services.contracts.events import Notice, NoticeKind, Origin
from services.contracts.topics import CLASSIFIED
from services.runtime.clock import ManualClock
from services.runtime.consumption import Consumption
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.errors import Transient
from services.runtime.metrics import dead_letters_counter
from services.runtime.producer import MemoryProducer, ProduceReason
from tests.alert.builders import ACCOUNT, at, notified
from tests.alert.story import Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Raw:
    """A record as confluent-kafka hands it over."""

    at: int
    body: bytes

    def topic(self) -> str:
        return CLASSIFIED.name

    def partition(self) -> int:
        return 1

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return self.body

    def headers(self) -> list[tuple[str, bytes]]:
        return [("event-id", b"e")]

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_770_000_000_000


def raw(offset: int, event: Contract | bytes) -> Message:
    body = event if isinstance(event, bytes) else event.to_bytes()
    return cast("Message", Raw(offset, body))


class Handling:
    """The handler over a real inbox and a producer that keeps what it is given."""

    def __init__(self, told: Story) -> None:
        self.producer = MemoryProducer()
        self.arrived: list[bool] = []
        guard = DeadLetterGuard(
            service=SERVICE, topic=CLASSIFIED, consumption=Consumption(), announce=self.announce
        )
        self.handle = InboxHandler(
            told.inbox,
            self.producer,
            guard,
            dead_letters_counter(CollectorRegistry()),
            ManualClock(at(0)),
            arrived=lambda: self.arrived.append(True),
        )

    async def announce(self, notice: Any) -> None:
        raise AssertionError("the limit is far away")


async def test_events_are_stored_with_their_place_and_poison_is_dead_lettered(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        handling = Handling(told)
        batch = [raw(7, notified("q", at(0))), raw(8, b"{broken"), raw(9, notified("r", at(0)))]
        await handling.handle(batch)
        assert await told.inbox.progress(CLASSIFIED.name) == {1: 10}
        assert await told.inbox.waiting() == 2
        (letter,) = handling.producer.on(CLASSIFIED.dlq)
        assert letter.value == b"{broken"
        assert handling.arrived == [True]


async def test_a_redelivered_batch_changes_nothing(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        handling = Handling(told)
        batch = [raw(7, notified("q", at(0))), raw(8, notified("q", at(0)))]
        await handling.handle(batch)
        await told.fold()
        await handling.handle(batch)
        assert await told.inbox.waiting() == 0
        assert await told.states() == ["open"]


async def test_nothing_is_stored_of_a_batch_whose_dead_letters_were_not_taken(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        handling = Handling(told)
        handling.producer.broken = Transient(ProduceReason.unavailable)
        with pytest.raises(Transient):
            await handling.handle([raw(7, notified("q", at(0))), raw(8, b"{broken")])
        assert await told.inbox.progress(CLASSIFIED.name) == {}
        assert await told.inbox.waiting() == 0


async def test_a_source_that_caught_up_releases_what_waited_for_its_answers(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), origin=Origin.backfill))
        assert await told.sweep() == []
        notice = Notice(
            kind=NoticeKind.caught_up,
            service="ingest",
            source="x",
            account_id=ACCOUNT,
            says="caught up",
            at=at(0.1),
        )
        woken: list[bool] = []
        producer = MemoryProducer()
        handle = NoticeHandler(
            Sources(told.pool),
            Troubles(told.pool),
            producer,
            dead_letters_counter(CollectorRegistry()),
            ManualClock(at(0.2)),
            changed=lambda: woken.append(True),
        )
        await handle([raw(0, notice), raw(1, b"no notice")])
        assert [one.value for one in producer.records] == [b"no notice"], "put aside"
        await told.at(0.5)
        assert await told.sweep() == ["mia"]
        assert woken == [True]
