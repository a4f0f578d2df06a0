"""`presence oncall` says who is on call from presence.yaml alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from click.testing import CliRunner, Result

from services.cli.oncall import oncall
from tests.cli.team import write

MONDAY_NOON = "2026-11-23T12:00:00+01:00"


def ask(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(oncall, [*arguments, "--config", str(path)])


def read(path: Path, *arguments: str) -> Any:
    return orjson.loads(ask(path, *arguments, "--json").stdout)


def test_now_names_the_person_and_who_comes_next(tmp_path: Path) -> None:
    path = write(tmp_path, members="mia, ben")
    (rota,) = read(path, "now", "--at", MONDAY_NOON)["rotas"]
    assert (rota["person"], rota["because"], rota["next"]) == ("ben", "week", "mia")
    assert rota["until"] == "2026-11-23T16:00:00+00:00", "17:00 in Berlin"


def test_in_closed_hours_nobody_is_named_and_nothing_is_wrong(tmp_path: Path) -> None:
    result = ask(write(tmp_path), "now", "--at", "2026-11-22T12:00:00Z")
    assert (result.exit_code, "nobody (closed)" in result.stdout) == (0, True)


def test_an_open_hour_without_a_person_fails(tmp_path: Path) -> None:
    path = write(tmp_path, closes="20:00")
    assert ask(path, "now", "--at", "2026-11-23T18:00:00+01:00").exit_code == 1
    result = ask(path, "gaps", "--at", MONDAY_NOON, "--days", "1")
    assert result.exit_code == 1
    assert "Mon 23 Nov 17:00" in result.stdout
    assert ask(write(tmp_path), "gaps", "--at", MONDAY_NOON).exit_code == 0


def test_a_week_is_tiled_without_gap_or_overlap(tmp_path: Path) -> None:
    path = write(tmp_path, members="mia, ben", closes="20:00")
    told = read(path, "week", "--at", MONDAY_NOON)
    shifts = told["shifts"]
    assert shifts[0]["from"] == told["from"]
    assert shifts[-1]["to"] == told["to"]
    assert [one["to"] for one in shifts[:-1]] == [one["from"] for one in shifts[1:]]
    assert [(one["person"], one["because"]) for one in shifts[:4]] == [
        ("ben", "week"),
        (None, "gap"),
        (None, "closed"),
        ("mia", "week"),
    ]


def test_a_time_without_an_offset_and_an_unknown_rota_are_used_wrongly(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert "has no offset" in ask(path, "now", "--at", "2026-11-23T12:00:00").output
    assert "there is: social" in ask(path, "now", "--rota", "night").output
    assert ask(path, "now", "--rota", "night").exit_code == 2


def test_a_forecast_shows_the_hours_that_fall_short(tmp_path: Path) -> None:
    path = write(tmp_path, members="mia, ben")
    figures = tmp_path / "figures.csv"
    figures.write_text("weekday,hour,arrivals\nmonday,10,4\n1,11,40\nsunday,3,9\n")
    result = ask(path, "forecast", str(figures), "--handling", "4m", "--at", MONDAY_NOON)
    assert result.exit_code == 1
    assert "Tue 11:00" in result.stdout
    assert "Mon 10:00" not in result.stdout, "one person is enough"
    assert "Sun 03:00" not in result.stdout, "closed"
    told = read(path, "forecast", str(figures), "--at", MONDAY_NOON)
    assert len(told["hours"]) == 168
    assert [one["needed"] for one in told["hours"] if one["short"]] == [4]


def test_figures_that_are_none_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    for name, text in (
        ("a.json", '{"arrivals": [1, 2]}'),
        ("b.json", "[]"),
        ("c.csv", "a,b\n1,2\n"),
        ("d.csv", "weekday,hour,arrivals\n9,1,1\n"),
    ):
        figures = tmp_path / name
        figures.write_text(text)
        result = ask(path, "forecast", str(figures))
        assert (result.exit_code, name in result.output) == (1, True)
