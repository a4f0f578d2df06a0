"""Never page from ignorance: waiting for what may hold the answer, but not for ever."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import NoError
from kafka.structs import OffsetAndMetadata

from services.alert.domain.ignorance import LONGEST, Permission, Waiting, lags, permission
from services.alert.intake import IntakeProgress, TopicEnds
from services.alert.ports import Purpose
from services.alert.store.inbox import Position
from services.alert.store.outbox import PostgresOutbox
from services.contracts.events import ClassifiedNotification
from services.contracts.topics import Service, Topic
from services.runtime.clock import ManualClock
from services.runtime.consumption import Consumption
from services.runtime.settings import ServiceSettings
from tests.alert.builders import at, notified
from tests.alert.story import story
from tests.conftest import FreshDatabase

WAITING = Waiting(at(0), {0: 10, 1: 5})


def test_paging_waits_until_intake_has_passed_the_end_that_it_saw() -> None:
    assert not permission(WAITING, {0: 10, 1: 4}, 0, at(0.1)).page
    assert permission(WAITING, {0: 10, 1: 5}, 0, at(0.1)) == Permission(page=True)


def test_paging_waits_for_the_fold_of_what_was_read() -> None:
    assert not permission(WAITING, {0: 10, 1: 5}, 3, at(0.1)).page


def test_after_a_minute_it_pages_and_says_that_its_state_may_be_stale() -> None:
    late = at(0) + LONGEST
    assert permission(WAITING, {}, 7, late) == Permission(page=True, stale=True)


def test_a_lag_is_an_old_record_with_more_behind_it() -> None:
    old = at(1) - timedelta(seconds=31)
    assert lags(old, 5, at(1))
    assert not lags(old, 0, at(1))
    assert not lags(at(1), 5, at(1))


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
        intake = IntakeProgress(ends, told.inbox, topic(name), Consumption(), clock)
        await intake.begin()
        assert not (await intake.permission()).page
        assert not intake.may_page
        await told.inbox.append([], [Position(name, 0, 10), Position(name, 1, 10)])
        assert (await intake.permission()).page
        assert intake.may_page
