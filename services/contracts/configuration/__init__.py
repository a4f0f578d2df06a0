"""presence.yaml: the team's configuration, which all three services read.

It is a contract between the team and the services, so it lives with the contracts. Secrets are
named here and read from the environment. `services.runtime.configuration` loads it and says the line
of every mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

from pydantic import Field

from services.contracts.configuration.accounts import (
    Account,
    Automation,
    BlueskyAccount,
    Brand,
    EmailAccount,
    FacebookAccount,
    FeedAccount,
    InstagramAccount,
    MastodonAccount,
    Person,
    Role,
    WebhookAccount,
    XAccount,
    YouTubeAccount,
)
from services.contracts.configuration.answering import Answering, SavedReply
from services.contracts.configuration.notification_rules import (
    CONTACT_OF,
    Contact,
    NotificationRule,
    NotificationRules,
)
from services.contracts.configuration.practice import Practice, misplaced
from services.contracts.configuration.rota import (
    Every,
    Hours,
    Interval,
    Layer,
    Override,
    Period,
    Policy,
    Rota,
    Rotation,
    Step,
    Swap,
    Target,
    TimeOff,
    Who,
)
from services.contracts.configuration.routing import (
    AppriseDestination,
    Classify,
    Costs,
    Destination,
    EmailDestination,
    Ingest,
    LanguageModel,
    Learning,
    Match,
    PhoneDestination,
    Retention,
    Route,
    Shadow,
    Signs,
    SlackDestination,
    Targets,
    TeamsBotDestination,
    TeamsWorkflowDestination,
    Threads,
)
from services.contracts.configuration.values import Id, Section, Weekday, parse_duration
from services.contracts.configuration.webhooks import (
    HmacForm,
    WebhookMapping,
    WebhookScheme,
    WebhookSettings,
)

__all__ = [
    "CONTACT_OF",
    "Account",
    "Answering",
    "AppriseDestination",
    "Automation",
    "BlueskyAccount",
    "Brand",
    "Classify",
    "Configuration",
    "Contact",
    "Costs",
    "Destination",
    "EmailAccount",
    "EmailDestination",
    "Every",
    "FacebookAccount",
    "FeedAccount",
    "HmacForm",
    "Hours",
    "Ingest",
    "InstagramAccount",
    "Interval",
    "LanguageModel",
    "Layer",
    "Learning",
    "MastodonAccount",
    "Match",
    "NotificationRule",
    "NotificationRules",
    "Override",
    "Period",
    "Person",
    "PhoneDestination",
    "Policy",
    "Practice",
    "Problem",
    "Retention",
    "Role",
    "Rota",
    "Rotation",
    "Route",
    "SavedReply",
    "Shadow",
    "Signs",
    "SlackDestination",
    "Step",
    "Swap",
    "Target",
    "Targets",
    "TeamsBotDestination",
    "TeamsWorkflowDestination",
    "Threads",
    "TimeOff",
    "WebhookAccount",
    "WebhookMapping",
    "WebhookScheme",
    "WebhookSettings",
    "Weekday",
    "Where",
    "Who",
    "XAccount",
    "YouTubeAccount",
    "parse_duration",
    "problems",
]


class Configuration(Section):
    """The whole of presence.yaml."""

    version: Literal[1]
    """Of this file's form."""
    brands: tuple[Brand, ...] = Field(min_length=1)
    accounts: tuple[Account, ...] = Field(min_length=1)
    people: tuple[Person, ...] = Field(min_length=1)
    rotas: tuple[Rota, ...] = Field(min_length=1)
    policies: tuple[Policy, ...] = Field(min_length=1)
    routes: tuple[Route, ...] = Field(min_length=1)
    destinations: tuple[Destination, ...] = Field(min_length=1)
    engineers: Id | None = None
    """The destination that hears about the system itself, never a channel of responders. None: the
    engineers among the people, by direct message."""
    hours: tuple[Hours, ...] = ()
    targets: Targets = Targets()
    answering: Answering = Answering()
    classify: Classify = Classify()
    ingest: Ingest = Ingest()
    retention: Retention = Retention()
    practice: Practice = Practice()

    def account(self, platform: str, account_id: str) -> Account | None:
        """The account of that platform and immutable id."""
        for account in self.accounts:
            if account.platform == platform and account.id == account_id:
                return account
        return None

    def person(self, person_id: str) -> Person | None:
        """The person of that id."""
        return next((person for person in self.people if person.id == person_id), None)


Where = tuple[str | int, ...]
"""The path of keys and indexes to a value, as in pydantic's `loc`."""


class Problem(NamedTuple):
    """A mistake in a file that is well-formed: where, and what."""

    where: Where
    says: str


def _duplicates(name: str, ids: Iterable[Any]) -> Iterator[Problem]:
    seen: set[Any] = set()
    for index, one in enumerate(ids):
        if one in seen:
            shown = ":".join(one) if isinstance(one, tuple) else one
            yield Problem((name, index, "id"), f"{shown!r} is there twice")
        seen.add(one)


def _missing(
    where: Where, kind: str, wanted: str | None, known: Iterable[str]
) -> Iterator[Problem]:
    known = sorted(known)
    if wanted is not None and wanted not in known:
        yield Problem(where, f"no {kind} {wanted!r} (there is: {', '.join(known) or 'none'})")


class _Names(NamedTuple):
    brands: set[str]
    people: set[str]
    rotas: set[str]
    policies: set[str]
    destinations: set[str]
    hours: set[str]
    author_lists: set[str]


def _target_problems(where: Where, target: Target, names: _Names) -> Iterator[Problem]:
    yield from _missing((*where, "rota"), "rota", target.rota, names.rotas)
    yield from _missing((*where, "person"), "person", target.person, names.people)
    yield from _missing((*where, "channel"), "destination", target.channel, names.destinations)


def _people_problems(file: Configuration, names: _Names) -> Iterator[Problem]:
    for i, account in enumerate(file.accounts):
        yield from _missing(("accounts", i, "brand"), "brand", account.brand, names.brands)
    for i, person in enumerate(file.people):
        for j, contact in enumerate(person.contacts):
            if contact not in Contact.__members__:
                says = (
                    "write slack, teams, email, notify or phone (the last two with their address)"
                )
                yield Problem(("people", i, "contacts", j), says)
        yield from _rule_problems(file, person, ("people", i, "notification_rules"))
        for j, brand in enumerate(person.brands):
            yield from _missing(("people", i, "brands", j), "brand", brand, names.brands)


def _rule_problems(file: Configuration, person: Person, where: Where) -> Iterator[Problem]:
    """A rule that leads nowhere would be a page that nobody hears."""
    reached = {CONTACT_OF[one.kind] for one in file.destinations}
    for urgency in ("urgent", "normal"):
        for j, rule in enumerate(getattr(person.notification_rules, urgency)):
            if getattr(person, rule.by.value) is None:
                yield Problem((*where, urgency, j, "by"), f"{person.id} has no `{rule.by.value}`")
            elif rule.by not in reached:
                says = f"no destination reaches anybody by {rule.by.value}"
                yield Problem((*where, urgency, j, "by"), says)


def _answering_problems(file: Configuration, names: _Names) -> Iterator[Problem]:
    saved = file.answering.saved
    seen: set[str] = set()
    for i, one in enumerate(saved):
        if one.id in seen:
            yield Problem(("answering", "saved", i, "id"), f"{one.id!r} is there twice")
        seen.add(one.id)
        for j, brand in enumerate(one.brands):
            where: Where = ("answering", "saved", i, "brands", j)
            yield from _missing(where, "brand", brand, names.brands)


def _rota_problems(file: Configuration, names: _Names) -> Iterator[Problem]:
    for i, rota in enumerate(file.rotas):
        yield from _missing(("rotas", i, "open_hours"), "hours", rota.open_hours, names.hours)
        for j, layer in enumerate(rota.layers):
            for k, member in enumerate(layer.rotation.members):
                member_at: Where = ("rotas", i, "layers", j, "rotation", "members", k)
                yield from _missing(member_at, "person", member, names.people)
        for j, override in enumerate(rota.overrides):
            override_at: Where = ("rotas", i, "overrides", j, "person")
            yield from _missing(override_at, "person", override.person, names.people)
        for j, time_off in enumerate(rota.time_off):
            away_at: Where = ("rotas", i, "time_off", j, "person")
            yield from _missing(away_at, "person", time_off.person, names.people)
        for j, swap in enumerate(rota.swaps):
            for key, who in (("person", swap.person), ("instead_of", swap.instead_of)):
                yield from _missing(("rotas", i, "swaps", j, key), "person", who, names.people)
    for i, policy in enumerate(file.policies):
        yield from _missing(("policies", i, "hours"), "hours", policy.hours, names.hours)
        if policy.starter is not None:
            yield from _missing(("policies", i, "rota"), "rota", policy.rota, names.rotas)
        for j, step in enumerate(policy.steps):
            for k, target in enumerate(step.targets):
                if target.rota is not None and target.rota == policy.rota:
                    continue  # said once, at the starter's rota
                target_at: Where = ("policies", i, "steps", j, "targets", k)
                yield from _target_problems(target_at, target, names)
        if policy.fallback:
            yield from _target_problems(("policies", i, "fallback"), policy.fallback, names)


def _route_problems(file: Configuration, names: _Names) -> Iterator[Problem]:
    for i, route in enumerate(file.routes):
        yield from _missing(("routes", i, "policy"), "policy", route.policy, names.policies)
        for j, destination in enumerate(route.destinations):
            destination_at: Where = ("routes", i, "destinations", j)
            yield from _missing(destination_at, "destination", destination, names.destinations)
        match = route.match
        for j, brand in enumerate(match.brands):
            yield from _missing(("routes", i, "match", "brands", j), "brand", brand, names.brands)
        for j, authors in enumerate(match.authors):
            authors_at: Where = ("routes", i, "match", "authors", j)
            yield from _missing(authors_at, "author list", authors, names.author_lists)
        yield from _missing(("routes", i, "match", "hours"), "hours", match.hours, names.hours)
        if match.everything and i < len(file.routes) - 1:
            yield Problem(
                ("routes", i, "id"), "matches everything, so no route after it is reached"
            )
    if not file.routes[-1].match.everything:
        yield Problem(
            ("routes", len(file.routes) - 1, "match"),
            "the last route is the default: leave its match out",
        )
    for i, one in enumerate(file.destinations):
        where: Where = ("destinations", i, "fallback")
        yield from _missing(where, "destination", one.fallback, names.destinations)
        if one.fallback == one.id:
            yield Problem(where, "a destination cannot stand in for itself")
    yield from _missing(("engineers",), "destination", file.engineers, names.destinations)
    yield from _channel_problems(file)
    yield from _missing(("targets", "hours"), "hours", file.targets.hours, names.hours)


def _channel_problems(file: Configuration) -> Iterator[Problem]:
    """A phone reaches one person: nothing that is meant for a channel goes there."""
    phones = {one.id for one in file.destinations if isinstance(one, PhoneDestination)}
    named: list[tuple[Where, str | None]] = [(("engineers",), file.engineers)]
    for i, route in enumerate(file.routes):
        named += [
            (("routes", i, "destinations", j), one) for j, one in enumerate(route.destinations)
        ]
    for i, policy in enumerate(file.policies):
        for j, step in enumerate(policy.steps):
            named += [
                (("policies", i, "steps", j, "targets", k, "channel"), target.channel)
                for k, target in enumerate(step.targets)
            ]
        if policy.fallback:
            named.append((("policies", i, "fallback", "channel"), policy.fallback.channel))
    for i, one in enumerate(file.destinations):
        named.append((("destinations", i, "fallback"), one.fallback))
    for where, destination in named:
        if destination in phones:
            yield Problem(where, f"{destination!r} is of kind phone, which has no channel")


def problems(file: Configuration) -> list[Problem]:
    """References that lead nowhere, ids that occur twice, routes that cannot be reached."""
    names = _Names(
        brands={brand.id for brand in file.brands},
        people={person.id for person in file.people},
        rotas={rota.id for rota in file.rotas},
        policies={policy.id for policy in file.policies},
        destinations={destination.id for destination in file.destinations},
        hours={hours.id for hours in file.hours},
        author_lists={name for brand in file.brands for name in brand.author_lists},
    )
    found: list[Problem] = []
    for name in ("brands", "people", "rotas", "policies", "routes", "destinations", "hours"):
        found += _duplicates(name, (one.id for one in getattr(file, name)))
    found += _duplicates("accounts", ((one.platform, one.id) for one in file.accounts))
    found += _people_problems(file, names)
    found += _rota_problems(file, names)
    found += _route_problems(file, names)
    found += _answering_problems(file, names)
    found += (Problem(*one) for one in misplaced(file.practice, file.destinations))
    return found
