"""kill -9 between the inbox and the chat: what was stored is folded and delivered once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

import pytest

from services.alert.ports import Purpose
from tests.alert.builders import at, notified, verdict
from tests.alert.story import Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

EVENTS, EVERY = 2_000, 20
WORKER = """
import asyncio, sys
from tests.alert.story import story

async def work(url):
    async with story(url, fresh=False) as told:
        while True:
            await told.folding.round(20)
            await told.escalating.fire_due()
            await told.outbox.take(5)  # taken, perhaps sent, never confirmed

asyncio.run(work(sys.argv[1]))
"""


async def folded(told: Story) -> int:
    rows = await told.rows("select count(*) from alert.inbox where folded_at is not null")
    return int(rows[0][0])


async def killed_in_the_middle(told: Story, url: str) -> None:
    """A worker in a process of its own, killed once it has folded some and not all."""
    worker = subprocess.Popen([sys.executable, "-c", WORKER, url])
    try:
        give_up = time.monotonic() + 60
        while await folded(told) < EVENTS // 5:
            assert time.monotonic() < give_up, "the worker folds nothing"
            await asyncio.sleep(0.02)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()


async def test_a_killed_worker_loses_nothing_and_pages_nobody_who_was_answered_meanwhile(
    postgres: FreshDatabase,
) -> None:
    url = postgres()
    async with story(url) as told:
        people = range(0, EVENTS, EVERY)
        await told.receive(
            [
                notified(f"q{n}", at(0), f"p{n}", judged=None if n % EVERY == 0 else verdict(0.1))
                for n in range(EVENTS)
            ]
        )
        await killed_in_the_middle(told, url)
        assert 0 < await folded(told) < EVENTS
        answered = {f"p{n}" for n in people if n % (2 * EVERY) == 0}
        await told.receive(
            [
                notified(f"a{n}", at(1), outbound=True, to=f"p{n}", parent=f"q{n}")
                for n in people
                if f"p{n}" in answered
            ]
        )
        await told.at(2)  # every lease of the killed worker ran out
        await told.fold()
        paged = await told.sweep()
        assert await folded(told) == EVENTS + len(answered)
        states = await told.states()
        assert (states.count("answered"), states.count("open")) == (50, 50)
        posted = [delivery.episode_id for delivery in told.posted()]
        assert len(posted) == len(set(posted)) == 100
        pages = await told.rows(
            "select c.counterpart from alert.outbox o join alert.episodes e on e.id = o.episode"
            " join alert.conversations c on c.id = e.conversation"
            " where o.purpose = 'page' and o.state = 'sent'"
        )
        assert len(pages) == len(paged)
        assert not {person for (person,) in pages} & answered
        twice = [one.id for one in told.seen if one.purpose is not Purpose.card]
        assert len(twice) == len(set(twice))
