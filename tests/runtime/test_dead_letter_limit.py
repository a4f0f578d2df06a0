"""Too many dead letters stop the line; a few among many good records never do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.dead_letter_limit import DeadLetterLimit

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_twenty_of_twenty_trip() -> None:
    limit = DeadLetterLimit()
    assert not limit.would_trip(19, 19, START)
    assert limit.would_trip(20, 20, START)


def test_twenty_of_a_thousand_do_not() -> None:
    assert not DeadLetterLimit().would_trip(1000, 20, START)


def test_they_add_up_over_batches_within_five_minutes() -> None:
    limit = DeadLetterLimit()
    limit.count(10, 10, START)
    assert limit.would_trip(10, 10, START + timedelta(minutes=4))
    assert not limit.would_trip(10, 10, START + timedelta(minutes=5))


def test_a_batch_without_a_dead_letter_never_trips() -> None:
    limit = DeadLetterLimit()
    limit.count(40, 19, START)
    assert not limit.would_trip(1, 0, START)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), max_size=20))
def test_less_than_half_never_trips(batches: list[tuple[int, int]]) -> None:
    limit = DeadLetterLimit()
    for number, (records, dead) in enumerate(batches):
        few = min(dead, (records - 1) // 2)
        now = START + timedelta(seconds=number)
        assert not limit.would_trip(records, few, now)
        limit.count(records, few, now)
