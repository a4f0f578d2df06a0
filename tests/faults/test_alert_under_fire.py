"""A short fault run of alert: two replicas, each killed in the middle of a send; every step once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from services.alert.store import outbox
from tests.faults.alert_run import Run, failures, run

pytestmark = pytest.mark.integration


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
            replica.start()
            await replica.until_ready(http)


async def test_replicas_that_are_killed_post_every_step_once(tmp_path: Path) -> None:
    one = Short(tmp_path)
    figures = await run(one)
    assert failures(figures) == [], figures
    assert figures["steps_posted"] > 30
    # Longer than a send takes: what a dead replica held is looked for, not sent beside a living one.
    assert outbox.LEASE.total_seconds() > 30
