"""A person's ways: which destinations wake them, in which order, and how long after a page each. Pure.

What a person wrote in presence.yaml decides: their `notification_rules` for this urgency, else their
`contacts` in that order, else the order of the destinations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from services.contracts.configuration import CONTACT_OF, Configuration, Contact, Person

APART = {True: timedelta(minutes=2), False: timedelta(minutes=5)}
"""Between two ways of somebody without rules; shorter where it is urgent."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of a page."""

    contact: Contact
    destination: str
    after: timedelta
    """Since the page."""


def page_ways(
    configuration: Configuration, person_id: str, preferred: tuple[str, ...], *, urgent: bool
) -> tuple[Way, ...]:
    """The ways of a page, one a kind of contact; the first is used at once.

    presence.yaml is refused where a rule leads nowhere. A practice has other places than the file: there a
    way without one is left out, and somebody whose rules all lead elsewhere is reached as without rules.
    """
    person = configuration.person(person_id)
    if person is None:
        return ()
    places: dict[Contact, str] = {}
    kinds = {one.id: one.kind for one in configuration.destinations}
    for destination in ways_to(configuration, person_id, preferred):
        places.setdefault(CONTACT_OF[kinds[destination]], destination)
    rules = person.notification_rules.urgent if urgent else person.notification_rules.normal
    found = [Way(one.by, places[one.by], one.after) for one in rules if one.by in places]
    if not found:
        named = [one for one in places if not person.contacts or one in person.contacts]
        found = [
            Way(contact, places[contact], APART[urgent] * place)
            for place, contact in enumerate(named or places)
        ]
    return (replace(found[0], after=timedelta(0)), *found[1:]) if found else ()


def way_to(
    configuration: Configuration,
    person_id: str,
    preferred: tuple[str, ...],
    *,
    urgent: bool = False,
) -> str | None:
    """The destination that wakes this person first."""
    ways = page_ways(configuration, person_id, preferred, urgent=urgent)
    return ways[0].destination if ways else None


def ways_to(
    configuration: Configuration, person_id: str, preferred: tuple[str, ...]
) -> tuple[str, ...]:
    """Every destination that can wake this person, in the order in which they are tried.

    Their own `contacts` come first, in the person's order; without any, the episode's own destinations
    and then all others. Within one kind of contact the episode's own destinations come first.
    """
    person = configuration.person(person_id)
    if person is None:
        return ()
    every = [one.id for one in configuration.destinations]
    kinds: dict[str, str] = {one.id: one.kind for one in configuration.destinations}
    reaching = [
        one
        for one in dict.fromkeys((*preferred, *every))
        if chat_id(person, kinds.get(one)) is not None
    ]
    if person.contacts:
        place = {name: number for number, name in enumerate(person.contacts)}
        reaching.sort(key=lambda one: place.get(CONTACT_OF[kinds[one]], len(place)))
    return tuple(reaching)


def chat_id(person: Person, kind: str | None) -> str | None:
    """A person as a kind of destination knows them."""
    match kind:
        case "slack":
            return person.slack
        case "teams_workflow" | "teams_bot":
            return person.teams
        case "email":
            return person.email
        case "apprise":
            return person.notify
        case "phone":
            return person.phone
    return None
