"""The driver of a pulled source: hold its lease, connect, fill the gap, listen, and start over when it ends.

Invariants
- One replica listens to an account at a time; what a replica does after it lost the lease is refused.
- The stream is open before the gap is filled, so nothing falls between the two; what both bring is one
  event. Filling a gap never delays what happens now (services.ingest.lanes).
- Only paging moves a cursor, and only after Kafka acknowledged the page. What a stream loses without
  ending is found by the next sweep.
- The brand's own items of a gap come first: an answer is known before its question could page.
- A first connection takes what is there as history, before its stream opens: it never pages.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from services.contracts.events import Notice, NoticeKind
from services.contracts.topics import NOTICES, Header
from services.ingest.collector import Collector
from services.ingest.handover import Handover
from services.ingest.lanes import SWEEP_EVERY, Lanes
from services.ingest.metrics import Metrics
from services.ingest.rereading import Rereading
from services.ingest.sources.pulled import PulledSource, PullReason, ThreadSource
from services.ingest.store.event_store import EventStore, StoreReason
from services.ingest.store.leases import Account, Leases, MemoryLeases
from services.ingest.store.thread_store import ThreadStore
from services.ingest.tenure import Tenure, replica
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger
from services.runtime.producer import Producer, Record

__all__ = ["SWEEP_EVERY", "Listener"]

log = get_logger(__name__)

MENDED_BY_PEOPLE = 300.0
"""Seconds until a refused credential is tried again."""


class Listener:
    """See the module. Without `leases` it is the only replica; without `threads` none is read again."""

    def __init__(
        self,
        source: PulledSource,
        collector: Collector,
        store: EventStore,
        producer: Producer,
        metrics: Metrics,
        clock: Clock,
        *,
        leases: Leases | None = None,
        holder: str | None = None,
        backoff: Backoff | None = None,
        threads: ThreadStore | None = None,
        slowest: timedelta = timedelta(minutes=30),
    ) -> None:
        self._source = source
        self._producer = producer
        self._clock = clock
        self._backoff = backoff or Backoff(initial=0.5, cap=30.0)
        account = Account(source.name, source.account.id)
        self._tenure = Tenure(
            account, leases or MemoryLeases(clock), clock, holder=holder or replica()
        )
        self._handover = Handover(source, collector, store, clock, self._tenure, self._backoff)
        self._rereading = (
            Rereading(source, self._handover, threads, metrics, clock, slowest=slowest)
            if threads is not None and isinstance(source, ThreadSource)
            else None
        )
        labels = source.name, source.account.id
        self._up = metrics.source_up.labels(*labels)
        self._leased = metrics.source_leased.labels(*labels)
        self._gap = metrics.gap.labels(*labels)
        self._gap_length: float | None = None
        self._connected = False
        self._last_heard: float | None = None
        self._told: PullReason | None = None

    async def run(self) -> None:
        """Listen whenever this replica holds the lease, until cancelled."""
        try:
            while True:
                grant = await self._tenure.begin()
                self._last_heard = (
                    None if grant.unheard is None else self._clock.monotonic() - grant.unheard
                )
                self._leased.set(1)
                log.info("listens", source=self._source.name, account=self._source.account.id)
                try:
                    await self._tenure.during(self._listening())
                except Permanent as lost:
                    log.warning("stands by", source=self._source.name, says=str(lost))
                finally:
                    self._leased.set(0)
                    self._up.set(0)
                    await self._tenure.end()
        finally:
            await self._source.close()

    async def _listening(self) -> None:
        """Connect again and again. Raises Permanent (fenced) when the lease is lost."""
        failures = 0
        ended: Transient | Permanent
        while True:
            connected = self._last_heard
            try:
                await self._connection()
            except (Transient, Permanent) as error:
                if error.reason is StoreReason.fenced:
                    raise
                ended = error
            except Exception as error:
                # A defect of ours in one source must not end the listening of all others.
                log.exception("a source could not be understood", source=self._source.name)
                ended = Transient(PullReason.unexpected, type(error).__name__)
            else:
                continue
            self._up.set(0)
            self._connected = False
            # A connection that had worked makes the next failure the first one again.
            failures = 1 if self._last_heard != connected else failures + 1
            await self._clock.sleep(await self._after(ended, failures))

    async def _after(self, error: Transient | Permanent, failures: int) -> float:
        """Tell what is wrong (once per reason) and how long to wait."""
        reason = error.reason if isinstance(error.reason, PullReason) else PullReason.unexpected
        mine = {"source": self._source.name, "account": self._source.account.id}
        if isinstance(error, Permanent):
            log.error("a source needs a person", **mine, says=str(error))
            kind = NoticeKind.token if reason is PullReason.credentials else NoticeKind.source_down
            await self._tell(kind, f"{self._source.name}: {error}", reason)
            return MENDED_BY_PEOPLE
        wait = self._backoff.delay(failures, asked=error.retry_after)
        log.warning("a source is not connected", **mine, says=str(error), wait=round(wait, 1))
        if failures == 3:
            await self._tell(NoticeKind.source_down, f"{self._source.name}: {error}", reason)
        return wait

    async def _connection(self) -> None:
        lanes = Lanes(
            self._source,
            self._handover,
            self._clock,
            heard=self._heard,
            caught_up=self._caught_up,
            left_out=self._left_out,
            beside=self._rereading.run if self._rereading else None,
        )
        await self._source.identify()
        await lanes.begin()
        async with self._source.stream() as events:
            now = self._clock.monotonic()
            self._gap_length = None if self._last_heard is None else now - self._last_heard
            await lanes.run(events)

    def _heard(self) -> None:
        self._last_heard = self._clock.monotonic()

    async def _caught_up(self, new: int) -> None:
        """Alert lets what was read from a gap page from now on: also what only a sweep has found."""
        self._heard()
        first, self._connected = not self._connected, True
        if not first and not new:
            return
        says = f"{self._source.name}: connected and caught up"
        if first:
            gap, self._gap_length = self._gap_length, None
            if gap is not None:
                self._gap.set(gap)
                says += f" after {gap:.0f} s"
            self._up.set(1)
            self._told = None
        mine = {"source": self._source.name, "account": self._source.account.id}
        log.info("connected and caught up", **mine, new=new)
        await self._tell(NoticeKind.caught_up, says)

    async def _left_out(self, feed: str, read: int) -> None:
        says = (
            f"{self._source.name}: after {read} {feed} the rest of the gap was left out "
            "(backfill_limit): look at the platform itself"
        )
        log.error("a gap was not read to its end", source=self._source.name, feed=feed, read=read)
        await self._tell(NoticeKind.gap, says)

    async def _tell(self, kind: NoticeKind, says: str, reason: PullReason | None = None) -> None:
        """A notice for the team; one per reason until the source is back."""
        if reason is not None:
            if reason is self._told:
                return
            self._told = reason
        notice = Notice(
            kind=kind,
            service="ingest",
            source=self._source.name,
            account_id=self._source.account.id,
            says=says[:500],
            at=self._clock.now(),
        )
        version = (Header.schema_version.value, str(notice.schema_version).encode())
        record = Record(NOTICES.name, notice.key, notice.to_bytes(), (version,), notice.at)
        try:
            async with asyncio.timeout(5.0):
                await self._producer.publish([record])
        except (Transient, Permanent, TimeoutError) as error:
            # The metric and the log say it too; a notice is no reason to stop listening.
            log.warning("a notice could not be sent", says=str(error))
