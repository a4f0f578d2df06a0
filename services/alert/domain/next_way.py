"""A page that its person does not confirm goes on by their next way, beside the escalation. Pure.

Confirmed is a page by anybody's claim, by an end, and by whatever its person presses on the card; those
take the row away (`alert.unconfirmed`). What is decided here: when the next way is due, whether the person
is still asked for, and what a ping too many or an outage does to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.alert.domain import escalation
from services.alert.domain.allowance import next_ping
from services.alert.domain.card import CardState
from services.alert.domain.contact_ways import Way, page_ways
from services.alert.domain.firing import LATE, Page, Surroundings, Why
from services.alert.domain.lifecycle import Record
from services.contracts.configuration import Configuration


class Call(StrEnum):
    """What asked for the page."""

    step = ""
    handover = "handover"
    promise = "promise"


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A page that waits to be confirmed."""

    person: str
    step: int
    """Of the policy: whoever its targets do not name any more is not asked again. -1 for a call."""
    paged_at: datetime
    used: tuple[str, ...]
    """The contacts it went by."""
    due_at: datetime
    """When the next way is looked at."""
    call: Call = Call.step
    says: str | None = None
    """A call's own words."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What becomes of it."""

    page: Page | None = None
    """Wake the person by this way, too."""
    again: Unconfirmed | None = None
    """How it waits on; None: nothing follows any more."""
    would_page: bool = False
    """The account's quiet start: the page is only noted."""
    why: Why | None = None


def unconfirmed(
    configuration: Configuration,
    record: Record,
    people: Iterable[str],
    now: datetime,
    *,
    step: int = -1,
    call: Call = Call.step,
    says: str | None = None,
) -> tuple[Unconfirmed, ...]:
    """What waits from now on for these people, who were paged just now. Only for who has another way."""
    found = []
    for person in people:
        ways = _ways(configuration, record, person)
        if len(ways) > 1:
            used, due = (ways[0].contact.value,), now + ways[1].after
            found.append(Unconfirmed(person, step, now, used, due, call, says))
    return tuple(found)


def follow_up(
    record: Record, page: Unconfirmed, around: Surroundings, reached: Collection[str] = ()
) -> FollowUp:
    """The next way of `page` is due. `reached`: destinations that it went to otherwise (failing over).

    In closed hours and for somebody off shift nothing follows; nor for a matter whose window went by while
    Presence was away, which is on the catch-up card. A ping too many waits until one more is allowed.
    """
    now = around.now
    if not _asked_for(record, page, around):
        return FollowUp()
    left = [
        way
        for way in _ways(around.configuration, record, page.person)
        if way.contact.value not in page.used and way.destination not in reached
    ]
    if not left or _on_the_catch_up_card(record, page, now):
        return FollowUp()
    due = page.paged_at + left[0].after
    if due > now:
        return FollowUp(again=replace(page, due_at=due))
    # What a person's act asked for is asked for in a quiet start, too.
    quiet = around.quiet and not record.sensitive and page.call is Call.step
    if not quiet and not record.sensitive and not around.may_ping(page.person):
        return FollowUp(again=replace(page, due_at=next_ping(around.pings[page.person], now)))
    used = (*page.used, left[0].contact.value)
    again = None
    if len(left) > 1:
        # However late: a breath lies between two ways, as between two steps.
        apart = min(escalation.BREATH, left[1].after - left[0].after)
        due = max(page.paged_at + left[1].after, now + apart)
        again = replace(page, used=used, due_at=due)
    if quiet:
        return FollowUp(again=again, would_page=True, why=Why.quiet_start)
    return FollowUp(Page(page.person, left[0].destination), again, why=Why.next_way)


def _on_the_catch_up_card(record: Record, page: Unconfirmed, now: datetime) -> bool:
    """An outage of ours went by with its window: one card pings for all of those. No call is on it."""
    late = now - page.due_at >= LATE and now > record.due_at
    return late and not record.sensitive and page.call is Call.step


def _ways(configuration: Configuration, record: Record, person: str) -> tuple[Way, ...]:
    return page_ways(configuration, person, record.destinations, urgent=record.pressing)


def _asked_for(record: Record, page: Unconfirmed, around: Surroundings) -> bool:
    """Whether this person would still be paged: a shift may have ended, or the team gone home."""
    if page.call is Call.promise:
        return True  # until it is kept, which takes the row away
    if page.call is Call.handover:
        return record.state is CardState.claimed and record.claimed_by == page.person
    if record.state is not CardState.open:
        return False
    if around.during is not None and page.person in around.during.people:
        return True
    found = escalation.reached(
        around.configuration,
        record.policy,
        page.step,
        brand=record.brand,
        home=record.destinations[0],
        now=around.now,
        paged={},
        ignores_closed_hours=record.ignores_closed_hours,
    )
    return page.person in found.people
