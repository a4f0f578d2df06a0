"""Which route an episode takes: the first that matches."""

from __future__ import annotations

from collections.abc import Iterable
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
        if mismatch(configuration, route.match, facts, now) is None:
            return route
    return configuration.routes[-1]


def policy_named(configuration: Configuration, policy_id: str) -> Policy:
    """The policy of that id; a checked configuration has it."""
    return next(policy for policy in configuration.policies if policy.id == policy_id)


def hours_named(configuration: Configuration, hours_id: str | None) -> Hours | None:
    """The hours of that id, or None where none are asked for."""
    return next((hours for hours in configuration.hours if hours.id == hours_id), None)


def mismatch(configuration: Configuration, match: Match, facts: Facts, now: datetime) -> str | None:
    """The first thing that a route asks for and these facts lack, in words; None: it matches."""
    asked = (
        ("brand", match.brands, facts.brand),
        ("account", match.accounts, facts.account_id),
        ("platform", match.platforms, facts.platform),
        ("label", match.labels, facts.label),
        ("urgency", match.urgency, facts.urgency),
    )
    for name, wanted, value in asked:
        if wanted and value not in wanted:
            return f"asks for {name} {_listed_words(wanted)}, this is {value or 'none'}"
    if match.sensitive == "any":
        if not facts.sensitive:
            return "asks for something sensitive, nothing is"
    elif match.sensitive and not facts.sensitive & set(match.sensitive):
        flags = _listed_words(sorted(facts.sensitive)) or "nothing"
        return f"asks for {_listed_words(match.sensitive)}, sensitive is {flags}"
    if match.languages and not any(_speaks(facts.language, one) for one in match.languages):
        return f"asks for language {_listed_words(match.languages)}, this is {facts.language}"
    if match.private is not None and match.private != facts.private:
        words = {True: "private", False: "public"}
        return f"asks for {words[match.private]} messages, this is {words[facts.private]}"
    if match.authors and not _listed(configuration, match, facts):
        return f"asks for authors on {_listed_words(match.authors)}, this one is not"
    hours = hours_named(configuration, match.hours)
    if hours is not None and not is_open(hours, now):
        return f"asks for the hours {hours.id}, it is outside of them"
    return None


def _listed_words(values: Iterable[str]) -> str:
    return " or ".join(str(value) for value in values)


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
