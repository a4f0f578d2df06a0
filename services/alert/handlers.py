"""What alert does with batches from Kafka: store, and return; the offsets follow what is durable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, cast

from confluent_kafka import Message
from prometheus_client import Counter
from pydantic import ValidationError

from services.alert.domain.boards.troubles import is_trouble
from services.alert.store.answering import Outgoing
from services.alert.store.boards.troubles import Troubles
from services.alert.store.inbox import Inbox, Position, RawEvent
from services.alert.store.sources import Sources
from services.contracts.events import ClassifiedNotification, Notice, NoticeKind, Outcome
from services.runtime.clock import Clock
from services.runtime.dead_letter import DeadLetterReason, dead_letter
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.logs import get_logger
from services.runtime.producer import Producer

log = get_logger(__name__)

SERVICE: Final = "alert"


PART = 100
"""Records that are read at a time: while PostgreSQL stores them, the next are read."""


class _Unreadable(Exception):
    """A record of the batch is no event."""


class InboxHandler:
    """presence.classified → the inbox.

    Invariants: an event is stored in the transaction that records how far its partition was read;
    offsets are committed after that; a record that is no event is dead-lettered before it.
    """

    def __init__(
        self,
        inbox: Inbox,
        producer: Producer,
        guard: DeadLetterGuard,
        dead_letters: Counter,
        clock: Clock,
        *,
        arrived: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._producer = producer
        self._guard = guard
        self._dead_letters = dead_letters
        self._clock = clock
        self._arrived = arrived

    async def __call__(self, messages: Sequence[Message]) -> None:
        """Return when everything is durable; raises to have the batch again."""
        now = self._clock.now()
        positions = _positions(messages)
        try:
            new = await self._inbox.append_parts(_events(messages), positions)
        except _Unreadable:
            await self._with_dead_letters(messages, positions, now)
        else:
            await self._guard.admit(len(messages), 0, now)
            log.debug("stored", records=len(messages), new=new)
        self._arrived()

    async def _with_dead_letters(
        self, messages: Sequence[Message], positions: Sequence[Position], now: datetime
    ) -> None:
        """The whole batch again: no transaction waits for Kafka to take what is put aside."""
        read = [(message, _event(message)) for message in messages]
        dead = [(message, why) for message, why in read if isinstance(why, str)]
        await self._guard.admit(len(messages), len(dead), now)
        await self._producer.publish(
            [
                dead_letter(message, DeadLetterReason.malformed, why, service=SERVICE, now=now)
                for message, why in dead
            ]
        )
        await self._inbox.append(
            [event for _, event in read if not isinstance(event, str)], positions
        )
        for message, why in dead:
            self._dead_letters.labels(message.topic(), DeadLetterReason.malformed.value).inc()
            log.warning("a record was put aside", offset=message.offset(), says=why)


class NoticeHandler:
    """presence.notices: what the engineers should know, and what they need not know any more.

    A source that has caught up releases what waited for it. One that cannot be read is dead-lettered; there
    is no limit here, since it would be told on the very topic that then stands still.
    """

    def __init__(
        self,
        sources: Sources,
        troubles: Troubles,
        producer: Producer,
        dead_letters: Counter,
        clock: Clock,
        *,
        changed: Callable[[], None],
    ) -> None:
        self._sources = sources
        self._troubles = troubles
        self._producer = producer
        self._dead_letters = dead_letters
        self._clock = clock
        self._changed = changed

    async def __call__(self, messages: Sequence[Message]) -> None:
        """Return when everything is noted; raises to have the batch again."""
        for message in messages:
            try:
                notice = Notice.model_validate_json(message.value() or b"")
            except ValidationError as error:
                await self._put_aside(message, _first(error))
                continue
            if notice.kind is NoticeKind.caught_up:
                await self._sources.caught_up(notice.account_id, notice.at)
                self._changed()
            await self._troubles.note(notice)
            if is_trouble(notice.kind):
                log.warning(
                    "notice", kind=notice.kind.value, service=notice.service, says=notice.says
                )

    async def _put_aside(self, message: Message, why: str) -> None:
        reason, now = DeadLetterReason.malformed, self._clock.now()
        await self._producer.publish([dead_letter(message, reason, why, service=SERVICE, now=now)])
        self._dead_letters.labels(message.topic(), reason.value).inc()
        log.warning("a notice was put aside", offset=message.offset(), says=why)


class OutcomeHandler:
    """presence.outcomes → what became of people's answers.

    Invariants: an outcome is in the database, or dead-lettered, before its offset is committed. One of
    an answer that is not known here (an older database) is logged: nobody waits for it.
    """

    def __init__(
        self,
        outgoing: Outgoing,
        producer: Producer,
        guard: DeadLetterGuard,
        dead_letters: Counter,
        clock: Clock,
    ) -> None:
        self._outgoing = outgoing
        self._producer = producer
        self._guard = guard
        self._dead_letters = dead_letters
        self._clock = clock

    async def __call__(self, messages: Sequence[Message]) -> None:
        """Return when all of it is durable; raises to have the batch again."""
        now = self._clock.now()
        told: list[Outcome] = []
        dead: list[tuple[Message, str]] = []
        for message in messages:
            try:
                told.append(Outcome.model_validate_json(message.value() or b""))
            except ValidationError as error:
                dead.append((message, _first(error)))
        await self._guard.admit(len(messages), len(dead), now)
        for outcome in told:
            new = await self._outgoing.tell(outcome)
            log.info("outcome", reply=outcome.reply_id, state=outcome.state.value, new=new)
        await self._producer.publish(
            [
                dead_letter(message, DeadLetterReason.malformed, why, service=SERVICE, now=now)
                for message, why in dead
            ]
        )
        for message, why in dead:
            self._dead_letters.labels(message.topic(), DeadLetterReason.malformed.value).inc()
            log.warning("an outcome was put aside", offset=message.offset(), says=why)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'record'}: {first['msg']}"


def _events(messages: Sequence[Message]) -> Iterator[list[RawEvent]]:
    """Part by part, as they are asked for. Raises _Unreadable at the first record that is none."""
    for start in range(0, len(messages), PART):
        part: list[RawEvent] = []
        for message in messages[start : start + PART]:
            event = _event(message)
            if isinstance(event, str):
                raise _Unreadable
            part.append(event)
        yield part


def _event(message: Message) -> RawEvent | str:
    """The record as an event, or why it is none."""
    payload = message.value() or b""
    try:
        event = ClassifiedNotification.model_validate_json(payload)
    except ValidationError as error:
        return _first(error)
    key = message.key()
    return RawEvent(
        event.notification.event_id,
        payload,
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        key,
    )


def _positions(messages: Sequence[Message]) -> list[Position]:
    following: dict[tuple[str, int], int] = {}
    for message in messages:
        place = (message.topic() or "", message.partition() or 0)
        following[place] = max(following.get(place, 0), cast("int", message.offset()) + 1)
    return [Position(topic, part, offset) for (topic, part), offset in following.items()]
