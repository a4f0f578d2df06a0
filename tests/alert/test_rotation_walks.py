"""Shifts tile time in ten zones, over every change of the clocks, in steps of 30 seconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert.domain.rota import on_call, plan
from services.alert.domain.rotation import Shift, shift_at
from services.contracts.configuration import Rota, Rotation, Weekday

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",  # the clocks change at midnight
    "Africa/Cairo",  # at midnight, too
    "Africa/Casablanca",  # back for Ramadan
    "Asia/Beirut",
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Chatham",  # offset by three quarters of an hour
    "Antarctica/Troll",  # by two hours
]
STEP = timedelta(seconds=30)
AROUND = timedelta(hours=3)
MEMBERS = ["mia", "ben", "lea"]


def changes(zone: ZoneInfo) -> Iterator[datetime]:
    """Every instant of 2026 at which the zone's offset changes."""
    hour = datetime(2026, 1, 1, tzinfo=UTC)
    while hour.year == 2026:
        after = hour + timedelta(hours=1)
        if hour.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            low, high = hour, after
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
                same = middle.astimezone(zone).utcoffset() == hour.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            yield high
        hour = after


def kinds(day: date, at: time) -> Iterator[Rotation]:
    """A rotation of every kind that hands off on this day (or through it), at this time."""
    facts = {"members": MEMBERS, "handoff": f"{at:%H:%M}"}
    week = {"weekday": list(Weekday)[day.weekday()]}
    for form in (
        {"every": "hourly", "starts": day - timedelta(days=2)},
        {"every": "daily", "starts": day - timedelta(days=30)},
        {"every": "weekly", "starts": day - timedelta(days=40), **week},
        {"every": "monthly", "starts": date(2025, 12, day.day)},
        {"every": "custom", "length": "3d", "starts": day - timedelta(days=6)},
        {"every": "custom", "length": "36h", "starts": day - timedelta(days=6)},
        {"every": "custom", "length": "7h", "starts": day - timedelta(days=1)},
    ):
        yield Rotation.model_validate({**facts, **form})


def walk(rotation: Rotation, zone: ZoneInfo, begin: datetime, end: datetime) -> list[Shift]:
    """The shifts that steps of 30 seconds meet."""
    met: list[Shift] = []
    at = begin
    while at < end:
        held = shift_at(rotation, zone, at)
        assert held is not None
        assert held.begin <= at < held.end
        if not met or met[-1] != held:
            met.append(held)
        at += STEP
    return met


@pytest.mark.parametrize("name", ZONES)
def test_shifts_of_every_kind_tile_time_over_the_changes_of_the_clocks(name: str) -> None:
    zone = ZoneInfo(name)
    found = list(changes(zone))
    assert len(found) >= 2
    for change in found:
        # A handoff inside the hour that is skipped or shown twice.
        inside = (change - timedelta(minutes=15)).astimezone(zone) + timedelta(minutes=30)
        for rotation in kinds(inside.date(), inside.time()):
            met = walk(rotation, zone, change - AROUND, change + AROUND)
            assert rotation.length == timedelta(hours=36) or len(met) > 1, "it hands off here"
            for before, after in pairwise(met):
                assert (before.end, before.number + 1) == (after.begin, after.number)
            assert [one.person for one in met] == [MEMBERS[one.number % 3] for one in met]


def periods(*names: str) -> st.SearchStrategy[dict[str, object]]:
    """A change of the rota somewhere in March, naming these roles."""
    start = st.datetimes(datetime(2026, 3, 20), datetime(2026, 4, 2), timezones=st.just(UTC))  # noqa: DTZ001
    people = st.permutations(["mia", "ben", "lea", "tom"])

    def made(begin: datetime, hours: int, who: list[str]) -> dict[str, object]:
        end = begin + timedelta(hours=hours)
        return {"from": begin, "to": end, **dict(zip(names, who, strict=False))}

    return st.builds(made, start, st.integers(1, 72), people)


@given(
    zone=st.sampled_from(ZONES),
    overrides=st.lists(periods("person"), max_size=2),
    swaps=st.lists(periods("person", "instead_of"), max_size=2),
    time_off=st.lists(periods("person"), max_size=3),
    probe=st.datetimes(datetime(2026, 3, 21), datetime(2026, 3, 30), timezones=st.just(UTC)),  # noqa: DTZ001
)
@settings(max_examples=40, deadline=None)
def test_a_plan_tiles_its_time_and_says_what_on_call_says(
    zone: str,
    overrides: list[object],
    swaps: list[object],
    time_off: list[object],
    probe: datetime,
) -> None:
    low = {"id": "low", "rotation": {"every": "daily", "starts": "2026-01-01", "members": MEMBERS}}
    nights = {
        "id": "nights",
        "zone": "America/New_York",
        "rotation": {"starts": "2026-03-22", "members": ["ben", "tom"]},
        "restriction": [{"from": "22:00", "to": "06:00"}],
    }
    rota = Rota.model_validate(
        {
            "id": "social",
            "zone": zone,
            "layers": [low, nights],
            "overrides": overrides,
            "swaps": swaps,
            "time_off": time_off,
        }
    )
    begin, end = datetime(2026, 3, 21, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)
    watches = plan(rota, (), begin, end)
    assert (watches[0].begin, watches[-1].end) == (begin, end)
    assert all(a.end == b.begin and not a.joins(b) for a, b in pairwise(watches))
    (there,) = [one for one in watches if one.begin <= probe < one.end]
    held = on_call(rota, probe)
    assert there.person == (held.person if held else None)
    if held is not None:
        just_before = on_call(rota, held.until - timedelta(microseconds=1))
        assert just_before is not None
        assert just_before.person == held.person, "nothing changes before `until`"
