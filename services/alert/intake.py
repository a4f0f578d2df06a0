"""How far intake has come against the ends of the topic, and where a group is to be rewound."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, NoError
from kafka.structs import OffsetAndMetadata

from services.alert.domain.ignorance import (
    LAG,
    LOOK,
    Permission,
    Seen,
    Waiting,
    lags,
    permission,
    read,
)
from services.alert.store.inbox import Inbox
from services.contracts.topics import Topic
from services.runtime import kafka_settings
from services.runtime.clock import Clock
from services.runtime.logs import get_logger
from services.runtime.settings import ServiceSettings

log = get_logger(__name__)

TIMEOUT = 5.0


class TopicEnds:
    """Looks at a topic and at the group's offsets. Blocking; run it in a thread.

    Through kafka-python, which administers here: librdkafka 2.16 crashes now and then while a client
    is closed that asked for a group's coordinator.
    """

    def __init__(self, settings: ServiceSettings, topic: Topic, group: str) -> None:
        self._settings = settings
        self._topic = topic
        self._group = group

    @contextmanager
    def _admin(self) -> Iterator[Any]:
        admin: Any = KafkaAdminClient(
            **kafka_settings.admin_settings(self._settings), client_id="presence-alert-intake"
        )
        try:
            yield admin
        finally:
            admin.close()

    def cluster(self) -> str:
        """The id of the Kafka cluster: offsets of another one mean nothing here."""
        with self._admin() as admin:
            return str(admin.describe_cluster()["cluster_id"])

    def ends(self) -> dict[int, int]:
        """The next offset of every partition that keeps records."""
        with self._admin() as admin:
            oldest = self._offsets(admin, OffsetSpec.EARLIEST)
            newest = self._offsets(admin, OffsetSpec.LATEST)
        return {part: end for part, end in newest.items() if end > oldest[part]}

    def rewind(self, recorded: Mapping[int, int]) -> dict[int, int]:
        """Take the group back to what the database holds, where the group is ahead of it.

        A database that was restored from a backup knows less than the group has committed; what it
        has already is stored again without effect. Only a group without members can be rewound:
        while another replica runs, that one has seen to it. Returns the partitions that were rewound.
        """
        with self._admin() as admin:
            committed = self._committed(admin)
            oldest = self._offsets(admin, OffsetSpec.EARLIEST) if committed else {}
            known = {part: max(recorded.get(part, 0), oldest[part]) for part in committed}
            back = {part: known[part] for part, at in committed.items() if at > known[part]}
            if not back:
                return {}
            offsets = {
                TopicPartition(self._topic.name, part): OffsetAndMetadata(at, "", -1)
                for part, at in back.items()
            }
            refused = [
                error.__name__
                for error in admin.alter_group_offsets(self._group, offsets).values()
                if error is not NoError
            ]
        if refused:
            log.warning("the group is ahead and was not rewound", errors=refused)
            return {}
        log.warning("the group was ahead of the database and was rewound", offsets=back)
        return back

    def _committed(self, admin: Any) -> dict[int, int]:
        places = [TopicPartition(self._topic.name, part) for part in self._partitions(admin)]
        found = admin.list_group_offsets({self._group: places}).get(self._group, {})
        return {place.partition: at.offset for place, at in found.items() if at.offset >= 0}

    def _offsets(self, admin: Any, which: OffsetSpec) -> dict[int, int]:
        places = [TopicPartition(self._topic.name, part) for part in self._partitions(admin)]
        found = admin.list_partition_offsets(dict.fromkeys(places, which))
        return {place.partition: at.offset for place, at in found.items()}

    def _partitions(self, admin: Any) -> list[int]:
        (described,) = admin.describe_topics([self._topic.name])
        return sorted(int(one["partition_index"]) for one in described["partitions"])


class IntakeProgress:
    """Answers the sweep's question: do we know enough to wake somebody?

    Invariants: a lag of any replica counts; Kafka is asked beside the sweep, which never waits for it; a
    Kafka that says nothing for as long as a lag is one.
    """

    def __init__(self, ends: TopicEnds, inbox: Inbox, topic: Topic, clock: Clock) -> None:
        self._ends = ends
        self._inbox = inbox
        self._topic = topic
        self._clock = clock
        self._waiting: Waiting | None = None
        self._seen: list[Seen] = []
        """Ends that were not read when last looked at, oldest first, and the newest of all."""
        self._asking: asyncio.Future[dict[int, int]] | None = None
        self._asked = self._answered = clock.now()
        self.may_page = False
        """As of the last look; False until the first."""

    async def begin(self) -> None:
        """After a start: wait until intake has passed the end of now."""
        ends = await asyncio.to_thread(self._ends.ends)
        self._asked = self._answered = self._clock.now()
        self._waiting = Waiting(self._answered, ends)

    async def permission(self) -> Permission:
        """Whether to page now."""
        now = self._clock.now()
        self._look(now)
        if self._waiting is None and await self._lags(now):
            log.warning("intake lags: paging waits until it has caught up")
            self._waiting = Waiting(now, self._seen[-1].ends if self._seen else None)
        unfolded = await self._unfolded()
        allowed = permission(self._waiting, unfolded, now)
        if allowed.page and not allowed.stale:
            self._waiting = None
        self.may_page = allowed.page
        return allowed

    async def _lags(self, now: datetime) -> bool:
        if now - self._answered > LAG + LOOK:
            self._seen.clear()  # who knows where the topic ends today
            return True
        if not self._seen:
            return False
        progress = await self._inbox.progress(self._topic.name)
        self._seen = [one for one in self._seen if not read(one.ends, progress)]
        return lags(self._seen, progress, now)

    async def _unfolded(self) -> int | None:
        """Events that are waited for and not folded; None while not all of them are stored."""
        if self._waiting is None:
            return 0
        if self._waiting.newest is None:
            progress = await self._inbox.progress(self._topic.name)
            if self._waiting.ends is None or not read(self._waiting.ends, progress):
                return None
            self._waiting = replace(self._waiting, newest=await self._inbox.newest())
        return await self._inbox.waiting(self._waiting.newest)

    def _look(self, now: datetime) -> None:
        """Take in what Kafka answered since the last look; ask it again when that is due."""
        if self._asking is not None and self._asking.done():
            asked, self._asking = self._asking, None
            try:
                self._saw(Seen(now, asked.result()))
            except KafkaError as error:
                log.warning("Kafka does not say where the topic ends", error=str(error))
        if self._asking is None and now - self._asked >= LOOK:
            self._asked = now
            self._asking = asyncio.ensure_future(asyncio.to_thread(self._ends.ends))

    def _saw(self, seen: Seen) -> None:
        self._answered = seen.at
        self._seen.append(seen)
        if self._waiting is not None and self._waiting.ends is None:
            self._waiting = replace(self._waiting, ends=seen.ends)
