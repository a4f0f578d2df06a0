"""Rotas, hours and escalation policies."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from services.contracts.base import StrEnum
from services.contracts.configuration.values import (
    Duration,
    Id,
    Section,
    TimeOfDay,
    Weekday,
    Zone,
)


class Every(StrEnum):
    """How often a rotation hands off."""

    hourly = "hourly"
    daily = "daily"
    weekly = "weekly"
    monthly = "monthly"
    custom = "custom"


class Interval(Section):
    """Hours of the week, `[from, to)`. Where `to` is not after `from` it ends the next day."""

    days: tuple[Weekday, ...] = tuple(Weekday)
    begin: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")


class Rotation(Section):
    """Ordered members that take turns. Half-open shifts, handed off at a wall-clock time."""

    every: Every = Every.weekly
    handoff: TimeOfDay = Field("09:00", validate_default=True)
    weekday: Weekday = Weekday.monday
    """For weekly rotations: the day of the handoff."""
    length: Duration | None = None
    """For custom rotations: a whole number of days or hours."""
    starts: date
    """The first member's first shift begins on (or, weekly, in the week after) this day."""
    members: tuple[Id, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _length_with_custom_only(self) -> Rotation:
        if (self.every is Every.custom) != (self.length is not None):
            raise ValueError("`length` goes with `every: custom`, and only with it")
        hour = timedelta(hours=1)
        if self.length is not None and (self.length < hour or self.length % hour):
            raise ValueError("`length` is a whole number of days or hours")
        return self


class Layer(Section):
    """One rotation; a higher layer replaces those below it for the hours it covers."""

    id: Id
    rotation: Rotation
    zone: Zone | None = None
    """Of its handoff and its restriction (follow the sun: a layer a region); none: the rota's."""
    restriction: tuple[Interval, ...] = ()
    """Only these hours of the week, in the layer's zone; empty: always."""


class Period(Section):
    """`[from, to)`, two instants."""

    begin: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")

    @model_validator(mode="after")
    def _runs_forward(self) -> Period:
        if self.end <= self.begin:
            raise ValueError("it ends after it begins: `to` is later than `from`")
        return self

    def holds(self, at: datetime) -> bool:
        """Whether `at` lies within it."""
        return self.begin <= at < self.end


class Override(Period):
    """Somebody takes over for a while; comes before every layer."""

    person: Id


class Swap(Period):
    """`person` takes the shifts that `instead_of` would have; `back` is what is given in return."""

    person: Id
    instead_of: Id
    back: Period | None = None
    """When `instead_of` takes the shifts that `person` would have; none: nothing in return."""

    @model_validator(mode="after")
    def _two_people(self) -> Swap:
        if self.person == self.instead_of:
            raise ValueError("a swap is between two people")
        return self


class TimeOff(Period):
    """Somebody is away: whoever is next in turn stands in."""

    person: Id


class Rota(Section):
    """Who is on call when."""

    id: Id
    zone: Zone
    layers: tuple[Layer, ...] = Field(min_length=1)
    """Lowest first."""
    overrides: tuple[Override, ...] = ()
    """Come before swaps and layers; of two that overlap the later one holds."""
    swaps: tuple[Swap, ...] = ()
    """Come before layers, one after the other."""
    time_off: tuple[TimeOff, ...] = ()
    open_hours: Id | None = None
    """Hours outside of which nobody is paged on purpose (closed hours). None: always open."""
    confirm_within: Duration | None = None
    """At a shift's start the person says "I'm here"; without it for so long (10m) the next way to reach
    them is tried, then the next in turn. None: nobody is asked."""
    public_holidays: str | None = Field(None, pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")
    """The country (DE) or region (DE-BY) whose public holidays count in the balance of shifts."""


class Hours(Section):
    """Business hours: several intervals a day, past midnight, with holidays."""

    id: Id
    zone: Zone
    week: tuple[Interval, ...] = Field(min_length=1)
    holidays: tuple[date, ...] = ()


class Who(StrEnum):
    """Which person of a rota."""

    on_call = "on_call"
    next = "next"
    previous = "previous"


class Target(Section):
    """Whom a step reaches: exactly one of rota, person, channel or everybody."""

    rota: Id | None = None
    who: Who = Who.on_call
    person: Id | None = None
    channel: Id | None = None
    """A destination: the whole channel is told."""
    everybody: Literal[True] | None = None
    """Everybody who may answer for the brand."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Target:
        named = [self.rota, self.person, self.channel, self.everybody]
        if sum(target is not None for target in named) != 1:
            raise ValueError("a target is one of rota, person, channel or everybody")
        return self


class Step(Section):
    """A step is reached at a share of the answer budget or a fixed time after opening."""

    at: str = Field(pattern=r"^(\d{1,3}%|(\d+[dhms])+)$", examples=["75%", "10m"])
    targets: tuple[Target, ...] = Field(min_length=1)


class Starter(StrEnum):
    """A policy to begin with; every key of it can be written anew."""

    solo = "solo"
    """One or two people: 60 minutes (give it your `hours`), one reminder."""
    team = "team"
    """15 minutes: who is on call, the next at 75 %, everybody at 100 %."""


_STARTERS: dict[Starter, dict[str, Any]] = {
    Starter.solo: {
        "answer_within": "60m",
        "steps": [{"at": "0%", "who": "on_call"}, {"at": "100%", "who": "on_call"}],
    },
    Starter.team: {
        "answer_within": "15m",
        "steps": [{"at": "0%", "who": "on_call"}, {"at": "75%", "who": "next"}, {"at": "100%"}],
    },
}


class Policy(Section):
    """Escalation: copied into the episode when it opens."""

    id: Id
    starter: Starter | None = None
    """Fills in what is not written here: `{id: team, starter: team, rota: daytime}` is a whole policy."""
    rota: Id | None = None
    """For a starter: the rota that it pages."""
    answer_within: Duration = Field(timedelta(0), validate_default=False)
    """The answer budget, from the first item's source time. Needed without a starter."""
    hours: Id | None = None
    """Count the budget in these business hours; none: around the clock."""
    steps: tuple[Step, ...] = ()
    """Needed without a starter."""
    claim_for: Duration = Field("20m", validate_default=True)
    """A claim is a lease: without an answer in this time it is released and the next step pages."""
    fallback: Target | None = None
    """Who is told at the end of the chain, beside the channel."""

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("starter") not in list(Starter):
            return given
        starter = _STARTERS[Starter(given["starter"])]
        steps = [
            {
                "at": step["at"],
                "targets": [
                    {"rota": given.get("rota"), "who": step["who"]}
                    if "who" in step
                    else {"everybody": True}
                ],
            }
            for step in starter["steps"]
        ]
        if given.get("rota") is None and "steps" not in given:
            return given
        return {"answer_within": starter["answer_within"], "steps": steps, **given}

    @model_validator(mode="after")
    def _whole(self) -> Policy:
        if self.starter is not None and self.rota is None:
            raise ValueError("a starter policy names the `rota` that it pages")
        if self.starter is None and self.rota is not None:
            raise ValueError("`rota` goes with a `starter`; steps name their own targets")
        if not self.steps or self.answer_within <= timedelta(0):
            raise ValueError("a policy has `answer_within` and `steps`, or a `starter`")
        return self
