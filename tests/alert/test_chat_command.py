"""What people type after /presence, and what it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert.domain.chat_command import LONGEST, SHORTEST, Subject, read_command

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BERLIN = "Europe/Berlin"  # 13:00 there


@pytest.mark.parametrize(
    ("typed", "subject"),
    [
        ("", Subject.help),
        ("help", Subject.help),
        ("on call", Subject.on_call),
        ("On call now?", Subject.on_call),
        ("who is on call", Subject.on_call),
        ("who’s on-call right now?", Subject.on_call),
        ("my shifts", Subject.my_shifts),
        ("when am I on call?", Subject.my_shifts),
        ("open", Subject.open_episodes),
        ("open episodes", Subject.open_episodes),
        ("who is waiting?", Subject.open_episodes),
        ("take over", Subject.take_over),
        ("declare incident Luggage belt is broken", Subject.incident),
        ("make me a coffee", Subject.unknown),
        ("take over the world", Subject.unknown),
        ("take over for a very long time", Subject.unknown),
    ],
)
def test_people_ask_in_their_own_words(typed: str, subject: Subject) -> None:
    assert read_command(typed, NOON, BERLIN, ("social",)).subject is subject


@pytest.mark.parametrize(
    ("typed", "minutes"),
    [
        ("take over", 120),
        ("take over for 2 hours", 120),
        ("Take over for 2h.", 120),
        ("take over 90m", 90),
        ("take over for an hour", 60),
        ("take over for half an hour", 30),
        ("take over for 1.5 hours", 90),
        ("I'll take over for 1 day", 1440),
        ("take over until 18:00", 300),
        ("take over till 6pm", 300),
        ("take over until 6", 17 * 60),
        ("take over until noon", 23 * 60),
        ("take over until tomorrow 9:00", 20 * 60),
        ("take over until 9am tomorrow", 20 * 60),
        ("take over until midnight", 11 * 60),
    ],
)
def test_a_time_is_a_length_or_the_next_such_time_on_the_askers_wall(
    typed: str, minutes: float
) -> None:
    command = read_command(typed, NOON, BERLIN)
    assert (command.subject, command.duration) == (Subject.take_over, timedelta(minutes=minutes))


def test_until_counts_hours_that_pass_and_not_those_on_the_wall() -> None:
    before_the_change = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)  # 23:00 in Berlin
    command = read_command("take over until 6:00", before_the_change, BERLIN)
    assert command.duration == timedelta(hours=6)


@pytest.mark.parametrize(
    "typed",
    [
        "take over care for 2 hours",
        "take over the care rota for 2 hours",
        "take over for 2 hours on care",
        "take over rota Care for 2h",
    ],
)
def test_a_rota_can_be_named(typed: str) -> None:
    command = read_command(typed, NOON, BERLIN, ("social", "care"))
    assert (command.subject, command.rota) == (Subject.take_over, "care")
    assert command.duration == timedelta(hours=2)


@pytest.mark.parametrize("typed", ["take over for 0 minutes", "take over for 30 days"])
def test_a_slip_of_the_hand_does_not_move_the_rota(typed: str) -> None:
    command = read_command(typed, NOON, BERLIN)
    assert command.subject is Subject.unknown
    assert "5 minutes to 7 days" in (command.says or "")


def test_what_an_incident_is_about_keeps_its_capitals() -> None:
    command = read_command("declare incident: Belt 3 at BER is down", NOON, BERLIN)
    assert command.text == "Belt 3 at BER is down"


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=80), st.text(max_size=40).map("take over {}".format)))
def test_nothing_that_is_typed_breaks_it(typed: str) -> None:
    command = read_command(typed, NOON, BERLIN, ("social",))
    if command.subject is Subject.take_over:
        assert command.duration is not None
        assert SHORTEST <= command.duration <= LONGEST
