"""Changes of the rota at run time: overrides, swaps and time off beside those of the team's file.

`in_effect` puts them into the configuration, so that whoever asks a rota sees them; `propose` says what a
change would do (who is on call instead, new gaps, balance) before anybody accepts it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from services.alert.domain.balance import IsHoliday, Load, balance, homes
from services.alert.domain.quiet_hours import covered
from services.alert.domain.rota import Watch, away, gaps, plan
from services.alert.domain.wall_clock import Span
from services.contracts.configuration import (
    Configuration,
    Override,
    Period,
    Person,
    Role,
    Rota,
    Swap,
    TimeOff,
)

LONGEST = timedelta(days=370)
AHEAD = timedelta(days=21)
"""Days over which the balance is shown."""


class ChangeKind(StrEnum):
    """What a change does."""

    override = "override"
    swap = "swap"
    time_off = "time_off"


@dataclass(frozen=True, slots=True)
class RotaChange:
    """One change that somebody set at run time."""

    id: str
    kind: ChangeKind
    rota: str | None
    """None: every rota (time off)."""
    person: str
    """Who takes over, or is away."""
    begin: datetime
    end: datetime
    instead_of: str | None = None
    """Swaps: whose shifts."""
    back: Span | None = None
    """Swaps: when `instead_of` takes over from `person`."""
    note: str | None = None
    set_by: str = ""
    through: str = ""
    set_at: datetime | None = None

    @property
    def spans(self) -> tuple[Span, ...]:
        """The times that it touches."""
        return (Span(self.begin, self.end), *([self.back] if self.back else []))


class RunTimeOverride(Override):
    """An override that stands in no file."""

    set_by: str


class RunTimeSwap(Swap):
    """A swap that stands in no file."""

    set_by: str


def in_effect(configuration: Configuration, changes: Iterable[RotaChange]) -> Configuration:
    """The configuration with the changes in its rotas, after those of the file: the later one holds.

    What names a rota or a person that the file no longer has is left out.
    """
    people = {person.id for person in configuration.people}
    known = [
        one for one in changes if one.person in people and (one.instead_of or one.person) in people
    ]
    if not known:
        return configuration
    rotas = tuple(_with(rota, known) for rota in configuration.rotas)
    return configuration.model_copy(update={"rotas": rotas})


def _with(rota: Rota, changes: Sequence[RotaChange]) -> Rota:
    overrides, swaps, time_off = list(rota.overrides), list(rota.swaps), list(rota.time_off)
    for one in changes:
        if one.rota not in (None, rota.id):
            continue
        period = {"from": one.begin, "to": one.end, "person": one.person}
        if one.kind is ChangeKind.override:
            overrides.append(RunTimeOverride.model_validate({**period, "set_by": one.set_by}))
        elif one.kind is ChangeKind.time_off:
            time_off.append(TimeOff.model_validate(period))
        else:
            swap = {**period, "instead_of": one.instead_of, "set_by": one.set_by}
            if one.back:
                swap["back"] = Period.model_validate({"from": one.back.begin, "to": one.back.end})
            swaps.append(RunTimeSwap.model_validate(swap))
    return rota.model_copy(
        update={"overrides": tuple(overrides), "swaps": tuple(swaps), "time_off": tuple(time_off)}
    )


@dataclass(frozen=True, slots=True)
class Shifted:
    """A stretch in which somebody else would be on call than now."""

    rota: str
    begin: datetime
    end: datetime
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a change would do. Nothing is changed by it."""

    refused: tuple[str, ...] = ()
    """Why it cannot be accepted at all."""
    warnings: tuple[str, ...] = ()
    shifted: tuple[Shifted, ...] = ()
    gaps: tuple[tuple[str, Span], ...] = ()
    """(rota, span): hours that would be neither covered nor closed, and are now."""
    balance: Mapping[str, tuple[Load, Load]] | None = None
    """By person whose load changes: before and after, over the next AHEAD (or to the change's end)."""


def propose(
    before: Configuration,
    after: Configuration,
    changes: Sequence[RotaChange],
    now: datetime,
    holidays: Callable[[Rota], IsHoliday],
) -> Proposal:
    """What going from one configuration in effect to another does, in the spans of these changes."""
    touched = {change.rota for change in changes}
    rotas = [
        (rota, next(one for one in after.rotas if one.id == rota.id))
        for rota in before.rotas
        if touched & {None, rota.id}
    ]
    spans = _joined(span for change in changes for span in change.spans)
    shifted: list[Shifted] = []
    opened: list[tuple[str, Span]] = []
    weights: dict[str, tuple[Load, Load]] = {}
    until = max(now + AHEAD, *(span.end for span in spans))
    for old, new in rotas:
        for span in spans:
            begin = max(now, span.begin)
            if begin < span.end:
                shifted += _shifted(before, old, new, begin, span.end)
                opened += [
                    (old.id, gap)
                    for gap in _beyond(
                        gaps(new, before.hours, begin, span.end),
                        gaps(old, before.hours, begin, span.end),
                    )
                ]
        loads = [
            balance(one, before.hours, now, until, zones=homes(before), is_holiday=holidays(old))
            for one in (old, new)
        ]
        for person in {**loads[0], **loads[1]}:
            pair = (loads[0].get(person, Load()), loads[1].get(person, Load()))
            if pair[0] != pair[1]:
                was = weights.get(person, (Load(), Load()))
                weights[person] = (was[0] + pair[0], was[1] + pair[1])
    warnings = dict.fromkeys(says for change in changes for says in _warnings(before, change))
    quiet = tuple(_quiet(after, shifted))
    return Proposal(quiet, tuple(warnings), tuple(shifted), tuple(opened), weights)


def _quiet(after: Configuration, shifted: Iterable[Shifted]) -> Iterable[str]:
    """Quiet hours may never cover a shift."""
    for one in shifted:
        person = after.person(one.after) if one.after else None
        if person is None:
            continue
        found = covered(person, [Watch(one.begin, one.end, person.id, "")])
        if found is not None:
            at = f"{found.begin.astimezone(ZoneInfo(person.zone)):%H:%M}"
            yield f"{person.name}'s quiet hours ({at}, {person.zone}) would cover a shift on {one.rota}"


def _joined(spans: Iterable[Span]) -> list[Span]:
    """The same time without overlaps, so that nothing is told twice."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def _shifted(
    configuration: Configuration, old: Rota, new: Rota, begin: datetime, end: datetime
) -> list[Shifted]:
    then = plan(new, configuration.hours, begin, end)
    found: list[Shifted] = []
    for was in plan(old, configuration.hours, begin, end):
        for will in then:
            start, stop = max(was.begin, will.begin), min(was.end, will.end)
            if start < stop and _who(was) != _who(will):
                found.append(Shifted(old.id, start, stop, was.person, will.person))
    return found


def _who(watch: Watch) -> tuple[str | None, bool]:
    return watch.person, watch.because == "closed"


def _beyond(spans: Iterable[Span], known: Iterable[Span]) -> list[Span]:
    """What of `spans` lies outside of `known`."""
    left = list(spans)
    for cut in known:
        pieces: list[Span] = []
        for span in left:
            if cut.end <= span.begin or cut.begin >= span.end:
                pieces.append(span)
                continue
            if span.begin < cut.begin:
                pieces.append(Span(span.begin, cut.begin))
            if cut.end < span.end:
                pieces.append(Span(cut.end, span.end))
        left = pieces
    return left


def mistakes(configuration: Configuration, change: RotaChange, now: datetime) -> Iterable[str]:
    """Why a change cannot be."""
    rotas = [rota.id for rota in configuration.rotas]
    if change.rota is None and change.kind is not ChangeKind.time_off:
        yield f"say which rota (there is: {', '.join(rotas)})"
    if change.rota is not None and change.rota not in rotas:
        yield f"no rota {change.rota!r} (there is: {', '.join(rotas)})"
    for person in filter(None, (change.person, change.instead_of)):
        if configuration.person(person) is None:
            there = ", ".join(one.id for one in configuration.people)
            yield f"no person {person!r} (there is: {there})"
    if (change.kind is ChangeKind.swap) != (change.instead_of is not None):
        yield "a swap names both people: who takes over, and instead of whom"
    if change.instead_of == change.person:
        yield "a swap is between two people"
    for span in change.spans:
        if span.end <= span.begin:
            yield "it ends before it begins"
        elif span.end <= now:
            yield "it lies in the past: what was is not rewritten"
        elif span.end - span.begin > LONGEST:
            yield f"it lasts over {LONGEST.days} days: change the file instead"


def _warnings(configuration: Configuration, change: RotaChange) -> Iterable[str]:
    person = configuration.person(change.person)
    if person is None or change.kind is ChangeKind.time_off:
        return
    if not person.may_answer:
        yield f"{person.name} has no role that may answer"
    for rota in configuration.rotas:
        if rota.id == change.rota and any(
            one.person == change.person and one.begin < change.end and change.begin < one.end
            for one in rota.time_off
        ):
            yield f"{person.name} has time off then"
        if rota.id == change.rota and change.instead_of in away(rota, change.begin):
            yield "the other person has time off then, and somebody stands in already"


def may_change(person: Person, change: RotaChange) -> bool:
    """Leads and admins may set anything; others take over themselves, swap their own, take time off."""
    if person.roles & {Role.lead, Role.admin}:
        return True
    if not person.may_answer:
        return False
    return person.id in (change.person, change.instead_of)
