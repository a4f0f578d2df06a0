"""Incidents: suggested, declared by a person; a group pages once a step, everybody keeps their clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert.domain.boards.board import Board, BoardKind
from services.alert.domain.boards.incident import surge
from services.alert.ports import Actor, ActResult, Incidents, Purpose
from services.contracts.events import ClassifiedNotification
from tests.alert.builders import Sensitive, at, notified, verdict
from tests.alert.story import BEN, EVA, MIA, Story, story
from tests.conftest import FreshDatabase

SAME, OTHER = "0" * 32, "f" * 32
LEA = Actor("lea", "slack")


def complaint(place: int, minute: float = 0, sign: str = SAME) -> ClassifiedNotification:
    judged = verdict(similarity=sign)
    return notified(f"c{sign[0]}{place}", at(minute), f"c{sign[0]}{place}", judged=judged)


def newest(told: Story) -> Board:
    return told.shown(BoardKind.incident)[-1]


async def press(told: Story, act: str, by: Actor = MIA) -> ActResult:
    done = await told.boards.press(newest(told).id, act, "", by)
    await told.deliver()
    return done.result


@settings(max_examples=80)
@given(st.integers(0, 500), st.lists(st.integers(0, 200), max_size=4), st.integers(0, 30))
def test_a_surge_is_far_more_than_usual_or_many_with_one_matter(
    came: int, usual: list[int], group: int
) -> None:
    says = surge(came, usual, group)
    if group >= 10:
        assert says == f"{group} people with the same matter in 30 min"
    elif not usual or came < 20 or came * len(usual) < 3 * sum(usual):
        assert says is None
    else:
        assert says is not None


@pytest.mark.integration
async def test_the_system_suggests_a_person_declares_and_a_group_pages_once_a_step(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*(complaint(n) for n in range(10)))
        assert (await told.sweep()).count("mia") == 5
        board = newest(told)
        assert board.content.headline == (
            "An incident? 10 people with the same matter in 30 min · Air"
        )
        assert await press(told, "declare", EVA) is ActResult.refused
        assert await press(told, "declare") is ActResult.done
        assert (
            newest(told).content.headline
            == "Incident: Surge at 10:00 · 10 people since 10:00 · Air"
        )
        assert await press(told, "declare") is ActResult.already
        # Its group pages at each step once; another group and a sensitive message page as well.
        await told.at(1)
        hurt = verdict(similarity=SAME, sensitive=frozenset({Sensitive.safety}))
        await told.hear(
            *(complaint(n, 1) for n in range(10, 20)),
            *(complaint(n, 1, OTHER) for n in range(4)),
            notified("hurt", at(1), "hurt", judged=hurt),
        )
        assert await told.sweep() == ["lea"]
        queue = told.shown(BoardKind.queue)[-1]
        assert queue.content.headline.startswith("9 waiting")
        await told.at(12)
        assert await told.sweep() == ["ben"]
        await told.at(13)
        assert await told.sweep() == ["ben"]
        due = await told.rows("select count(distinct opened_at) from alert.episodes")
        assert due == [(2,)]
        assert await told.rows("select count(*) from alert.timers") == [(25,)]


@pytest.mark.integration
async def test_who_joins_is_paged_in_place_of_the_rota_and_it_ends_by_a_person_all_of_it_recorded(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        declared: Incidents = told.boards
        assert (await declared.declare_incident("x", EVA)).result is ActResult.refused
        done = await declared.declare_incident("Wi-Fi down\nin Terminal 2", LEA)
        assert (done.result, done.says) == (ActResult.done, "Declared: Wi-Fi down in Terminal 2.")
        again = await declared.declare_incident("another", LEA)
        assert again.result is ActResult.already
        await told.deliver()
        assert newest(told).content.headline.startswith("Incident: Wi-Fi down in Terminal 2")
        assert await press(told, "join", BEN) is ActResult.done
        assert "Pages go to Ben, once" in newest(told).content.note
        await told.hear(*(complaint(n) for n in range(3)))
        assert await told.sweep() == ["ben"]
        assert await press(told, "leave", BEN) is ActResult.done
        assert await press(told, "leave", BEN) is ActResult.already
        await told.at(5)
        assert await press(told, "end", LEA) is ActResult.done
        assert newest(told).content.headline == (
            "Incident ended by Lea after 5 min: Wi-Fi down in Terminal 2"
        )
        await told.hear(complaint(9, 5))
        assert await told.sweep() == ["mia"]
        acts = await told.rows(
            "select who, after->>'state' from alert.audit where act = 'incident'"
        )
        assert acts == [
            ("lea", "declared"),
            ("ben", "declared"),
            ("ben", "declared"),
            ("lea", "ended"),
        ]


@pytest.mark.integration
async def test_what_a_person_called_no_incident_is_not_suggested_again_for_two_hours(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*(complaint(n) for n in range(12)))
        await told.sweep()
        assert await press(told, "dismiss") is ActResult.done
        assert newest(told).content.over
        await told.at(20)
        await told.hear(*(complaint(n, 20) for n in range(20, 40)))
        await told.sweep()
        assert len(told.shown(BoardKind.incident)) == 1


@pytest.mark.integration
async def test_arrivals_are_held_against_the_same_half_hour_of_the_weeks_before(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        week = 7 * 24 * 60
        await told.hear(notified("first", at(0), "first"))
        await told.at(week)
        await told.hear(*(notified(f"w{n}", at(week), f"w{n}") for n in range(9)))
        await told.at(2 * week)
        await told.hear(*(notified(f"v{n}", at(2 * week), f"v{n}") for n in range(26)))
        await told.sweep()
        assert told.shown(BoardKind.incident) == []
        await told.at(2 * week + 1)
        await told.hear(notified("one more", at(2 * week + 1), "more"))
        await told.sweep()
        assert newest(told).content.headline.startswith(
            "An incident? 27 in 30 min, usually 9 at this hour"
        )
        pages = [one.board.kind for one in told.of(Purpose.page) if one.board]
        assert BoardKind.incident not in pages
