"""The words of an episode's life: its record as stored, what follows from a change, what decisions ask for.

`services.alert.domain.opening` makes a record, `services.alert.domain.advancing` says what a refold changes
in one. Both are pure; the store writes what they return in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.alert.domain.card import CardState
from services.alert.domain.fold import Episode
from services.alert.domain.items import Item
from services.contracts.configuration import Configuration, Policy
from services.contracts.events import EpisodeChange, Label, Sensitive, Urgency


class Shows(StrEnum):
    """How an episode comes before people."""

    card = "card"
    """A card, and pages where it may page."""
    digest = "digest"
    """History: older than its answer window when first stored. Listed, no card, no page."""
    silent = "silent"
    """The silent seeding of a new source: listed, no card, no page."""


@dataclass(frozen=True, slots=True)
class Record:
    """A stored episode."""

    id: str
    conversation: int
    brand: str
    platform: str
    account_id: str
    folded: Episode
    state: CardState
    version: int
    fingerprint: str
    """Of everything its card shows: an equal one needs no update."""
    label: Label | None
    urgency: Urgency
    sensitive: frozenset[Sensitive]
    private: bool
    route: str
    policy: Policy
    """Copied at opening: a later configuration does not change a running clock."""
    destinations: tuple[str, ...]
    checklist: tuple[str, ...]
    ignores_closed_hours: bool
    due_at: datetime
    shows: Shows
    may_page: bool
    paging_round: int
    received_at: datetime
    classified_at: datetime
    opened_recorded_at: datetime
    business_seconds: float | None = None
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    claim_until: datetime | None = None
    first_claimed_at: datetime | None = None
    first_claimed_by: str | None = None
    first_paged_at: datetime | None = None
    measured: bool = False
    stale: bool = False
    has_card: bool = False
    number: int = 0

    @property
    def live(self) -> bool:
        """Whether somebody waits."""
        return self.state.live

    @property
    def pressing(self) -> bool:
        """Whether people are woken by their rules for urgent matters."""
        return bool(self.sensitive) or self.urgency is Urgency.high

    @property
    def priority(self) -> str:
        """The metric's label."""
        return "sensitive" if self.sensitive else self.urgency.value


class Effect:
    """Something that follows from a change."""


@dataclass(frozen=True, slots=True)
class ShowCard(Effect):
    """Post the card, or bring the posted one up to date."""


@dataclass(frozen=True, slots=True)
class ShowLine(Effect):
    """Post a new message beneath the card."""

    item_id: str


@dataclass(frozen=True, slots=True)
class SetTimer(Effect):
    """The one future timer of an episode."""

    step: int
    due_at: datetime
    backfill: bool = False
    """Held for the brand's own backfilled items: due earlier once the source has caught up."""
    risen: bool = False
    """It became more urgent or sensitive: a new ping, also for whoever has it already."""


@dataclass(frozen=True, slots=True)
class Hasten(Effect):
    """The opening moved to an earlier time: a step that is due earlier by it does not wait."""

    dues: tuple[datetime, ...]
    """When each step of the policy is due, the first after its end included."""


@dataclass(frozen=True, slots=True)
class StopPaging(Effect):
    """No timer any more, and pages that were not sent are not due."""


@dataclass(frozen=True, slots=True)
class Announce(Effect):
    """A step in the episode's life, for presence.episodes."""

    change: EpisodeChange
    at: datetime
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Measure(Effect):
    """The episode ended for the first time: its figures."""


@dataclass(frozen=True, slots=True)
class TellHistory(Effect):
    """A channel hears, at most hourly, that older messages are in the list."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be stored, and what follows."""

    record: Record
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """Everything beside the episode that a decision depends on."""

    configuration: Configuration
    now: datetime
    items: Mapping[str, Item]
    stored_at: Mapping[str, datetime]
    """When each item was first stored."""
    caught_up_at: datetime | None = None
    """When the source last reported that it has caught up after a gap."""
