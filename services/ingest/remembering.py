"""What was taken in before: the newest ids in memory, all of them in PostgreSQL.

Invariants
- Only what Kafka has acknowledged is remembered, in either place.
- PostgreSQL is no condition: where it does not answer, the ids in memory are all that is known, failures
  are counted, and for a while it is not asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence

from services.ingest.breaker import Breaker
from services.ingest.domain.address import Address
from services.ingest.metrics import Metrics
from services.ingest.store.event_store import Entry, EventStore
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

RECENT = 20_000
"""Ids in memory, about 4 MB: minutes of a storm, hours of a usual day."""
COOLDOWN = 5.0
"""Seconds for which PostgreSQL is not asked after it failed."""


class Remembering:
    """See the module."""

    def __init__(self, store: EventStore, metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._breaker = Breaker(clock, cooldown=COOLDOWN)
        self._recent: OrderedDict[str, None] = OrderedDict()

    def acknowledged(self, event_ids: Iterable[str]) -> None:
        """Kafka has them: whoever brings them again brings a duplicate, from this moment on."""
        for event_id in event_ids:
            self._recent[event_id] = None
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    async def known(self, event_ids: Iterable[str]) -> frozenset[str]:
        """Those that were taken in before, as far as can be told now."""
        asked = frozenset(event_ids)
        known = asked & self._recent.keys()
        unsure = asked - known
        if not unsure or not self._breaker.allow():
            return known
        try:
            known |= await self._store.known(unsure)
        except Transient as error:
            self._failed("known", error)
            return known
        self._breaker.succeeded()
        return known

    async def record(
        self, entries: Sequence[Entry], addresses: Mapping[str, Address], gone: Collection[str]
    ) -> frozenset[str]:
        """The ids that were new; all of them where PostgreSQL does not say."""
        everything = frozenset(event_id for _, ids in entries for event_id in ids)
        if not everything or not self._breaker.allow():
            return everything
        try:
            recorded = await self._store.record(entries, list(addresses.values()), gone)
        except Transient as error:
            self._failed("record", error)
            return everything
        self._breaker.succeeded()
        return recorded

    def _failed(self, call: str, error: Transient) -> None:
        self._breaker.failed()
        self._metrics.store_failures.labels(call).inc()
        log.warning(
            "PostgreSQL did not answer; intake goes on without it", call=call, says=str(error)
        )
