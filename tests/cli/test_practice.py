"""`presence practice` as a lead uses it: what it says, and what it refuses in one line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from deploy.local.demo.practising import SCENES, notifications
from services.cli import practice as command
from services.cli import practice_runs
from services.contracts.events import Direction
from tests.alert.builders import PRESENCE, at, notified, verdict
from tests.alert.practice_ground import PRACTICE, fingerprint
from tests.alert.story import MIA, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration
Ask = Callable[..., Result]
WHERE = ("--person", "tom", "--destination", "training")


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`presence practice` where no alert runs and no database is needed."""
    monkeypatch.setattr(practice_runs, "ALERT_TAKES", 0.0)
    monkeypatch.setenv("PRESENCE_DATABASE_URL", "postgresql://127.0.0.1:9/none")
    file = tmp_path / "presence.yaml"
    file.write_text((PRESENCE + PRACTICE).replace("$SLACK", "http://127.0.0.1:9/"))
    monkeypatch.setenv("PRESENCE_CONFIG", str(file))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(command.practice, list(arguments))

    return run


@pytest.fixture
def ask(checked: Ask, postgres: FreshDatabase, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The same, with both databases."""
    monkeypatch.setenv("PRESENCE_DATABASE_URL", postgres())
    monkeypatch.setenv("PRESENCE_PRACTICE_DATABASE_URL", postgres())
    return checked


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Two questions, four minutes apart."""
    path = tmp_path / "questions.jsonl"
    events = [notified("1", at(0), "ana"), notified("2", at(4), "bo")]
    path.write_bytes(b"\n".join(one.to_bytes() for one in events))
    return str(path)


def facts(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout)


def test_a_practice_is_begun_listed_stopped_debriefed_and_removed(ask: Ask, file: str) -> None:
    assert "nobody has practised here yet" in ask("list").output
    begun = ask("start", file, *WHERE)
    assert "Practice 1: 2 messages for Tom in training, until" in begun.stdout
    assert "is alert running" in begun.stderr
    (listed,) = facts(ask("list", "--json"))
    assert (listed["state"], listed["messages"], listed["people"]) == ("running", 2, ["tom"])
    again = ask("start", file, *WHERE)
    assert again.exit_code == 1
    assert "another practice is under way: `presence practice stop`" in again.output
    assert "still under way" in ask("debrief").output
    assert ask("remove", "1").exit_code == 1
    stopped = facts(ask("stop", "--json"))
    assert (stopped["why"], stopped["debrief"]["episodes"]) == ("stopped", 0)
    assert facts(ask("debrief", "1", "--json")) == stopped
    assert "somebody stopped it" in ask("debrief").stdout
    assert facts(ask("remove", "--all", "--json")) == {"removed": 1}
    assert facts(ask("list", "--json")) == []
    assert "no practice is under way" in ask("stop").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--person", "tom", "--destination", "x"), "no practice destination 'x' (there is: training)"),
        (("--person", "tom", "--destination", "room"), "room is where real cards appear"),
        (("--person", "zoe", "--destination", "training"), "no person 'zoe' (there is: ben, eva"),
        ((*WHERE, "--demo"), "give FILES, or --demo, or --day"),
        ((*WHERE, "--limit", "soon"), "write a duration"),
        ((*WHERE, "--limit", "1m"), "use --speed 5, --most or a longer --limit"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_a_line(
    checked: Ask, file: str, arguments: tuple[str, ...], says: str
) -> None:
    refused = checked("start", file, *arguments)
    assert refused.exit_code == 2
    assert says in refused.output.splitlines()[-1]


def test_a_database_that_does_not_answer_is_said_in_a_line(checked: Ask, file: str) -> None:
    refused = checked("start", file, *WHERE)
    assert refused.exit_code == 1
    assert "the practice's database could not be made" in refused.output.splitlines()[-1]


def test_a_line_that_is_no_notification_is_named(checked: Ask, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('\n{"event_id": 1}\n')
    refused = checked("start", str(path), *WHERE)
    assert refused.exit_code == 2
    assert "broken.jsonl:2: no notification" in refused.output


def test_a_real_day_is_read_without_what_is_private_sensitive_or_taken_back(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, postgres: FreshDatabase
) -> None:
    real = postgres()

    async def work() -> dict[str, str]:
        async with story(real) as team:
            await team.hear(
                notified("1", at(1), "ana", text="Where is my bag?"),
                notified("2", at(2), "bo", text="A secret", private=True),
                notified("3", at(3), "cy", judged=verdict(sensitive=frozenset({"medical"}))),
                notified("4", at(4), "di", text="And my seat?"),
            )
            await team.at(5)
            opened = await team.episodes.open()
            bag = next(one for one in opened if one.words == "Where is my bag?")
            await team.episodes.claim(bag.episode_id, MIA)
            await team.hear(
                notified("5", at(6), outbound=True, to="ana", parent="1", text="In Oslo")
            )
        return await fingerprint(real)

    before = asyncio.run(work())
    monkeypatch.setenv("PRESENCE_DATABASE_URL", real)
    begun = ask("start", "--day", f"{at(0):%Y-%m-%d}", *WHERE)
    assert "2 messages (2 private or sensitive ones left out)" in begun.stdout
    assert asyncio.run(fingerprint(real)) == before


def test_the_demos_story_has_a_quarter_of_an_hour_for_one_person() -> None:
    told = notifications(datetime(2026, 3, 2, tzinfo=UTC))
    asked = [one for one in told if one.direction is Direction.inbound]
    assert 10 <= len(asked) <= 30
    assert max(one.source_time for one in told) - min(one.source_time for one in told) < timedelta(
        minutes=20
    )
    assert any(one.in_reply_to for one in told if one.direction is Direction.outbound)
    assert len(told) <= sum(SCENES.values())
