"""The team as a practice sees it: the real one, with one place to post to and the trainee on call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import HttpUrl

from services.contracts.configuration import (
    Account,
    BlueskyAccount,
    Brand,
    Configuration,
    Destination,
    EmailAccount,
    FacebookAccount,
    InstagramAccount,
    MastodonAccount,
    Override,
    Person,
    Policy,
    Practice,
    Role,
    Rota,
    Route,
    Target,
    XAccount,
)
from services.contracts.configuration.accounts import MastodonSettings

NOBODY = "practice"
"""Stands where a person has no address of the practice's kind: no chat knows it, and none is asked."""
UNREAD = "PRACTICE_HAS_NO_SECRET"
_ADDRESS = {
    "slack": "slack",
    "teams_bot": "teams",
    "teams_workflow": "teams",
    "email": "email",
    "apprise": "notify",
}


@dataclass(frozen=True, slots=True)
class Reached:
    """An account that the practice's messages were written to."""

    platform: str
    account_id: str
    brand: str


def practised(
    real: Configuration,
    place: Destination,
    people: tuple[str, ...],
    begin: datetime,
    end: datetime,
    reached: Iterable[Reached] = (),
) -> Configuration:
    """The configuration that a practice runs with.

    Its only destination is `place`; routes, policies and checklists are the team's own, at any hour; the
    first of `people` is on call, and all of them act as responders. Every account can be answered, also
    those of the demo that the team does not have.
    """
    brands = {one.brand for one in reached} - {one.id for one in real.brands}
    return real.model_copy(
        update={
            "destinations": (place,),
            "engineers": place.id,
            "practice": Practice(),
            "brands": (*real.brands, *(Brand(id=one, name=one) for one in sorted(brands))),
            "accounts": _accounts(real, reached),
            "people": tuple(_person(one, place, people) for one in real.people),
            "rotas": tuple(_rota(one, people[0], begin, end) for one in real.rotas),
            "policies": tuple(_policy(one, place) for one in real.policies),
            "routes": tuple(_route(one, place) for one in real.routes),
        }
    )


def _accounts(real: Configuration, reached: Iterable[Reached]) -> tuple[Account, ...]:
    known = {(one.platform, one.id) for one in real.accounts}
    new = {
        (one.platform, one.account_id): _stand_in(one.platform, one.account_id, one.brand, None)
        for one in reached
        if (one.platform, one.account_id) not in known
    }
    return (*map(_answerable, real.accounts), *(new[key] for key in sorted(new)))


def _answerable(account: Account) -> Account:
    """Answers are written here, and nowhere else: on the platform itself a real customer would read them."""
    changes: dict[str, object] = {"quiet_start": timedelta(0)}
    match account:
        case XAccount() | FacebookAccount() | InstagramAccount():
            # The name of a secret that nobody reads: alert posts nothing.
            settings = account.settings.model_copy(update={"access_token": UNREAD})
            changes["settings"] = settings
        case MastodonAccount() | BlueskyAccount():
            pass
        case EmailAccount() if account.settings.smtp:
            pass
        case _:
            return _stand_in(account.platform, account.id, account.brand, account.handle)
    return account.model_copy(update=changes)


def _stand_in(platform: str, account_id: str, brand: str, handle: str | None) -> Account:
    """An account that takes answers in public and in private, under another platform's name."""
    made = MastodonAccount(
        platform="mastodon",
        id=account_id,
        brand=brand,
        handle=handle,
        quiet_start=timedelta(0),
        settings=MastodonSettings(url=HttpUrl("https://practice.invalid")),
    )
    return made.model_copy(update={"platform": platform})


def _person(person: Person, place: Destination, people: tuple[str, ...]) -> Person:
    """With an address for `place` alone, so that every step of the escalation reaches somebody there."""
    address = _ADDRESS[place.kind]
    changes: dict[str, object] = {
        "contacts": (),
        "quiet_hours": (),
        "time_off_calendar": None,
        **{one: None for one in ("slack", "teams", "email", "notify") if one != address},
        address: getattr(person, address) or NOBODY,
    }
    if person.id in people:
        changes |= {"roles": person.roles | {Role.responder}, "brands": ()}
    return person.model_copy(update=changes)


def _rota(rota: Rota, trainee: str, begin: datetime, end: datetime) -> Rota:
    taken = Override.model_validate({"person": trainee, "from": begin, "to": end})
    return rota.model_copy(
        update={"overrides": (taken,), "open_hours": None, "confirm_within": None}
    )


def _policy(policy: Policy, place: Destination) -> Policy:
    steps = tuple(
        one.model_copy(update={"targets": tuple(_target(each, place) for each in one.targets)})
        for one in policy.steps
    )
    fallback = _target(policy.fallback, place) if policy.fallback else None
    return policy.model_copy(update={"hours": None, "steps": steps, "fallback": fallback})


def _target(target: Target, place: Destination) -> Target:
    return Target(channel=place.id) if target.channel is not None else target


def _route(route: Route, place: Destination) -> Route:
    match = route.match.model_copy(update={"hours": None})
    return route.model_copy(
        update={"match": match, "destinations": (place.id,), "ignores_closed_hours": True}
    )
