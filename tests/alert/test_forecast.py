"""How many people keep the target: the formula against a simulated queue, and against a rota."""

from __future__ import annotations

import heapq
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert.domain.forecast import (
    HOURS,
    answered_within,
    erlang_c,
    forecast,
    needed,
    waits_within,
)
from services.alert.store.arrivals import arrivals
from tests.alert.builders import PRESENCE, at, configuration, notified
from tests.alert.story import MIA, story
from tests.conftest import FreshDatabase

MINUTE = timedelta(minutes=1)


def simulated(people: int, per_hour: float, handling: float, within: float, seed: int) -> float:
    """The share of 30,000 arrivals that waited at most `within` seconds, first come first served."""
    dice = random.Random(seed)
    free = [0.0] * people
    now, good, count = 0.0, 0, 30_000
    for _ in range(count):
        now += dice.expovariate(per_hour / 3600)
        begin = max(now, heapq.heappop(free))
        heapq.heappush(free, begin + dice.expovariate(1 / handling))
        good += begin - now <= within
    return good / count


@pytest.mark.parametrize(
    ("people", "per_hour", "handling", "within"),
    [(1, 8, 240, 600), (2, 18, 240, 120), (3, 30, 240, 60), (10, 110, 240, 30), (2, 5, 900, 600)],
)
def test_the_formula_is_what_a_queue_does(
    people: int, per_hour: float, handling: float, within: float
) -> None:
    formula = waits_within(people, per_hour, timedelta(seconds=handling), timedelta(seconds=within))
    runs = [simulated(people, per_hour, handling, within, seed) for seed in range(4)]
    assert sum(runs) / len(runs) == pytest.approx(formula, abs=0.015)


def test_a_known_value_of_erlang_c() -> None:
    # 10 Erlang and 12 people: 44.9 % wait, as the usual tables have it.
    assert erlang_c(12, 10) == pytest.approx(0.449, abs=0.001)


@given(st.floats(0.1, 200), st.floats(0.5, 14), st.floats(0.6, 0.99))
@settings(max_examples=100, deadline=None)
def test_the_number_needed_is_enough_and_one_less_is_not(
    per_hour: float, minutes: float, share: float
) -> None:
    handling, target = minutes * MINUTE, 15 * MINUTE
    people = needed(per_hour, handling, target, share)
    assert people is not None
    assert answered_within(people, per_hour, handling, target) >= share
    assert people == 1 or answered_within(people - 1, per_hour, handling, target) < share


def test_no_number_is_enough_where_handling_takes_as_long_as_the_target() -> None:
    assert needed(1, 15 * MINUTE, 15 * MINUTE, 0.95) is None
    assert needed(0, 15 * MINUTE, 15 * MINUTE, 0.95) == 0


def test_the_hours_that_fall_short_are_those_with_too_few_on_call() -> None:
    team = configuration(
        PRESENCE.replace(
            "members: [mia, ben]}",
            "members: [mia, ben]}\n        restriction: [{from: '08:00', to: '18:30'}]",
        )
    )
    busy = [0.0] * HOURS
    busy[9], busy[10], busy[18], busy[24 + 12] = 4.0, 40.0, 4.0, 4.0
    hours = forecast(team, team.rotas, busy, 4 * MINUTE, 15 * MINUTE, 0.95, at(0))
    short = [(one.weekday, one.hour, one.needed, one.there) for one in hours if one.short]
    assert short == [(0, 10, 4, 1), (0, 18, 1, 0)], "18:30 is in the middle of an hour"
    assert hours[9].kept > 0.95
    with pytest.raises(ValueError, match="168"):
        forecast(team, team.rotas, [1.0], 4 * MINUTE, 15 * MINUTE, 0.95, at(0))


@pytest.mark.integration
async def test_arrivals_and_handling_come_from_what_was_stored(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q1", at(0)), notified("q2", at(65), who="bob"))
        for minute, row in ((2, 0), (70, 1)):
            await told.at(minute)
            episode = (await told.episodes.open())[-1 if row else 0].episode_id
            await told.episodes.claim(episode, MIA)
        await told.at(80)
        await told.hear(
            notified("a1", at(5), outbound=True, to="ana", parent="q1"),
            notified("a2", at(75), outbound=True, to="bob", parent="q2"),
        )
        async with told.pool.connection() as connection:
            found = await arrivals(connection, "Europe/Berlin", 56)
    # Monday 10:00 and 11:05 in Berlin.
    assert {place: n for place, n in enumerate(found.per_hour) if n} == {10: 1.0, 11: 1.0}
    assert (found.episodes, found.weeks) == (2, 1.0)
    assert found.handling == 4 * MINUTE, "3 and 5 minutes"
