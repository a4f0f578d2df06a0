"""The driver of answering: what a person wrote goes out through the platform, and what became of it is told.

    claim what is due → decide → record `sending` → call the platform → record the end → tell

Invariants
- The platform is called only between a committed `sending` and the record of the end. Kill it anywhere:
  who finds `sending` looks, sends with the same key, or asks a person, as the speaker's certainty allows.
- One process holds a reply, by a lease; every write names the lease.
- Replies to one person go out in the order in which they came; different people's in parallel.
- An end is told until Kafka acknowledged it: the outbound item, with the id that the platform's echo will
  have, then the outcome. Readers drop what they were told before.
- Nothing starts after `expires_at`, and nothing that was taken back before its call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from services.contracts.events import Kind, Notification, Outcome, OutcomeState
from services.contracts.topics import OUTCOMES, Header
from services.ingest.collector import Collector
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Address
from services.ingest.domain.item import Receipt, notification
from services.ingest.domain.replying import (
    AskPerson,
    Case,
    Draft,
    Look,
    Refusal,
    RefusalCause,
    Refuse,
    ReplyState,
    Send,
    Wait,
    could_not_look,
    may_be_sent,
    not_found,
    refused,
    surely_not_sent,
    take_up,
)
from services.ingest.metrics import Metrics
from services.ingest.speaking.port import Ambiguous, Posted, Speaker, SpeakReason
from services.ingest.store.event_store import Original
from services.ingest.store.reply_store import Claimed, PostgresReplyStore
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, PresenceError, Transient
from services.runtime.logs import get_logger
from services.runtime.producer import Producer, Record

log = get_logger(__name__)

AT_ONCE = 16
"""Replies in hand: more wait in the store."""
LEASE = timedelta(seconds=120)
CALL_WITHIN = 45.0
"""Seconds for one call of a platform; far below the lease, so that its end is still ours to record."""
FINISH_WITHIN = 3.0
"""Seconds that calls in hand have when the service stops."""
LOOK_EVERY = 1.0
"""Seconds between looks for what is due."""
SOURCE = "replies"
"""The `source` label of what was posted by us."""
_NOW = timedelta(0)
_FORGOTTEN = (
    "Presence has not kept what an answer to this item needs: answer on the platform itself"
)
_MUTE = "no credential that may write is configured: answer on the platform itself"
End = Refuse | AskPerson | Posted | Wait


class Desk:
    """See the module."""

    def __init__(
        self,
        speakers: Mapping[tuple[str, str], Speaker],
        store: PostgresReplyStore,
        collector: Collector,
        producer: Producer,
        metrics: Metrics,
        clock: Clock,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._speakers = speakers
        self._store = store
        self._collector = collector
        self._producer = producer
        self._metrics = metrics
        self._clock = clock
        self._backoff = backoff or Backoff(initial=1.0, cap=30.0)
        self._held_off: dict[tuple[str, str], datetime] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; what is in hand is then finished by whoever finds it."""
        busy: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._wake.clear()
                try:
                    for one in await self._store.claim(AT_ONCE - len(busy), LEASE):
                        busy.add(asyncio.create_task(self.take_up(one), name="reply"))
                    self._metrics.replies_waiting.set((await self._store.waiting())[0])
                except Transient as error:
                    log.warning("replies wait for PostgreSQL", says=str(error))
                await self._pause(busy)
                busy = {task for task in busy if not task.done()}
        finally:
            if busy:
                # A call that is under way is let finish: cut off, a person would have to look.
                await asyncio.wait(busy, timeout=FINISH_WITHIN)
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)
            for speaker in self._speakers.values():
                await speaker.close()

    async def _pause(self, busy: set[asyncio.Task[None]]) -> None:
        if len(busy) >= AT_ONCE:
            await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
            return
        waiting = {
            asyncio.create_task(self._clock.sleep(LOOK_EVERY), name="next look"),
            asyncio.create_task(self._wake.wait(), name="woken"),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def step(self) -> int:
        """Take up what is due now, and wait for its end; returns how many there were."""
        claimed = await self._store.claim(AT_ONCE, LEASE)
        await asyncio.gather(*(self.take_up(one) for one in claimed))
        return len(claimed)

    async def take_up(self, one: Claimed) -> None:
        """One claimed reply, as far as it goes now. Never raises: the lease brings it back."""
        try:
            if one.told:
                await self._handle(one)
            elif one.outcome is not None:
                await self._tell(one.reply.reply_id, one.lane, one.outcome, one.outbound)
            await self._store.release(one)
        except Transient as error:
            log.warning("a reply waits", reply=one.reply.reply_id, says=str(error))
        except Exception:
            log.exception("a reply could not be handled; it is tried again", id=one.reply.reply_id)

    async def _handle(self, one: Claimed) -> None:
        address = await self._store.address(one.reply.item_id)
        speaker = self._speakers.get((address.platform, address.account_id)) if address else None
        if address is None:
            await self._record(one, Refuse(Refusal(RefusalCause.no_address, _FORGOTTEN)), None)
        elif speaker is None:
            says = f"{address.platform} account {address.account_id}: {_MUTE}"
            await self._record(one, Refuse(Refusal(RefusalCause.no_speaker, says)), None)
        else:
            end = await self._attempt(one, speaker, address)
            if end is not None:
                await self._record(one, end, (speaker.account, address))

    async def _attempt(self, one: Claimed, speaker: Speaker, address: Address) -> End | None:
        """As far as it goes now; None: it is not ours any more, or was taken back."""
        place = address.platform, address.account_id
        draft = Draft(one.reply.text, one.reply.private)
        case, now = _case(one, speaker), self._clock.now()
        held_until = self._held_off.get(place, now)
        if held_until > now and not one.cancelled:
            wait, says = held_until - now, "the platform's limit is used up"
            return surely_not_sent(case, wait, says, limited=True, now=now)
        try:
            await asyncio.wait_for(speaker.prepare(), CALL_WITHIN)
        except (Transient, Permanent, TimeoutError) as error:
            return self._failed(case, one, error, place)
        now = self._clock.now()
        case = replace(case, refusal=speaker.check(draft, address, now))
        step: End | Send | Look = take_up(case, now)
        if isinstance(step, Look):
            step = await self._look(case, one, speaker, draft, address)
            if isinstance(step, Send):
                # It is not there: nothing was sent after all.
                case = replace(case, sending_since=None)
        if not isinstance(step, Send):
            return step
        if not await self._store.begin(one, LEASE):
            log.info("a reply was taken back, or is another's now", reply=one.reply.reply_id)
            return None
        return await self._send(case, one, speaker, draft, address)

    async def _look(
        self, case: Case, one: Claimed, speaker: Speaker, draft: Draft, address: Address
    ) -> End | Send:
        since = one.sending_since or one.reply.written_at
        try:
            found = await asyncio.wait_for(speaker.find(draft, address, since), CALL_WITHIN)
        except (PresenceError, TimeoutError) as error:
            wait = self._delay(one, error)
            return could_not_look(case, wait, _says(error), self._clock.now())
        return found if found is not None else not_found(case, self._clock.now())

    async def _send(
        self, case: Case, one: Claimed, speaker: Speaker, draft: Draft, address: Address
    ) -> End:
        posting = speaker.post(draft, address, one.reply.reply_id)
        try:
            return await asyncio.wait_for(posting, CALL_WITHIN)
        except (Ambiguous, TimeoutError) as error:
            log.warning("a confirmation was lost", reply=one.reply.reply_id, says=_says(error))
            return may_be_sent(case, self._delay(one, error), self._clock.now())
        except (Transient, Permanent) as error:
            return self._failed(case, one, error, (address.platform, address.account_id))
        except Exception as error:
            # A defect of ours: who knows how far it came.
            log.exception("a speaker failed", reply=one.reply.reply_id)
            return may_be_sent(case, self._delay(one, error), self._clock.now())

    def _failed(
        self, case: Case, one: Claimed, error: Exception, place: tuple[str, str]
    ) -> Wait | Refuse | AskPerson:
        """A call that surely had no effect."""
        if isinstance(error, Permanent):
            return refused(case, error.detail or error.reason.value)
        now, wait = self._clock.now(), self._delay(one, error)
        limited = isinstance(error, Transient) and error.reason is SpeakReason.rate_limited
        if limited:
            self._held_off[place] = now + wait
        return surely_not_sent(case, wait, _says(error), limited=limited, now=now)

    def _delay(self, one: Claimed, error: Exception) -> timedelta:
        asked = error.retry_after if isinstance(error, Transient) else None
        return timedelta(seconds=self._backoff.delay(one.attempts + 1, asked=asked))

    async def _record(
        self, one: Claimed, end: End, spoke: tuple[OwnAccount, Address] | None
    ) -> None:
        """Write down what was decided, then tell it."""
        now = self._clock.now()
        outcome = _outcome(one, end, now)
        outbound = None
        if isinstance(end, Wait):
            told = outcome if end.limited else None
            mine = await self._store.postpone(one, end.state, max(end.until - now, _NOW), told)
        else:
            if isinstance(end, Posted) and spoke is not None:
                outbound = _outbound(end, *spoke, now)
                about = {"posted_item_id": outbound.item_id, "permalink": outbound.permalink}
                outcome = outcome.model_copy(update=about)
            state = ReplyState(outcome.state.value)
            mine = await self._store.settle(one, state, outcome, outbound)
        if not mine:
            log.error("a reply's lease ran out in our hands", reply=one.reply.reply_id)
            return
        self._count(end, one, now)
        if not isinstance(end, Wait) or end.limited:
            await self._tell(one.reply.reply_id, one.lane, outcome, outbound)

    def _count(self, end: End, one: Claimed, now: datetime) -> None:
        match end:
            case Refuse(refusal):
                self._metrics.replies.labels("refused", refusal.cause.value).inc()
            case AskPerson():
                self._metrics.replies.labels("unknown", "").inc()
            case Wait(limited=True):
                self._metrics.replies.labels("rate_limited", "").inc()
            case Posted():
                self._metrics.replies.labels("posted", "").inc()
                taken = (now - one.reply.written_at).total_seconds()
                self._metrics.reply_seconds.observe(max(taken, 0.0))

    async def _tell(
        self, reply_id: str, lane: str, outcome: Outcome, outbound: Notification | None
    ) -> None:
        """Onto the bus, then remembered as told. Repeated after a failure in between."""
        if outbound is not None:
            original = Original(SOURCE, outbound.to_bytes(), outbound.received_at)
            await self._collector.take([outbound], original)
        version = (Header.schema_version.value, str(outcome.schema_version).encode())
        record = Record(OUTCOMES.name, lane, outcome.to_bytes(), (version,), outcome.at)
        await self._producer.publish([record])
        await self._store.told(reply_id, outcome)


def _case(one: Claimed, speaker: Speaker) -> Case:
    return Case(
        expires_at=one.reply.expires_at,
        cancelled=one.cancelled,
        sending_since=one.sending_since,
        certainty=speaker.certainty,
        key_lifetime=speaker.key_lifetime,
        refusal=None,
    )


def _outcome(one: Claimed, end: End, now: datetime) -> Outcome:
    state, says, until = OutcomeState.posted, None, None
    match end:
        case Refuse(refusal):
            state, says = OutcomeState.refused, refusal.says
        case AskPerson(words):
            state, says = OutcomeState.unknown, words
        case Wait(moment):
            state, until = OutcomeState.rate_limited, moment
    return Outcome(
        reply_id=one.reply.reply_id,
        item_id=one.reply.item_id,
        state=state,
        at=now,
        says=says[:500] if says else None,
        until=until,
    )


def _outbound(end: Posted, account: OwnAccount, address: Address, now: datetime) -> Notification:
    """What the echo will be: its id is the platform's, its conversation the one that was answered."""
    private = Kind.direct in end.item.kinds
    item = replace(
        end.item,
        root=None if private else address.root or end.item.root,
        answers=address.counterpart_id or end.item.answers,
        outbound=True,
    )
    return notification(item, account, Receipt(now))


def _says(error: Exception) -> str:
    return str(error) or type(error).__name__
