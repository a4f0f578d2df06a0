"""A short fault run: two replicas, every kind of fault, nothing lost and nothing two events."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from tests.faults.ingest_run import Replica, Run, away, failures, kill, pause, run

pytestmark = pytest.mark.integration

LONGER_THAN_A_LEASE = 8.5
MUCH_LONGER_THAN_IT_TAKES = 90


class Short(Run):
    """Every fault once, at the worst moment: the replica that listens hangs while all else comes and goes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, seconds=MUCH_LONGER_THAN_IT_TAKES, rate=40, seed=1, whole=False)
        self.listens_on = 1
        self.before = 0
        self.after = 0

    async def faults(self) -> None:
        """Once through."""
        await asyncio.sleep(1)
        self.before, listening = self._lease()
        other = next(one for one in self.replicas if one is not listening)
        hangs = asyncio.create_task(pause(listening, LONGER_THAN_A_LEASE))
        await away(self.kafka.stop, self.kafka.start, 0.3)
        await away(self.mastodon.kill, self.mastodon.start, 0.3)
        await hangs
        self.after, _ = self._lease()
        await kill(other, 0.3)
        self.tally.faults.update(dict.fromkeys(self.tally.faults, 1))
        await asyncio.sleep(1)

    def _lease(self) -> tuple[int, Replica]:
        with psycopg.connect(self.database) as connection:
            row = connection.execute("select fence, holder from ingest.leases").fetchone()
        assert row is not None
        holder = int(row[1].split(":")[1])
        by_id = {one.process.pid: one for one in self.replicas if one.process is not None}
        return row[0], by_id[holder]


async def test_while_everything_breaks_nothing_is_lost_and_no_event_is_two(tmp_path: Path) -> None:
    one = Short(tmp_path)
    figures = await run(one)
    assert failures(figures) == [], figures
    assert one.after > one.before, "the replica that hung was not relieved"
    assert figures["accepted"] > 300
    # 1 in 7 was delivered again on purpose: without deduplication each of them would be a second record.
    assert figures["repeated_records"] < figures["delivered_twice_on_purpose"] / 2
