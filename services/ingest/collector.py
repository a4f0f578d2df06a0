"""The driver behind every source: what was parsed goes onto the bus, once in effect.

    drop what is known → produce, one future → remember what was acknowledged → say what happened

Invariants
- Nothing is remembered as seen before Kafka acknowledged it, so a failure in between gives a duplicate
  (which every reader drops by event id) and never a loss.
- The caller is told only after the acknowledgement. `take` raises Transient within `PATIENCE` seconds
  otherwise, and at once while the breaker is open.
- One group at a time. What arrives meanwhile is the next group, so identical requests at once cannot both
  be new, and a burst does not queue for database connections.
- PostgreSQL is no condition of intake: without it duplicates go downstream, counted as what they look
  like here, and the service says that it is not ready.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from services.contracts import identity
from services.contracts.base import StrEnum
from services.contracts.events import Action, Notification, Origin
from services.contracts.topics import INTAKE_DLQ, NOTIFICATIONS, Header
from services.ingest.breaker import Breaker
from services.ingest.domain.address import Address, Heard, address_of
from services.ingest.domain.outcome import Ignored, Parsed, Rejected, RejectReason
from services.ingest.metrics import Metrics
from services.ingest.store.event_store import Entry, EventStore, Original
from services.runtime.clock import Clock
from services.runtime.dead_letter import DeadLetterReason, intake_dead_letter
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger
from services.runtime.producer import Producer, ProduceReason, Record

log = get_logger(__name__)

PATIENCE = 0.9
"""Seconds from the start of `take` to giving up on Kafka: the caller hears of it within a second."""
STORE_COOLDOWN = 5.0
GROUP = 200
"""Payloads that are taken together: a burst costs three round trips, not three for each request."""


class CollectReason(StrEnum):
    """Why nothing was taken."""

    breaker_open = "breaker_open"
    slow = "slow"
    failed = "failed"
    """A defect of ours; the sender keeps the payload."""


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


class _Work:
    """One payload on its way, and whoever waits for it."""

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

    def succeed(self, taken: Taken) -> None:
        """Unless the caller was cancelled meanwhile."""
        if not self.done.done():
            self.done.set_result(taken)

    def fail(self, error: Transient) -> None:
        """Unless the caller was cancelled meanwhile."""
        if not self.done.done():
            self.done.set_exception(error)


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
        self.arrivals: Counter[tuple[str, str]] = Counter()
        """Events by source and account, replays left out; whoever counts them takes them away."""
        self._waiting: list[_Work] = []
        self._committing: asyncio.Task[None] | None = None

    async def take(self, parsed: Sequence[Parsed], original: Original) -> Taken:
        """Put what was parsed from `original` onto the bus. Raises Transient when Kafka does not take it."""
        work = _Work(parsed, original, asyncio.get_running_loop().create_future())
        self._waiting.append(work)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit(), name="commit")
        return await work.done

    async def _commit(self) -> None:
        """Until nobody waits: what came while one group was in hand is the next group."""
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
                try:
                    await self._take(group)
                except Transient as error:
                    for work in group:
                        work.fail(error)
                except Exception:
                    log.exception("a group could not be taken")
                    for work in group:
                        work.fail(Transient(CollectReason.failed, "our own failure"))
        finally:
            self._committing = None

    async def _take(self, group: Sequence[_Work]) -> None:
        give_up = self._clock.monotonic() + PATIENCE
        records, owners = self._records(group)
        known = await self._known([*records, *_tombstones(group)])
        fresh = {event_id: one for event_id, one in records.items() if event_id not in known}
        refused = await self._publish(fresh, owners, give_up)
        gone = _gone(group, fresh)
        entries = [
            (_kept(work, gone, known), [event_id for event_id in fresh if owners[event_id] is work])
            for work in group
        ]
        answerable = {
            one.item_id: address_of(one)
            for work in group
            for one in work.notifications
            if isinstance(one, Heard) and one.event_id in fresh
        }
        entries = [(one, ids) for one, ids in entries if ids]
        new = await self._remember(entries, answerable, gone)
        for work in group:
            mine = frozenset(event_id for event_id in new if owners[event_id] is work)
            work.succeed(self._account_for(work, mine, refused))

    def _records(self, group: Sequence[_Work]) -> tuple[dict[str, Record], dict[str, _Work]]:
        """What to publish, by event id, and whose payload brought it first."""
        owners: dict[str, _Work] = {}
        found: dict[str, Notification] = {}
        records: dict[str, Record] = {}
        for work in group:
            for one in work.notifications:
                owners.setdefault(one.event_id, work)
                found[one.event_id] = _merged(found.get(one.event_id), one)
            if work.rejected and work.dead_letter_id not in records:
                owners[work.dead_letter_id] = work
                letter = self._dead_letter(work.rejected, work.original)
                records[work.dead_letter_id] = letter
        records.update((event_id, _record(one)) for event_id, one in found.items())
        return records, owners

    def _account_for(
        self, work: _Work, new: frozenset[str], refused: Mapping[str, Rejected]
    ) -> Taken:
        """Count every change of one payload in exactly one way, and say so."""
        if work.dead_letter_id in new:
            reason = _worst(work.rejected).reason.value
            self._metrics.dead_letters.labels(INTAKE_DLQ.name, reason).inc()
        events = {one.event_id for one in work.notifications}
        not_taken = {event_id: one for event_id, one in refused.items() if event_id in events}
        accepted = (new & events) - set(not_taken)
        self._count(work, accepted, frozenset(not_taken))
        unread = (*work.rejected, *not_taken.values())
        return Taken(
            accepted=len(accepted),
            duplicates=len(work.notifications) - len(accepted) - len(not_taken),
            dead_letters=len(unread),
            ignored=sum(isinstance(one, Ignored) for one in work.parsed),
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

    async def _remember(
        self, entries: Sequence[Entry], answerable: Mapping[str, Address], gone: Collection[str]
    ) -> frozenset[str]:
        """The ids that were new; all of them where the store does not say."""
        everything = frozenset(event_id for _, ids in entries for event_id in ids)
        if not everything or not self._database.allow():
            return everything
        try:
            recorded = await self._store.record(entries, list(answerable.values()), gone)
        except Transient as error:
            self._store_failed("record", error)
            return everything
        self._database.succeeded()
        return recorded

    def _store_failed(self, call: str, error: Transient) -> None:
        self._database.failed()
        self._metrics.store_failures.labels(call).inc()
        log.warning(
            "PostgreSQL did not answer; intake goes on without it", call=call, says=str(error)
        )

    async def _publish(
        self, records: Mapping[str, Record], owners: Mapping[str, _Work], give_up: float
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
            letter = self._dead_letter([rejected], owners[event_id].original)
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

    def _count(self, work: _Work, accepted: frozenset[str], refused: frozenset[str]) -> None:
        source = work.original.source
        left = set(accepted)
        for one in work.parsed:
            if isinstance(one, Ignored):
                self._metrics.ignored.labels(source, one.reason.value).inc()
            if not isinstance(one, Notification) or one.event_id in refused:
                continue
            labels = self._metrics.labels_of(source, one)
            if one.event_id not in left:
                self._metrics.duplicates.labels(**labels).inc()
                continue
            left.discard(one.event_id)
            self._metrics.notifications.labels(**labels).inc()
            if one.origin is not Origin.replay and not one.overheard:
                self.arrivals[source, one.account_id] += 1
            received = one.received_at.timestamp()
            self._metrics.last_event.labels(source, one.account_id).set(received)


def _merged(before: Notification | None, one: Notification) -> Notification:
    """The first of an event; where one item came in two roles it has both kinds."""
    if before is None:
        return one
    if one.kinds <= before.kinds:
        return before
    return before.model_copy(update={"kinds": before.kinds | one.kinds})


def _worst(rejected: Sequence[Rejected]) -> Rejected:
    """The one that a person should read first: our own failure, then the order of the reasons."""
    order = [RejectReason.failed, *RejectReason]
    return min(rejected, key=lambda one: order.index(one.reason))


def _tombstones(group: Sequence[_Work]) -> set[str]:
    """The events that would say that an item of the group was deleted before we heard of it."""
    return {identity.deleted(one.item_id) for work in group for one in work.notifications}


def _gone(group: Sequence[_Work], fresh: Mapping[str, Record]) -> frozenset[str]:
    """Items that the group says were deleted."""
    return frozenset(
        one.item_id
        for work in group
        for one in work.notifications
        if one.action is Action.deleted and one.event_id in fresh
    )


def _kept(work: _Work, gone: Collection[str], known: Collection[str]) -> Original:
    """The payload as it is kept: without its bytes where it holds words of somebody who deleted them."""
    for one in work.notifications:
        deleted = one.item_id in gone or identity.deleted(one.item_id) in known
        if deleted and one.action is not Action.deleted:
            return replace(work.original, body=b"")
    return work.original


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
