"""Where a board goes and who is there for it, by the same routes and policies as episodes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.alert.domain import escalation
from services.alert.domain.items import Item
from services.alert.domain.routing import Facts, policy_named, route_for
from services.contracts.configuration import Configuration, Person, Role, Route
from services.contracts.events import Label


@dataclass(frozen=True, slots=True)
class Home:
    """The place of a brand's cards and whoever answers there now."""

    brand: str
    destination: str
    shared: bool
    zone: str
    people: tuple[str, ...]
    """On call now; nobody in a gap and in closed hours."""


def route_of(configuration: Configuration, item: Item, now: datetime) -> Route:
    """The route that this item takes as a conversation."""
    facts = Facts(
        brand=item.brand,
        platform=item.platform,
        account_id=item.account_id,
        author_id=item.author_id,
        label=Label.conversation,
        sensitive=item.sensitive,
        language=item.shown.language,
        urgency=item.urgency,
        private=item.private,
    )
    return route_for(configuration, facts, now)


def home_of(
    configuration: Configuration,
    route: Route,
    brand: str,
    now: datetime,
    *,
    always: bool = False,
    further: bool = False,
) -> Home:
    """The first destination of a route with whom its policy's first step reaches now.

    `always`: also in closed hours. `further`: where the first step reaches nobody, whom a later one does.
    """
    destination = route.destinations[0]
    policy = policy_named(configuration, route.policy)
    people: tuple[str, ...] = ()
    for step in range(len(policy.steps)):
        found = escalation.reached(
            configuration,
            policy,
            step,
            brand=brand,
            home=destination,
            now=now,
            paged={},
            ignores_closed_hours=always or route.ignores_closed_hours,
        )
        people = found.people
        if people or found.closed or not further:
            break
    return Home(brand, destination, shared(configuration, destination), zone(configuration), people)


def shared(configuration: Configuration, destination: str) -> bool:
    """Whether people beyond those on call read it; a place that is not configured any more is."""
    return next((one.shared for one in configuration.destinations if one.id == destination), True)


def zone(configuration: Configuration) -> str:
    """In which times of day are shown."""
    return configuration.rotas[0].zone


def brand_name(configuration: Configuration, brand: str) -> str:
    """As people write it."""
    return next((one.name for one in configuration.brands if one.id == brand), brand)


def may_press(configuration: Configuration, person_id: str, brand: str) -> bool:
    """Whether this person decides for the brand: a listed responder, lead or admin."""
    person = configuration.person(person_id)
    if person is None or (person.brands and brand not in person.brands):
        return False
    return bool(person.roles & {Role.responder, Role.lead, Role.admin})


def engineers(configuration: Configuration) -> list[Person]:
    """Who hears about the system itself."""
    return [one for one in configuration.people if Role.engineer in one.roles]


def at_clock(moment: datetime, zone_name: str) -> str:
    """`14:32`."""
    return f"{moment.astimezone(ZoneInfo(zone_name)):%H:%M}"
