""" "I'm here" at a shift's start: whom to ask now, by which way, and when to go on to somebody else. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alert.domain import rota as rotas
from services.alert.domain.contact_ways import chat_id
from services.alert.domain.rota import Watch
from services.contracts.configuration import Configuration, Rota

BEGAN_WITHIN = timedelta(hours=1)
"""A shift that began longer ago is not asked about: after an outage nobody is woken for it."""
KINDS = {
    "slack": ("slack",),
    "teams": ("teams_bot", "teams_workflow"),
    "notify": ("apprise",),
    "phone": ("phone",),
    "email": ("email",),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was put."""

    person: str
    destination: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Next:
    """What to do about a shift's start."""

    ask: tuple[str, str] | None = None
    """(person, destination) to ask now."""
    nobody_left: bool = False
    """Everybody was asked in every way, and nobody said so."""


def begun(team: Configuration, rota: Rota, now: datetime) -> Watch | None:
    """The shift that began within the last hour and goes on, if somebody else was there before.

    None where the person set it themselves (they know), and in closed hours and gaps.
    """
    watches = rotas.plan(rota, team.hours, now - BEGAN_WITHIN, now + timedelta(days=8))
    place, current = next((i, one) for i, one in enumerate(watches) if one.begin <= now < one.end)
    if current.person is None or place == 0 or current.set_by == current.person:
        return None
    return None if watches[place - 1].person == current.person else current


def ways_to(team: Configuration, person_id: str) -> tuple[str, ...]:
    """The destinations that reach a person, in the order of their contacts, one of a kind of chat."""
    person = team.person(person_id)
    if person is None:
        return ()
    found: dict[str, str] = {}
    for contact in dict.fromkeys((*(one for one in person.contacts if one in KINDS), *KINDS)):
        for kind in KINDS[contact]:
            for destination in team.destinations:
                if destination.kind == kind and chat_id(person, kind) is not None:
                    found.setdefault(contact, destination.id)
    return tuple(found.values())


def next_ask(
    team: Configuration,
    rota: Rota,
    shift: Watch,
    asked: Sequence[Asked],
    confirm_within: timedelta,
    now: datetime,
) -> Next:
    """The person's ways one after the other, then the next in turn, each after the same wait."""
    if asked and now - asked[-1].at < confirm_within:
        return Next()
    put = {(one.person, one.destination) for one in asked}
    assert shift.person is not None
    for person in (shift.person, *rotas.others_in_turn(rota, shift.begin)):
        for way in ways_to(team, person):
            if (person, way) not in put:
                return Next(ask=(person, way))
    return Next(nobody_left=True)
