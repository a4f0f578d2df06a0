"""A challenger in the shadow of the model that serves: it judges a share of the items after they are on
the bus, and what it says goes to presence.shadow, for `presence evaluate --shadow`.

Invariants: nothing waits for it; one batch at a time, what comes meanwhile is left out and counted; a
failure is counted and told, never raised. Both are judged without the team's corrections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from zlib import crc32

from services.classify.classifier import Classifier
from services.classify.domain.verdict import CORRECTED
from services.classify.handlers import Judged
from services.classify.metrics import Metrics
from services.contracts.events import Comparison, Opinion, Verdict
from services.contracts.topics import SHADOW
from services.runtime.clock import Clock
from services.runtime.logs import get_logger
from services.runtime.producer import Producer, Record

log = get_logger(__name__)

_WHOLE: Final = 10_000


def chosen(item_id: str, share: float) -> bool:
    """Whether an item is in the sample: by its id, so that every replica and every repetition agree."""
    return crc32(item_id.encode()) % _WHOLE < share * _WHOLE


class Shadow:
    """Runs the challenger."""

    def __init__(
        self,
        challenger: Classifier,
        share: float,
        producer: Producer,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._challenger = challenger
        self._share = share
        self._producer = producer
        self._metrics = metrics
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def offer(self, judged: Sequence[Judged]) -> None:
        """A batch that is on the bus. Returns at once."""
        sample = [
            (item, verdict)
            for item, verdict in judged
            if chosen(item.item_id, self._share)
            and all(reason.name != CORRECTED for reason in verdict.reasons)
        ]
        if not sample:
            return
        if self._task is not None and not self._task.done():
            self._metrics.not_compared(len(sample), failed=False)
            return
        self._task = asyncio.get_running_loop().create_task(self._compare(sample), name="shadow")

    async def finished(self) -> None:
        """Return when nothing is in hand."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """What is in hand is given up: it is a sample."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _compare(self, sample: Sequence[Judged]) -> None:
        try:
            items = [item for item, _ in sample]
            verdicts = await asyncio.to_thread(self._challenger.judge, items)
            now = self._clock.now()
            found = [
                Comparison(
                    item_id=item.item_id,
                    champion=_opinion(champion),
                    challenger=_opinion(challenger),
                    language=champion.language,
                    addressed=item.addressed,
                    at=now,
                )
                for (item, champion), challenger in zip(sample, verdicts, strict=True)
            ]
            await self._producer.publish(
                [Record(SHADOW.name, one.item_id, one.to_bytes()) for one in found]
            )
        except Exception:
            log.exception("the challenger failed on a batch; nothing else is touched")
            self._metrics.not_compared(len(sample), failed=True)
        else:
            self._metrics.compared(found)


def _opinion(verdict: Verdict) -> Opinion:
    return Opinion(
        label=verdict.label,
        scores=verdict.scores,
        needs_answer=verdict.needs_answer,
        model=verdict.model,
    )
