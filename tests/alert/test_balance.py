"""How the load is shared, and what the team hears of gaps once a week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert import public_holidays
from services.alert.domain.balance import Load, balance, load_of
from services.alert.domain.gap_notice import load_in_words, weekly_notice
from services.alert.domain.wall_clock import Span
from services.alert.ports import Purpose
from services.alert.rota_watch import RotaWatch
from services.runtime.clock import ManualClock
from tests.alert.builders import PRESENCE, at, configuration
from tests.alert.story import story
from tests.conftest import FreshDatabase

BERLIN = ZoneInfo("Europe/Berlin")
DAYTIME = PRESENCE.replace(
    "    zone: Europe/Berlin\n    layers:",
    "    zone: Europe/Berlin\n    public_holidays: DE-BE\n    layers:",
).replace(
    "members: [mia, ben]}",
    "members: [mia, ben]}\n        restriction: [{from: '00:00', to: '23:00'}]",
)


def test_a_weekend_with_a_holiday_weighs_what_the_calendar_says() -> None:
    # Christmas 2026: Friday to Monday morning in Berlin.
    begin = datetime(2026, 12, 24, 17, tzinfo=UTC)
    span = Span(begin, begin + timedelta(hours=84))
    is_holiday = public_holidays.of(configuration(DAYTIME).rotas[0])
    found = load_of(BERLIN, span, is_holiday)
    # Thursday 18:00 to Monday 06:00: four nights of 8 hours, Saturday and Sunday, the 25th and 26th.
    assert found == Load(hours=84, nights=32, weekends=48, holidays=48)


def test_nights_are_where_the_person_lives() -> None:
    rota = configuration().rotas[0]
    begin = at(0)

    def nights(zone: str) -> float:
        zones = {"mia": ZoneInfo(zone)}
        loads = balance(
            rota, (), begin, begin + timedelta(hours=8), zones=zones, is_holiday=lambda _day: False
        )
        return loads["mia"].nights

    assert (nights("Europe/Berlin"), nights("America/Los_Angeles")) == (0, 5)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(1, 400),
)
@settings(max_examples=60, deadline=None)
def test_no_hour_is_lost_or_counted_twice(begin: datetime, hours: int) -> None:
    span = Span(begin, begin + timedelta(hours=hours))
    found = load_of(BERLIN, span, lambda _day: True)
    assert found.hours == pytest.approx(hours)
    assert found.holidays == pytest.approx(hours)
    assert found.nights <= found.hours + 1e-6
    assert found.weekends <= found.hours + 1e-6


def test_the_notice_lists_gaps_and_who_carries_the_rest() -> None:
    team = configuration(DAYTIME)
    assert weekly_notice(team, at(-121), public_holidays.of) is None, "Monday 07:59 in Berlin"
    notice = weekly_notice(team, at(0), public_holidays.of)
    assert notice is not None
    assert (notice.destination, notice.week) == ("room", 202610)
    assert notice.text.startswith(
        "Nobody is on call on social for 21 h of the next 21 days: Mon 2 Mar 23:00 to Tue 3 Mar 00:00"
    )
    assert "Ben 162 h (49 at night, 46 on weekends" in notice.text
    sunday = weekly_notice(team, at(6 * 24 * 60), public_holidays.of)
    assert sunday is not None
    assert sunday.week == notice.week
    assert weekly_notice(configuration(), at(0), public_holidays.of) is None, "no gaps, no notice"


def test_a_load_in_words_leaves_out_what_is_not_there() -> None:
    assert load_in_words(Load(8.5)) == "8.5 h"
    assert load_in_words(Load(24, 8, 24)) == "24 h (8 at night, 24 on weekends)"


@pytest.mark.integration
async def test_gaps_are_told_once_a_week_however_many_replicas_look(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(DAYTIME)) as told:
        watches = [RotaWatch(told.pool, lambda: told.file, ManualClock(at(0))) for _ in range(2)]
        for days in (0, 0, 3, 7):
            await told.at(days * 24 * 60)
            for watch in watches:
                assert await watch.tell_gaps()
            await told.deliver()
        texts = [delivery.text or "" for delivery in told.of(Purpose.told)]
        assert len(texts) == 2
        assert all(text.startswith("Nobody is on call on social") for text in texts)
