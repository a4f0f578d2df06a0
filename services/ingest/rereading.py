"""The third lane of a connection: threads in which a customer waits are looked at again.

Who answers a customer without naming us is heard nowhere else; and what was edited or deleted while we were
not connected shows here.

Invariants
- It never stands in the way: it has a task of its own, one request after the other, and no faster than
  the source allows. A look that fails is put off and ends no connection; only a lost lease does.
- What a look found is on the bus before the look is recorded. What is found twice is one event.
"""

from __future__ import annotations

from datetime import timedelta

from services.ingest.domain.threads import Thread, next_look
from services.ingest.handover import Handover
from services.ingest.metrics import Metrics
from services.ingest.sources.pulled import Look, PullReason, ThreadSource
from services.ingest.store.thread_store import Place, ThreadStore
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

ASK_EVERY = 5.0
"""Seconds between questions whether a look is due."""
WITHOUT_STORE = 30.0
REFUSED_FOR = 3600.0
"""Seconds for which an account is left alone whose token may not read threads."""


class Rereading:
    """See the module."""

    def __init__(
        self,
        source: ThreadSource,
        handover: Handover,
        store: ThreadStore,
        metrics: Metrics,
        clock: Clock,
        *,
        slowest: timedelta,
    ) -> None:
        self._source = source
        self._handover = handover
        self._store = store
        self._clock = clock
        self._slowest = slowest
        account = source.account
        self._place = Place(source.name, account.platform, account.id)
        self._looks = {
            result: metrics.thread_looks.labels(source.name, result)
            for result in ("found", "quiet", "failed")
        }

    async def run(self) -> None:
        """Until cancelled. Raises Permanent (fenced) when the lease is lost."""
        while True:
            await self._clock.sleep(await self.turn())

    async def turn(self) -> float:
        """Look at the thread that is most due, if one is; returns the seconds to the next turn."""
        try:
            thread = await self._store.due(self._place)
        except Transient as error:
            log.info("cannot tell which thread is due", says=str(error), source=self._place.source)
            return WITHOUT_STORE
        if thread is None:
            return ASK_EVERY
        try:
            look = await self._source.look(thread)
        except (Transient, Permanent) as error:
            return await self._put_off(thread, error)
        except Exception as error:
            # What strangers wrote meets our own mistake: no reason to stop hearing everybody else.
            log.exception("a thread could not be understood", source=self._place.source)
            says = type(error).__name__
            return await self._put_off(thread, Permanent(PullReason.unexpected, says))
        found = await self._handover.look(look)
        self._looks["found" if found else "quiet"].inc()
        await self._record(thread, look, 0 if found else thread.quiet_looks + 1)
        return self._source.look_interval

    async def _put_off(self, thread: Thread, error: Transient | Permanent) -> float:
        """This thread is looked at later; all of the account's where the platform asks for that."""
        self._looks["failed"].inc()
        refused = isinstance(error, Permanent) and error.reason is PullReason.credentials
        tell = log.warning if refused else log.info
        mine = {"source": self._place.source, "account": self._place.account_id}
        tell("a thread could not be read", **mine, says=str(error))
        await self._record(thread, Look((), thread.seen, b""), thread.quiet_looks + 1)
        if refused:
            return REFUSED_FOR
        asked = error.retry_after if isinstance(error, Transient) else None
        return max(self._source.look_interval, asked or 0.0)

    async def _record(self, thread: Thread, look: Look, quiet_looks: int) -> None:
        await self._handover.looked(
            self._store,
            self._place,
            thread,
            look.seen,
            quiet_looks=quiet_looks,
            wait=next_look(quiet_looks, self._slowest),
        )
