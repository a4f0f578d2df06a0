"""Calendars: shifts to subscribe to, and absences read from one."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar
from pydantic import SecretStr

from services.alert.absence_calendars import AbsenceCalendars
from services.alert.calendars import CalendarError, absences, repeated, shifts_calendar
from services.alert.domain.rota_changes import ChangeKind, RotaChange, in_effect
from services.alert.store.overrides import PostgresRoster
from tests.alert.builders import PRESENCE, at, configuration
from tests.alert.chat_servers import serving
from tests.alert.story import story
from tests.conftest import FreshDatabase

BERLIN = ZoneInfo("Europe/Berlin")
HOLIDAYS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:summer
DTSTART;VALUE=DATE:20260803
DTEND;VALUE=DATE:20260817
SUMMARY:Vacation in Crete
END:VEVENT
BEGIN:VEVENT
UID:dentist
DTSTART:20260305T090000Z
DURATION:PT2H
SUMMARY:Dentist
END:VEVENT
BEGIN:VEVENT
UID:off
DTSTART;VALUE=DATE:20260401
SUMMARY:Vacation day
STATUS:CANCELLED
END:VEVENT
BEGIN:VEVENT
UID:past
DTSTART;VALUE=DATE:20250801
SUMMARY:Vacation
END:VEVENT
BEGIN:VEVENT
UID:weekly
DTSTART;TZID=Europe/Berlin:20260306T140000
DTEND;TZID=Europe/Berlin:20260306T150000
RRULE:FREQ=WEEKLY
SUMMARY:Choir
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def test_shifts_are_entries_with_stable_ids_that_follow_each_other() -> None:
    team = configuration()

    def entries(now: datetime) -> list[tuple[str, datetime, datetime]]:
        text = shifts_calendar(team, team.rotas, now, title="On call")
        return [
            (str(one["uid"]), one.decoded("dtstart"), one.decoded("dtend"))
            for one in Calendar.from_ical(text).walk("VEVENT")
        ]

    first, later = entries(at(0)), entries(at(60))
    assert first == later
    assert all(a[2] == b[1] for a, b in itertools.pairwise(first))
    assert first[0][1] < at(0) < at(0) + timedelta(days=90) < first[-1][2]


def test_a_persons_calendar_holds_their_shifts_alone_and_who_set_them() -> None:
    team = configuration()
    take_over = RotaChange(
        "1", ChangeKind.override, "social", "lea", at(0), at(120), set_by="ben", through="slack"
    )
    held = in_effect(team, [take_over])
    text = shifts_calendar(held, held.rotas, at(0), person="lea", title="On call: Lea")
    (entry,) = Calendar.from_ical(text).walk("VEVENT")
    assert (entry.decoded("dtstart"), entry.decoded("dtend")) == (at(0), at(120))
    assert entry["description"] == "Set at run time by Ben"


def test_absences_are_read_with_days_in_the_persons_zone() -> None:
    found = absences(HOLIDAYS, BERLIN, at(0))
    spans = {one.uid: one.span for one in found}
    assert spans.keys() == {"summer", "dentist", "weekly"}
    assert spans["summer"].begin == datetime(2026, 8, 2, 22, tzinfo=UTC)
    assert spans["summer"].end == datetime(2026, 8, 16, 22, tzinfo=UTC)
    assert spans["dentist"].seconds == 7200
    assert spans["weekly"].begin == datetime(2026, 3, 6, 13, tzinfo=UTC)
    assert repeated(HOLIDAYS) == ["Choir"]


def test_a_word_picks_absences_out_of_a_shared_calendar() -> None:
    found = absences(HOLIDAYS, BERLIN, at(0), words=["vacation"])
    assert [one.uid for one in found] == ["summer"]


@pytest.mark.parametrize("text", ["", "hello", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"])
def test_what_is_no_calendar_is_refused(text: str) -> None:
    with pytest.raises(CalendarError):
        absences(text, BERLIN, at(0))


def test_a_line_from_outside_is_never_taken_for_the_path_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.ics"
    file.write_text(HOLIDAYS, newline="")
    assert absences(file.read_text(), BERLIN, at(0))
    with pytest.raises(CalendarError):
        absences(str(file), BERLIN, at(0))
    with pytest.raises(CalendarError):
        repeated(str(file))


@given(
    st.integers(0, len(HOLIDAYS)),
    st.integers(0, 40),
    st.sampled_from(
        ["", "\r\n", "DTSTART:", ":99999999T999999", "BEGIN:VEVENT\r\n", "00010101", "\x00é"]
    ),
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_calendar_is_read_or_refused_and_never_more(
    place: int, cut: int, put: str
) -> None:
    text = HOLIDAYS[:place] + put + HOLIDAYS[place + cut :]
    try:
        found = absences(text, BERLIN, at(0))
        repeated(text)
    except CalendarError:
        return
    assert all(one.span.end > at(0) for one in found)


@pytest.mark.integration
async def test_a_persons_calendar_is_followed_by_one_replica_and_not_more_often_than_agreed(
    postgres: FreshDatabase,
) -> None:
    asked: list[str | None] = []
    served = [HOLIDAYS]

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.headers.get("if-none-match"))
        tag = f'"{len(served[-1])}"'
        if request.headers.get("if-none-match") == tag:
            return web.Response(status=304)
        return web.Response(text=served[-1], headers={"etag": tag})

    line = "  - {id: mia, name: Mia, roles: [responder], slack: U1"
    text = PRESENCE.replace(line, f"{line}, time_off_calendar: MIAS_CALENDAR, zone: Europe/Berlin")
    async with (
        serving("/mia.ics", handle) as address,
        story(postgres(), configuration(text)) as told,
    ):
        roster = PostgresRoster(told.pool, lambda: told.file)
        replicas = [
            AbsenceCalendars(
                told.pool, lambda: told.file, roster, lambda _name: SecretStr(f"{address}/mia.ics")
            )
            for _ in range(2)
        ]

        async def look(minutes: float) -> int:
            await told.at(minutes)
            return sum([await one.look() for one in replicas])

        assert (await look(0), await look(29), len(asked)) == (1, 0, 1)
        assert {row.change.person for row in await roster.overrides()} == {"mia"}
        assert (await look(31), asked[-1]) == (0, f'"{len(HOLIDAYS)}"')
        served.append("gone: an error page")
        assert await look(62) == 0
        assert len(await roster.overrides()) == 3, "what cannot be read changes nothing"
        served.append("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//EN\r\nEND:VCALENDAR\r\n")
        assert await look(93) == 1
        assert await roster.overrides() == [], "she is back"
