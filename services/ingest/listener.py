"""The driver of a pulled source: connect, fill the gap, listen, and start over when it ends.

Invariants
- The stream is open before the gap is filled, so nothing falls between the two; what both bring is one
  event.
- Only paging moves a cursor, and only after Kafka acknowledged the page. What a stream loses without
  ending is found by the next sweep, within `SWEEP_EVERY` seconds.
- The brand's own items of a gap come first: an answer is known before its question could page.
- A first connection takes what is there as history, before its stream opens: it never pages.
- An event that cannot be handed over is tried until it can; nothing behind it overtakes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from services.contracts import identity
from services.contracts.events import Action, Notice, NoticeKind, Notification, Origin
from services.contracts.topics import NOTICES, Header
from services.ingest.collector import Collector
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Ignored, IgnoreReason, Parsed
from services.ingest.metrics import Metrics
from services.ingest.sources.pulled import Event, Page, PulledSource, PullReason
from services.ingest.store.event_store import EventStore, Feed, Original
from services.runtime.backoff import Backoff, retry
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger
from services.runtime.producer import Producer, Record

log = get_logger(__name__)
T = TypeVar("T")

SWEEP_EVERY = 60.0
"""Seconds. Two requests a minute, of the 60 that Mastodon allows."""
MENDED_BY_PEOPLE = 300.0
"""Seconds until a refused credential is tried again."""
FOR_EVER = float("inf")
AHEAD = 1_000
"""Events that are read from the stream while a gap is filled; beyond that the connection waits."""


class Listener:
    """See the module."""

    def __init__(
        self,
        source: PulledSource,
        collector: Collector,
        store: EventStore,
        producer: Producer,
        metrics: Metrics,
        clock: Clock,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._source = source
        self._collector = collector
        self._store = store
        self._producer = producer
        self._clock = clock
        self._backoff = backoff or Backoff(initial=0.5, cap=30.0)
        labels = source.name, source.account.id
        self._up = metrics.source_up.labels(*labels)
        self._gap = metrics.gap.labels(*labels)
        self._last_heard: float | None = None
        self._told: PullReason | None = None

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        try:
            while True:
                connected = self._last_heard
                try:
                    await self._connection()
                except (Transient, Permanent) as error:
                    self._up.set(0)
                    # A connection that had worked makes the next failure the first one again.
                    failures = 1 if self._last_heard != connected else failures + 1
                    await self._clock.sleep(await self._after(error, failures))
        finally:
            await self._source.close()

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
        await self._source.identify()
        for name in self._source.feeds:
            await self._begin(name)
        async with self._source.stream() as events:
            queue: asyncio.Queue[Event] = asyncio.Queue(AHEAD)

            async def read() -> None:
                async for event in events:
                    await queue.put(event)

            reading = asyncio.create_task(read(), name="stream")
            try:
                await self._caught_up()
                await self._listen(queue, reading)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _caught_up(self) -> None:
        for feed in self._source.feeds:
            await self._read_forward(feed)
        now = self._clock.monotonic()
        if self._last_heard is not None:
            self._gap.set(now - self._last_heard)
        self._last_heard = now
        self._up.set(1)
        account = self._source.account.id
        log.info("connected and caught up", source=self._source.name, account=account)
        self._told = None
        await self._tell(NoticeKind.caught_up, f"{self._source.name}: connected and caught up")

    async def _listen(self, queue: asyncio.Queue[Event], reading: asyncio.Task[None]) -> None:
        sweep_at = self._clock.monotonic() + SWEEP_EVERY
        sweep = asyncio.create_task(self._clock.sleep(SWEEP_EVERY), name="sweep")
        getting = asyncio.create_task(queue.get(), name="next event")
        try:
            while True:
                await asyncio.wait({getting, sweep, reading}, return_when=asyncio.FIRST_COMPLETED)
                self._last_heard = self._clock.monotonic()
                refetch = sweep.done() or self._clock.monotonic() >= sweep_at
                if getting.done():
                    event = getting.result()
                    getting = asyncio.create_task(queue.get(), name="next event")
                    if self._source.asks_to_refetch(event):
                        refetch = True
                    else:
                        await self._persistently(partial(self._live, event))
                elif reading.done() and queue.empty():
                    # Everything that had been read is handled: now the connection may end.
                    reading.result()
                    raise Transient(PullReason.disconnected, "the stream ended")
                if refetch:
                    sweep.cancel()
                    for feed in self._source.feeds:
                        await self._read_forward(feed)
                    sweep_at = self._clock.monotonic() + SWEEP_EVERY
                    sweep = asyncio.create_task(self._clock.sleep(SWEEP_EVERY), name="sweep")
        finally:
            getting.cancel()
            sweep.cancel()

    async def _live(self, event: Event) -> None:
        receipt = Receipt(self._clock.now())
        parsed = await self._known_deletions([await self._source.parse(event, receipt)])
        await self._collector.take(
            parsed, Original(self._source.name, event.body, receipt.received_at)
        )

    def _feed(self, name: str) -> Feed:
        return Feed(self._source.name, self._source.account.id, name)

    async def _begin(self, name: str) -> None:
        """The very first time: what is there is history. Before the stream opens, so nothing else is."""
        feed = self._feed(name)
        if await self._persistently(partial(self._store.cursor, feed)) is None:
            page = await self._source.page(name, None)
            await self._hand_over(page, may_page=False)
            # An empty feed is begun too: what comes later is no history.
            await self._persistently(partial(self._store.move_cursor, feed, page.position or ""))

    async def _read_forward(self, name: str) -> None:
        """From the cursor to the end of a feed, a page at a time."""
        feed, read = self._feed(name), 0
        position = await self._persistently(partial(self._store.cursor, feed))
        while True:
            page = await self._source.page(name, position)
            if not page.events:
                return
            await self._hand_over(page, may_page=True)
            if page.position is None or page.position == position:
                return
            position = page.position
            await self._persistently(partial(self._store.move_cursor, feed, position))
            read += len(page.events)
            if read >= self._source.backfill_limit:
                position = await self._skip_to_the_newest(feed, read)

    async def _hand_over(self, page: Page, *, may_page: bool) -> None:
        receipt = Receipt(self._clock.now(), Origin.backfill, may_page=may_page)
        parsed = [await self._source.parse(event, receipt) for event in page.events]
        original = Original(self._source.name, page.body, receipt.received_at)
        if parsed:
            await self._persistently(partial(self._collector.take, parsed, original))

    async def _skip_to_the_newest(self, feed: Feed, read: int) -> str:
        page = await self._source.page(feed.name, None)
        position = page.position or ""
        await self._persistently(partial(self._store.move_cursor, feed, position))
        says = (
            f"{feed.source}: after {read} {feed.name} the rest of the gap was left out "
            "(backfill_limit): look at the platform itself"
        )
        log.error("a gap was not read to its end", source=feed.source, feed=feed.name, read=read)
        await self._tell(NoticeKind.source_down, says)
        return position

    async def _known_deletions(self, parsed: Sequence[Parsed]) -> list[Parsed]:
        """A stream tells of deletions by anybody; ours are those of items that we had taken in."""
        kept: list[Parsed] = []
        for one in parsed:
            if isinstance(one, Notification) and one.action is Action.deleted:
                created = identity.created(one.item_id)
                if created not in await self._store.known([created]):
                    kept.append(Ignored(IgnoreReason.not_ours, "delete"))
                    continue
            kept.append(one)
        return kept

    async def _persistently(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Until it works: Kafka and PostgreSQL come back, and the source keeps what we did not take."""
        return await retry(
            operation,
            backoff=replace(self._backoff, cap=5.0),
            deadline=FOR_EVER,
            clock=self._clock,
            on_retry=lambda error, attempt, _: (
                log.warning("cannot hand over; waiting", says=str(error)) if attempt == 1 else None
            ),
        )

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
