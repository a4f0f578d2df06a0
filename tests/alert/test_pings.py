"""One allowance a person: five pings in ten minutes, whatever they are about; sensitive ones are exempt."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert.domain.allowance import PINGS, PINGS_WITHIN, next_ping
from services.alert.domain.boards.board import BoardKind
from services.alert.ports import DeliveryReason, Purpose
from services.contracts.events import ClassifiedNotification
from tests.alert.builders import (
    ACCOUNT,
    PRESENCE,
    Label,
    Sensitive,
    at,
    configuration,
    notified,
    verdict,
)
from tests.alert.story import BEN, MIA, Story, story
from tests.conftest import FreshDatabase


@given(st.lists(st.integers(0, 1_200), max_size=40))
@settings(max_examples=60)
def test_pings_that_wait_for_their_turn_are_never_more_than_five_in_ten_minutes(
    seconds: list[int],
) -> None:
    pinged: list[datetime] = []
    for moment in sorted(seconds):
        now = at(0) + timedelta(seconds=moment)
        pinged.append(next_ping(pinged, now))
        assert pinged[-1] >= now
    for one in pinged:
        assert sum(one - PINGS_WITHIN < other <= one for other in pinged) <= PINGS


pytestmark = pytest.mark.integration


async def five_pings(told: Story) -> None:
    """Mia's allowance is used up at once."""
    await told.hear(*(notified(f"q{n}", at(0), f"p{n}", root=f"q{n}") for n in range(5)))
    assert await told.sweep() == ["mia"] * 5


def impostor(flags: frozenset[Sensitive] = frozenset()) -> ClassifiedNotification:
    judged = verdict(0.1, label=Label.spam, impersonates=ACCOUNT, sensitive=flags)
    return notified("f", at(1), "fake", root="q0", parent="q0", judged=judged)


async def test_a_boards_ping_waits_its_turn_and_its_card_does_not(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await five_pings(told)
        await told.at(1)
        await told.hear(impostor())
        assert await told.sweep() == []
        assert len(told.shown(BoardKind.impersonation)) == 1
        for minute in (5, 9.9):
            await told.at(minute)
            assert await told.keep() == []
        await told.at(10)
        assert await told.keep() == ["mia"]


async def test_what_was_seen_to_meanwhile_pings_nobody(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await five_pings(told)
        await told.hear(impostor())
        await told.sweep()
        (board,) = told.shown(BoardKind.impersonation)
        await told.boards.press(board.id, "reported", "", BEN)
        await told.at(10)
        assert await told.keep() == []


async def test_a_boards_ping_is_counted_once_however_often_it_is_asked_for(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q0", at(0), "p0", root="q0"), impostor())
        assert await told.sweep() == ["mia", "mia"]
        for _ in range(4):
            await told.keep()
        await told.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(1, 7)))
        assert await told.sweep() == ["mia"] * 3
        assert await told.rows("select count(*) from alert.pings") == [(5,)]


async def test_a_promise_and_a_hand_over_count_and_wait(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        episode = await told.only()
        await told.doings.promise(episode, MIA, "a voucher", at(1), "r")
        await told.hear(notified("a", at(0.5), "air", outbound=True, to="ana", parent="q"))
        await told.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(4)))
        assert await told.sweep() == ["mia"] * 4
        await told.at(2)
        other = next(one.episode_id for one in await told.episodes.open())
        await told.doings.hand_over(other, BEN, "mia")
        assert await told.sweep() == []
        due = await told.rows(
            "select call, due_at from alert.outbox where call is not null order by call"
        )
        assert due == [("handover", at(10)), ("promise", at(10))]
        await told.at(10)
        assert (await told.deliver()).count("mia") == 2


async def test_what_stands_in_for_a_ping_that_failed_is_no_ping_more(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        while await told.escalating.fire_due():
            pass
        (page,) = [one for one in await told.outbox.take(9) if one.purpose is Purpose.page]
        await told.outbox.failed(page, DeliveryReason.not_found, retry_at=None, ambiguous=False)
        assert await told.deliver() == ["mia"]
        assert await told.rows("select count(*) from alert.pings") == [(1,)]


async def test_something_sensitive_pings_at_once_and_uses_nothing_up(
    postgres: FreshDatabase,
) -> None:
    hers = PRESENCE.replace(
        '{at: "0%", targets: [{person: lea}]}', '{at: "0%", targets: [{person: mia}]}'
    )
    async with story(postgres(), configuration(hers)) as told:
        await five_pings(told)
        await told.at(1)
        await told.hear(impostor(frozenset({Sensitive.threat})))
        # The episode that its words open, and the card of the impostor.
        assert await told.sweep() == ["mia", "mia"]
        assert await told.rows("select count(*) from alert.pings where not exempt") == [(5,)]


async def test_two_replicas_that_fire_at_once_ping_nobody_a_sixth_time(
    postgres: FreshDatabase,
) -> None:
    url = postgres()
    async with story(url) as one, story(url, fresh=False) as two:
        await one.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(14)))
        await asyncio.gather(
            *(told.escalating.fire_due() for told in (one, two, one, two)),
        )
        while await one.escalating.fire_due():
            pass
        assert await one.deliver() == ["mia"] * 5
        assert await one.rows("select count(*) from alert.queued") == [(9,)]
