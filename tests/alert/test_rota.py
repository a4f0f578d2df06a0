"""Who is on call: shifts tile time exactly, over every daylight-saving weekend."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert.domain.response_time import business_seconds, due_at, time_left
from services.alert.domain.rota import closed, gaps, neighbour, on_call
from services.alert.domain.rotation import handoff, shift_at
from services.alert.domain.wall_clock import instant, is_open
from services.contracts.configuration import Hours, Rota, Rotation, Who

# Hypothesis takes naive bounds beside the zone.
YEARS = [datetime(2026, 1, 10), datetime(2027, 12, 1)]  # noqa: DTZ001
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo"]
HANDOFFS = ["00:00", "01:30", "02:00", "02:30", "03:00", "09:00"]


def rotation(**changes: object) -> Rotation:
    return Rotation.model_validate(
        {"starts": "2026-01-01", "members": ["mia", "ben", "lea"], **changes}
    )


def rota(zone: str = "Europe/Berlin", **changes: object) -> Rota:
    week = {"id": "week", "rotation": {"starts": "2026-01-01", "members": ["mia", "ben"]}}
    return Rota.model_validate({"id": "social", "zone": zone, "layers": [week], **changes})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_time_that_the_clocks_skip_is_the_first_instant_after_the_gap() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert instant(berlin, date(2026, 3, 29), time(2, 30)) == utc("2026-03-29T01:00")


def test_a_time_that_the_clocks_show_twice_is_the_first_of_both() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert instant(berlin, date(2026, 10, 25), time(2, 30)) == utc("2026-10-25T00:30")


@given(
    st.sampled_from(ZONES),
    st.sampled_from(HANDOFFS),
    st.sampled_from(["hourly", "daily", "weekly", "monthly", "36h", "3d"]),
    st.datetimes(*YEARS, timezones=st.just(UTC)),
)
@settings(max_examples=200, deadline=None)
def test_exactly_one_shift_of_a_rotation_holds_any_instant(
    zone: str, at: str, every: str, moment: datetime
) -> None:
    custom = {"every": "custom", "length": every}
    turns = rotation(handoff=at, **(custom if every[0].isdigit() else {"every": every}))
    held = shift_at(turns, ZoneInfo(zone), moment)
    assert held is not None
    assert held.begin <= moment < held.end
    assert shift_at(turns, ZoneInfo(zone), held.end - timedelta(microseconds=1)) == held
    following = shift_at(turns, ZoneInfo(zone), held.end)
    assert following is not None
    assert (following.begin, following.number) == (held.end, held.number + 1)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", HANDOFFS)
def test_daily_shifts_tile_a_whole_year_without_gap_or_overlap(zone: str, at: str) -> None:
    turns = rotation(every="daily", handoff=at)
    edges = [handoff(turns, ZoneInfo(zone), number) for number in range(400)]
    lengths = [(b - a).total_seconds() for a, b in pairwise(edges)]
    assert all(22.5 * 3600 <= length <= 25.5 * 3600 for length in lengths)


def test_a_weekly_rotation_hands_off_on_its_day_at_the_time_on_the_wall() -> None:
    before, after = utc("2026-03-30T06:59"), utc("2026-03-30T07:00")  # 09:00 in summer time
    first, second = on_call(rota(), before), on_call(rota(), after)
    assert first is not None
    assert second is not None
    assert (first.person, second.person) == ("ben", "mia")
    assert first.until == after
    assert neighbour(rota(), after, Who.next) == "ben"


def test_nobody_is_on_call_before_the_rotation_starts() -> None:
    assert on_call(rota(), utc("2025-12-31T12:00")) is None


def test_an_override_comes_before_every_layer_and_ends_exactly() -> None:
    sick = {"person": "lea", "from": "2026-03-03T10:00:00Z", "to": "2026-03-03T12:00:00Z"}
    covered = rota(overrides=[sick])
    found = [on_call(covered, utc(f"2026-03-03T{hour}:00")) for hour in ("09", "10", "12")]
    assert [one and one.person == "lea" for one in found] == [False, True, False]


def test_a_higher_layer_replaces_those_below_it_for_the_hours_it_covers() -> None:
    low = {"id": "low", "rotation": {"starts": "2026-01-01", "members": ["mia"]}}
    nights = {
        "id": "nights",
        "rotation": {"starts": "2026-01-01", "members": ["ben"]},
        "restriction": [{"from": "22:00", "to": "06:00"}],
    }
    covered = rota(layers=[low, nights])
    found = {hour: on_call(covered, utc(f"2026-02-03T{hour}:00")) for hour in ("12", "23", "02")}
    assert [one and one.because for one in found.values()] == ["low", "nights", "nights"]


def test_a_layer_may_keep_the_hours_of_another_zone() -> None:
    def region(zone: str, person: str) -> dict[str, object]:
        return {
            "id": person,
            "zone": zone,
            "rotation": {"starts": "2026-01-01", "members": [person]},
            "restriction": [{"from": "09:00", "to": "17:00"}],
        }

    sun = rota(layers=[region("Australia/Sydney", "lea"), region("America/New_York", "tom")])
    found = {hour: on_call(sun, utc(f"2026-02-03T{hour}:00")) for hour in ("00", "15", "23")}
    assert [one and one.person for one in found.values()] == ["lea", "tom", "lea"]


def test_a_swap_replaces_one_person_only_and_gives_the_other_shift_back() -> None:
    swap = {
        "person": "ben",
        "instead_of": "mia",
        "from": "2026-03-09T00:00:00Z",
        "to": "2026-03-17T00:00:00Z",
        "back": {"from": "2026-03-17T00:00:00Z", "to": "2026-03-18T00:00:00Z"},
    }
    swapped = rota(swaps=[swap])
    # Mia's week begins on the 2nd, Ben's on the 9th, Mia's on the 16th.
    found = {day: on_call(swapped, utc(f"2026-03-{day}T12:00")) for day in ("08", "10", "16", "17")}
    assert [one and (one.person, one.because, one.instead_of) for one in found.values()] == [
        ("mia", "week", None),
        ("ben", "week", None),
        ("ben", "swap", "mia"),
        ("mia", "week", None),
    ]


def test_an_override_comes_before_a_swap_and_a_swap_before_a_layer() -> None:
    period = {"from": "2026-03-03T10:00:00Z", "to": "2026-03-03T14:00:00Z"}
    both = rota(
        swaps=[{"person": "ben", "instead_of": "mia", **period}],
        overrides=[{"person": "lea", **period, "to": "2026-03-03T12:00:00Z"}],
    )
    found = [on_call(both, utc(f"2026-03-03T{hour}:00")) for hour in ("11", "13", "15")]
    assert [one and (one.person, one.because) for one in found] == [
        ("lea", "override"),
        ("ben", "swap"),
        ("mia", "week"),
    ]


def test_the_next_in_turn_stands_in_for_who_is_away_and_nobody_left_is_a_gap() -> None:
    week = {"from": "2026-03-03T00:00:00Z", "to": "2026-03-10T00:00:00Z"}
    without_mia = rota(time_off=[{"person": "mia", **week}])
    stands_in = on_call(without_mia, utc("2026-03-03T12:00"))
    assert stands_in is not None
    assert (stands_in.person, stands_in.instead_of) == ("ben", "mia")
    assert stands_in.until == utc("2026-03-09T08:00"), "Ben's own week begins"
    nobody = rota(time_off=[{"person": "mia", **week}, {"person": "ben", **week}])
    found = gaps(nobody, [], utc("2026-03-01T00:00"), utc("2026-03-20T00:00"))
    assert found == [(utc("2026-03-03T00:00"), utc("2026-03-10T00:00"))]


def test_on_call_says_until_when_nothing_changes() -> None:
    nights = {
        "id": "nights",
        "rotation": {"starts": "2026-01-01", "members": ["lea"]},
        "restriction": [{"from": "22:00", "to": "06:00"}],
    }
    low = {"id": "low", "rotation": {"starts": "2026-01-01", "members": ["mia"]}}
    held = on_call(rota(layers=[low, nights]), utc("2026-02-03T12:00"))
    assert held is not None
    assert (held.person, held.until) == ("mia", utc("2026-02-03T21:00"))


def test_a_custom_length_is_whole_hours() -> None:
    for length in ("0s", "90m"):
        with pytest.raises(ValueError, match="whole number"):
            rotation(every="custom", length=length)


OFFICE = Hours.model_validate(
    {
        "id": "office",
        "zone": "Europe/Berlin",
        "week": [
            {
                "days": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                "from": "09:00",
                "to": "12:00",
            },
            {"days": ["monday"], "from": "13:00", "to": "17:00"},
            {"days": ["friday"], "from": "22:00", "to": "02:00"},
        ],
        "holidays": ["2026-03-03"],
    }
)


def test_closed_hours_are_no_gap_and_uncovered_open_hours_are() -> None:
    only = {
        "id": "only",
        "rotation": {"starts": "2026-01-01", "members": ["mia"]},
        "restriction": [{"from": "09:00", "to": "10:00"}],
    }
    covered = rota(layers=[only], open_hours="office")
    assert closed(covered, [OFFICE], utc("2026-03-02T19:00"))
    found = gaps(covered, [OFFICE], utc("2026-03-02T00:00"), utc("2026-03-03T00:00"))
    assert found == [
        (utc("2026-03-02T09:00"), utc("2026-03-02T11:00")),
        (utc("2026-03-02T12:00"), utc("2026-03-02T16:00")),
    ]


def test_business_seconds_leave_out_nights_holidays_and_lunch() -> None:
    monday, thursday = utc("2026-03-02T10:00"), utc("2026-03-05T09:00")
    # Monday 11-12 and 13-17, no Tuesday (a holiday), Wednesday 9-12, Thursday 9-10.
    assert business_seconds(OFFICE, monday, thursday) == (1 + 4 + 3 + 1) * 3600


def test_business_hours_go_past_midnight() -> None:
    assert is_open(OFFICE, utc("2026-03-07T00:59"))
    assert not is_open(OFFICE, utc("2026-03-07T01:00"))


def test_no_business_hours_is_no_reading_and_not_zero() -> None:
    assert business_seconds(None, utc("2026-03-02T10:00"), utc("2026-03-02T11:00")) is None


def test_hours_that_never_close_count_every_second() -> None:
    always = Hours.model_validate(
        {"id": "a", "zone": "Europe/Berlin", "week": [{"from": "00:00", "to": "00:00"}]}
    )
    begin, end = utc("2026-03-01T10:00"), utc("2026-05-01T10:00")
    assert business_seconds(always, begin, end) == (end - begin).total_seconds()


@given(
    st.datetimes(*YEARS, timezones=st.just(UTC)),
    st.integers(0, 30 * 3600),
)
@settings(max_examples=60, deadline=None)
def test_a_budget_in_business_hours_is_used_up_exactly_when_it_is_due(
    begin: datetime, seconds: int
) -> None:
    due = due_at(OFFICE, begin, timedelta(seconds=seconds))
    assert business_seconds(OFFICE, begin, due) == seconds


def test_time_left_says_when_it_is_over() -> None:
    due = utc("2026-03-02T10:00")
    assert time_left(due, utc("2026-03-02T09:48")) == "12 min left"
    assert time_left(due, utc("2026-03-02T10:03")) == "3 min over"
