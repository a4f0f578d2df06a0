"""From one account's source onto the bus, again and again until it is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

from services.contracts import identity
from services.contracts.events import Action, Notification, Origin
from services.ingest.collector import Collector
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Ignored, IgnoreReason, Parsed
from services.ingest.domain.threads import Thread
from services.ingest.sources.pulled import Event, Look, Page, PulledSource
from services.ingest.store.event_store import EventStore, Feed, Original
from services.ingest.store.thread_store import Place, ThreadStore
from services.ingest.tenure import Tenure
from services.ingest.work import Taken
from services.runtime.backoff import Backoff, retry
from services.runtime.clock import Clock
from services.runtime.logs import get_logger

log = get_logger(__name__)
T = TypeVar("T")

FOR_EVER = float("inf")


class Handover:
    """Every effect of a listener: events to the collector, cursors to the store, under the lease.

    Every method raises Permanent (fenced) as soon as another replica listens to the account.
    """

    def __init__(
        self,
        source: PulledSource,
        collector: Collector,
        store: EventStore,
        clock: Clock,
        tenure: Tenure,
        backoff: Backoff,
    ) -> None:
        self._source = source
        self._collector = collector
        self._store = store
        self._clock = clock
        self._tenure = tenure
        self._backoff = replace(backoff, cap=5.0)

    async def live(self, event: Event, *, unless_deletion: bool = False) -> bool:
        """One event of the stream; False where it deletes something unknown and that was not wanted."""
        return await self._persistently(partial(self._live, event, unless_deletion))

    async def _live(self, event: Event, unless_deletion: bool) -> bool:
        receipt = Receipt(self._clock.now())
        one = await self._source.parse(event, receipt)
        if await self._deletes_the_unknown(one):
            if unless_deletion:
                return False
            one = Ignored(IgnoreReason.not_ours, "delete")
        await self._take([one], Original(self._source.name, event.body, receipt.received_at))
        return True

    async def page(self, page: Page, *, may_page: bool) -> Taken:
        """A part of a feed."""
        origin = Origin.live if page.live else Origin.backfill
        receipt = Receipt(self._clock.now(), origin, may_page=may_page)
        parsed = [await self._source.parse(event, receipt) for event in page.events]
        if not parsed:
            return Taken()
        original = Original(self._source.name, page.body, receipt.received_at)
        return await self._persistently(partial(self._take, parsed, original))

    async def look(self, look: Look) -> int:
        """What another look at a thread brought; returns how many events were new."""
        receipt = Receipt(self._clock.now(), reread=True)
        parsed = [await self._source.parse(event, receipt) for event in look.events]
        if not parsed:
            return 0
        return await self._persistently(partial(self._take_unknown, parsed, look, receipt))

    async def _take_unknown(self, parsed: Sequence[Parsed], look: Look, receipt: Receipt) -> int:
        """A thread holds what came by itself as well: that is no repetition to count."""
        ids = [one.event_id for one in parsed if isinstance(one, Notification)]
        known = await self._store.known(ids)
        fresh = [
            one for one in parsed if not isinstance(one, Notification) or one.event_id not in known
        ]
        if not fresh:
            return 0
        original = Original(self._source.name, look.body, receipt.received_at)
        return (await self._take(fresh, original)).accepted

    async def looked(
        self,
        store: ThreadStore,
        place: Place,
        thread: Thread,
        seen: Mapping[str, str],
        *,
        quiet_looks: int,
        wait: timedelta,
    ) -> None:
        """After what a look brought was handed over."""

        async def record() -> None:
            await store.looked(
                place, thread, seen, quiet_looks=quiet_looks, wait=wait, fence=self._tenure.fence
            )

        await self._persistently(record)

    async def cursor(self, name: str) -> str | None:
        """How far a feed was read."""
        return await self._persistently(partial(self._store.cursor, self._feed(name)))

    async def move_cursor(self, name: str, position: str) -> None:
        """After the page was handed over."""

        async def move() -> None:
            await self._store.move_cursor(self._feed(name), position, fence=self._tenure.fence)

        await self._persistently(move)

    def _feed(self, name: str) -> Feed:
        return Feed(self._source.name, self._source.account.id, name)

    async def _take(self, parsed: Sequence[Parsed], original: Original) -> Taken:
        await self._tenure.check()
        return await self._collector.take(parsed, original)

    async def _deletes_the_unknown(self, one: Parsed) -> bool:
        """A stream tells of deletions by anybody; ours are those of items that we had taken in."""
        if not isinstance(one, Notification) or one.action is not Action.deleted:
            return False
        created = identity.created(one.item_id)
        return created not in await self._store.known([created])

    async def _persistently(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Until it works: Kafka and PostgreSQL come back, and the source keeps what we did not take."""
        return await retry(
            operation,
            backoff=self._backoff,
            deadline=FOR_EVER,
            clock=self._clock,
            on_retry=lambda error, attempt, _: (
                log.warning("cannot hand over; waiting", says=str(error)) if attempt == 1 else None
            ),
        )
