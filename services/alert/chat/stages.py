"""What a delivery goes through, in this order. A stage hands it on, or ends it with an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from services.alert.chat.outcomes import Failed, Outcome, Patience, Sent
from services.alert.chat.pace import Breaker, Pace
from services.alert.ports import (
    Delivery,
    DeliveryReason,
    Destination,
    MessageRef,
    Outbox,
    Purpose,
)
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

Stage = Callable[[Delivery], Awaitable[Delivery | Outcome]]
"""Hands the delivery on (perhaps completed), or ends it with an outcome."""


@dataclass(slots=True)
class Stages:
    """The stages of one destination. Errors of the destination go through, for `Failures` to judge."""

    destination: Destination
    outbox: Outbox
    clock: Clock
    posts: Pace
    updates: Pace
    patience: Mapping[Purpose, Patience]
    breaker: Breaker
    attempt_seconds: float
    rest: Callable[[float], Awaitable[bool]]
    """Wait so many seconds; True where a stop ended it."""

    async def run(self, delivery: Delivery) -> Outcome:
        """All of them. Raises Transient, Permanent and TimeoutError."""
        for stage in (
            self.expire,
            self.hold,
            self.find,
            self.keep_pace,
            self.recheck,
        ):
            step = await stage(delivery)
            if isinstance(step, Sent | Failed):
                return step
            delivery = step
        return await self.send(delivery)

    async def expire(self, delivery: Delivery) -> Delivery | Outcome:
        """What comes too late is worse than what follows it."""
        first = delivery.first_tried_at
        deadline = self.patience[delivery.purpose].deadline
        if first is not None and self.clock.now() - first > deadline:
            return Failed(DeliveryReason.expired, None)
        return delivery

    async def hold(self, delivery: Delivery) -> Delivery | Outcome:
        """One of the same round met a 429 or a dead destination: don't run into it again."""
        held = self.breaker.wait(self.clock.monotonic())
        return Failed(self.breaker.why, held, delivery.ambiguous) if held > 0 else delivery

    async def find(self, delivery: Delivery) -> Delivery | Outcome:
        """Look for the post that an earlier attempt may have left."""
        updates = delivery.line_ref or (delivery.purpose is Purpose.card and delivery.card_ref)
        if not delivery.ambiguous or updates:
            return delivery  # an update may be repeated
        try:
            async with asyncio.timeout(self.attempt_seconds):
                found = await self.destination.find(delivery)
        except Permanent as error:
            # It may not look (a missing scope): prefer a duplicate to silence.
            log.warning(
                "cannot_look_for_post",
                destination=self.destination.id,
                delivery_id=delivery.id,
                error=str(error),
            )
            return delivery
        if found is None:
            return delivery
        if delivery.purpose is Purpose.card:
            # It may show an older state of the card: bring it up to date.
            return replace(delivery, card_ref=found)
        return Sent(found, found=True)

    async def keep_pace(self, delivery: Delivery) -> Delivery | Outcome:
        """Wait for the next free place of the channel, or of the person's direct messages."""
        update = delivery.purpose is Purpose.card and delivery.card_ref is not None
        key = delivery.person.id if delivery.purpose is Purpose.page and delivery.person else ""
        pace = self.updates if update and self.destination.updates_in_place else self.posts
        wait = pace.reserve(key, self.clock.monotonic())
        if wait > 0 and await self.rest(wait):
            return Failed(DeliveryReason.rate_limited, 0.0, delivery.ambiguous)
        return delivery

    async def recheck(self, delivery: Delivery) -> Delivery | Outcome:
        """The last look before the send: no page goes out after an answer was stored."""
        if await self.outbox.still_due(delivery):
            return delivery
        return Failed(DeliveryReason.no_longer_due, None)

    async def send(self, delivery: Delivery) -> Outcome:
        """Hand it to the destination, which has so long to take it."""
        async with asyncio.timeout(self.attempt_seconds):
            ref = await self._hand_over(delivery)
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
