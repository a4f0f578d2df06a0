"""`presence oncall override`, `export` and `import-time-off`, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from icalendar import Calendar

from services.cli.oncall import oncall
from services.contracts import examples
from services.contracts.events import Notification
from services.runtime.postgres import create_pool, migrate
from tests.cli.team import write
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration
Ask = Callable[..., Result]


@pytest.fixture
def ask(postgres: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`presence oncall` with alert's database."""
    url = postgres()

    async def prepare() -> None:
        pool = create_pool(url, name="test", max_size=1)
        await pool.open()
        await migrate(pool, "alert", "services.alert.store.migrations")
        await pool.close()

    asyncio.run(prepare())
    monkeypatch.setenv("PRESENCE_DATABASE_URL", url)
    path = write(tmp_path, members="mia, ben")

    def run(*arguments: str, said: str = "") -> Result:
        return CliRunner().invoke(oncall, [*arguments, "--config", str(path)], input=said)

    return run


def facts(result: Result) -> Any:
    return orjson.loads(result.stdout)


def tomorrow(hour: int) -> str:
    day = datetime.now(UTC) + timedelta(days=1)
    return day.replace(hour=hour, minute=0, second=0, microsecond=0).isoformat()


def test_an_override_is_shown_before_it_is_asked_for_and_then_holds(ask: Ask) -> None:
    wanted = ("override", "add", "--person", "mia", "--for", "2h", "--by", "ben")
    declined = ask(*wanted, said="n\n")
    assert "Do it?" in declined.stdout
    assert facts(ask("override", "list", "--json")) == {"overrides": []}
    assert ask(*wanted, said="y\n").exit_code == 0
    (row,) = facts(ask("override", "list", "--json"))["overrides"]
    assert row["says"].endswith("set at run time by Ben")
    assert "Mia" in ask("override", "list").stdout
    told = facts(ask("week", "--json"))
    assert told["shifts"]
    gone = facts(ask("override", "remove", row["id"], "--yes", "--json"))
    assert gone["result"] == "done"
    assert "no such change" in ask("override", "remove", row["id"], "--yes").output


def test_gaps_have_to_be_accepted_by_a_script_too(ask: Ask) -> None:
    away = ("override", "add", "--away", "--from", tomorrow(0), "--for", "7d", "--json")
    assert facts(ask(*away, "--person", "ben", "--yes"))["result"] == "done"
    refused = ask(*away, "--person", "mia")
    assert refused.exit_code == 1
    assert "without anybody" in refused.output
    assert facts(ask(*away, "--person", "mia", "--yes"))["gaps"]


def test_what_is_used_wrongly_says_how(ask: Ask) -> None:
    assert "either --to or --for" in ask("override", "add", "--person", "mia").output
    unknown = ask("override", "add", "--person", "zoe", "--for", "1h", "--yes")
    assert "no person 'zoe'" in unknown.output
    assert unknown.exit_code == 1


def test_without_a_database_run_time_changes_are_not_there(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRESENCE_DATABASE_URL")
    assert "run-time changes unseen" in ask("now").stderr
    assert "PRESENCE_DATABASE_URL" in str(ask("override", "list").exception)


def test_export_gives_a_calendar_or_its_address(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "mia.ics"
    assert ask("export", "--person", "mia", "--out", str(out)).exit_code == 0
    assert Calendar.from_ical(out.read_text()).walk("VEVENT")
    monkeypatch.setenv("PRESENCE_PUBLIC_URL", "https://presence.example")
    monkeypatch.setenv("PRESENCE_LINK_SECRET", "a secret of the tests, long enough to sign")
    address = ask("export", "--rota", "social", "--url").stdout
    assert address.startswith("https://presence.example/calendars/")


def test_a_calendar_of_absences_is_imported_and_followed(ask: Ask, tmp_path: Path) -> None:
    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y%m%d")
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//t//EN", "BEGIN:VEVENT", "UID:1"]
    lines += [f"DTSTART;VALUE=DATE:{day}", "SUMMARY:Vacation", "END:VEVENT", "END:VCALENDAR", ""]
    calendar = tmp_path / "absences.ics"
    calendar.write_text("\r\n".join(lines))
    imported = ("import-time-off", str(calendar), "--person", "mia")
    assert "1 to add" in ask(*imported, said="y\n").stdout
    assert facts(ask(*imported, "--json"))["kept"] == 1
    (row,) = facts(ask("override", "list", "--json"))["overrides"]
    assert (row["kind"], row["person"]) == ("time_off", "mia")
    calendar.write_text("no calendar")
    assert "no iCalendar" in ask(*imported).output


def test_explain_says_who_would_be_paged_for_a_notification(ask: Ask, tmp_path: Path) -> None:
    mention = next(one for one in examples.of(Notification) if one.case == "x-mention")
    path = tmp_path / "mention.json"
    path.write_bytes(orjson.dumps(mention.payload))
    told = ask("explain", str(path), "--at", "2026-11-23T12:00:00+01:00")
    assert told.exit_code == 0, told.output
    assert "the default: takes the rest" in told.stdout
    found = facts(ask("explain", str(path), "--at", "2026-11-23T12:00:00+01:00", "--json"))
    assert "Ben (whom nothing can wake" in found["steps"][0]["asked"][0]
    found = facts(ask("explain", str(path), "--at", "2026-11-22T12:00:00Z", "--json"))
    assert found["steps"][0]["pages"] == []
    assert "closed" in found["steps"][0]["asked"][0]
    path.write_text("[]")
    assert "no notification" in ask("explain", str(path)).output


def test_explain_of_an_episode_that_is_not_there_says_so(ask: Ask) -> None:
    assert "no episode of that id or number" in ask("explain", "17").output
