"""The replay against an intake that answers as told, on a clock that runs fast."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from deploy.local.demo import story
from deploy.local.demo.replay import Replay, Summary, Where
from deploy.local.demo.signing import DemoSecrets
from services.runtime.clock import ManualClock

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DELIVERIES = tuple(one for one in story.expand(START) if one.source != "mastodon")
Answer = Callable[[httpx.Request], httpx.Response]


def right(request: httpx.Request) -> httpx.Response:
    """What a correct intake answers, as far as this test needs to know it."""
    for one in DELIVERIES:
        if one.content() == request.content:
            return httpx.Response(401 if one.expect != "accepted" else 202)
    return httpx.Response(500)


async def replayed(
    answer: Answer,
) -> tuple[Summary, ManualClock, list[tuple[float, httpx.Request]]]:
    clock = ManualClock(START)
    seen: list[tuple[float, httpx.Request]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((clock.monotonic(), request))
        return answer(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
        replay = Replay(Where("http://ingest", None), DemoSecrets.made(), client, clock)
        running = asyncio.create_task(replay.run(DELIVERIES, 1.0, None))
        while not running.done():
            await clock.forward(0.25)
        return await running, clock, seen


async def test_every_request_is_sent_once_at_its_time_and_counted() -> None:
    summary, clock, seen = await replayed(right)
    assert summary.went_well
    assert summary.sent == len(DELIVERIES) == len(seen)
    assert summary.accepted + summary.refused == summary.sent
    assert summary.retried == 0
    assert [at for at, _ in seen] == sorted(at for at, _ in seen)
    for (at, _), delivery in zip(seen, DELIVERIES, strict=True):
        assert at >= delivery.at - 0.001
    assert 20 <= clock.monotonic() <= 35


async def test_what_is_refused_for_now_is_sent_again_after_the_time_asked_for() -> None:
    turned_away: dict[bytes, int] = {}

    def busy(request: httpx.Request) -> httpx.Response:
        times = turned_away[request.content] = turned_away.get(request.content, 0) + 1
        if len(turned_away) <= 3 and times == 1:
            return httpx.Response(503, headers={"retry-after": "2"})
        if len(turned_away) == 4 and times == 1:
            raise httpx.ConnectError("refused")
        return right(request)

    summary, _, seen = await replayed(busy)
    assert summary.went_well
    assert summary.retried == 4
    assert len(seen) == len(DELIVERIES) + 4
    first = [at for at, request in seen if request.content == DELIVERIES[0].content()]
    assert first[1] - first[0] >= 2


@pytest.mark.parametrize("status", [500, 202])
async def test_an_answer_that_a_correct_intake_would_not_give_is_told(status: int) -> None:
    summary, _, _ = await replayed(lambda _: httpx.Response(status))
    assert not summary.went_well
    if status == 202:
        # Only what had to be refused is wrong: two forgeries, an old request and one too large.
        assert len(summary.unexpected) == 4
        assert any("somebody else's signature" in line for line in summary.unexpected)
