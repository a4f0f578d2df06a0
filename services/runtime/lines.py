"""The lines of one service: every topic that it reads, in which group, and what is watched about each.

Invariants
- A line that stopped at its dead-letter limit goes on only when a person resumed it. A Kafka that does not
  answer is no such word, nor is a notice that Kafka keeps no longer: it is told again every day.
- What Kafka deleted before it was read is counted and told once.
- How long the oldest unread record has waited is known within a minute, also while a line stands still.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from confluent_kafka import KafkaException

from services.contracts.events import Notice, NoticeKind
from services.contracts.topics import NOTICES, Topic
from services.runtime.backlog import Backlog, Place, dated, longest_wait
from services.runtime.clock import Clock
from services.runtime.consumption import Consumption, OffsetGap
from services.runtime.dead_letter_limit import tripped
from services.runtime.errors import Transient
from services.runtime.logs import get_logger
from services.runtime.metrics import LineMetrics
from services.runtime.producer import Producer, Record
from services.runtime.settings import ServiceSettings

log = get_logger(__name__)

LOOK_FOR_A_RESUME = 3.0
"""Seconds between looks at presence.notices while a line is stopped."""
LOOK_AT_BACKLOGS = 60.0
"""Seconds between looks at what waits."""
CLOSE_WITHIN = 2.0
"""Seconds."""
TELL_AGAIN = 86_400.0
"""Seconds after which a line that is still stopped is told again: notices are kept for three days."""


async def announce(producer: Producer, notice: Notice) -> None:
    """Onto presence.notices."""
    await producer.publish([Record(NOTICES.name, notice.key, notice.to_bytes())])


@dataclass(frozen=True, slots=True)
class Line:
    """One topic as one service reads it."""

    group: str
    topic: Topic
    consumption: Consumption
    vital: bool
    """Whether the service is not ready without it."""


@dataclass
class Lines:
    """See the module."""

    service: str
    settings: ServiceSettings
    metrics: LineMetrics
    tell: Callable[[Notice], Awaitable[None]]
    clock: Clock
    tripped: Callable[[ServiceSettings, str], frozenset[str]] = tripped
    _lines: list[Line] = field(default_factory=list)
    _stopped_told: dict[str, float] = field(default_factory=dict)
    """By topic: when its stop was told, by the monotonic clock."""
    _looking: threading.Lock = field(default_factory=threading.Lock)
    """Held while a thread asks the consumers: they are closed after that."""
    _gaps: deque[OffsetGap] = field(default_factory=deque)
    """From the consumers' threads."""
    _told: dict[Place, int] = field(default_factory=dict)
    """Up to which offset records were told as lost."""
    _untold: Counter[str] = field(default_factory=Counter)
    """By topic: lost, and nobody has been told yet."""

    def add(self, group: str, topic: Topic, *, vital: bool = True) -> Consumption:
        """Another line. The first one's hears librdkafka's statistics for all."""
        consumption = Consumption(on_gap=self._gaps.append)
        if self._lines:
            self._lines[0].consumption.beside(consumption)
        self._lines.append(Line(group, topic, consumption, vital))
        self.metrics.watch(topic, consumption)
        return consumption

    async def problem(self) -> str | None:
        """Why a line that is needed does not run, or None."""
        found = (one.consumption.problem() for one in self._lines if one.vital)
        return next((says for says in found if says), None)

    async def stay_stopped(self) -> None:
        """At the start: a limit that had tripped still holds. Waits until Kafka has told whether it has."""
        while True:
            try:
                stopped = await asyncio.to_thread(self.tripped, self.settings, self.service)
                break
            except Transient as error:
                log.warning("cannot tell whether the dead-letter limit tripped", says=str(error))
                await self.clock.sleep(LOOK_FOR_A_RESUME)
        for line in self._lines:
            if line.topic.name in stopped:
                line.consumption.stop_line(
                    f"{line.topic.name} is stopped by the dead-letter limit: "
                    f"`presence dlq resume {self.service}`"
                )

    async def close(self) -> None:
        """Before the consumers are closed: a look that is under way is let finish."""
        if not await asyncio.to_thread(self._looking.acquire, timeout=CLOSE_WITHIN):
            log.warning("a look at what waits did not end in time")

    async def watch(self) -> None:
        """Until cancelled."""
        looked = self.clock.monotonic()
        while True:
            await self.clock.sleep(LOOK_FOR_A_RESUME)
            await self._resume()
            if self.clock.monotonic() - looked >= LOOK_AT_BACKLOGS:
                looked = self.clock.monotonic()
                await self._look_at_backlogs()
            await self._tell_what_is_lost()

    async def _resume(self) -> None:
        stopped = [one for one in self._lines if one.consumption.stopped is not None]
        if not stopped:
            return
        try:
            still = await asyncio.to_thread(self.tripped, self.settings, self.service)
        except Transient as error:
            log.info("cannot tell whether a person resumed", says=str(error))
            return
        for line in stopped:
            if line.topic.name in still:
                await self._tell_again(line)
                continue
            self._stopped_told.pop(line.topic.name, None)
            log.info("resumed by a person: one record is probed first", topic=line.topic.name)
            line.consumption.resume_line()

    async def _tell_again(self, line: Line) -> None:
        now, topic = self.clock.monotonic(), line.topic.name
        if now - self._stopped_told.setdefault(topic, now) < TELL_AGAIN:
            return
        says = line.consumption.stopped or ""
        kind, at = NoticeKind.dead_letter_limit, self.clock.now()
        try:
            await self.tell(Notice(kind=kind, service=self.service, source=topic, says=says, at=at))
        except Transient as error:
            log.warning("a stopped line is told later", topic=topic, says=str(error))
            return
        self._stopped_told[topic] = now

    async def _look_at_backlogs(self) -> None:
        for line in self._lines:
            try:
                found = await asyncio.to_thread(self._backlogs, line)
            except (KafkaException, RuntimeError) as error:
                # The latter of a consumer that was closed meanwhile.
                log.info("cannot tell what waits", topic=line.topic.name, error=str(error))
                continue
            for one in found:
                if one.lost and one.committed is not None:
                    place = one.topic, one.partition
                    self._gaps.append(OffsetGap(*place, one.committed, one.oldest))
            self.metrics.waited(line.topic, longest_wait(found, self.clock.now()))

    def _backlogs(self, line: Line) -> list[Backlog]:
        with self._looking:
            found = line.consumption.backlogs(line.group)
        return dated(self.settings, found)

    async def _tell_what_is_lost(self) -> None:
        while self._gaps:
            gap = self._gaps.popleft()
            place = gap.topic, gap.partition
            lost = gap.oldest - max(gap.committed, self._told.get(place, 0))
            if gap.committed <= gap.oldest and lost <= 0:
                continue
            self._told[place] = gap.oldest
            self._untold[gap.topic] += max(lost, 0)
            self.metrics.lost(gap.topic, max(lost, 0))
        for topic, lost in list(self._untold.items()):
            try:
                await self.tell(self._notice(topic, lost))
            except Transient as error:
                log.warning("lost records are told later", topic=topic, says=str(error))
                return
            del self._untold[topic]

    def _notice(self, topic: str, lost: int) -> Notice:
        says = (
            f"{self.service}: {lost} records of {topic} were deleted before they were read: it stood "
            "still for longer than Kafka keeps them. Look on the platforms for who was not answered"
            if lost
            else f"{self.service}: {topic} was made anew, and is read from its beginning"
        )
        return Notice(
            kind=NoticeKind.offset_out_of_range,
            service=self.service,
            source=topic,
            says=says,
            at=self.clock.now(),
        )
