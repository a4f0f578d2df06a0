"""How a practice ends, what stays of it, and that whatever breaks in between breaks nothing else."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.alert.domain.practice.script import Cue
from services.alert.rounds import cancel
from services.runtime.errors import Permanent
from tests.alert.builders import PRESENCE, notified
from tests.alert.practice_ground import PRACTICE, Ground, ground, practice_of
from tests.conftest import FreshDatabase

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOURS = timedelta(hours=2)


@pytest.fixture
async def place(postgres: FreshDatabase) -> AsyncIterator[Ground]:
    """A team, and its place to practise."""
    async with ground(postgres(), postgres()) as made:
        yield made


async def _world(place: Ground) -> list[str]:
    """What there is in the practice's database beside the runs' own rows."""
    async with place.pool.connection() as connection:
        rows = await (
            await connection.execute(
                "select 'cue' from practice.cues union all select table_name::text"
                " from information_schema.tables where table_schema = 'alert'"
            )
        ).fetchall()
    return [row[0] for row in rows]


async def test_it_ends_with_its_time_and_leaves_a_debrief_and_nothing_else(place: Ground) -> None:
    asked = notified("1", NOW, "ana", text="Where is my bag?")
    theirs = notified(
        "2", NOW + timedelta(minutes=4), outbound=True, to="ana", parent="1", text="In Oslo, Ana"
    )
    missed = notified("3", NOW + timedelta(minutes=5), "bo", text="My flight was cancelled")
    await place.begin(asked, theirs, missed)
    await place.seen(lambda: len(place.cards()) == 2)
    bag = place.card_of("bag")
    await place.press(bag, "claim")
    await place.press(bag, "answer")
    await place.submit(text="We found it")
    await place.seen(lambda: "Answered by Tom" in place.said())
    await place.later(HOURS)
    run = await place.ended()
    assert (run.why, run.state) == ("time_over", "ended")
    assert run.debrief is not None
    assert {key: run.debrief[key] for key in ("episodes", "answered", "in_time", "missed")} == {
        "episodes": 2,
        "answered": 1,
        "in_time": 1,
        "missed": 1,
    }
    ana, bo = run.debrief["handled"]
    assert (ana["who"], ana["how"], ana["by"], ana["said"]) == (
        "Ana",
        "answered",
        "Tom",
        "We found it",
    )
    assert ana["senior"] == {"how": "answered", "by": None, "after": 240.0, "said": "In Oslo, Ana"}
    assert ana["claimed_after"] is not None
    assert ana["classifier"] == "conversation 0.90"
    assert (bo["how"], bo["in_time"], bo["ended_after"]) == ("open", False, None)
    assert any("Debrief: 1 of 2 answered" in text for text in place.texts())
    assert "In Oslo, Ana" not in place.said(), "the brand's own words are not replayed"
    await place.seen(lambda: _gone(place))


async def _gone(place: Ground) -> bool:
    return await _world(place) == []


async def test_it_ends_by_itself_when_nobody_waits_any_more(place: Ground) -> None:
    await place.begin(notified("1", NOW, "ana", text="Where is my bag?"))
    (card,) = await place.seen(place.cards)
    await place.press(card, "no_reply_needed")
    await place.submit(choice="no_reply_needed")
    await place.seen(lambda: "no reply needed" in place.said().casefold())
    await place.later(timedelta(minutes=1))
    assert (await place.ended()).why == "finished"


async def test_a_press_after_the_end_is_told_so_and_changes_nothing(place: Ground) -> None:
    await place.begin(notified("1", NOW, "ana", text="Where is my bag?"))
    (card,) = await place.seen(place.cards)
    assert await place.runs.stop()
    assert (await place.ended()).why == "stopped"
    await place.press(card, "claim")
    assert "practice is over" in place.server.whispers[-1]["text"]


async def test_ended_practices_are_forgotten_by_command_and_by_age(place: Ground) -> None:
    for number in (1, 2):
        await place.begin(notified("1", NOW, "ana", text="Where is my bag?"))
        assert await place.runs.remove() == number - 1, "one that is under way stays"
        await place.runs.stop()
        await place.ended()
    assert await place.runs.remove(2) == 1
    assert await place.runs.remove() == 0
    await place.begin(notified("1", NOW, "ana", text="Where is my bag?"))
    await place.runs.stop()
    await place.ended()
    assert await place.runs.forget(timedelta(hours=1)) == 0
    await place.later(HOURS)
    assert await place.runs.forget(timedelta(hours=1)) == 1


async def test_one_practice_at_a_time(place: Ground) -> None:
    await place.begin(notified("1", NOW))
    with pytest.raises(Permanent, match="under way"):
        await place.begin(notified("2", NOW))


async def test_a_practice_that_breaks_is_begun_anew_and_nothing_else_stops(place: Ground) -> None:
    await place.begin(notified("1", NOW, "ana", text="Where is my bag?"))
    await place.seen(place.cards)
    async with place.pool.connection() as connection:
        await connection.execute("alter table alert.timers rename to lost")
    await asyncio.sleep(0.3)
    await place.real.hear(notified("9", NOW, "eve"))
    assert await place.real.only(), "the real world goes on"
    async with place.pool.connection() as connection:
        await connection.execute("alter table alert.lost rename to timers")
    world = await place.seen(place.practice.world)
    assert world.failed() is None
    assert len(place.cards()) == 1


async def test_after_a_kill_in_the_middle_every_message_and_answer_is_there_once(
    postgres: FreshDatabase, tmp_path: Path
) -> None:
    async with ground(postgres(), postgres(), at_work=False) as place:
        cues = tuple(
            Cue(timedelta(seconds=0.15 * n), notified(f"{n}", NOW, f"p{n}", text=f"Question {n}?"))
            for n in range(12)
        )
        await place.begin(cues=cues)
        file = tmp_path / "presence.yaml"
        slack = str(place.file.practice.destinations[0].base_url)  # type: ignore[union-attr]
        file.write_text((PRESENCE + PRACTICE).replace("$SLACK", slack))
        command = [sys.executable, "-m", "tests.alert.practice_child", place.url, str(file)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            await place.seen(lambda: len(place.cards()) >= 4, seconds=30)
        finally:
            child.kill()
            child.wait()
        killed_at = len(place.cards())
        async with place.pool.connection() as connection:
            # Their owner is dead: nobody waits thirty seconds here to find that out.
            await connection.execute("update alert.outbox set lease_until = alert.now()")
        worker = asyncio.create_task(place.practice.run())
        try:
            await place.press(place.cards()[0], "answer")
            await place.submit(text="We are on it")
            await place.seen(lambda: len(place.cards()) >= 12 and "Answered by Tom" in place.said())
        finally:
            await cancel([worker])
        assert killed_at < 12
        shown = [json.dumps(one["blocks"]) for one in place.cards()]
        found = [sum(f"Question {n}?" in one for one in shown) for n in range(12)]
        assert sorted(found) == [0] + [1] * 11, "the answered one is a line without its words"
        assert sum("would have been posted" in one for one in place.texts()) == 1


async def test_two_replicas_play_one_practice(place: Ground) -> None:
    other = practice_of(place.file, place.url)
    worker = asyncio.create_task(other.run())
    try:
        await place.begin(
            *(notified(f"{n}", NOW, f"p{n}", text=f"Question {n}?") for n in range(8))
        )
        await place.seen(lambda: len(place.cards()) == 8)
        assert await other.world() is not None
        await asyncio.sleep(0.3)
        assert len(place.cards()) == 8
        assert place.said().count("would have been paged") <= 8 * 2
    finally:
        await cancel([worker])
        await other.close()
