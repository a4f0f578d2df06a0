"""Sends the story through the real intake: signed, at the pace of the story, to the end.

What is sent comes from `story.expand` (pure); here are only the clock, the network and the tally.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from deploy.local.demo import story
from deploy.local.demo.delivery import Delivery, Expect
from deploy.local.demo.signing import DemoSecrets, headers
from services.contracts.base import StrEnum
from services.runtime.backoff import Backoff, retry
from services.runtime.clock import Clock, SystemClock
from services.runtime.errors import Transient

_AT_ONCE = 16
_TRY_FOR_SECONDS = 60.0
_BACKOFF = Backoff(initial=0.2, cap=5.0)
_LISTENER_SECONDS = 30.0


class SendReason(StrEnum):
    """Why a request has to be sent again."""

    unreachable = "unreachable"
    unavailable = "unavailable"
    nobody_listens = "nobody_listens"


@dataclass(frozen=True)
class Summary:
    """What became of the story's requests and streamed events."""

    sent: int
    """Requests and streamed events, each counted once however often it was tried."""
    items: int
    """What they held: posts, messages, edits …, repetitions and trouble included."""
    accepted: int
    """Answered 2xx (or streamed)."""
    refused: int
    """Answered 4xx, as they should be."""
    retried: int
    """Attempts beyond the first (503, connection errors)."""
    statuses: dict[int, int] = field(default_factory=dict)
    """Requests by the final status."""
    unexpected: tuple[str, ...] = ()
    """One line for each answer that a correct intake would not have given."""

    @property
    def went_well(self) -> bool:
        """Whether every answer was the right one."""
        return not self.unexpected


@dataclass(frozen=True)
class Where:
    """Where the story is sent."""

    ingest: str
    """Base address of ingest, like http://127.0.0.1:8001"""
    mastodon: str | None
    """Base address of the local Mastodon server; None leaves its part of the story out."""


Progress = Callable[[int, int, str], None]
"""Told after every delivery: how many are done, of how many, and what the last one shows."""


def _is_right(expect: Expect, status: int) -> bool:
    accepted, refused = 200 <= status < 300, 400 <= status < 500 and status != 429
    return {
        Expect.accepted: accepted,
        Expect.refused: refused,
        Expect.told: accepted or refused,
    }[expect]


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdigit() else None


class Replay:
    """One run of the story.

    Invariants: a delivery is sent at its time or later, never earlier; it is sent again until it has
    an answer that is not "try later"; its `webhook-id` stays, its signature's time is the attempt's.
    """

    def __init__(
        self, where: Where, demo: DemoSecrets, client: httpx.AsyncClient, clock: Clock
    ) -> None:
        self._where = where
        self._secrets = demo
        self._client = client
        self._clock = clock
        self._retried = 0
        self._statuses: Counter[int] = Counter()
        self._unexpected: list[str] = []
        self._accepted = 0
        self._refused = 0

    async def run(
        self, deliveries: Sequence[Delivery], pace: float, progress: Progress | None
    ) -> Summary:
        """Send them all; `pace` 2 is twice as fast as written."""
        began, done = self._clock.monotonic(), 0
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def send(delivery: Delivery) -> None:
            nonlocal done
            try:
                await self._send(delivery)
            finally:
                at_once.release()
            done += 1
            if progress:
                progress(done, len(deliveries), delivery.note)

        async with asyncio.TaskGroup() as tasks:
            for delivery in deliveries:
                wait = began + delivery.at / pace - self._clock.monotonic()
                if wait > 0:
                    await self._clock.sleep(wait)
                await at_once.acquire()
                tasks.create_task(send(delivery))
        return Summary(
            sent=len(deliveries),
            items=sum(len(delivery.items) for delivery in deliveries),
            accepted=self._accepted,
            refused=self._refused,
            retried=self._retried,
            statuses=dict(sorted(self._statuses.items())),
            unexpected=tuple(self._unexpected),
        )

    async def wait_for_listener(self) -> None:
        """Until ingest reads the local Mastodon server's stream; events before that would be history."""

        async def listening() -> None:
            try:
                state = await self._client.get(f"{self._where.mastodon}/_demo/state")
                streams = state.raise_for_status().json()["streams"]
            except httpx.HTTPError as error:
                raise Transient(SendReason.unreachable, str(error)) from error
            if not streams:
                raise Transient(SendReason.nobody_listens, "ingest does not read the stream yet")

        backoff = Backoff(initial=0.1, cap=0.5)
        await retry(listening, backoff=backoff, deadline=_LISTENER_SECONDS, clock=self._clock)

    async def _send(self, delivery: Delivery) -> None:
        try:
            status = await retry(
                lambda: self._attempt(delivery),
                backoff=_BACKOFF,
                deadline=_TRY_FOR_SECONDS,
                clock=self._clock,
                on_retry=self._count_retry,
            )
        except Transient as error:
            self._unexpected.append(f"{delivery.source}, {delivery.note}: {error}")
            return
        self._statuses[status] += 1
        self._accepted += 200 <= status < 300
        self._refused += 400 <= status < 500
        if not _is_right(delivery.expect, status):
            self._unexpected.append(f"{delivery.source}, {delivery.note}: answered {status}")

    async def _attempt(self, delivery: Delivery) -> int:
        content = delivery.content()
        if delivery.source == "mastodon":
            address = f"{self._where.mastodon}/_demo/events"
            sent = {"content-type": "application/json"}
        else:
            address = f"{self._where.ingest}/webhooks/{delivery.source}"
            sent = headers(delivery, self._secrets, self._clock.now())
        try:
            response = await self._client.post(address, content=content, headers=sent)
        except httpx.TransportError as error:
            raise Transient(SendReason.unreachable, type(error).__name__) from error
        if response.status_code in (429, 503):
            raise Transient(
                SendReason.unavailable,
                f"answered {response.status_code}",
                retry_after=_retry_after(response),
            )
        return response.status_code

    def _count_retry(self, _error: Transient, _attempt: int, _wait: float) -> None:
        self._retried += 1


async def run(
    where: Where,
    demo: DemoSecrets,
    *,
    pace: float = 1.0,
    start: datetime | None = None,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Summary:
    """Send the whole story, beginning now; about 25 seconds at pace 1.

    Raises `Transient` when ingest does not come to read the local Mastodon server within 30 seconds.
    """
    clock = clock or SystemClock()
    async with httpx.AsyncClient(timeout=15.0, limits=httpx.Limits(max_connections=32)) as client:
        replay = Replay(where, demo, client, clock)
        if where.mastodon is not None:
            await replay.wait_for_listener()
        deliveries = story.expand(start or clock.now(), pace=pace)
        if where.mastodon is None:
            deliveries = tuple(one for one in deliveries if one.source != "mastodon")
        return await replay.run(deliveries, pace, progress)
