"""Which route an episode takes: the first that matches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.alert.domain.wall_clock import is_open
from services.contracts.configuration import Configuration, Hours, Match, Policy, Route
from services.contracts.events import Label, Sensitive, Urgency


@dataclass(frozen=True, slots=True)
class Facts:
    """What a route can ask for."""

    brand: str
    platform: str
    account_id: str
    author_id: str
    label: Label | None
    sensitive: frozenset[Sensitive]
    language: str
    urgency: Urgency
    private: bool


def route_for(configuration: Configuration, facts: Facts, now: datetime) -> Route:
    """The first route that matches; the last one of a checked configuration matches everything."""
    for route in configuration.routes:
        if _matches(configuration, route.match, facts, now):
            return route
    return configuration.routes[-1]


def policy_named(configuration: Configuration, policy_id: str) -> Policy:
    """The policy of that id; a checked configuration has it."""
    return next(policy for policy in configuration.policies if policy.id == policy_id)


def hours_named(configuration: Configuration, hours_id: str | None) -> Hours | None:
    """The hours of that id, or None where none are asked for."""
    return next((hours for hours in configuration.hours if hours.id == hours_id), None)


def _matches(configuration: Configuration, match: Match, facts: Facts, now: datetime) -> bool:
    asked = (
        (match.brands, facts.brand),
        (match.accounts, facts.account_id),
        (match.platforms, facts.platform),
        (match.labels, facts.label),
        (match.urgency, facts.urgency),
    )
    if any(wanted and value not in wanted for wanted, value in asked):
        return False
    if match.sensitive == "any":
        if not facts.sensitive:
            return False
    elif match.sensitive and not facts.sensitive & set(match.sensitive):
        return False
    if match.languages and not any(_speaks(facts.language, one) for one in match.languages):
        return False
    if match.private is not None and match.private != facts.private:
        return False
    if match.authors and not _listed(configuration, match, facts):
        return False
    hours = hours_named(configuration, match.hours)
    return hours is None or is_open(hours, now)


def _speaks(language: str, wanted: str) -> bool:
    """`pt` matches `pt-BR`, never the other way round."""
    return language.lower() == wanted.lower() or language.lower().startswith(wanted.lower() + "-")


def _listed(configuration: Configuration, match: Match, facts: Facts) -> bool:
    author = f"{facts.platform}:{facts.author_id}"
    return any(
        author in brand.author_lists.get(name, ())
        for brand in configuration.brands
        if brand.id == facts.brand
        for name in match.authors
    )
