"""What a report says: those who still wait count too, and nobody is counted who never waited."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alert.domain.report import (
    Case,
    Span,
    Written,
    days_of,
    figures,
    hours_of,
    quantile,
)
from services.contracts.events import CloseReason

BEGIN = datetime(2026, 11, 16, tzinfo=UTC)
NOW = BEGIN + timedelta(days=7)
times = st.lists(st.floats(1, 10_000), min_size=1, max_size=40)


def case(wall: float | None = None, reason: CloseReason | None = None, **changes: object) -> Case:
    """Answered after `wall` seconds, or still waiting, within fifteen minutes."""
    answered = CloseReason.answered if wall is not None else None
    facts = {
        "platform": "x",
        "account_id": "1",
        "opened_at": BEGIN,
        "due_at": BEGIN + timedelta(minutes=15),
        "first": True,
        "counts": True,
        "reason": reason or answered,
        "ended_at": BEGIN + timedelta(seconds=wall) if wall is not None else None,
        "wall": wall,
    }
    return Case(**{**facts, **changes})  # type: ignore[arg-type]


def test_without_anybody_waiting_it_is_the_ordinary_quantile() -> None:
    assert quantile([10, 20, 30, 40], [], 0.5) == 20
    assert quantile([10, 20, 30, 40], [], 0.9) == 40
    assert quantile([], [], 0.5) is None


def test_who_still_waits_makes_the_median_longer_or_unknown() -> None:
    assert quantile([10, 20], [15, 15, 15], 0.5) == 20
    assert quantile([10, 20], [25, 30, 40], 0.5) is None, "more than half still wait"
    assert quantile([10, 20], [5, 5, 5], 0.5) == 10, "they say nothing about what came after"


@given(times, st.lists(st.floats(1, 10_000), max_size=20))
def test_waiting_people_never_make_a_report_look_better(
    observed: list[float], censored: list[float]
) -> None:
    alone, together = quantile(observed, [], 0.5), quantile(observed, censored, 0.5)
    assert alone is not None
    longest = [one for one in censored if one >= alone]
    if len(longest) == len(censored):
        assert together is None or together >= alone


def test_spam_and_what_was_closed_are_in_no_percentile_and_are_counted() -> None:
    cases = [
        case(60.0),
        case(2_000.0),
        case(None, CloseReason.no_reply_needed),
        case(5.0, counts=False),
        case(),
        case(first=False, wall=30.0),
    ]
    found = figures(
        cases,
        NOW,
        Written(10, 4),
        lambda one: one.wall,
        lambda one: (NOW - one.opened_at).total_seconds(),
    )
    assert (found.answered, found.waiting) == (3, 1)
    assert found.closed == {"no_reply_needed": 1}
    assert found.first == (2_000.0, None), "one of three first ones waits since a week"
    assert found.next == (30.0, 30.0)
    assert (found.met, found.missed) == (2, 2), "late, and late and still waiting"
    assert found.in_time == 0.5
    assert found.answered_share == pytest.approx(0.75)
    assert found.conversation_share == pytest.approx(0.4)


def test_hours_that_overlap_count_once_and_only_within_the_period() -> None:
    period = Span(BEGIN, NOW)
    hour = timedelta(hours=1)
    spans = [
        Span(BEGIN - 5 * hour, BEGIN + hour),
        Span(BEGIN + 3 * hour, BEGIN + 6 * hour),
        Span(BEGIN + 4 * hour, BEGIN + 5 * hour),
        Span(NOW - hour, NOW + 9 * hour),
    ]
    assert hours_of(spans, period) == 5
    assert hours_of([], period) == 0


def test_an_incidents_days_are_the_teams_own() -> None:
    night = Span(BEGIN + timedelta(hours=23, minutes=30), BEGIN + timedelta(hours=24, minutes=10))
    assert days_of([night], Span(BEGIN, NOW), "UTC") == {date(2026, 11, 16), date(2026, 11, 17)}
    assert days_of([night], Span(BEGIN, NOW), "Europe/Berlin") == {date(2026, 11, 17)}
