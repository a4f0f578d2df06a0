"""The driver behind every source: what was parsed goes onto the bus, once in effect.

    drop what is known → produce, one future → remember what was acknowledged → say what happened

Invariants
- Nothing is remembered as seen before Kafka acknowledged it, so a failure in between gives a duplicate
  (which every reader drops by event id) and never a loss.
- The caller is told only after the acknowledgement. `take` raises Transient within `PATIENCE` seconds
  otherwise, and at once while the breaker is open.
- PostgreSQL is no condition of intake: without it duplicates go downstream, counted as what they look
  like here, and the service says that it is not ready.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.contracts.base import StrEnum
from services.contracts.events import Notification
from services.contracts.topics import INTAKE_DLQ, NOTIFICATIONS, Header
from services.ingest.breaker import Breaker
from services.ingest.domain.outcome import Ignored, Parsed, Rejected, RejectReason
from services.ingest.metrics import Metrics
from services.ingest.store.event_store import EventStore, Original
from services.runtime.clock import Clock
from services.runtime.dead_letter import DeadLetterReason, intake_dead_letter
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger
from services.runtime.producer import Producer, ProduceReason, Record

log = get_logger(__name__)

PATIENCE = 0.9
"""Seconds from the start of `take` to giving up on Kafka: the caller hears of it within a second."""
STORE_COOLDOWN = 5.0


class CollectReason(StrEnum):
    """Why nothing was taken."""

    breaker_open = "breaker_open"
    slow = "slow"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one payload; every change of it is in exactly one of these."""

    accepted: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    ignored: int = 0
    says: tuple[str, ...] = ()
    """Why changes were dead-lettered, for the sender's developer."""


class Collector:
    """See the module."""

    def __init__(
        self, producer: Producer, store: EventStore, metrics: Metrics, clock: Clock
    ) -> None:
        self._producer = producer
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self.kafka = Breaker(clock)
        self._database = Breaker(clock, cooldown=STORE_COOLDOWN)

    async def take(self, parsed: Sequence[Parsed], original: Original) -> Taken:
        """Put what was parsed from `original` onto the bus. Raises Transient when Kafka does not take it."""
        give_up = self._clock.monotonic() + PATIENCE
        found = _unique(one for one in parsed if isinstance(one, Notification))
        rejected = [one for one in parsed if isinstance(one, Rejected)]
        records = {event_id: _record(one) for event_id, one in found.items()}
        if rejected:
            records[_dead_letter_id(original)] = self._dead_letter(rejected, original)
        known = await self._known(list(records))
        fresh = {event_id: one for event_id, one in records.items() if event_id not in known}
        refused = await self._publish(fresh, original, give_up)
        new = await self._remember(list(fresh), original)
        if rejected and _dead_letter_id(original) in new:
            reason = _worst(rejected).reason.value
            self._metrics.dead_letters.labels(INTAKE_DLQ.name, reason).inc()
        accepted = (new & set(found)) - set(refused)
        self._count(parsed, original, accepted, frozenset(refused))
        given = sum(isinstance(one, Notification) for one in parsed)
        unread = (*rejected, *refused.values())
        return Taken(
            accepted=len(accepted),
            duplicates=given - len(accepted) - len(refused),
            dead_letters=len(unread),
            ignored=sum(isinstance(one, Ignored) for one in parsed),
            says=tuple(f"{one.reason.value}: {one.detail}" for one in unread),
        )

    async def _known(self, event_ids: Sequence[str]) -> frozenset[str]:
        if not event_ids or not self._database.allow():
            return frozenset()
        try:
            known = await self._store.known(event_ids)
        except Transient as error:
            self._store_failed("known", error)
            return frozenset()
        self._database.succeeded()
        return known

    async def _remember(self, event_ids: Sequence[str], original: Original) -> frozenset[str]:
        """Those that were new; all of them where the store does not say."""
        if not event_ids or not self._database.allow():
            return frozenset(event_ids)
        try:
            recorded = await self._store.record(event_ids, original)
        except Transient as error:
            self._store_failed("record", error)
            return frozenset(event_ids)
        self._database.succeeded()
        return recorded

    def _store_failed(self, call: str, error: Transient) -> None:
        self._database.failed()
        self._metrics.store_failures.labels(call).inc()
        log.warning(
            "PostgreSQL did not answer; intake goes on without it", call=call, says=str(error)
        )

    async def _publish(
        self, records: Mapping[str, Record], original: Original, give_up: float
    ) -> dict[str, Rejected]:
        """Publish all. What the broker never takes is dead-lettered and does not hold its neighbours."""
        try:
            await self._acknowledged(list(records.values()), give_up)
        except Permanent as error:
            if error.reason is not ProduceReason.too_large:
                # Nothing is wrong with the payload: our rights or the topic are, and people mend that.
                raise Transient(ProduceReason.refused, error.detail) from error
        else:
            return {}
        refused: dict[str, Rejected] = {}
        for event_id, record in records.items():
            try:
                await self._acknowledged([record], self._clock.monotonic() + PATIENCE)
            except Permanent as error:
                if error.reason is not ProduceReason.too_large:
                    raise Transient(ProduceReason.refused, error.detail) from error
                refused[event_id] = Rejected(RejectReason.too_large, error.detail[:120])
        letter = self._dead_letter(list(refused.values()), original)
        await self._acknowledged([letter], self._clock.monotonic() + PATIENCE)
        self._metrics.dead_letters.labels(INTAKE_DLQ.name, "too_large").inc()
        return refused

    async def _acknowledged(self, records: Sequence[Record], give_up: float) -> None:
        if not records:
            return
        if not self.kafka.allow():
            raise Transient(
                CollectReason.breaker_open,
                "Kafka failed a moment ago",
                retry_after=self.kafka.cooldown,
            )
        try:
            async with asyncio.timeout(max(0.1, give_up - self._clock.monotonic())):
                await self._producer.publish(records)
        except TimeoutError as error:
            # It may arrive yet. The sender comes again, and readers drop what they have.
            self.kafka.failed()
            raise Transient(CollectReason.slow, f"no acknowledgement in {PATIENCE} s") from error
        except Transient:
            self.kafka.failed()
            raise
        self.kafka.succeeded()

    def _dead_letter(self, rejected: Sequence[Rejected], original: Original) -> Record:
        worst = _worst(rejected)
        account = next((one.account_id for one in rejected if one.account_id), "")
        detail = "; ".join(f"{one.reason.value}: {one.detail}" for one in rejected)
        return intake_dead_letter(
            original.body,
            DeadLetterReason(worst.reason.value),
            detail,
            key=f"{original.source}:{account}",
            source=original.source,
            now=self._clock.now(),
        )

    def _count(
        self,
        parsed: Sequence[Parsed],
        original: Original,
        accepted: frozenset[str],
        refused: frozenset[str],
    ) -> None:
        left = set(accepted)
        for one in parsed:
            if isinstance(one, Ignored):
                self._metrics.ignored.labels(original.source, one.reason.value).inc()
            if not isinstance(one, Notification) or one.event_id in refused:
                continue
            labels = self._metrics.labels_of(original.source, one)
            if one.event_id not in left:
                self._metrics.duplicates.labels(**labels).inc()
                continue
            left.discard(one.event_id)
            self._metrics.notifications.labels(**labels).inc()
            received = one.received_at.timestamp()
            self._metrics.last_event.labels(original.source, one.account_id).set(received)


def _unique(found: Iterable[Notification]) -> dict[str, Notification]:
    """By event id, the first of each; where one item came in two roles, it has both kinds."""
    kept: dict[str, Notification] = {}
    for one in found:
        before = kept.get(one.event_id)
        if before is None:
            kept[one.event_id] = one
        elif not one.kinds <= before.kinds:
            kept[one.event_id] = before.model_copy(update={"kinds": before.kinds | one.kinds})
    return kept


def _worst(rejected: Sequence[Rejected]) -> Rejected:
    """The one that a person should read first: our own failure, then the order of the reasons."""
    order = [RejectReason.failed, *RejectReason]
    return min(rejected, key=lambda one: order.index(one.reason))


def _dead_letter_id(original: Original) -> str:
    """A sender that tries the same bytes again leaves one dead letter."""
    digest = hashlib.sha256(original.body).hexdigest()
    return f"dead-letter:{original.source}:{digest}"


def _record(one: Notification) -> Record:
    return Record(
        topic=NOTIFICATIONS.name,
        key=one.key,
        value=one.to_bytes(),
        headers=(
            (Header.event_id.value, one.event_id.encode()),
            (Header.schema_version.value, str(one.schema_version).encode()),
        ),
        timestamp=one.received_at,
    )
