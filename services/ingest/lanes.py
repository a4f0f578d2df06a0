"""The two lanes of a connection: what happens now, and what was missed. Neither waits for the other.

A third may run beside them (services.ingest.rereading); its end is the connection's, as theirs is.

Invariants
- The live lane moves no cursor. Only the feeds' lane does, and only after Kafka acknowledged the page; so
  the order in which the two lanes meet an event changes nothing but which of them it is counted under.
- An event of the stream that cannot be handed over is tried until it can; nothing behind it overtakes it.
- A deletion of something that a gap may still bring waits until the gap is filled: it is never overtaken
  by what it deletes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from services.ingest.handover import Handover
from services.ingest.sources.pulled import Event, Page, PulledSource, PullReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

SWEEP_EVERY = 60.0
"""Seconds. Two requests a minute, of the 60 that Mastodon allows."""
AHEAD = 1_000
"""Events that are read from the stream before they are handed over; beyond that the connection waits."""

_Ended = Transient | Permanent


class Lanes:
    """One connection's work, from the open stream to its end."""

    def __init__(
        self,
        source: PulledSource,
        handover: Handover,
        clock: Clock,
        *,
        heard: Callable[[], None],
        caught_up: Callable[[int], Awaitable[None]],
        left_out: Callable[[str, int], Awaitable[None]],
        beside: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._source = source
        self._handover = handover
        self._clock = clock
        self._heard = heard
        self._caught_up = caught_up
        self._left_out = left_out
        self._beside = beside
        self._queue: asyncio.Queue[Event | _Ended] = asyncio.Queue(AHEAD)
        self._refetch = asyncio.Event()
        self._filling = True
        self._deletions: list[Event] = []

    async def begin(self) -> None:
        """The very first time: what is there is history. Before the stream opens, so nothing else is."""
        for name in self._source.feeds:
            if await self._handover.cursor(name) is None:
                page = await self._source.page(name, None)
                await self._handover.page(page, may_page=False)
                # An empty feed is begun too: what comes later is no history.
                await self._handover.move_cursor(name, page.position or "")

    async def run(self, events: AsyncIterator[Event]) -> None:
        """Until the connection ends, which raises Transient or Permanent."""
        tasks = [
            asyncio.create_task(self._read(events), name="stream"),
            asyncio.create_task(self._live(), name="live lane"),
            asyncio.create_task(self._feeds(), name="feeds' lane"),
        ]
        if self._beside is not None:
            tasks.append(asyncio.create_task(self._third(self._beside), name="threads' lane"))
        lanes = tasks[1:]
        try:
            await asyncio.wait(lanes, return_when=asyncio.FIRST_COMPLETED)
            for lane in lanes:
                if lane.done():
                    lane.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _third(self, beside: Callable[[], Awaitable[None]]) -> None:
        await beside()

    async def _read(self, events: AsyncIterator[Event]) -> None:
        """The stream's end is handed on behind its last event: everything that was read is handled."""
        try:
            async for event in events:
                await self._queue.put(event)
        except (Transient, Permanent) as error:
            await self._queue.put(error)
        except Exception as error:
            log.exception("a stream could not be read", source=self._source.name)
            await self._queue.put(Transient(PullReason.unexpected, type(error).__name__))
        else:
            await self._queue.put(Transient(PullReason.disconnected, "the stream ended"))

    async def _live(self) -> None:
        while True:
            event = await self._queue.get()
            if not isinstance(event, Event):
                raise event
            self._heard()
            if self._source.asks_to_refetch(event):
                self._refetch.set()
            elif not await self._handover.live(event, unless_deletion=self._filling):
                self._deletions.append(event)

    async def _feeds(self) -> None:
        """Fill the gap; then look every minute whether the stream has lost something."""
        while True:
            self._refetch.clear()
            new = 0
            for name in self._source.feeds:
                new += await self._read_forward(name)
            await self._delete_what_waited()
            await self._caught_up(new)
            await self._pause()

    async def _delete_what_waited(self) -> None:
        """Known by now, or nobody's."""
        while self._deletions:
            await self._handover.live(self._deletions[0])
            del self._deletions[0]
        self._filling = False

    async def _pause(self) -> None:
        sweep = asyncio.ensure_future(self._clock.sleep(SWEEP_EVERY))
        asked = asyncio.create_task(self._refetch.wait(), name="asked to refetch")
        try:
            await asyncio.wait({sweep, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sweep.cancel()
            asked.cancel()

    async def _read_forward(self, name: str) -> int:
        """From the cursor to the end of a feed, a page at a time; returns how many events were new."""
        position, read, new = await self._handover.cursor(name), 0, 0
        while True:
            page = await self._source.page(name, position)
            self._heard()
            if not page.events:
                return new
            new += (await self._handover.page(page, may_page=True)).accepted
            if page.position is None or page.position == position:
                return new
            position = page.position
            await self._handover.move_cursor(name, position)
            read += len(page.events)
            if read >= self._source.backfill_limit:
                position = await self._skip_to_the_newest(name, read)

    async def _skip_to_the_newest(self, name: str, read: int) -> str:
        page: Page = await self._source.page(name, None)
        position = page.position or ""
        await self._handover.move_cursor(name, position)
        await self._left_out(name, read)
        return position
