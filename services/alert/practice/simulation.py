"""What stands in the place of Kafka, ingest and the platforms: a practice's answers are posted nowhere.

Corrections and the lifecycle, which a real world sends to topics that have effects, end here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.alert.practice.runs import Runs, hear
from services.alert.store.answering import Outgoing
from services.alert.store.rows import Row
from services.contracts import identity, topics
from services.contracts.events import (
    Author,
    ClassifiedNotification,
    Direction,
    Kind,
    Notification,
    Outcome,
    OutcomeState,
    Reply,
)
from services.runtime.postgres import Pool
from services.runtime.producer import Record


class PractisedOutgoing(Outgoing):
    """Says of an answer that it would have been posted."""

    def _says_posted(self, row: Row) -> str:
        where = "in private" if row["private"] else "in public"
        return f"{self._name(row['author'])}'s answer would have been posted {where}:"


class Simulation:
    """`services.runtime.producer.Producer`, without a bus behind it.

    A reply becomes its outcome and its echo at once, as if ingest had posted it and the platform had told.
    Repeated it changes nothing: an outcome is taken in once, an event is stored once.
    """

    def __init__(self, pool: Pool, runs: Runs, run: int, outgoing: Outgoing) -> None:
        self._pool = pool
        self._runs = runs
        self._run = run
        self._outgoing = outgoing

    async def publish(self, records: Sequence[Record]) -> None:
        """Take the records; nothing of them leaves the practice's database."""
        for record in records:
            if record.topic == topics.REPLIES.name and record.value is not None:
                await self._posted(Reply.model_validate_json(record.value))

    async def _posted(self, reply: Reply) -> None:
        asked = await self._runs.cue(self._run, reply.item_id)
        if asked is None or reply.cancelled:
            return
        now = await self._runs.now()
        echo = echo_of(reply, asked.notification, now)
        await self._outgoing.tell(
            Outcome(
                reply_id=reply.reply_id,
                item_id=reply.item_id,
                state=OutcomeState.posted,
                at=now,
                posted_item_id=echo.notification.item_id,
            )
        )
        async with self._pool.connection() as connection:
            await hear(connection, [echo])


def echo_of(reply: Reply, asked: Notification, now: datetime) -> ClassifiedNotification:
    """The answer as the platform would have told of it."""
    item = identity.item_id(asked.platform, asked.account_id, f"practice-{reply.reply_id}")
    said = Notification(
        event_id=identity.created(item),
        item_id=item,
        kinds=frozenset({Kind.direct if reply.private else Kind.reply}),
        direction=Direction.outbound,
        brand=asked.brand,
        platform=asked.platform,
        account_id=asked.account_id,
        conversation=asked.conversation,
        in_reply_to=reply.item_id,
        author=Author(id=asked.account_id),
        private=reply.private,
        text=reply.text,
        source_time=now,
        received_at=now,
    )
    return ClassifiedNotification(notification=said, classified_at=now)
