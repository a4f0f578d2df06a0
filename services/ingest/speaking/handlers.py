"""The batch handler of presence.replies: raw records into the store, then the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from confluent_kafka import Message
from pydantic import ValidationError

from services.contracts.events import Reply
from services.contracts.topics import REPLIES
from services.ingest.metrics import Metrics
from services.ingest.store.reply_store import PostgresReplyStore
from services.runtime.clock import Clock
from services.runtime.dead_letter import DeadLetterReason, dead_letter
from services.runtime.dead_letter_limit import DeadLetterGuard
from services.runtime.logs import get_logger
from services.runtime.producer import Producer

log = get_logger(__name__)

SERVICE = "ingest"
_NUL = rb"\u0000"


class ReplyHandler:
    """presence.replies → ingest.replies.

    Invariants: a record is in the store or in the dead letters before its offset is committed; nothing
    is posted here, so a slow platform never holds up the partition.
    """

    def __init__(
        self,
        store: PostgresReplyStore,
        producer: Producer,
        metrics: Metrics,
        guard: DeadLetterGuard,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._producer = producer
        self._metrics = metrics
        self._guard = guard
        self._clock = clock
        self._wake = wake

    async def __call__(self, messages: Sequence[Message]) -> None:
        """Return when all of it is durable; raises to have the batch again."""
        now = self._clock.now()
        read: list[tuple[str, Reply]] = []
        dead: list[tuple[Message, str]] = []
        for message in messages:
            try:
                reply = Reply.model_validate_json(message.value() or b"")
            except ValidationError as error:
                dead.append((message, _first(error)))
                continue
            if _NUL in reply.to_bytes():
                dead.append((message, "a NUL character, which PostgreSQL cannot keep"))
                continue
            read.append((_lane(message, reply), reply))
        await self._guard.admit(len(messages), len(dead), now)
        await self._store.receive(read)
        await self._producer.publish(
            [
                dead_letter(message, DeadLetterReason.malformed, detail, service=SERVICE, now=now)
                for message, detail in dead
            ]
        )
        for message, _ in dead:
            self._metrics.dead_letters.labels(REPLIES.name, DeadLetterReason.malformed.value).inc()
            log.warning(
                "a reply was put aside", partition=message.partition(), offset=message.offset()
            )
        self._wake()


def _lane(message: Message, reply: Reply) -> str:
    key = message.key()
    written = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
    return (written or "").replace("\x00", "") or reply.item_id


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'value'}: {first['msg']}"
