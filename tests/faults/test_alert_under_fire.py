"""A short fault run of alert: two replicas, each killed in the middle of a send; every step once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.faults.alert_accounts import failures
from tests.faults.alert_run import Run, run

pytestmark = pytest.mark.integration

LONGEST_ATTEMPT = 9.0
_HELD = "select id from alert.outbox where state = 'leased'"
_RUN_OUT = (
    "update alert.outbox set lease_until = alert.now() - interval '1 s'"
    " where id = any(%s) and state = 'leased' and attempt = 1 returning id"
)


class Short(Run):
    """Both replicas die once, each at a time when the chat holds a post."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, seconds=9, per_minute=140, budget=20)

    async def faults(self, http: httpx.AsyncClient) -> None:
        """One is there while the other is away."""
        for replica in self.replicas:
            before = len(self.posts)
            while len(self.posts) < before + 5:
                await asyncio.sleep(0.05)
            self.tally.kills += 1
            replica.kill()
            held = await asyncio.to_thread(self.rows, _HELD)
            replica.start()
            hurry = asyncio.create_task(self._hurry([row["id"] for row in held]))
            await replica.until_ready(http)
            await hurry

    async def _hurry(self, held: list[object]) -> None:
        """Let the dead replica's leases run out once no living one can be at these rows any more."""
        await asyncio.sleep(LONGEST_ATTEMPT)
        await asyncio.to_thread(self.rows, _RUN_OUT, held)


async def test_replicas_that_are_killed_post_every_step_once(tmp_path: Path) -> None:
    one = Short(tmp_path)
    figures = await run(one)
    assert failures(figures) == [], figures
    assert figures["steps_posted"] > 30
    assert figures["calls"] > 3
