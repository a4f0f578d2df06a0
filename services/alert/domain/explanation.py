"""Who would be paged for this, when and why: the very decisions of the fold and the sweep, run dry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.alert.domain import rota as rotas
from services.alert.domain.advancing import advance
from services.alert.domain.card import CardState
from services.alert.domain.contact_ways import way_to
from services.alert.domain.firing import Firing, Page, Surroundings, Tell, Why, fire
from services.alert.domain.fold import fold
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import Context, Record, SetTimer, Shows
from services.alert.domain.next_way import Call, Unconfirmed, follow_up, unconfirmed
from services.alert.domain.opening import routing_facts
from services.alert.domain.rota_words import name_of, time_of
from services.alert.domain.routing import mismatch
from services.contracts.configuration import Configuration, Target, Who

REMINDERS = 2
"""So many firings beyond the last step are shown; they go on until somebody answers."""
WORDS = {
    Why.due: "due",
    Why.claim_expired: "the claim ran out",
    Why.nobody: "reaches nobody: the next step is taken at once",
    Why.closed_hours: "closed hours: nobody is paged",
    Why.quiet_start: "the account's quiet start: nobody is paged until a person switches it on",
    Why.too_many_pings: "has been pinged too often: it joins the queue card",
    Why.end_of_chain: "the end of the chain: the fallback and the channel",
    Why.next_way: "nobody has confirmed the page: the person's next way",
    Why.incident: "an incident: its group was paged for this step",
    Why.waited: "waited: the catch-up card lists it and pings once for all that waited",
}


@dataclass(frozen=True, slots=True)
class RouteTried:
    """A route that was looked at, in the order of the file."""

    route: str
    matched: bool
    why: str


@dataclass(frozen=True, slots=True)
class StepTaken:
    """What a timer does when it fires."""

    at: datetime
    step: int
    """From 0; beyond the policy's steps come reminders."""
    asked: tuple[str, ...]
    """Each target in words: who that is at this instant, and why."""
    pages: tuple[Page, ...]
    tells: tuple[Tell, ...]
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it."""

    opens: bool
    """Whether an episode opens at all."""
    notes: tuple[str, ...]
    routes: tuple[RouteTried, ...] = ()
    route: str | None = None
    policy: str | None = None
    destinations: tuple[str, ...] = ()
    opened_at: datetime | None = None
    due_at: datetime | None = None
    steps: tuple[StepTaken, ...] = ()


def explain_item(
    configuration: Configuration, item: Item, now: datetime, *, quiet: bool = False
) -> Explanation:
    """What happens when this item arrives at `now`, as the first of its conversation."""
    arrived = replace(item, source_time=now, received_at=now, classified_at=now)
    context = Context(configuration, now, {arrived.id: arrived}, {arrived.id: now})
    folded = next(iter(fold([arrived], [], [])), None)
    if folded is None:
        return Explanation(False, tuple(_why_not(arrived)))
    change = advance(None, folded, context, new_id="explained", conversation=0)
    assert change is not None
    record = change.record
    facts = routing_facts(arrived, [arrived])
    tried: list[RouteTried] = []
    for route in configuration.routes:
        says = mismatch(configuration, route.match, facts, now)
        tried.append(RouteTried(route.id, says is None, says or _matched(route.match.everything)))
        if says is None:
            break
    timer = next((one for one in change.effects if isinstance(one, SetTimer)), None)
    notes = list(_standing(record))
    if timer is not None and timer.backfill:
        notes.append(
            "backfilled: the first step waits until the source has caught up, at most 2 minutes"
        )
    around = Surroundings(configuration, now, {}, {}, quiet)
    steps = tuple(_dry_run(record, timer.step, timer.due_at, around)) if timer else ()
    return _explained(record, notes, tuple(tried), steps)


def explain_record(
    record: Record,
    timer: tuple[int, datetime] | None,
    around: Surroundings,
    waits: Sequence[Unconfirmed] = (),
) -> Explanation:
    """What still happens to a stored episode if nobody does anything.

    `timer`: its step and when. `waits`: pages that nobody has confirmed.
    """
    notes = list(_standing(record))
    tried = (RouteTried(record.route, True, "the route that it took when it opened"),)
    steps: tuple[StepTaken, ...] = ()
    if timer is not None:
        notes.append("from now on, if nobody does anything:")
        steps = tuple(_dry_run(record, timer[0], max(timer[1], around.now), around, waits))
    return _explained(record, notes, tried, steps)


def _explained(
    record: Record,
    notes: list[str],
    tried: tuple[RouteTried, ...],
    steps: tuple[StepTaken, ...],
) -> Explanation:
    return Explanation(
        opens=True,
        notes=tuple(notes),
        routes=tried,
        route=record.route,
        policy=record.policy.id,
        destinations=record.destinations,
        opened_at=record.folded.opened_at,
        due_at=record.due_at,
        steps=steps,
    )


def _matched(everything: bool) -> str:
    return "the default: takes the rest" if everything else "everything that it asks for is there"


def _why_not(item: Item) -> Iterator[str]:
    if not item.inbound:
        yield "outbound: the brand's own items open nothing; they may answer an episode"
    elif item.held:
        yield "held back: it looks like spam or news but was written to us; a person judges it"
    elif item.label is None:
        yield "it has no verdict: reactions, follows, edits and deletions open nothing"
    else:
        yield f"{item.label.value} that needs no answer: it joins the digest"


def _standing(record: Record) -> Iterator[str]:
    if not record.live:
        yield f"it has ended ({record.state.value}): nobody is paged any more"
    elif record.shows is Shows.silent:
        yield "the silent seeding of a new source: listed, no card, no page"
    elif record.shows is Shows.digest:
        yield "older than its answer window when first stored: listed, no card, no page"
    elif not record.may_page:
        yield "a replay that may not page: a card, nobody is paged"
    if record.sensitive:
        yield f"sensitive: {', '.join(sorted(record.sensitive))}"
    if record.claimed_by is not None:
        yield f"claimed by {record.claimed_by} until {record.claim_until:%H:%M} UTC"


def _dry_run(
    record: Record,
    step: int,
    at: datetime,
    around: Surroundings,
    waits: Sequence[Unconfirmed] = (),
) -> Iterator[StepTaken]:
    """Timers and pages that nobody confirms, in the order of their times."""
    paged = dict(around.paged)
    standing, waiting = record, {(one.person, one.call): one for one in waits}
    last = len(record.policy.steps) + REMINDERS
    around = replace(around, timer_due=None)
    for _ in range(last + len(record.policy.steps) + 5):
        yield from _next_ways(standing, waiting, paged, around, at)
        now = replace(around, now=at, paged=paged, pings={} if paged else around.pings)
        firing = fire(standing, step, now)
        if firing.released:
            standing = replace(standing, state=CardState.open, claimed_by=None, claim_until=None)
        yield _taken(standing, step, firing, now)
        around = replace(around, held_closed=firing.closed)
        people = [page.person for page in firing.pages]
        paged.update(dict.fromkeys(people, at))
        waits = unconfirmed(now.configuration, standing, people, at, step=firing.step)
        waiting |= {(one.person, one.call): one for one in waits}
        if firing.next_step is None or firing.next_at is None or firing.next_step >= last:
            return
        step, at = firing.next_step, firing.next_at


def _next_ways(
    record: Record,
    waiting: dict[tuple[str, Call], Unconfirmed],
    paged: dict[str, datetime],
    around: Surroundings,
    until: datetime,
) -> Iterator[StepTaken]:
    """What pages that nobody confirms bring before the next timer."""
    while due := [one for one in waiting.values() if one.due_at <= until]:
        page = min(due, key=lambda one: (one.due_at, one.person, one.call))
        now = replace(around, now=max(page.due_at, around.now), pings={})
        done = follow_up(record, page, now)
        del waiting[page.person, page.call]
        if done.again is not None:
            waiting[page.person, page.call] = done.again
        if done.page is not None:
            paged[page.person] = now.now
            why = (WORDS[Why.next_way],)
            yield StepTaken(now.now, page.step, (), (done.page,), (), why)


def _taken(record: Record, first: int, firing: Firing, around: Surroundings) -> StepTaken:
    steps = sorted({first, firing.step, *(step for step, _ in firing.reasons)})
    asked = [words for step in steps for words in _asked(record, step, around)]
    why = [
        WORDS[why] if len(steps) == 1 else f"step {step + 1}: {WORDS[why]}"
        for step, why in firing.reasons
    ]
    if firing.reasons and firing.reasons[-1][1] is Why.closed_hours and firing.next_at:
        zone = around.configuration.rotas[0].zone
        why.append(f"it is asked again {time_of(firing.next_at, zone)}")
    return StepTaken(around.now, firing.step, tuple(asked), firing.pages, firing.tells, tuple(why))


def _asked(record: Record, step: int, around: Surroundings) -> Iterator[str]:
    policy = record.policy
    if step < len(policy.steps):
        targets: tuple[Target, ...] = policy.steps[step].targets
    else:
        targets = (policy.fallback,) if policy.fallback else ()
    for target in targets:
        yield in_words(around.configuration, target, record.brand, around.now)


def in_words(configuration: Configuration, target: Target, brand: str, now: datetime) -> str:
    """Whom a target is at an instant, and why: `social: Mia is on call (week) until 17:00`."""
    if target.person is not None:
        return f"the person {_woken(configuration, target.person)}"
    if target.channel is not None:
        return f"the channel {target.channel}"
    if target.everybody:
        return f"everybody who answers for {brand}"
    rota = next(one for one in configuration.rotas if one.id == target.rota)
    if rotas.closed(rota, configuration.hours, now):
        opening = time_of(rotas.next_opening(rota, configuration.hours, now), rota.zone, beside=now)
        return f"{rota.id} is closed until {opening}"
    held = rotas.on_call(rota, now)
    if held is None:
        return f"{rota.id} has nobody on call"
    who = _woken(configuration, held.person)
    because = held.because
    if held.instead_of is not None:
        because += f" for {name_of(configuration, held.instead_of)}"
    if held.set_by is not None:
        because += f", set at run time by {name_of(configuration, held.set_by)}"
    until = time_of(held.until, rota.zone, beside=now)
    if target.who is Who.on_call:
        return f"{rota.id}: {who} is on call ({because}) until {until}"
    person = rotas.neighbour(rota, now, target.who)
    place = "comes after" if target.who is Who.next else "was before"
    if person is None:
        return f"{rota.id}: nobody {place} {who}"
    return f"{rota.id}: {_woken(configuration, person)} {place} {who} ({because})"


def _woken(configuration: Configuration, person: str) -> str:
    name = name_of(configuration, person)
    if way_to(configuration, person, ()) is None:
        return f"{name} (whom nothing can wake: no id in any chat that is used)"
    return name
