"""When silence is more than chance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.quiet import (
    ENOUGH_DAYS,
    HALVED_AFTER,
    HourCount,
    habit,
    hour_of_week,
    quiet,
)

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)


def weeks(count: int, by_day: int, by_night: int, until: datetime = MONDAY) -> list[HourCount]:
    """So many events in every hour of the day (8 to 20 h) and of the night."""
    hours = (until - HOUR * n for n in range(1, count * 7 * 24 + 1))
    return [HourCount(at, by_day if 8 <= at.hour < 20 else by_night) for at in hours]


def told_after(counts: list[HourCount], last: datetime, within: timedelta) -> timedelta | None:
    """How long the silence is when it is told."""
    learned, minutes = habit(counts, last), int(within / timedelta(minutes=5))
    return next(
        (
            timedelta(minutes=5 * n)
            for n in range(minutes)
            if quiet(learned, last, last + timedelta(minutes=5 * n))
        ),
        None,
    )


def test_a_busy_account_is_quiet_within_the_hour_and_a_small_one_after_a_day() -> None:
    noon, day = MONDAY + HOUR * 10, timedelta(days=3)
    busy, small = told_after(weeks(4, 60, 60), noon, day), told_after(weeks(4, 1, 1), noon, day)
    assert busy == timedelta(minutes=30)
    assert small is not None
    assert timedelta(hours=9) < small < timedelta(hours=24)


def test_a_night_that_is_always_empty_is_no_silence() -> None:
    evening = MONDAY - HOUR * 4
    learned = habit(weeks(4, 20, 0), evening)
    assert quiet(learned, evening, evening + HOUR * 11) is None, "seven in the morning"
    assert quiet(learned, evening, evening + HOUR * 15) is not None, "but by eleven it is"


@given(st.integers(0, 500), st.integers(1, int(ENOUGH_DAYS * 24) - 1))
@settings(max_examples=50, deadline=None)
def test_without_enough_history_nothing_is_ever_said(events: int, hours: int) -> None:
    counts = [HourCount(MONDAY - HOUR * n, events) for n in range(1, hours)]
    assert quiet(habit(counts, MONDAY), MONDAY, MONDAY + timedelta(hours=1)) is None


def test_an_account_that_never_had_anything_is_never_quiet() -> None:
    assert quiet(habit([], MONDAY), MONDAY - timedelta(days=30), MONDAY) is None


def test_what_was_weeks_ago_counts_less() -> None:
    long_ago = timedelta(weeks=HALVED_AFTER * 4)
    loud = [HourCount(one.hour - long_ago, 50) for one in weeks(4, 50, 50)]
    learned = habit([*loud, *weeks(12, 1, 1)], MONDAY)
    assert learned.mean < 8, "50 then, 1 now"


def test_the_week_begins_on_monday_in_utc() -> None:
    assert hour_of_week(MONDAY) == 0
    assert hour_of_week(MONDAY - HOUR) == 167
