"""Escalation: when the next step of a policy is due, and whom it reaches.

One step at a time: an episode has exactly one future timer. The policy was copied into the episode
when it opened; who is on call is resolved at each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alert.domain import rota as rotas
from services.alert.domain.quiet_hours import is_quiet
from services.alert.domain.response_time import due_at
from services.contracts.configuration import (
    Configuration,
    Hours,
    Person,
    Policy,
    Target,
    parse_duration,
)

MERGED_WITHIN = timedelta(minutes=10)
"""Who was paged for the episode so recently is not paged again by the next step."""
BREATH = timedelta(minutes=2)
"""At least so long between two steps, however late they are: one step an episode after an outage."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a step comes down to at its instant."""

    step: int
    people: tuple[str, ...]
    """Person ids to page, in order."""
    channels: tuple[str, ...]
    """Destinations to tell."""
    merged: tuple[str, ...] = ()
    """People who were paged for it minutes ago and are not paged again."""
    closed: bool = False
    """Every rota that was asked keeps closed hours: nobody is missing."""
    end_of_chain: bool = False

    @property
    def nobody(self) -> bool:
        """Whether the step reaches nobody at all."""
        return not self.people and not self.channels and not self.merged


def budget_due(policy: Policy, hours: Hours | None, opened_at: datetime) -> datetime:
    """When the answer is due."""
    return due_at(hours, opened_at, policy.answer_within)


def step_due(policy: Policy, hours: Hours | None, opened_at: datetime, step: int) -> datetime:
    """When step `step` (from 0) is due.

    A share counts in the policy's hours, a fixed time always by the clock on the wall. Beyond the
    last step come reminders to the fallback and the channel: one budget after the last step, then
    each after twice the wait before, so that an open episode always has a future timer.
    """
    if step < len(policy.steps):
        at = policy.steps[step].at
        if at.endswith("%"):
            return due_at(hours, opened_at, policy.answer_within * int(at[:-1]) / 100)
        fixed: timedelta = parse_duration(at)
        return opened_at + fixed
    last = step_due(policy, hours, opened_at, len(policy.steps) - 1)
    reminders = min(step - len(policy.steps), 12)
    waits = policy.answer_within * (2 ** (reminders + 1) - 1)
    return due_at(hours, last, waits) if waits < timedelta(days=30) else last + waits


def next_due(
    policy: Policy, hours: Hours | None, opened_at: datetime, step: int, now: datetime
) -> datetime:
    """When step `step` is due after another fired at `now`: a breath later at the earliest.

    A policy whose own steps lie closer together has a shorter breath.
    """
    due = step_due(policy, hours, opened_at, step)
    apart = due - step_due(policy, hours, opened_at, step - 1) if step else BREATH
    return max(due, now + min(BREATH, apart))


def reached(
    configuration: Configuration,
    policy: Policy,
    step: int,
    *,
    brand: str,
    home: str,
    now: datetime,
    paged: Mapping[str, datetime],
    ignores_closed_hours: bool = False,
) -> Reached:
    """Whom step `step` reaches at `now`.

    `paged` holds when each person was last paged for this episode; `home` is the destination of the
    card, which the end of the chain always tells.
    """
    beyond = step >= len(policy.steps)
    if beyond:
        targets: tuple[Target, ...] = (policy.fallback,) if policy.fallback else ()
    else:
        targets = policy.steps[step].targets
    people: list[str] = []
    channels: list[str] = [home] if beyond else []
    closed = False
    for target in targets:
        if target.channel is not None:
            channels.append(target.channel)
            continue
        found, shut = _people(configuration, target, brand, now, ignores_closed_hours)
        closed = closed or shut
        people += found
    recent = {person for person, at in paged.items() if now - at < MERGED_WITHIN}
    fresh = [person for person in dict.fromkeys(people) if person not in recent]
    return Reached(
        step,
        tuple(fresh),
        tuple(dict.fromkeys(channels)),
        merged=tuple(person for person in dict.fromkeys(people) if person in recent),
        closed=closed and not people,
        end_of_chain=beyond,
    )


def _people(
    configuration: Configuration,
    target: Target,
    brand: str,
    now: datetime,
    ignores_closed_hours: bool,
) -> tuple[list[str], bool]:
    if target.person is not None:
        return [target.person], False
    if target.everybody:
        everybody = _answering(configuration.people, brand)
        # Those in their quiet hours are left out, unless that leaves nobody.
        awake = [person for person in everybody if not is_quiet(person, now)]
        return [person.id for person in awake or everybody], False
    rota = next((one for one in configuration.rotas if one.id == target.rota), None)
    if rota is None:
        # The policy is a copy from the day the episode opened; the team's file has dropped the rota since.
        return [], False
    if not ignores_closed_hours and rotas.closed(rota, configuration.hours, now):
        return [], True
    person = rotas.neighbour(rota, now, target.who)
    return ([person] if person else []), False


def _answering(people: Iterable[Person], brand: str) -> list[Person]:
    return [one for one in people if one.may_answer and (not one.brands or brand in one.brands)]


def opens_again(
    configuration: Configuration, policy: Policy, step: int, now: datetime
) -> datetime | None:
    """When the first of the step's rotas opens after closed hours; None: it has no rota."""
    if step >= len(policy.steps):
        targets: tuple[Target, ...] = (policy.fallback,) if policy.fallback else ()
    else:
        targets = policy.steps[step].targets
    openings = [
        rotas.next_opening(rota, configuration.hours, now)
        for target in targets
        for rota in configuration.rotas
        if rota.id == target.rota
    ]
    return min(openings, default=None)
