"""Watches the credentials: which of them ends soon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from services.contracts.events import Notice, NoticeKind
from services.ingest.domain.expiry import expiry_warning
from services.ingest.metrics import Metrics
from services.ingest.sources.pulled import ExpiringSource
from services.ingest.store.leases import Account
from services.ingest.store.token_notices import TokenNotices
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

LOOKED_EVERY = 6 * 3600.0
"""Seconds. Tokens hold for weeks, and each look costs one call of the platform's limit."""

LOOK_WITHIN = 30.0
"""Seconds for one account: a platform that does not answer keeps nobody else waiting."""
AT_ONCE = 8


class TokenWatch:
    """Every replica asks and shows; one of them tells, once a day until the token is renewed."""

    def __init__(
        self,
        sources: Iterable[object],
        notices: TokenNotices,
        tell: Callable[[Notice], Awaitable[None]],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._sources = [one for one in sources if isinstance(one, ExpiringSource)]
        self._notices = notices
        self._tell = tell
        self._metrics = metrics
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Until cancelled. What fails for one account is logged, and looked at anew the next time."""
        while True:
            await asyncio.gather(*(self._look(source) for source in self._sources))
            await self._clock.sleep(LOOKED_EVERY)

    async def _look(self, source: ExpiringSource) -> None:
        try:
            async with self._room, asyncio.timeout(LOOK_WITHIN):
                await self._look_at(source)
        except (Transient, Permanent, TimeoutError) as error:
            log.warning(
                "cannot tell when a token expires",
                source=source.name,
                account=source.account.id,
                says=str(error) or type(error).__name__,
            )
        except Exception:
            # What one platform answers must not end the service for all others.
            log.exception("a token's end could not be understood", source=source.name)

    async def _look_at(self, source: ExpiringSource) -> None:
        account = Account(source.name, source.account.id)
        ends, now = await source.token_expires(), self._clock.now()
        shown = self._metrics.token_expiry.labels(account.source, account.account_id)
        shown.set(0 if ends is None else ends.timestamp())
        says = expiry_warning(account.source, account.account_id, ends, now)
        if says is None:
            return
        log.warning("a token ends", source=account.source, account=account.account_id, says=says)
        # Claimed before it is told: a notice that Kafka does not take comes again tomorrow.
        if not await self._notices.claim(account, now.date()):
            return
        await self._tell(
            Notice(
                kind=NoticeKind.token,
                service="ingest",
                source=account.source,
                account_id=account.account_id,
                says=says,
                at=now,
                until=ends,
            )
        )
