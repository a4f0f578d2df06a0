"""How an episode begins: its route, its policy, when it is due, and how it comes before people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.alert.domain import escalation
from services.alert.domain.card import CardState
from services.alert.domain.fold import Episode
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import Context, Record, Shows
from services.alert.domain.routing import Facts, hours_named, policy_named, route_for
from services.contracts.configuration import Policy, Route
from services.contracts.events import Origin, Sensitive, Urgency


def history(policy: Policy, item: Item, context: Context) -> bool:
    """Whether an item was older than its answer window when it was first stored.

    A person's relabel makes it news of today, however old it is.
    """
    if item.relabel is not None and not item.relabelled_away:
        return False
    hours = hours_named(context.configuration, policy.hours)
    stored = context.stored_at.get(item.id, context.now)
    return stored > escalation.budget_due(policy, hours, item.source_time)


def flags_of(said: Sequence[Item]) -> frozenset[Sensitive]:
    """Every sensitive flag of an episode's messages."""
    return frozenset(flag for item in said for flag in item.sensitive)


def urgency_of(said: Sequence[Item]) -> Urgency:
    """The highest of its messages."""
    rank = list(Urgency)
    return max((item.urgency for item in said), key=rank.index, default=Urgency.normal)


def route_of(folded: Episode, said: Sequence[Item], context: Context) -> Route:
    """The first route that matches it now."""
    first = context.items[folded.openers[0]]
    return route_for(context.configuration, routing_facts(first, said), context.now)


def routing_facts(first: Item, said: Sequence[Item]) -> Facts:
    """What a route can ask of an episode: its first item, and all of its messages."""
    return Facts(
        brand=first.brand,
        platform=first.platform,
        account_id=first.account_id,
        author_id=first.author_id,
        label=first.final_label,
        sensitive=flags_of(said),
        language=first.shown.language,
        urgency=urgency_of(said),
        private=any(item.private for item in said),
    )


def shows_as(policy: Policy, asked: Sequence[Item], reopened: bool, context: Context) -> Shows:
    """As a card, unless all of its questions are history or a new source's silent seeding."""
    if all(item.origin is Origin.backfill and not item.may_page for item in asked):
        return Shows.silent
    old = all(history(policy, item, context) for item in asked)
    return Shows.digest if old and not reopened else Shows.card


def opened(
    folded: Episode,
    asked: Sequence[Item],
    said: Sequence[Item],
    context: Context,
    new_id: str,
    conversation: int,
) -> Record:
    """A new record: nobody has it, nobody was paged for it."""
    route = route_of(folded, said, context)
    policy = policy_named(context.configuration, route.policy)
    first = asked[0]
    return Record(
        id=new_id,
        conversation=conversation,
        brand=first.brand,
        platform=first.platform,
        account_id=first.account_id,
        folded=folded,
        state=CardState.open,
        version=0,
        fingerprint="",
        label=first.final_label,
        urgency=urgency_of(said),
        sensitive=flags_of(said),
        private=any(item.private for item in said),
        route=route.id,
        policy=policy,
        destinations=route.destinations,
        checklist=route.checklist,
        ignores_closed_hours=route.ignores_closed_hours,
        due_at=due_of(policy, folded, context),
        shows=shows_as(policy, asked, folded.reopened, context),
        may_page=any(item.may_page for item in asked),
        paging_round=0,
        received_at=first.received_at,
        classified_at=first.classified_at,
        opened_recorded_at=context.now,
    )


def due_of(policy: Policy, folded: Episode, context: Context) -> datetime:
    """When the answer is due."""
    hours = hours_named(context.configuration, policy.hours)
    return escalation.budget_due(policy, hours, folded.opened_at)
