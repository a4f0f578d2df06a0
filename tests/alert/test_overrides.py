"""Who is on call changes at run time: set, judged, seen by every replica at the next step, taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.alert.calendars import Away
from services.alert.domain.rota import on_call
from services.alert.domain.rota_changes import ChangeKind, RotaChange, mistakes
from services.alert.domain.wall_clock import Span
from services.alert.ports import Actor
from services.alert.roster import ChangeResult
from services.alert.store.escalating import Escalating
from services.alert.store.in_force import InForce
from services.alert.store.overrides import PostgresRoster
from tests.alert.builders import PRESENCE, at, configuration, notified
from tests.alert.story import BEN, EVA, MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

LEA = Actor("lea", "slack")
HOUR = timedelta(hours=1)


@dataclass
class Team:
    """A story whose sweep sees run-time changes."""

    told: Story
    roster: PostgresRoster
    in_force: InForce


@asynccontextmanager
async def team(postgres: FreshDatabase, text: str = PRESENCE) -> AsyncIterator[Team]:
    """Mia's week; Ben is next."""
    async with story(postgres(), configuration(text)) as told:
        in_force = InForce(told.file)
        told.escalating = Escalating(told.pool, in_force, told.metrics, in_force.refresh)
        yield Team(told, PostgresRoster(told.pool, lambda: told.file), in_force)


def taking_over(person: str, hours: float = 2, **facts: Any) -> RotaChange:
    """Somebody is on call from now on."""
    given: dict[str, Any] = {
        "id": "",
        "kind": ChangeKind.override,
        "rota": "social",
        "person": person,
        "begin": at(0),
        "end": at(0) + hours * HOUR,
    }
    return RotaChange(**{**given, **facts})


def away(person: str, hours: float = 24, **facts: Any) -> RotaChange:
    """Somebody is not there."""
    return taking_over(person, hours, kind=ChangeKind.time_off, rota=None, **facts)


async def test_the_next_step_pages_who_took_over(postgres: FreshDatabase) -> None:
    async with team(postgres) as one:
        outcome = await one.roster.take_over(BEN, 2 * HOUR)
        assert outcome.result is ChangeResult.done
        await one.told.hear(notified("q", at(0)))
        assert await one.told.sweep() == ["ben"]
        (row,) = await one.roster.on_call_now()
        assert row.says == "Ben until 12:00, set at run time by Ben"
        assert (row.person, row.next_person, row.set_by) == ("ben", "mia", "ben")
        await one.told.at(121)
        (row,) = await one.roster.on_call_now()
        assert (row.person, row.set_by) == ("mia", None)


async def test_a_change_that_is_taken_back_holds_no_longer_and_stays_in_the_record(
    postgres: FreshDatabase,
) -> None:
    async with team(postgres) as one:
        set_ = await one.roster.change(taking_over("ben"), LEA)
        assert set_.change is not None
        (row,) = await one.roster.overrides()
        assert row.says == "Ben takes over Mon 2 Mar 10:00 to 12:00, set at run time by Lea"
        assert (await one.roster.remove(set_.change.id, MIA)).result is ChangeResult.forbidden
        assert (await one.roster.remove(set_.change.id, LEA)).result is ChangeResult.done
        assert (await one.roster.remove(set_.change.id, LEA)).result is ChangeResult.unknown
        assert (await one.roster.remove("nonsense", LEA)).result is ChangeResult.unknown
        assert await one.roster.overrides() == []
        acts = await one.told.rows("select who, act from alert.audit order by id")
        assert acts == [("lea", "set_override"), ("lea", "remove_override")]


async def test_a_change_is_judged_before_it_is_accepted(postgres: FreshDatabase) -> None:
    async with team(postgres) as one:
        looked = await one.roster.change(taking_over("ben", 4), LEA, only_look=True)
        assert looked.result is ChangeResult.proposed
        (shifted,) = looked.proposal.shifted
        assert (shifted.before, shifted.after) == ("mia", "ben")
        assert shifted.end - shifted.begin == 4 * HOUR
        moved = {who: b.hours - a.hours for who, (a, b) in (looked.proposal.balance or {}).items()}
        assert moved == {"mia": -4, "ben": 4}
        assert await one.roster.overrides() == []


async def test_what_leaves_hours_without_anybody_asks_to_be_told_so(
    postgres: FreshDatabase,
) -> None:
    async with team(postgres) as one:
        assert (await one.roster.change(away("ben"), BEN)).result is ChangeResult.done
        outcome = await one.roster.change(away("mia", 48), MIA)
        assert outcome.result is ChangeResult.gaps
        assert outcome.proposal.gaps == (("social", Span(at(0), at(0) + 24 * HOUR)),)
        accepted = await one.roster.change(away("mia", 48), MIA, accept_gaps=True)
        assert accepted.result is ChangeResult.done
        (row,) = await one.roster.on_call_now()
        assert row.says == "nobody until Tue 3 Mar 10:00"
        (bens, _) = await one.roster.overrides()
        taken_back = await one.roster.remove(bens.change.id, BEN)
        assert taken_back.result is ChangeResult.done, "nobody is missing who was there before"


async def test_people_change_their_own_shifts_and_leads_everybodys(
    postgres: FreshDatabase,
) -> None:
    async with team(postgres) as one:
        results = [
            (await one.roster.change(taking_over("ben"), by, only_look=True)).result
            for by in (BEN, MIA, LEA, EVA, Actor("nobody", "slack"), Actor("root", "cli"))
        ]
        yes, no = ChangeResult.proposed, ChangeResult.forbidden
        assert results == [yes, no, yes, no, no, yes]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (taking_over("zoe"), "no person 'zoe'"),
        (taking_over("ben", rota="night"), "no rota 'night'"),
        (taking_over("ben", -1), "ends before it begins"),
        (taking_over("ben", 1, begin=at(-300), end=at(-200)), "lies in the past"),
        (taking_over("ben", 24 * 400), "over 370 days"),
        (taking_over("ben", kind=ChangeKind.swap), "names both people"),
    ],
)
def test_a_change_that_cannot_be_has_a_reason(change: RotaChange, says: str) -> None:
    assert says in "; ".join(mistakes(configuration(), change, at(0)))


async def test_a_change_that_cannot_be_is_refused(postgres: FreshDatabase) -> None:
    async with team(postgres) as one:
        outcome = await one.roster.change(taking_over("zoe"), LEA, accept_gaps=True)
        assert outcome.result is ChangeResult.refused
        assert await one.roster.overrides() == []


async def test_a_swap_goes_both_ways(postgres: FreshDatabase) -> None:
    async with team(postgres) as one:
        week = timedelta(days=7)
        swap = taking_over(
            "ben",
            24,
            kind=ChangeKind.swap,
            instead_of="mia",
            back=Span(at(0) + week, at(0) + week + 24 * HOUR),
        )
        assert (await one.roster.change(swap, MIA)).result is ChangeResult.done
        shifts = await one.roster.my_shifts("mia", timedelta(days=13))
        days = [(row.begin.day, row.end.day, row.because) for row in shifts]
        assert days == [(3, 9, "week"), (9, 10, "swap")]


async def test_two_changes_at_once_are_judged_one_after_the_other(
    postgres: FreshDatabase,
) -> None:
    async with team(postgres) as one:
        both = await asyncio.gather(
            one.roster.change(away("mia"), MIA), one.roster.change(away("ben"), BEN)
        )
        assert {outcome.result for outcome in both} == {ChangeResult.done, ChangeResult.gaps}


async def test_a_calendar_that_is_read_again_is_followed(postgres: FreshDatabase) -> None:
    def days(first: int, last: int) -> Span:
        return Span(at(0) + timedelta(days=first), at(0) + timedelta(days=last))

    async with team(postgres) as one:
        by = Actor("ops", "cli")
        trip, fair = Away("trip", days(1, 3), "Trip"), Away("fair", days(20, 22), "Fair")
        looked = await one.roster.import_time_off("mia", [trip, fair], by, only_look=True)
        assert (looked.added, await one.roster.overrides()) == (2, [])
        await one.roster.import_time_off("mia", [trip, fair], by)
        moved = Away("trip", days(2, 4), "Trip")
        again = await one.roster.import_time_off("mia", [moved], by)
        assert (again.added, again.removed, again.kept) == (1, 2, 0)
        (row,) = await one.roster.overrides()
        assert (row.change.begin, row.change.end) == moved.span
        same = await one.roster.import_time_off("mia", [moved], by)
        assert (same.added, same.removed, same.kept) == (0, 0, 1)


async def test_an_absence_holds_though_who_stands_in_has_quiet_hours_and_though_it_is_long(
    postgres: FreshDatabase,
) -> None:
    async with team(postgres) as one:
        quiet = 'name: Ben, quiet_hours: [{from: "00:00", to: "23:00"}], roles'
        one.told.file = configuration(PRESENCE.replace("name: Ben, roles", quiet))
        year = Away("sabbatical", Span(at(0), at(0) + timedelta(days=500)), "Sabbatical")
        by = Actor("calendar", "calendar")
        done = await one.roster.import_time_off("mia", [year], by)
        assert done.added == 1
        assert "quiet hours" in done.proposal.refused[0]
        (row,) = await one.roster.on_call_now()
        assert row.person == "ben"
        again = await one.roster.import_time_off("mia", [year], by)
        assert (again.added, again.removed, again.kept) == (0, 0, 1)


async def test_a_change_names_nobody_who_left_the_file(postgres: FreshDatabase) -> None:
    async with team(postgres) as one:
        await one.roster.change(taking_over("tom"), LEA)
        one.told.file = configuration(
            PRESENCE.replace("  - {id: tom, name: Tom, roles: [trainee], slack: U4}\n", "")
        )
        (row,) = await one.roster.on_call_now()
        assert row.person == "mia"


async def test_who_was_on_call_does_not_depend_on_when_it_is_asked(
    postgres: FreshDatabase,
) -> None:
    async with team(postgres) as one:
        await one.roster.take_over(BEN, HOUR)
        async with one.told.pool.connection() as connection:
            await one.in_force.refresh(connection)
        first: datetime = at(30)
        (rota,) = one.in_force().rotas
        before = on_call(rota, first)
        await one.told.at(10_000)
        async with one.told.pool.connection() as connection:
            assert not await one.in_force.refresh(connection), "nothing was changed"
        (rota,) = one.in_force().rotas
        assert on_call(rota, first) == before
