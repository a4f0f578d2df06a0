"""What a refold changes in a stored episode, and what follows from it. A pure decision.

`advance` takes the episode as stored (or nothing) and as folded, and returns it as it is to be stored,
with the effects in order. The store writes both in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.alert.domain import escalation
from services.alert.domain.card import CardState
from services.alert.domain.fold import Episode
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import (
    Announce,
    Change,
    Context,
    Effect,
    Hasten,
    Measure,
    Record,
    SetTimer,
    ShowCard,
    ShowLine,
    Shows,
    StopPaging,
    TellHistory,
)
from services.alert.domain.opening import due_of, flags_of, opened, route_of, shows_as, urgency_of
from services.alert.domain.response_time import business_seconds
from services.alert.domain.routing import hours_named, policy_named
from services.contracts.configuration import Hours
from services.contracts.events import CloseReason, EpisodeChange, Origin, Urgency

BACKFILL_WAIT = timedelta(minutes=2)
"""At most so long does backfilled inbound wait for the brand's own backfilled items."""

BACKFILL_GRACE = timedelta(seconds=5)
"""Between the source's word that it has caught up and our trust that all of it was folded."""

_STATES = {
    CloseReason.answered: CardState.answered,
    CloseReason.withdrawn: CardState.withdrawn,
    CloseReason.relabelled: CardState.relabelled,
    CloseReason.merged: CardState.merged,
}
_CHANGES = {
    CardState.answered: EpisodeChange.answered,
    CardState.withdrawn: EpisodeChange.withdrawn,
    CardState.relabelled: EpisodeChange.relabelled,
    CardState.merged: EpisodeChange.merged,
    CardState.closed: EpisodeChange.closed,
}


def advance(
    was: Record | None, folded: Episode, context: Context, *, new_id: str, conversation: int
) -> Change | None:
    """The next state of an episode; None where nothing changed."""
    asked = [context.items[opener] for opener in folded.openers]
    said = [context.items[item] for item in folded.inbound]
    fingerprint = _fingerprint(folded, said)
    if was is not None and was.fingerprint == fingerprint:
        return None
    if was is None:
        record = opened(folded, asked, said, context, new_id, conversation)
    else:
        record = _carried_on(was, folded, asked, said, context)
    # What was just read of it is not stale.
    record = replace(
        record,
        folded=folded,
        fingerprint=fingerprint,
        version=record.version + 1,
        stale=False,
    )
    record = _with_state(was, record, context)
    again = was is not None and not was.live
    if was is not None and record.live and (again or _rises(was, record)):
        record = replace(record, paging_round=was.paging_round + 1)
    return Change(record, tuple(_effects(was, record, context)))


def retired(was: Record, context: Context) -> Change | None:
    """The newer of two episodes that turned out to be one."""
    if was.state is CardState.merged:
        return None
    record = replace(was, state=CardState.merged, version=was.version + 1, claim_until=None)
    effects: list[Effect] = [StopPaging(), Announce(EpisodeChange.merged, context.now)]
    if was.has_card:
        effects.append(ShowCard())
    return Change(record, tuple(effects))


def came_straight(record: Record, said: Sequence[Item]) -> bool:
    """Whether its card came from the receipt of a live message, and waited for nobody on the way.

    Not for a person's relabel, nor for the deletion of an answer: the pipeline's figure is of machines.
    """
    first = next((item for item in said if item.id in record.folded.openers), None)
    if first is None or record.folded.reopened:
        return False
    return first.origin is Origin.live and first.relabel is None


def inheriting(was: Record, gone: Record) -> Record:
    """The episode that stays of two that turned out to be one: a claim of the other holds for it.

    Of two claims its own holds.
    """
    if was.state is not CardState.open or gone.state is not CardState.claimed:
        return was
    return replace(
        was,
        state=CardState.claimed,
        claimed_by=gone.claimed_by,
        claimed_at=gone.claimed_at,
        claim_until=gone.claim_until,
        first_claimed_at=was.first_claimed_at or gone.first_claimed_at,
        first_claimed_by=was.first_claimed_by or gone.first_claimed_by,
    )


def _fingerprint(folded: Episode, said: Sequence[Item]) -> str:
    shown = [(item.shown, item.deleted_at, item.relabel, sorted(item.sensitive)) for item in said]
    return hashlib.blake2s(repr((folded, shown)).encode(), digest_size=12).hexdigest()


def _carried_on(
    was: Record, folded: Episode, asked: Sequence[Item], said: Sequence[Item], context: Context
) -> Record:
    """The opening may have moved, and it may have become more urgent or sensitive."""
    first = asked[0]
    record = replace(
        was,
        label=first.final_label,
        urgency=urgency_of(said),
        sensitive=flags_of(said),
        private=any(item.private for item in said),
        may_page=was.may_page or any(item.may_page for item in asked),
        received_at=first.received_at,
        classified_at=first.classified_at,
    )
    if _rises(was, record):
        route = route_of(folded, said, context)
        if route.id != was.route:
            record = replace(
                record,
                route=route.id,
                policy=policy_named(context.configuration, route.policy),
                # The card that is posted stays where it is, masked as its place demands.
                destinations=tuple(dict.fromkeys((*route.destinations, *was.destinations))),
                checklist=route.checklist,
                ignores_closed_hours=route.ignores_closed_hours,
            )
    shows = was.shows
    if shows is not Shows.card:
        shows = shows_as(record.policy, asked, folded.reopened, context)
    return replace(record, due_at=due_of(record.policy, folded, context), shows=shows)


def _rises(was: Record, record: Record) -> bool:
    """A rise in urgency or a sensitive flag: what a new ping is for."""
    rank = list(Urgency)
    more_urgent = rank.index(record.urgency) > rank.index(was.urgency)
    return bool(record.sensitive - was.sensitive) or (
        more_urgent and record.urgency is Urgency.high
    )


def _with_state(was: Record | None, record: Record, context: Context) -> Record:
    ending = record.folded.ending
    if ending is None:
        if was is not None and was.live:
            return record
        return replace(record, state=CardState.open, claimed_by=None, claim_until=None)
    state = _STATES.get(ending.reason, CardState.closed)
    business = None
    if ending.reason is CloseReason.answered:
        kept = hours_named(context.configuration, context.configuration.targets.hours)
        business = business_seconds(kept, record.folded.opened_at, ending.at)
    return replace(record, state=state, claim_until=None, business_seconds=business)


def _effects(was: Record | None, record: Record, context: Context) -> list[Effect]:
    effects: list[Effect] = []
    folded = record.folded
    if was is None:
        change = EpisodeChange.reopened if folded.reopened else EpisodeChange.opened
        effects.append(Announce(change, folded.opened_at))
    elif was.folded.opened_at != folded.opened_at:
        effects.append(Announce(EpisodeChange.moved, folded.opened_at))
    effects += _paging(was, record, context)
    if record.state is not (was.state if was else CardState.open) and folded.ending is not None:
        ending = folded.ending
        effects.append(Announce(_CHANGES[record.state], ending.at, ending.by))
        if not record.measured:
            effects.append(Measure())
    if record.shows is Shows.card:
        effects.append(ShowCard())
        if was is not None and was.shows is Shows.card:
            known = set(was.folded.inbound)
            effects += [ShowLine(item) for item in folded.inbound if item not in known]
    elif record.shows is Shows.digest and was is None and record.live:
        effects.append(TellHistory())
    return effects


def _paging(was: Record | None, record: Record, context: Context) -> list[Effect]:
    if not record.live:
        return [StopPaging()] if was is not None and was.live else []
    if record.shows is not Shows.card or not record.may_page:
        return []
    begins = was is None or not was.live or was.shows is not Shows.card or not was.may_page
    if not begins and was is not None and _rises(was, record):
        return [SetTimer(0, context.now, risen=True)]
    hours = hours_named(context.configuration, record.policy.hours)
    if not begins:
        moved = was is not None and record.folded.opened_at < was.folded.opened_at
        return [_hasten(record, hours)] if moved else []
    due = escalation.step_due(record.policy, hours, record.folded.opened_at, 0)
    held = _waits_for_backfill(record, context)
    if held is not None and held > max(due, context.now):
        return [SetTimer(0, held, backfill=True)]
    return [SetTimer(0, due)]


def _hasten(record: Record, hours: Hours | None) -> Hasten:
    opened, steps = record.folded.opened_at, range(len(record.policy.steps) + 1)
    return Hasten(tuple(escalation.step_due(record.policy, hours, opened, step) for step in steps))


def _waits_for_backfill(record: Record, context: Context) -> datetime | None:
    """Until when a backfilled question waits, in case its answer is backfilled after it."""
    asked = [context.items[opener] for opener in record.folded.openers]
    if any(item.origin is not Origin.backfill for item in asked):
        return None
    caught_up = context.caught_up_at
    if caught_up is not None and caught_up >= max(item.received_at for item in asked):
        return caught_up + BACKFILL_GRACE
    stored = max(context.stored_at.get(item.id, context.now) for item in asked)
    return stored + BACKFILL_WAIT
