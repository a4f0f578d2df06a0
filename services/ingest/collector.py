"""The driver behind every source: what was parsed goes onto the bus, once in effect.

    drop what is known → produce, one future │ remember what was acknowledged → say what happened

Invariants
- Nothing is remembered as seen before Kafka acknowledged it, so a failure in between gives a duplicate
  (which every reader drops by event id) and never a loss.
- The caller is told only after the acknowledgement, and after PostgreSQL has kept the original and the way
  back (where it answers). `take` raises Transient within `PATIENCE` seconds otherwise, and at once while the
  breaker is open.
- Each of the two stages has one group in hand. What arrives meanwhile is the next one, so identical
  requests at once cannot both be new, and a burst does not queue for database connections. While one group
  is recorded the next is on its way to Kafka.
- PostgreSQL is no condition of intake: without it, repetitions of what is not in memory go downstream,
  counted as what they look like here, and the service says that it is not ready.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence, Set

from services.contracts.base import StrEnum
from services.contracts.events import Notification, Origin
from services.contracts.topics import INTAKE_DLQ
from services.ingest.breaker import Breaker
from services.ingest.domain.outcome import Ignored, Parsed, Rejected, RejectReason
from services.ingest.metrics import Metrics
from services.ingest.remembering import Remembering
from services.ingest.sources.source import meaningful
from services.ingest.store.event_store import EventStore, Original
from services.ingest.work import Published, Taken, Work, merged, record_of, tombstones, worst
from services.runtime.clock import Clock
from services.runtime.dead_letter import DeadLetterReason, intake_dead_letter
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger
from services.runtime.producer import Producer, ProduceReason, Record

log = get_logger(__name__)

PATIENCE = 0.9
"""Seconds from the start of `take` to giving up on Kafka: the caller hears of it within a second."""
GROUP = 200
"""Payloads that are taken together: a burst costs three round trips, not three for each request."""
GROUP_EVENTS = 1_000
"""Changes in them, or one payload: the pages of many gaps at once must not keep a webhook beyond its time."""


class CollectReason(StrEnum):
    """Why nothing was taken."""

    breaker_open = "breaker_open"
    slow = "slow"
    failed = "failed"
    """A defect of ours; the sender keeps the payload."""


class Collector:
    """See the module."""

    def __init__(
        self, producer: Producer, store: EventStore, metrics: Metrics, clock: Clock
    ) -> None:
        self._producer = producer
        self._memory = Remembering(store, metrics, clock)
        self._metrics = metrics
        self._clock = clock
        self.kafka = Breaker(clock)
        self.arrivals: Counter[tuple[str, str]] = Counter()
        """Events by source and account, replays left out; whoever counts them takes them away."""
        self._waiting: list[Work] = []
        self._publishing: asyncio.Task[None] | None = None
        self._published: list[Published] = []
        self._recording: asyncio.Task[None] | None = None

    async def take(self, parsed: Sequence[Parsed], original: Original) -> Taken:
        """Put what was parsed from `original` onto the bus. Raises Transient when Kafka does not take it."""
        work = Work(parsed, original, asyncio.get_running_loop().create_future())
        self._waiting.append(work)
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish_all(), name="publish")
        return await work.done

    async def _publish_all(self) -> None:
        """Until nobody waits: what came while one group was in hand is the next group."""
        try:
            while self._waiting:
                group, self._waiting = _next_group(self._waiting)
                try:
                    published = await self._take(group)
                except Exception as error:
                    _fail(group, error)
                    continue
                self._published.append(published)
                if self._recording is None:
                    self._recording = asyncio.create_task(self._record_all(), name="record")
        finally:
            self._publishing = None

    async def _record_all(self) -> None:
        """Until nothing waits: groups that were published meanwhile are recorded together."""
        try:
            while self._published:
                groups, self._published = self._published, []
                try:
                    await self._record(groups)
                except Exception as error:
                    _fail([work for one in groups for work in one.group], error)
        finally:
            self._recording = None

    async def _take(self, group: Sequence[Work]) -> Published:
        """The first stage: what is new goes to Kafka."""
        give_up = self._clock.monotonic() + PATIENCE
        records, owners = self._records(group)
        known = await self._memory.known((*records, *tombstones(group)))
        fresh = {event_id: one for event_id, one in records.items() if event_id not in known}
        refused = await self._publish(fresh, owners, give_up)
        self._memory.acknowledged(fresh)
        return Published(group, owners, fresh.keys(), known, refused)

    async def _record(self, groups: Sequence[Published]) -> None:
        """The second stage: what Kafka has is remembered, and whoever waits is told."""
        gone = frozenset().union(*(one.gone for one in groups))
        entries = [entry for one in groups for entry in one.entries(gone)]
        addresses = {key: value for one in groups for key, value in one.addresses().items()}
        new = await self._memory.record(entries, addresses, gone)
        for one in groups:
            mine: dict[int, set[str]] = {}
            for event_id in new.intersection(one.fresh):
                mine.setdefault(id(one.owners[event_id]), set()).add(event_id)
            for work in one.group:
                work.succeed(self._account_for(work, mine.get(id(work), set()), one.refused))

    def _records(self, group: Sequence[Work]) -> tuple[dict[str, Record], dict[str, Work]]:
        """What to publish, by event id, and whose payload brought it first."""
        owners: dict[str, Work] = {}
        found: dict[str, Notification] = {}
        records: dict[str, Record] = {}
        for work in group:
            for one in work.notifications:
                owners.setdefault(one.event_id, work)
                found[one.event_id] = merged(found.get(one.event_id), one)
            if work.rejected and work.dead_letter_id not in records:
                owners[work.dead_letter_id] = work
                letter = self._dead_letter(work.rejected, work)
                records[work.dead_letter_id] = letter
        for event_id, one in found.items():
            records[event_id] = record_of(one, owners[event_id].trace)
        return records, owners

    def _account_for(self, work: Work, new: set[str], refused: Mapping[str, Rejected]) -> Taken:
        """Count every change of one payload in exactly one way, and say so."""
        if work.rejected and work.dead_letter_id in new:
            reason = worst(work.rejected).reason.value
            self._metrics.dead_letters.labels(INTAKE_DLQ.name, reason).inc()
        events = {one.event_id for one in work.notifications}
        not_taken = {event_id: one for event_id, one in refused.items() if event_id in events}
        accepted = (new & events) - not_taken.keys()
        self._count(work, accepted, not_taken.keys())
        unread = (*work.rejected, *not_taken.values())
        return Taken(
            accepted=len(accepted),
            duplicates=len(work.notifications) - len(accepted) - len(not_taken),
            dead_letters=len(unread),
            ignored=sum(isinstance(one, Ignored) for one in work.parsed),
            says=tuple(f"{one.reason.value}: {one.detail}" for one in unread),
        )

    async def _publish(
        self, records: Mapping[str, Record], owners: Mapping[str, Work], give_up: float
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
        for event_id, rejected in refused.items():
            letter = self._dead_letter([rejected], owners[event_id])
            await self._acknowledged([letter], self._clock.monotonic() + PATIENCE)
            self._metrics.dead_letters.labels(INTAKE_DLQ.name, rejected.reason.value).inc()
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

    def _dead_letter(self, rejected: Sequence[Rejected], work: Work) -> Record:
        original = work.original
        first = worst(rejected)
        account = next((one.account_id for one in rejected if one.account_id), "")
        detail = "; ".join(f"{one.reason.value}: {one.detail}" for one in rejected)
        return intake_dead_letter(
            original.body,
            DeadLetterReason(first.reason.value),
            detail,
            key=f"{original.source}:{account}",
            source=original.source,
            now=self._clock.now(),
            headers=meaningful(original.headers),
            trace=work.trace,
        )

    def _count(self, work: Work, accepted: Set[str], refused: Set[str]) -> None:
        source = work.original.source
        left = set(accepted)
        for one in work.parsed:
            if isinstance(one, Ignored):
                self._metrics.ignored.labels(source, one.reason.value).inc()
            if not isinstance(one, Notification) or one.event_id in refused:
                continue
            if one.event_id not in left:
                self._metrics.duplicate(source, one).inc()
                continue
            left.discard(one.event_id)
            self._metrics.taken(source, one).inc()
            if one.origin is not Origin.replay and not one.overheard:
                self.arrivals[source, one.account_id] += 1
            received = one.received_at.timestamp()
            self._metrics.heard(source, one.account_id).set(received)


def _next_group(waiting: Sequence[Work]) -> tuple[list[Work], list[Work]]:
    """The oldest that fit into a group, and the rest."""
    changes = count = 0
    for work in waiting[:GROUP]:
        changes += len(work.parsed)
        if count and changes > GROUP_EVENTS:
            break
        count += 1
    return list(waiting[:count]), list(waiting[count:])


def _fail(group: Sequence[Work], error: Exception) -> None:
    if not isinstance(error, Transient):
        log.error("a group could not be taken", exc_info=error)
        error = Transient(CollectReason.failed, "our own failure")
    for work in group:
        work.fail(error)
