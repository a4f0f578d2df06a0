"""The one way out: from a row of the outbox to a message in a chat.

A destination only says `Transient` or `Permanent`. What a delivery goes through is the list in
`stages`; what a failure means stands in `failures`; here rows are taken, kept in order, recorded, and
handed to another destination while this one stays down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from services.alert.chat.failures import Failures
from services.alert.chat.metrics import DeliveryMetrics, DeliveryResult
from services.alert.chat.outbox_clock import OutboxClock
from services.alert.chat.outcomes import PATIENCE, Outcome, Patience, Sent
from services.alert.chat.pace import Breaker, Pace
from services.alert.chat.stages import Stages
from services.alert.ports import (
    Delivery,
    DeliveryReason,
    Destination,
    MessageRef,
    Outbox,
    Purpose,
)
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

GRACE_SECONDS = 3.0
"""How long a cancelled pipeline finishes what is in hand: processes stop in under 10 seconds."""
LOOK_WHILE_DOWN = 1.0
"""Seconds between looks for new rows that should go elsewhere, while the destination stays down."""


class DeliveryPipeline:
    """Delivers one destination's rows.

    Invariants: nothing is recorded as sent that the destination did not confirm or that was not found
    there; nothing starts after `still_due` said no; deliveries of one subject go in order, others side
    by side; a row that fails goes back to the outbox with a time, so nothing is kept in memory only;
    while the destination stays down its rows go to its fallback, and the engineers hear of it.
    """

    def __init__(
        self,
        destination: Destination,
        outbox: Outbox,
        *,
        clock: Clock,
        metrics: DeliveryMetrics,
        posts: Pace,
        updates: Pace | None = None,
        patience: Mapping[Purpose, Patience] = PATIENCE,
        breaker: Breaker | None = None,
        concurrency: int = 4,
        idle_seconds: float = 0.5,
        attempt_seconds: float = 8.0,
    ) -> None:
        self.destination = destination
        self._outbox = outbox
        self._clock = OutboxClock(clock)
        self._metrics = metrics
        self._breaker = breaker or Breaker()
        self._concurrency = concurrency
        self._idle = idle_seconds
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._told_up: bool | None = None
        """What the outbox was told last; None: nothing yet, and another process may have told it worse."""
        self._stages = Stages(
            destination,
            outbox,
            self._clock,
            posts,
            updates or posts,
            patience,
            self._breaker,
            attempt_seconds,
            lambda seconds: self._rest(seconds, wakeable=False),
        )
        self._failures = Failures(destination.id, self._clock, self._breaker, metrics, patience)
        metrics.initialise(destination.id)

    async def run(self) -> None:
        """Deliver until stopped. What is in hand is finished first."""
        failures = 0
        while not self._stop.is_set():
            try:
                held = self._breaker.wait(self._clock.monotonic())
                if held > 0:
                    await self.hand_on()
                    await self._rest(min(held, LOOK_WHILE_DOWN), wakeable=False)
                    continue
                handled = await self._whole_round()
                failures = 0
            except Exception:
                # The outbox failed (a database that restarts): leases end by themselves.
                failures += 1
                log.exception("delivery_round_failed", destination=self.destination.id)
                await self._rest(Backoff(initial=0.5, cap=10).delay(failures), wakeable=False)
                continue
            if handled == 0:
                await self._rest(self._idle, wakeable=True)

    async def _whole_round(self) -> int:
        """A round that is finished though the task is cancelled: what is under way is recorded."""
        work = asyncio.ensure_future(self.round())
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.wait({work}, timeout=GRACE_SECONDS)
            # Past that the lease ends by itself, and the post is looked for before it is sent again.
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise

    def wake(self) -> None:
        """Something was put into the outbox: don't wait for the next look."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` after what is in hand."""
        self._stop.set()

    async def hand_on(self) -> int:
        """Where the destination stays down: its rows go elsewhere. How many went."""
        if not self._breaker.stays_down(self._clock.monotonic()):
            return 0
        handed = await self._outbox.down(self.destination.id, self._breaker.why)
        self._told_up = False
        if handed:
            log.warning("handed_to_the_fallback", destination=self.destination.id, rows=handed)
        return handed

    async def round(self) -> int:
        """Take what is due, deliver it, record it. How many rows were taken."""
        limit = 1 if self._breaker.trying else self._concurrency
        taken = await self._outbox.take(limit, self.destination.id)
        self._clock.put_right(next((one.taken_at for one in taken), None))
        by_subject: dict[str, list[Delivery]] = {}
        for delivery in taken:
            by_subject.setdefault(delivery.subject, []).append(delivery)
        results = await asyncio.gather(
            *(self._in_order(group) for group in by_subject.values()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(taken)

    async def _in_order(self, deliveries: list[Delivery]) -> None:
        card_ref: MessageRef | None = None
        for delivery in deliveries:
            if delivery.card_ref is None and card_ref is not None:
                delivery = replace(delivery, card_ref=card_ref)
            outcome = await self._deliver(delivery)
            await self._record(delivery, outcome)
            if isinstance(outcome, Sent) and delivery.purpose is Purpose.card:
                card_ref = outcome.ref

    async def _deliver(self, delivery: Delivery) -> Outcome:
        try:
            return await self._stages.run(delivery)
        except TimeoutError:
            late = Transient(DeliveryReason.timeout, "no answer in time")
            return self._failures.judge(delivery, late)
        except (Transient, Permanent) as error:
            return self._failures.judge(delivery, error)

    async def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        if isinstance(outcome, Sent):
            await self._arrived(delivery, outcome)
            return
        retry_at = self._clock.now() + outcome.wait if outcome.wait is not None else None
        await self._outbox.failed(
            delivery, outcome.reason, retry_at=retry_at, ambiguous=outcome.ambiguous
        )
        result = DeliveryResult.retried if retry_at else DeliveryResult.gave_up
        if outcome.reason is DeliveryReason.no_longer_due:
            result = DeliveryResult.cancelled
        elif retry_at is None:
            log.warning(
                "delivery_given_up",
                destination=self.destination.id,
                purpose=delivery.purpose.value,
                delivery_id=delivery.id,
                reason=outcome.reason.value,
            )
        self._metrics.delivered(self.destination.id, result, outcome.reason)

    async def _arrived(self, delivery: Delivery, outcome: Sent) -> None:
        self._breaker.succeeded()
        await self._outbox.sent(delivery, outcome.ref)
        result = DeliveryResult.found if outcome.found else DeliveryResult.sent
        self._metrics.delivered(self.destination.id, result)
        if not self._told_up:
            await self._outbox.up(self.destination.id)
            self._told_up = True

    async def _rest(self, seconds: float, *, wakeable: bool) -> bool:
        """Wait; a stop ends it early, and so does `wake` where that is allowed. True on a stop."""
        waits = [
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._stop.wait()),
        ]
        if wakeable:
            waits.append(asyncio.ensure_future(self._wake.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._wake.clear()
        return self._stop.is_set()
