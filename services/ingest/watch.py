"""Watches the accounts: which of them is quieter than it ever is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection

from services.contracts.events import Notice, NoticeKind
from services.ingest.domain.quiet import habit, quiet
from services.ingest.metrics import Metrics
from services.ingest.store.hours import Hours
from services.ingest.store.leases import Account
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

COUNTED_EVERY = 60.0
LOOKED_EVERY = 5
"""Counts between looks."""


class Watch:
    """One silence is told once, by one replica; its end is the next event."""

    def __init__(
        self,
        accounts: Collection[Account],
        arrivals: Counter[tuple[str, str]],
        hours: Hours,
        tell: Callable[[Notice], Awaitable[None]],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._arrivals = arrivals
        self._hours = hours
        self._tell = tell
        self._metrics = metrics
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled. Without PostgreSQL nothing is told and nothing that was counted is lost."""
        turn = 0
        while True:
            await self._clock.sleep(COUNTED_EVERY)
            turn += 1
            try:
                await self.count()
                if turn % LOOKED_EVERY == 0:
                    await self.look()
            except Transient as error:
                log.warning("cannot watch for silence", says=str(error))

    async def count(self) -> None:
        """Hand on what arrived since the last time."""
        for (source, account_id), events in list(self._arrivals.items()):
            await self._hours.add(Account(source, account_id), events)
            self._arrivals[source, account_id] -= events
        for key in [key for key, events in self._arrivals.items() if not events]:
            del self._arrivals[key]

    async def look(self) -> None:
        """At every account."""
        await self._hours.forget()
        for account in self._accounts:
            await self._look_at(account)

    async def _look_at(self, account: Account) -> None:
        now, last = self._clock.now(), await self._hours.last_heard(account)
        found = None
        if last is not None:
            found = quiet(habit(await self._hours.history(account), last), last, now)
        silent = self._metrics.source_silent.labels(account.source, account.account_id)
        silent.set(0 if found is None else 1)
        if found is None or not await self._hours.tell_once(account):
            return
        says = (
            f"{account.source}: nothing since {found.since:%Y-%m-%d %H:%M} UTC, where about "
            f"{found.expected:.0f} were to come: send a test message; if it does not arrive, "
            "register the webhook or the token anew"
        )
        log.warning("a source is silent", source=account.source, account=account.account_id)
        await self._tell(
            Notice(
                kind=NoticeKind.silence,
                service="ingest",
                source=account.source,
                account_id=account.account_id,
                says=says,
                at=now,
            )
        )
