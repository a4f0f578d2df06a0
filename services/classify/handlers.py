"""The batch handler: raw records in, verdicts and dead letters out, one delivery, then the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from confluent_kafka import Message
from pydantic import ValidationError

from services.classify.classifier import Classifier
from services.classify.metrics import Metrics
from services.contracts.events import ClassifiedNotification, Notification, Verdict
from services.contracts.topics import CLASSIFIED, MAX_RECORD_BYTES
from services.runtime.clock import Clock
from services.runtime.dead_letter import DeadLetterReason, dead_letter, record_headers
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.logs import get_logger
from services.runtime.producer import Producer, Record

log = get_logger(__name__)

SERVICE: Final = "classify"
IN_A_THREAD_FROM = 8
"""So many items and more are judged in a thread: the loop must answer health and metrics meanwhile."""
_HEADERS_ROOM = 20_000


Judged = tuple[Notification, Verdict]
Review = Callable[[Sequence[Judged]], Awaitable[list[Verdict]]]
"""Another look at a batch: a verdict each, in order."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A record that could be decoded."""

    message: Message
    notification: Notification


@dataclass(frozen=True, slots=True)
class _Dead:
    """A record that could not be handled."""

    message: Message
    reason: DeadLetterReason
    detail: str


class BatchHandler:
    """presence.notifications → presence.classified.

    Invariants: every record of a batch leaves as exactly one record, classified or dead-lettered, with
    its key and headers; all of them in one delivery, which is awaited before the offsets are stored;
    what one record does to us never reaches another.
    """

    def __init__(
        self,
        classifier: Classifier,
        producer: Producer,
        metrics: Metrics,
        guard: DeadLetterGuard,
        clock: Clock,
        judged: Callable[[Sequence[Judged]], None] = lambda _: None,
        review: Review | None = None,
    ) -> None:
        """`judged` hears of every batch once it is on the bus; it must neither wait nor raise.

        `review` may give other verdicts; it has a time limit of its own and does not raise.
        """
        self._classifier = classifier
        self._producer = producer
        self._metrics = metrics
        self._guard = guard
        self._clock = clock
        self._judged = judged
        self._review = review

    async def __call__(self, messages: Sequence[Message]) -> None:
        """Return when everything is on the bus; raises to have the batch again."""
        now = self._clock.now()
        if self._review is not None:
            records, judged, dead = await self._reviewed(messages, now, self._review)
        elif len(messages) < IN_A_THREAD_FROM:
            records, judged, dead = self._answer(messages, now)
        else:
            records, judged, dead = await asyncio.to_thread(self._answer, messages, now)
        await self._guard.admit(len(messages), len(dead), now)
        letters = [
            dead_letter(one.message, one.reason, one.detail, service=SERVICE, now=now)
            for one in dead
        ]
        await self._producer.publish([*records, *letters])
        self._metrics.count_verdicts(verdict for _, verdict in judged)
        self._judged(judged)
        self._metrics.count_dead(one.reason for one in dead)
        for one in dead:
            log.warning(
                "a record was put aside",
                reason=one.reason,
                partition=one.message.partition(),
                offset=one.message.offset(),
            )

    async def _reviewed(
        self, messages: Sequence[Message], now: datetime, review: Review
    ) -> tuple[list[Record], list[Judged], list[_Dead]]:
        read, verdicts, dead = await asyncio.to_thread(self._read_and_judge, messages)
        asked = [one for one in read if id(one.message) in verdicts]
        given = [(one.notification, verdicts[id(one.message)]) for one in asked]
        for one, verdict in zip(asked, await review(given), strict=True):
            verdicts[id(one.message)] = verdict
        return self._written(read, verdicts, dead, now)

    def _answer(
        self, messages: Sequence[Message], now: datetime
    ) -> tuple[list[Record], list[Judged], list[_Dead]]:
        return self._written(*self._read_and_judge(messages), now)

    def _read_and_judge(
        self, messages: Sequence[Message]
    ) -> tuple[list[_Read], dict[int, Verdict], list[_Dead]]:
        read: list[_Read] = []
        dead: list[_Dead] = []
        for message in messages:
            one = _decode(message)
            if isinstance(one, _Read):
                read.append(one)
            else:
                dead.append(one)
        verdicts = self._judge([one for one in read if one.notification.needs_verdict], dead)
        return read, verdicts, dead

    def _written(
        self,
        read: Sequence[_Read],
        verdicts: Mapping[int, Verdict],
        dead: list[_Dead],
        now: datetime,
    ) -> tuple[list[Record], list[Judged], list[_Dead]]:
        failed = {id(one.message) for one in dead}
        records: list[Record] = []
        given: list[Judged] = []
        for one in read:
            if id(one.message) in failed:
                continue
            verdict = verdicts.get(id(one.message))
            record = _encode(one, verdict, now)
            if isinstance(record, _Dead):
                dead.append(record)
                continue
            records.append(record)
            if verdict is not None:
                given.append((one.notification, verdict))
        return records, given, dead

    def _judge(self, asked: Sequence[_Read], dead: list[_Dead]) -> dict[int, Verdict]:
        """The verdict of each, by its message; the whole batch at once, one by one where that fails."""
        try:
            found = self._classifier.judge([one.notification for one in asked])
        except Exception:
            log.exception("a batch could not be judged at once; judging one by one")
        else:
            return {id(one.message): verdict for one, verdict in zip(asked, found, strict=True)}
        verdicts: dict[int, Verdict] = {}
        for one in asked:
            try:
                verdicts[id(one.message)] = self._classifier.judge([one.notification])[0]
            except Exception as error:
                log.exception("an item could not be judged", item=one.notification.item_id)
                detail = f"{type(error).__name__} while judging"
                dead.append(_Dead(one.message, DeadLetterReason.failed, detail))
        return verdicts


def _decode(message: Message) -> _Read | _Dead:
    try:
        return _Read(message, Notification.model_validate_json(message.value() or b""))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "value"
        return _Dead(message, DeadLetterReason.malformed, f"{where}: {first['msg']}")


def _encode(one: _Read, verdict: Verdict | None, now: datetime) -> Record | _Dead:
    original = one.message.value() or b""
    value = ClassifiedNotification.bytes_around(original, verdict, now)
    if len(value) > MAX_RECORD_BYTES - _HEADERS_ROOM:
        detail = f"{len(value)} bytes with its verdict"
        return _Dead(one.message, DeadLetterReason.too_large, detail)
    key = one.message.key()
    return Record(
        topic=CLASSIFIED.name,
        key=key.decode("utf-8", "replace") if isinstance(key, bytes) else key,
        value=value,
        headers=tuple(dict(record_headers(one.message)).items()),
        timestamp=one.notification.received_at,
    )
