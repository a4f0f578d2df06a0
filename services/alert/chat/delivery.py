"""The one way out: from a row of the outbox to a message in a chat, as a list of stages.

A destination only says `Transient` or `Permanent`; everything else is decided here: deadlines,
looking for an attempt that may have arrived, pace, the breaker, and the last look at whether the row
is still due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from services.alert.chat.metrics import DeliveryMetrics, DeliveryResult
from services.alert.chat.outcomes import (
    AMBIGUOUS,
    DESTINATION_FAILS,
    HINTS,
    PATIENCE,
    Failed,
    Outcome,
    Patience,
    Sent,
)
from services.alert.chat.pace import Breaker, Pace
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


Stage = Callable[[Delivery], Awaitable[Delivery | Outcome]]
"""Hands the delivery on (perhaps completed), or ends it with an outcome."""


class DeliveryPipeline:
    """Delivers one destination's rows.

    Invariants: nothing is recorded as sent that the destination did not confirm or that was not found
    there; nothing starts after `still_due` said no; deliveries of one subject go in order, others side
    by side; a row that fails goes back to the outbox with a time, so nothing is kept in memory only.
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
        self._clock = clock
        self._metrics = metrics
        self._posts = posts
        self._updates = updates or posts
        self._patience = patience
        self._breaker = breaker or Breaker()
        self._concurrency = concurrency
        self._idle = idle_seconds
        self._attempt_seconds = attempt_seconds
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._stages: tuple[Stage, ...] = (
            self._expire,
            self._hold,
            self._find,
            self._keep_pace,
            self._recheck,
            self._send,
        )
        metrics.initialise(destination.id)

    async def run(self) -> None:
        """Deliver until stopped. What is in hand is finished first."""
        failures = 0
        while not self._stop.is_set():
            held = self._breaker.wait(self._clock.monotonic())
            if held > 0:
                await self._rest(held, wakeable=False)
                continue
            try:
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

    async def round(self) -> int:
        """Take what is due, deliver it, record it. How many rows were taken."""
        limit = 1 if self._breaker.trying else self._concurrency
        taken = await self._outbox.take(limit, self.destination.id)
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
        current = delivery
        try:
            async with asyncio.timeout(None) as limit:
                for stage in self._stages:
                    if stage == self._send:
                        limit.reschedule(asyncio.get_running_loop().time() + self._attempt_seconds)
                    step = await stage(current)
                    if isinstance(step, Sent | Failed):
                        return step
                    current = step
        except TimeoutError:
            return self._again(delivery, Transient(DeliveryReason.timeout, "no answer in time"))
        except Transient as error:
            return self._again(delivery, error)
        except Permanent as error:
            return self._no(delivery, error)
        raise AssertionError("the last stage ends a delivery")

    # Stages, in their order.

    async def _expire(self, delivery: Delivery) -> Delivery | Outcome:
        first = delivery.first_tried_at
        deadline = self._patience[delivery.purpose].deadline
        if first is not None and self._clock.now() - first > deadline:
            return Failed(DeliveryReason.expired, None)
        return delivery

    async def _hold(self, delivery: Delivery) -> Delivery | Outcome:
        """One of the same round met a 429 or a dead destination: don't run into it again."""
        held = self._breaker.wait(self._clock.monotonic())
        return Failed(self._breaker.why, held, delivery.ambiguous) if held > 0 else delivery

    async def _find(self, delivery: Delivery) -> Delivery | Outcome:
        """Look for the post that an earlier attempt may have left."""
        updates = delivery.line_ref or (delivery.purpose is Purpose.card and delivery.card_ref)
        if not delivery.ambiguous or updates:
            return delivery  # an update may be repeated
        try:
            async with asyncio.timeout(self._attempt_seconds):
                found = await self.destination.find(delivery)
        except Permanent as error:
            # It may not look (a missing scope): prefer a duplicate to silence.
            self._log(delivery, "cannot_look_for_post", error=str(error))
            return delivery
        if found is None:
            return delivery
        if delivery.purpose is Purpose.card:
            # It may show an older state of the card: bring it up to date.
            return replace(delivery, card_ref=found)
        return Sent(found, found=True)

    async def _keep_pace(self, delivery: Delivery) -> Delivery | Outcome:
        update = delivery.purpose is Purpose.card and delivery.card_ref is not None
        key = delivery.person.id if delivery.purpose is Purpose.page and delivery.person else ""
        pace = self._updates if update and self.destination.updates_in_place else self._posts
        wait = pace.reserve(key, self._clock.monotonic())
        if wait > 0 and await self._rest(wait, wakeable=False):
            return Failed(DeliveryReason.rate_limited, 0.0, delivery.ambiguous)
        return delivery

    async def _recheck(self, delivery: Delivery) -> Delivery | Outcome:
        """The last look before the send: no page goes out after an answer was stored."""
        if await self._outbox.still_due(delivery):
            return delivery
        return Failed(DeliveryReason.no_longer_due, None)

    async def _send(self, delivery: Delivery) -> Delivery | Outcome:
        ref = await self._hand_over(delivery)
        self._breaker.succeeded()
        return Sent(ref)

    async def _hand_over(self, delivery: Delivery) -> MessageRef:
        to, card, posted = self.destination, delivery.card, delivery.card_ref
        shown = delivery.shown
        match delivery.purpose:
            case Purpose.told if delivery.text is not None:
                return await to.tell(delivery.text, delivery.id)
            case Purpose.card if shown and posted:
                return await to.update(posted, shown)
            case Purpose.card if shown:
                return await to.post(shown, delivery.id)
            case Purpose.page if shown and delivery.person:
                return await to.page(delivery.person, shown, posted, delivery.id)
            case Purpose.thread if card and delivery.line and delivery.line_ref:
                return await to.change_line(delivery.line_ref, delivery.line, card)
            case Purpose.thread if card and delivery.line and posted:
                return await to.thread(posted, delivery.line, card, delivery.id)
            case Purpose.thread if card and delivery.line:
                raise Transient(DeliveryReason.not_found, "its card is not posted yet")
        raise Permanent(DeliveryReason.invalid, "the outbox row lacks what its purpose needs")

    # What a failure means.

    def _again(self, delivery: Delivery, error: Transient) -> Failed:
        reason = DeliveryReason(error.reason)
        now = self._clock.monotonic()
        patience = self._patience[delivery.purpose]
        if reason is DeliveryReason.rate_limited:
            wait = error.retry_after or patience.backoff.delay(delivery.attempt)
            self._breaker.limited(now, wait)
            self._metrics.rate_limited(self.destination.id, wait)
            return Failed(reason, wait, delivery.ambiguous)
        self._blame(reason)
        wait = patience.backoff.delay(delivery.attempt, asked=error.retry_after)
        first = delivery.first_tried_at or self._clock.now()
        past = self._clock.now() + timedelta(seconds=wait) - first > patience.deadline
        ambiguous = delivery.ambiguous or reason in AMBIGUOUS
        self._log(delivery, "delivery_failed", error=str(error), again_in=wait)
        return Failed(reason, None if past else wait, ambiguous)

    def _no(self, delivery: Delivery, error: Permanent) -> Failed:
        reason = DeliveryReason(error.reason)
        self._log(delivery, "delivery_refused", error=str(error))
        if reason is DeliveryReason.refused_credentials:
            # A person mends the token; what waits must still be there then.
            self._blame(reason)
            wait = self._breaker.wait(self._clock.monotonic()) or self._breaker.longest
            return Failed(reason, wait, delivery.ambiguous)
        return Failed(reason, None)

    def _blame(self, reason: DeliveryReason) -> None:
        if reason not in DESTINATION_FAILS:
            return
        if self._breaker.failed(self._clock.monotonic(), reason):
            log.error(
                "destination_down",
                destination=self.destination.id,
                reason=reason.value,
                hint=HINTS.get(reason, "it is tried again by itself"),
            )

    async def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        name = self.destination.id
        if isinstance(outcome, Sent):
            await self._outbox.sent(delivery, outcome.ref)
            self._metrics.delivered(
                name, DeliveryResult.found if outcome.found else DeliveryResult.sent
            )
            return
        now, retry_at = self._clock.now(), None
        if outcome.after is not None:
            retry_at = now + timedelta(seconds=outcome.after)
        await self._outbox.failed(
            delivery, outcome.reason, retry_at=retry_at, ambiguous=outcome.ambiguous
        )
        result = DeliveryResult.retried if retry_at else DeliveryResult.gave_up
        if outcome.reason is DeliveryReason.no_longer_due:
            result = DeliveryResult.cancelled
        elif retry_at is None:
            self._log(delivery, "delivery_given_up", reason=outcome.reason.value)
        self._metrics.delivered(name, result, outcome.reason)

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

    def _log(self, delivery: Delivery, event: str, **facts: object) -> None:
        log.warning(
            event,
            destination=self.destination.id,
            purpose=delivery.purpose.value,
            delivery_id=delivery.id,
            attempt=delivery.attempt,
            **facts,
        )
