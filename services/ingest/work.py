"""One payload on its way onto the bus, and what a group of them amounts to."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from services.contracts import identity
from services.contracts.events import Action, Notification
from services.contracts.topics import NOTIFICATIONS, Header
from services.ingest.domain.address import Address, Heard, address_of
from services.ingest.domain.outcome import Parsed, Rejected, RejectReason
from services.ingest.store.event_store import Original
from services.runtime.errors import Transient
from services.runtime.producer import Record
from services.runtime.trace import HEADER, continued


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one payload; every change of it is in exactly one of these."""

    accepted: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    ignored: int = 0
    spooled: int = 0
    """On disk, until Kafka takes them."""
    says: tuple[str, ...] = ()
    """Why changes were dead-lettered, for the sender's developer."""


class Work:
    """One payload, and whoever waits for it."""

    def __init__(
        self, parsed: Sequence[Parsed], original: Original, done: asyncio.Future[Taken]
    ) -> None:
        self.parsed = parsed
        self.original = original
        self.done = done
        self.notifications = [one for one in parsed if isinstance(one, Notification)]
        self.rejected = [one for one in parsed if isinstance(one, Rejected)]

    @cached_property
    def dead_letter_id(self) -> str:
        """A sender that tries the same bytes again leaves one dead letter."""
        digest = hashlib.sha256(self.original.body).hexdigest()
        return f"dead-letter:{self.original.source}:{digest}"

    @cached_property
    def trace(self) -> str:
        """The sender's, where it gave one."""
        return continued(self.original.headers.get(HEADER))

    def succeed(self, taken: Taken) -> None:
        """Unless the caller was cancelled meanwhile."""
        if not self.done.done():
            self.done.set_result(taken)

    def fail(self, error: Transient) -> None:
        """Unless the caller was cancelled meanwhile."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(frozen=True, slots=True)
class Published:
    """A group that Kafka has acknowledged and nobody has recorded yet."""

    group: Sequence[Work]
    owners: Mapping[str, Work]
    """Whose payload brought an event first."""
    fresh: Collection[str]
    """Ids of what was put on the bus."""
    known: Collection[str]
    """Ids that had been there before, among them deletions of what the group brings."""
    refused: Mapping[str, Rejected]
    """By event id: what the broker never takes."""

    @property
    def gone(self) -> frozenset[str]:
        """Items that the group says were deleted."""
        return frozenset(
            one.item_id
            for work in self.group
            for one in work.notifications
            if one.action is Action.deleted and one.event_id in self.fresh
        )

    def entries(self, gone: Collection[str]) -> list[tuple[Original, list[str]]]:
        """The payloads to keep, each with the ids that it brought first."""
        brought: dict[int, list[str]] = {}
        for event_id in self.fresh:
            brought.setdefault(id(self.owners[event_id]), []).append(event_id)
        return [
            (_kept(work, gone, self.known), brought[id(work)])
            for work in self.group
            if id(work) in brought
        ]

    def addresses(self) -> dict[str, Address]:
        """By item id: where answers go."""
        return {
            one.item_id: address_of(one)
            for work in self.group
            for one in work.notifications
            if isinstance(one, Heard) and one.event_id in self.fresh
        }


def _kept(work: Work, gone: Collection[str], known: Collection[str]) -> Original:
    """The payload as it is kept: without its bytes where it holds words of somebody who deleted them."""
    for one in work.notifications:
        deleted = one.item_id in gone or identity.deleted(one.item_id) in known
        if deleted and one.action is not Action.deleted:
            return replace(work.original, body=b"")
    return work.original


def tombstones(group: Sequence[Work]) -> set[str]:
    """The events that would say that an item of the group was deleted before we heard of it."""
    return {identity.deleted(one.item_id) for work in group for one in work.notifications}


def merged(before: Notification | None, one: Notification) -> Notification:
    """The first of an event; where one item came in two roles it has both kinds."""
    if before is None:
        return one
    if one.kinds <= before.kinds:
        return before
    return before.model_copy(update={"kinds": before.kinds | one.kinds})


def worst(rejected: Sequence[Rejected]) -> Rejected:
    """The one that a person should read first: our own failure, then the order of the reasons."""
    order = [RejectReason.failed, *RejectReason]
    return min(rejected, key=lambda one: order.index(one.reason))


def record_of(one: Notification, trace: str) -> Record:
    """The notification as it goes onto the bus."""
    return Record(
        topic=NOTIFICATIONS.name,
        key=one.key,
        value=one.to_bytes(),
        headers=(
            (Header.event_id.value, one.event_id.encode()),
            (Header.schema_version.value, str(one.schema_version).encode()),
            (Header.trace.value, trace.encode()),
        ),
        timestamp=one.received_at,
    )
