"""The one retry loop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import StrEnum

import pytest

from services.runtime.backoff import Backoff, retry
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient


class Why(StrEnum):
    busy = "busy"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


class Flaky:
    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "done"


async def test_what_passes_is_tried_again_until_it_works(clock: ManualClock) -> None:
    flaky = Flaky(3, Transient(Why.busy))
    waits: list[float] = []
    task = asyncio.create_task(
        retry(
            flaky,
            backoff=Backoff(initial=1.0, cap=3.0),
            deadline=60,
            clock=clock,
            on_retry=lambda _error, _attempt, wait: waits.append(wait),
        )
    )
    await clock.forward(30)
    assert task.result() == "done"
    assert flaky.calls == 4
    assert 0.5 <= waits[0] <= 1.0
    assert 1.5 <= waits[2] <= 3.0


async def test_what_cannot_pass_is_raised_at_once(clock: ManualClock) -> None:
    flaky = Flaky(1, Permanent(Why.busy, "no such channel"))
    with pytest.raises(Permanent, match="busy: no such channel"):
        await retry(flaky, backoff=Backoff(), deadline=60, clock=clock)
    assert flaky.calls == 1


async def test_the_other_sides_wish_is_a_floor(clock: ManualClock) -> None:
    flaky = Flaky(1, Transient(Why.busy, retry_after=7.0))
    task = asyncio.create_task(retry(flaky, backoff=Backoff(), deadline=60, clock=clock))
    await clock.forward(6.9)
    assert flaky.calls == 1
    await clock.forward(0.2)
    assert task.result() == "done"


async def test_the_last_error_is_raised_when_a_wait_would_pass_the_deadline(
    clock: ManualClock,
) -> None:
    flaky = Flaky(99, Transient(Why.busy))
    task = asyncio.create_task(
        retry(flaky, backoff=Backoff(initial=1, cap=1), deadline=5, clock=clock)
    )
    await clock.forward(10)
    with pytest.raises(Transient):
        task.result()
    assert 5 <= flaky.calls <= 11
