"""Which threads are read again, and what the last look at each of them found. In PostgreSQL, or in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, LiteralString, Protocol

from psycopg.types.json import Jsonb

from services.ingest.domain.threads import SOONEST, Thread
from services.ingest.store.event_store import PACKAGE, MemoryEventStore, StoreReason, answering
from services.runtime.clock import Clock
from services.runtime.errors import Permanent
from services.runtime.postgres import Pool, load_queries


@dataclass(frozen=True, slots=True)
class Waiting:
    """An episode that opened, as far as its thread is concerned."""

    episode_id: str
    platform: str
    account_id: str
    items: tuple[str, ...]
    """Ids of the items that wait."""
    at: datetime
    """When alert recorded it."""


@dataclass(frozen=True, slots=True)
class Place:
    """An account whose threads are read, and the lease under which that is done."""

    source: str
    platform: str
    account_id: str


class ThreadStore(Protocol):
    """The port. Every method raises Transient when the store does not answer in time."""

    async def watch(self, one: Waiting, longest: timedelta) -> None:
        """Look at its threads from now on, until `longest` after it opened."""
        ...

    async def unwatch(self, episode_id: str, at: datetime, grace: timedelta) -> None:
        """It ended `at`; its threads are looked at for `grace` longer."""
        ...

    async def due(self, place: Place) -> Thread | None:
        """The thread that has waited longest for a look that is due."""
        ...

    async def looked(
        self,
        place: Place,
        thread: Thread,
        seen: Mapping[str, str],
        *,
        quiet_looks: int,
        wait: timedelta,
        fence: int,
    ) -> None:
        """Record a look. Raises Permanent (fenced) for an older lease than the last holder's."""
        ...

    async def forget(self, older_than: timedelta) -> int:
        """Drop what ended so long ago; returns how many rows went."""
        ...


class PostgresThreadStore:
    """The real one; `patience` bounds every call, in seconds."""

    def __init__(self, pool: Pool, *, patience: float = 3.0) -> None:
        self._pool = pool
        self._patience = patience
        self._queries: dict[str, LiteralString] = load_queries(PACKAGE, "threads.sql")

    async def _rows(self, name: str, **given: Any) -> list[Any]:
        async with answering(self._pool, self._patience) as connection:
            cursor = await connection.execute(self._queries[name], given)
            return await cursor.fetchall() if cursor.description else [cursor.rowcount]

    async def watch(self, one: Waiting, longest: timedelta) -> None:
        """See ThreadStore."""
        await self._rows(
            "watch",
            episode_id=one.episode_id,
            platform=one.platform,
            account_id=one.account_id,
            items=list(one.items),
            at=one.at,
            longest=longest,
            soonest=SOONEST,
        )

    async def unwatch(self, episode_id: str, at: datetime, grace: timedelta) -> None:
        """See ThreadStore."""
        await self._rows("unwatch", episode_id=episode_id, at=at, grace=grace)

    async def due(self, place: Place) -> Thread | None:
        """See ThreadStore."""
        rows = await self._rows("due_thread", platform=place.platform, account_id=place.account_id)
        if not rows:
            return None
        root, seen, quiet_looks, details, customers = rows[0]
        return Thread(root, tuple(details), frozenset(customers), seen, quiet_looks)

    async def looked(
        self,
        place: Place,
        thread: Thread,
        seen: Mapping[str, str],
        *,
        quiet_looks: int,
        wait: timedelta,
        fence: int,
    ) -> None:
        """See ThreadStore."""
        rows = await self._rows(
            "looked",
            source=place.source,
            platform=place.platform,
            account_id=place.account_id,
            root=thread.root,
            seen=Jsonb(dict(seen)),
            were=thread.quiet_looks,
            quiet_looks=quiet_looks,
            wait=wait,
            soonest=SOONEST,
            fence=fence,
        )
        if rows[0][0]:
            raise Permanent(StoreReason.fenced, f"{place.source} threads")

    async def forget(self, older_than: timedelta) -> int:
        """See ThreadStore."""
        gone = await self._rows("forget_watches", older_than=older_than)
        return int(gone[0]) + int((await self._rows("forget_threads"))[0])


@dataclass
class _Watch:
    waiting: Waiting
    root: str
    items: tuple[str, ...]
    told_at: datetime
    ends_at: datetime


@dataclass
class _Kept:
    due_at: datetime
    seen: dict[str, str] = field(default_factory=dict)
    quiet_looks: int = 0


class MemoryThreadStore:
    """The twin for tests. `events` knows where items are."""

    def __init__(self, events: MemoryEventStore, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self._watches: dict[tuple[str, str], _Watch] = {}
        self._threads: dict[tuple[str, str, str], _Kept] = {}
        self.fences: dict[Place, int] = {}

    async def watch(self, one: Waiting, longest: timedelta) -> None:
        """See ThreadStore."""
        now = self._clock.now()
        roots: dict[str, list[str]] = {}
        for item in one.items:
            address = self._events.addresses.get(item)
            if address is not None and address.root is not None:
                roots.setdefault(address.root, []).append(item)
        for root, items in roots.items():
            known = self._watches.get((one.episode_id, root))
            if one.at + longest <= now or (known is not None and known.told_at > one.at):
                continue
            self._watches[one.episode_id, root] = _Watch(
                one, root, tuple(items), one.at, one.at + longest
            )
            kept = self._threads.setdefault(
                (one.platform, one.account_id, root), _Kept(now + SOONEST)
            )
            kept.due_at, kept.quiet_looks = min(kept.due_at, now + SOONEST), 0

    async def unwatch(self, episode_id: str, at: datetime, grace: timedelta) -> None:
        """See ThreadStore."""
        for (episode, _), watch in self._watches.items():
            if episode == episode_id and watch.told_at <= at:
                watch.ends_at, watch.told_at = min(watch.ends_at, at + grace), at

    async def due(self, place: Place) -> Thread | None:
        """See ThreadStore."""
        now = self._clock.now()
        for (platform, account_id, root), kept in sorted(
            self._threads.items(), key=lambda pair: pair[1].due_at
        ):
            if (platform, account_id) != (place.platform, place.account_id) or kept.due_at > now:
                continue
            watches = [
                one
                for one in self._watches.values()
                if one.root == root
                and (one.waiting.platform, one.waiting.account_id) == (platform, account_id)
                and one.ends_at > now
            ]
            if watches:
                addresses = [self._events.addresses[item] for one in watches for item in one.items]
                return Thread(
                    root,
                    tuple(one.details for one in addresses),
                    frozenset(one.counterpart_id for one in addresses if one.counterpart_id),
                    dict(kept.seen),
                    kept.quiet_looks,
                )
        return None

    async def looked(
        self,
        place: Place,
        thread: Thread,
        seen: Mapping[str, str],
        *,
        quiet_looks: int,
        wait: timedelta,
        fence: int,
    ) -> None:
        """See ThreadStore."""
        if fence < self.fences.get(place, 0):
            raise Permanent(StoreReason.fenced, f"{place.source} threads")
        self.fences[place] = fence
        kept = self._threads[place.platform, place.account_id, thread.root]
        same = kept.quiet_looks == thread.quiet_looks
        self._threads[place.platform, place.account_id, thread.root] = replace(
            kept,
            seen=dict(seen),
            quiet_looks=quiet_looks if same else 0,
            due_at=self._clock.now() + (wait if same else SOONEST),
        )

    async def forget(self, older_than: timedelta) -> int:
        """See ThreadStore."""
        now = self._clock.now()
        old = [key for key, one in self._watches.items() if one.ends_at < now - older_than]
        for key in old:
            del self._watches[key]
        left = {
            (one.waiting.platform, one.waiting.account_id, one.root)
            for one in self._watches.values()
        }
        gone = [key for key in self._threads if key not in left]
        for place in gone:
            del self._threads[place]
        return len(old) + len(gone)
