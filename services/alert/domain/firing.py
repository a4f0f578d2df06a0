"""A timer fires: whom it wakes, whom it tells, and when the next one fires. A pure decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.alert.domain import escalation
from services.alert.domain.allowance import next_ping
from services.alert.domain.boards.catch_up import Waited
from services.alert.domain.card import CardState
from services.alert.domain.contact_ways import way_to
from services.alert.domain.lifecycle import Record, Shows
from services.alert.domain.response_time import span_in_words
from services.alert.domain.routing import hours_named
from services.contracts.configuration import Configuration


class Why(StrEnum):
    """Why a step was taken or passed over; the metric's label."""

    due = "due"
    claim_expired = "claim_expired"
    nobody = "nobody"
    closed_hours = "closed_hours"
    quiet_start = "quiet_start"
    too_many_pings = "too_many_pings"
    end_of_chain = "end_of_chain"
    next_way = "next_way"
    """Nobody confirmed the page: the person's next way was used."""
    incident = "incident"
    """In an incident its group was paged for this step already."""
    waited = "waited"
    """Closed hours or an outage went by: it goes into the catch-up card, which pings once for all."""


LATE = timedelta(minutes=5)
"""A timer that fires so late was not looked at: Presence itself was away."""


@dataclass(frozen=True, slots=True)
class During:
    """The declared incident that the episode falls into."""

    incident: int
    people: tuple[str, ...]
    """Who joined: they are paged in the place of the step's own targets."""
    group: int | None = None
    """Those who write much the same."""
    paged_steps: frozenset[int] = frozenset()
    """The steps for which that group was paged in it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a firing depends on beside the episode."""

    configuration: Configuration
    now: datetime
    paged: Mapping[str, datetime]
    """When each person was last paged for this episode."""
    pings: Mapping[str, Sequence[datetime]]
    """When each person was pinged of late, for anything."""
    quiet: bool = False
    """The account's first days, in which nobody is paged, until a person switches paging on."""
    timer_due: datetime | None = None
    """When the timer should have fired; or when it was set, if that was later."""
    held_closed: bool = False
    """The timer was put off to the end of closed hours."""
    stale: bool = False
    """The sweep waited as long as it may: what it knows may be old."""
    risen: bool = False
    """It became more urgent or sensitive: that is news also for whoever was paged minutes ago or has it."""
    during: During | None = None
    """The incident, if one is declared for the brand."""

    def may_ping(self, person: str) -> bool:
        """Whether one more ping is allowed now."""
        return next_ping(self.pings.get(person, ()), self.now) <= self.now


@dataclass(frozen=True, slots=True)
class Page:
    """Wake this person through this destination."""

    person: str
    destination: str
    risen: bool = False
    """Though somebody has claimed the episode."""


@dataclass(frozen=True, slots=True)
class Tell:
    """A plain line to a channel. Told once for the same target and number."""

    destination: str
    text: str
    target: str
    number: int = 0
    of_episode: bool = True


@dataclass(frozen=True, slots=True)
class Firing:
    """What follows."""

    step: int
    """The step that was reached, after those that reached nobody."""
    released: bool = False
    """A claim ran out."""
    pages: tuple[Page, ...] = ()
    tells: tuple[Tell, ...] = ()
    next_step: int | None = None
    """None: no timer any more."""
    next_at: datetime | None = None
    reasons: tuple[tuple[int, Why], ...] = ()
    waited: Waited | None = None
    """It goes into the catch-up card."""
    would_page: tuple[str, ...] = ()
    """Whom it would have woken, were it not for the account's quiet start."""
    closed: bool = False
    """The next timer is put off to the end of closed hours."""
    queued: tuple[str, ...] = ()
    """Whose queue card it joins: they were pinged as often as a person is."""


@dataclass(slots=True)
class _Steps:
    pages: list[Page] = field(default_factory=list)
    tells: list[Tell] = field(default_factory=list)
    reasons: list[tuple[int, Why]] = field(default_factory=list)
    waited: Waited | None = None
    queued: list[str] = field(default_factory=list)


def fire(record: Record, step: int, around: Surroundings) -> Firing:
    """The timer of a live episode is due at `step`.

    A claim in its time only moves the timer. A step that reaches nobody is passed over at once and
    told; beyond the last step the fallback and the channel hear it, at growing distances.
    """
    if not record.live:
        return Firing(step)
    now = around.now
    claimed = record.state is CardState.claimed and record.claim_until is not None
    if claimed and record.claim_until is not None and now < record.claim_until:
        if around.risen:
            return _risen_while_claimed(record, step, around)
        return Firing(step, next_step=step, next_at=record.claim_until)
    done = _Steps()
    if claimed:
        done.reasons.append((step, Why.claim_expired))
    if record.shows is not Shows.card or not record.may_page:
        # History, or a replay that may not page: a claim runs out, and nobody is woken for it.
        return Firing(step, released=claimed, reasons=tuple(done.reasons))
    if around.quiet and not record.sensitive:
        loud = _Steps()
        _take(record, step, loud, around)
        done.reasons.append((step, Why.quiet_start))
        quiet = _finish(record, step, done, around, released=claimed)
        return replace(quiet, would_page=tuple(page.person for page in loud.pages))
    reopening = _take(record, step, done, around)
    if reopening is not None:
        return Firing(
            step,
            released=claimed,
            tells=tuple(done.tells),
            next_step=step,
            next_at=reopening,
            reasons=tuple(done.reasons),
            closed=True,
        )
    while (
        not done.pages and not done.tells and not done.queued and step <= len(record.policy.steps)
    ):
        # Nobody there: on to the next step at once, and the channel hears why.
        if done.reasons and done.reasons[-1][1] is not Why.nobody:
            break
        step += 1
        reopening = _take(record, step, done, around)
    fired = _finish(record, step, done, around, released=claimed)
    if reopening is not None:
        # The step that came instead keeps closed hours: it waits for their end.
        return replace(fired, next_step=step, next_at=reopening, closed=True)
    return fired


def _risen_while_claimed(record: Record, step: int, around: Surroundings) -> Firing:
    """Who has it keeps it, and is pinged with those whom the step reaches: it is not what they took."""
    assert record.claim_until is not None
    done = _Steps()
    reopening = None
    if not around.quiet or record.sensitive:
        reopening = _take(record, step, done, around)
        holder = record.claimed_by or ""
        way = way_to(around.configuration, holder, record.destinations, urgent=record.pressing)
        if way is not None and holder not in {page.person for page in done.pages}:
            done.pages.insert(0, Page(holder, way))
    return Firing(
        step,
        pages=tuple(replace(page, risen=True) for page in done.pages),
        tells=tuple(done.tells),
        next_step=step if reopening is not None else step + 1,
        next_at=record.claim_until,
        reasons=tuple(done.reasons),
        queued=tuple(done.queued),
    )


def _take(record: Record, step: int, done: _Steps, around: Surroundings) -> datetime | None:
    """Take one step. Returns when to come back, if its rotas keep closed hours."""
    configuration = around.configuration
    found = escalation.reached(
        configuration,
        record.policy,
        step,
        brand=record.brand,
        home=record.destinations[0],
        now=around.now,
        paged={} if around.risen else around.paged,
        ignores_closed_hours=record.ignores_closed_hours,
    )
    if found.closed:
        done.reasons.append((step, Why.closed_hours))
        opening = escalation.opens_again(configuration, record.policy, step, around.now)
        return opening if opening is not None and opening > around.now else None
    done.waited = _waited(record, around)
    if done.waited is not None and found.people:
        done.reasons.append((step, Why.waited))
        return None
    people = found.people
    if around.during is not None and not record.sensitive:
        if people and step in around.during.paged_steps:
            done.reasons.append((step, Why.incident))
            return None
        if people and around.during.people:
            people = _joined(around.during.people, around)
    for person_id in people:
        way = way_to(configuration, person_id, record.destinations, urgent=record.pressing)
        if way is None:
            continue  # nothing can wake them: `presence doctor` says so
        if not record.sensitive and not around.may_ping(person_id):
            done.reasons.append((step, Why.too_many_pings))
            done.queued.append(person_id)
        else:
            done.pages.append(Page(person_id, way))
    waited = span_in_words(around.now - record.folded.opened_at)
    for channel in found.channels:
        text = f"Still without an answer after {waited}."
        done.tells.append(Tell(channel, text, f"step-{step}", record.paging_round))
    if found.end_of_chain:
        done.reasons.append((step, Why.end_of_chain))
    elif done.pages or found.channels or found.merged:
        done.reasons.append((step, Why.due))
    elif not done.tells and not done.queued:
        done.reasons.append((step, Why.nobody))
    return None


def _joined(people: tuple[str, ...], around: Surroundings) -> tuple[str, ...]:
    """Those who joined the incident, but for who was paged for this episode minutes ago."""
    within = escalation.MERGED_WITHIN
    recent = {one for one, at in around.paged.items() if around.now - at < within}
    return tuple(one for one in people if one not in recent)


def _waited(record: Record, around: Surroundings) -> Waited | None:
    """Whether this is one of many that waited. A sensitive one always pages by itself."""
    if record.sensitive:
        return None
    if around.held_closed:
        return Waited.closed
    late = around.timer_due is not None and around.now - around.timer_due >= LATE
    return Waited.outage if late and around.now > record.due_at else None


def _finish(
    record: Record, step: int, done: _Steps, around: Surroundings, *, released: bool
) -> Firing:
    hours = hours_named(around.configuration, record.policy.hours)
    opened = record.folded.opened_at
    due = escalation.next_due(record.policy, hours, opened, step + 1, around.now)
    put_aside = bool(done.reasons) and done.reasons[-1][1] is Why.waited
    if put_aside and around.now > record.due_at:
        # The card pings now; its own window is over, so it pages by itself after another one.
        due = around.now + record.policy.answer_within
    tells = list(done.tells)
    if any(why is Why.nobody for _, why in done.reasons):
        text = "Nobody could be reached for this step of the escalation: the next one was taken."
        tells.append(Tell(record.destinations[0], text, f"nobody-{step}", record.paging_round))
    return Firing(
        step,
        released=released,
        pages=tuple(done.pages),
        tells=tuple(tells),
        next_step=step + 1,
        next_at=due,
        reasons=tuple(done.reasons),
        waited=done.waited if put_aside else None,
        queued=tuple(done.queued),
    )
