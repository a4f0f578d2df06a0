"""Never page from ignorance: waiting for what may hold the answer, but not for ever."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaTimeoutError, NoError
from kafka.structs import OffsetAndMetadata

from services.alert.domain.ignorance import LONGEST, Permission, Seen, Waiting, lags, permission
from services.alert.intake import IntakeProgress, TopicEnds
from services.alert.ports import Purpose
from services.alert.store.inbox import Position
from services.alert.store.outbox import PostgresOutbox
from services.contracts.events import ClassifiedNotification
from services.contracts.topics import Service, Topic
from services.runtime.clock import ManualClock
from services.runtime.settings import ServiceSettings
from tests.alert.builders import at, notified
from tests.alert.story import story
from tests.conftest import FreshDatabase

WAITING = Waiting(at(0), {0: 10, 1: 5})


def test_paging_waits_until_what_was_there_is_read_and_folded() -> None:
    assert not permission(WAITING, None, at(0.1)).page
    assert not permission(WAITING, 3, at(0.1)).page
    assert permission(WAITING, 0, at(0.1)) == Permission(page=True)


def test_after_a_minute_it_pages_and_says_that_its_state_may_be_stale() -> None:
    late = at(0) + LONGEST
    assert permission(WAITING, None, late) == Permission(page=True, stale=True)


def test_a_lag_is_an_end_of_half_a_minute_ago_that_nobody_has_read() -> None:
    seen = [Seen(at(0), {0: 10, 1: 5})]
    assert lags(seen, {0: 10, 1: 4}, at(0.6))
    assert not lags(seen, {0: 10, 1: 4}, at(0.4))
    assert not lags(seen, {0: 12, 1: 5}, at(0.6))


class Ends(TopicEnds):
    """A topic whose ends a test sets; None: Kafka does not answer."""

    def __init__(self) -> None:
        self.now: dict[int, int] | None = {0: 0, 1: 0}

    def ends(self) -> dict[int, int]:
        if self.now is None:
            raise KafkaTimeoutError
        return self.now


async def looks(intake: IntakeProgress, clock: ManualClock, seconds: int) -> list[Permission]:
    """The permission of each fifth second; what Kafka is asked meanwhile is answered at once."""
    found = []
    for _ in range(0, seconds, 5):
        await clock.forward(5)
        await intake.permission()
        await asyncio.sleep(0.02)
        found.append(await intake.permission())
    return found


@pytest.mark.integration
async def test_what_another_replica_has_not_read_holds_pages_back_too(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        clock, ends = ManualClock(at(0)), Ends()
        intake = IntakeProgress(ends, told.inbox, topic("t"), clock)
        await intake.begin()
        assert (await intake.permission()).page
        # Partition 1 is a dead replica's; ours goes on, and its records are new.
        ends.now = {0: 0, 1: 7}
        found = await looks(intake, clock, 60)
        assert found[0] == Permission(page=True)
        assert found[-1] == Permission(page=False)
        await told.inbox.append([], [Position("t", 1, 7)])
        assert await intake.permission() == Permission(page=True)


@pytest.mark.integration
async def test_a_kafka_that_says_nothing_is_a_lag_until_it_says_something_again(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        clock, ends = ManualClock(at(0)), Ends()
        intake = IntakeProgress(ends, told.inbox, topic("t"), clock)
        await intake.begin()
        assert (await intake.permission()).page
        ends.now = None
        found = await looks(intake, clock, 120)
        assert Permission(page=False) in found
        assert found[-1] == Permission(page=True, stale=True)
        ends.now = {0: 0, 1: 0}
        assert (await looks(intake, clock, 15))[-1] == Permission(page=True)


@pytest.mark.integration
async def test_what_comes_while_paging_waits_is_not_waited_for(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        clock, ends = ManualClock(at(0)), Ends()
        intake = IntakeProgress(ends, told.inbox, topic("t"), clock)
        await intake.begin()
        await told.hear(notified("q1", at(0)), fold=False)
        assert not (await intake.permission()).page
        await told.hear(notified("q2", at(0)), fold=False)
        assert (await told.folding.round(limit=1)).events == 1
        assert (await intake.permission()).page


@pytest.mark.integration
async def test_pages_of_before_a_crash_stay_where_they_are_until_enough_is_known(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.escalating.fire_due()
        restarted = PostgresOutbox(told.pool, lambda: told.file, told.metrics, lambda: False)
        assert [one.purpose for one in await restarted.take(10)] == [Purpose.card]
        assert [one.purpose for one in await told.outbox.take(10)] == [Purpose.page]


def topic(name: str) -> Topic:
    readers = (Service.alert,)
    return Topic(name, ClassifiedNotification, "key", (Service.classify,), readers, "for a test")


def filled(kafka: str, name: str, records: int) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        admin.create_topics([NewTopic(name, 2, 1)])
    with closing(KafkaProducer(bootstrap_servers=kafka)) as producer:
        for number in range(records):
            producer.send(name, b"x", partition=number % 2)
        producer.flush(20)


def committed(kafka: str, group: str, name: str, offsets: dict[int, int]) -> None:
    wanted = {TopicPartition(name, p): OffsetAndMetadata(at, "", -1) for p, at in offsets.items()}
    with closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        assert set(admin.alter_group_offsets(group, wanted).values()) == {NoError}


@pytest.mark.integration
async def test_intake_knows_the_ends_and_a_group_ahead_of_the_database_is_rewound(
    kafka: str, postgres: FreshDatabase
) -> None:
    name, group = "alert-rewind", "alert-rewind-group"
    filled(kafka, name, 20)
    settings = ServiceSettings(kafka=kafka)
    ends = TopicEnds(settings, topic(name), group)
    assert ends.ends() == {0: 10, 1: 10}
    assert ends.rewind({}) == {}
    committed(kafka, group, name, {0: 10, 1: 6})
    async with story(postgres()) as told:
        await told.inbox.append([], [Position(name, 0, 4), Position(name, 1, 8)])
        recorded = await told.inbox.progress(name)
        assert ends.rewind(recorded) == {0: 4}
        assert ends.rewind(recorded) == {}
        clock = ManualClock(at(0))
        intake = IntakeProgress(ends, told.inbox, topic(name), clock)
        await intake.begin()
        assert not (await intake.permission()).page
        assert not intake.may_page
        await told.inbox.append([], [Position(name, 0, 10), Position(name, 1, 10)])
        assert (await intake.permission()).page
        assert intake.may_page
