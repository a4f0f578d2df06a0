"""What ingest remembers: events taken in, original payloads, cursors. In PostgreSQL, or in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, LiteralString, Protocol

import orjson
import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from services.contracts.base import StrEnum
from services.ingest.domain.address import Address
from services.runtime.errors import Permanent, Transient
from services.runtime.postgres import Pool, create_pool, load_queries, migrate

SCHEMA = "ingest"
PACKAGE = "services.ingest.store"


class StoreReason(StrEnum):
    """Why the store could not do it."""

    unavailable = "unavailable"
    timeout = "timeout"
    fenced = "fenced"
    """Another replica holds a newer lease on this source."""


@dataclass(frozen=True, slots=True)
class Original:
    """A payload as it came."""

    source: str
    body: bytes
    received_at: datetime
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the request, names in lower case; empty for what we fetched."""


Entry = tuple[Original, Sequence[str]]
"""A payload and the ids of the events that it brought first."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One list of a pulled source that is read forward."""

    source: str
    account_id: str
    name: str


class EventStore(Protocol):
    """The port. Every method raises Transient when the store does not answer in time."""

    async def known(self, event_ids: Collection[str]) -> frozenset[str]:
        """Those that were recorded before."""
        ...

    async def record(
        self,
        entries: Sequence[Entry],
        addresses: Sequence[Address] = (),
        gone: Collection[str] = (),
    ) -> frozenset[str]:
        """Remember what Kafka acknowledged; returns the ids that were new at this moment.

        `addresses`: where answers to these items go; one an item, the newer one holds. `gone`: ids of items
        that their authors deleted: the payloads that brought them are dropped, with all that was in them.
        """
        ...

    async def cursor(self, feed: Feed) -> str | None:
        """How far the feed was read; None: never."""
        ...

    async def move_cursor(self, feed: Feed, position: str, *, fence: int = 0) -> None:
        """Record it. Raises Permanent (fenced) for an older lease than the last writer's."""
        ...

    async def forget(self, *, events: timedelta, payloads: timedelta) -> int:
        """Drop what is older; returns how many rows went."""
        ...


@asynccontextmanager
async def answering(pool: Pool, patience: float) -> AsyncIterator[Any]:
    """A connection; raises Transient when PostgreSQL does not do it within `patience` seconds."""
    try:
        async with asyncio.timeout(patience), pool.connection(timeout=patience) as connection:
            yield connection
    except (TimeoutError, PoolTimeout) as error:
        raise Transient(StoreReason.timeout, f"no answer within {patience} s") from error
    except (psycopg.Error, PoolClosed) as error:
        # Also a schema that is not there yet: intake is open while migrations run.
        raise Transient(StoreReason.unavailable, type(error).__name__) from error


def intake_pool(url: str) -> Pool:
    """Connections for the event store alone: intake never waits for whoever else works with PostgreSQL.

    Not checked on the way out, because the store tries again. Every query goes by a key: a plan that was made
    while the tables were empty must not read them from end to end a week later.
    """
    options = "-c enable_seqscan=off"
    return create_pool(url, name="ingest-intake", max_size=4, checked=False, options=options)


class PostgresEventStore:
    """The real one.

    `patience` bounds every call, in seconds: a caller of intake waits for it before it hears 503. The
    call after Kafka's acknowledgement may take longer, since only its 2xx waits.
    """

    def __init__(self, pool: Pool, *, patience: float = 0.4, record_patience: float = 3.0) -> None:
        self._pool = pool
        self._patience = patience
        self._record_patience = record_patience
        self._queries: dict[str, LiteralString] = load_queries(PACKAGE)

    async def migrate(self) -> None:
        """Bring the schema up to date."""
        await migrate(self._pool, SCHEMA, PACKAGE)

    async def _rows(
        self, name: str, parameters: dict[str, Any], patience: float | None = None
    ) -> Sequence[Any]:
        patience = patience or self._patience
        try:
            return await self._ask(name, parameters, patience)
        except Transient as error:
            if not isinstance(error.__cause__, psycopg.OperationalError):
                raise
        # PostgreSQL was restarted and nobody looked: what else is in the pool has died as well.
        try:
            async with asyncio.timeout(patience):
                await self._pool.check()
        except TimeoutError as error:
            raise Transient(StoreReason.timeout, f"no answer within {patience} s") from error
        return await self._ask(name, parameters, patience)

    async def _ask(self, name: str, parameters: dict[str, Any], patience: float) -> Sequence[Any]:
        async with answering(self._pool, patience) as connection:
            cursor = await connection.execute(self._queries[name], parameters)
            rows: Sequence[Any] = await cursor.fetchall()
            return rows

    async def known(self, event_ids: Collection[str]) -> frozenset[str]:
        """See EventStore."""
        rows = await self._rows("known", {"event_ids": _json(list(event_ids))})
        return frozenset(row[0] for row in rows)

    async def record(
        self,
        entries: Sequence[Entry],
        addresses: Sequence[Address] = (),
        gone: Collection[str] = (),
    ) -> frozenset[str]:
        """See EventStore. Ids go in order: two replicas with the same events cannot lock each other."""
        payloads: list[dict[str, Any]] = []
        events: list[dict[str, Any]] = []
        first = 1
        for original, ids in entries:
            payload_id = _payload_id(original.received_at)
            payloads.append(
                {
                    "id": payload_id,
                    "source": original.source,
                    "content_type": original.content_type[:200],
                    "first": first,
                    "size": len(original.body),
                    "received_at": original.received_at,
                }
            )
            first += len(original.body)
            events += ({"event_id": one, "payload_id": payload_id} for one in ids)
        rows = await self._rows(
            "record",
            {
                "payloads": _json(payloads),
                "bodies": b"".join(original.body for original, _ in entries),
                "events": _json(sorted(events, key=_event_id)),
                "gone": _json(list(gone)),
                "addresses": _json([_row(one) for one in sorted(addresses, key=_item_id)]),
            },
            self._record_patience,
        )
        return frozenset(row[0] for row in rows)

    async def cursor(self, feed: Feed) -> str | None:
        """See EventStore."""
        rows = await self._rows("cursor", _of(feed))
        return rows[0][0] if rows else None

    async def move_cursor(self, feed: Feed, position: str, *, fence: int = 0) -> None:
        """See EventStore."""
        parameters = {**_of(feed), "position": position, "fence": fence}
        if not await self._rows("move_cursor", parameters):
            raise Permanent(StoreReason.fenced, f"{feed.source} {feed.name}")

    async def forget(self, *, events: timedelta, payloads: timedelta) -> int:
        """See EventStore."""
        gone = 0
        ages = (
            ("forget_seen", events),
            ("forget_payloads", payloads),
            ("forget_addresses", payloads),
        )
        for name, age in ages:
            while True:
                async with answering(self._pool, 30.0) as connection:
                    done = await connection.execute(self._queries[name], {"older_than": age})
                gone += done.rowcount
                if done.rowcount == 0:
                    break
        return gone


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _payload_id(received_at: datetime) -> str:
    """A UUID of version 7: in the order of time, so that an index grows at its end."""
    time = int(received_at.timestamp() * 1000).to_bytes(6)
    chance = bytearray(os.urandom(10))
    chance[0] = 0x70 | chance[0] & 0x0F
    chance[2] = 0x80 | chance[2] & 0x3F
    return (time + chance).hex()


def _event_id(one: dict[str, Any]) -> str:
    found: str = one["event_id"]
    return found


def _item_id(one: Address) -> str:
    return one.item_id


def _row(one: Address) -> dict[str, Any]:
    return {
        "item_id": one.item_id,
        "platform": one.platform,
        "account_id": one.account_id,
        "root": one.root,
        "counterpart_id": one.counterpart_id,
        "private": one.private,
        "said_at": one.said_at,
        "details": dict(one.details),
    }


def _of(feed: Feed) -> dict[str, Any]:
    return {"source": feed.source, "account_id": feed.account_id, "feed": feed.name}


class MemoryEventStore:
    """The twin for tests; `broken` makes every call fail as an absent database would."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.originals: list[Original] = []
        self._brought: dict[str, Original] = {}
        self.addresses: dict[str, Address] = {}
        self.cursors: dict[Feed, tuple[str, int]] = {}
        self.broken = False

    def _check(self) -> None:
        if self.broken:
            raise Transient(StoreReason.unavailable, "broken on purpose")

    async def known(self, event_ids: Collection[str]) -> frozenset[str]:
        """See EventStore."""
        self._check()
        return frozenset(self.seen & set(event_ids))

    async def record(
        self,
        entries: Sequence[Entry],
        addresses: Sequence[Address] = (),
        gone: Collection[str] = (),
    ) -> frozenset[str]:
        """See EventStore."""
        self._check()
        self.addresses.update((one.item_id, one) for one in addresses)
        new = frozenset(event_id for _, ids in entries for event_id in ids) - self.seen
        self.seen |= new
        self.originals.extend(original for original, _ in entries)
        prefixes = tuple(f"{item_id}:" for item_id in gone)
        for event_id in [one for one in self._brought if prefixes and one.startswith(prefixes)]:
            original = self._brought.pop(event_id)
            self.originals = [one for one in self.originals if one is not original]
        self._brought.update((event_id, one) for one, ids in entries for event_id in ids)
        return new

    async def cursor(self, feed: Feed) -> str | None:
        """See EventStore."""
        self._check()
        return self.cursors[feed][0] if feed in self.cursors else None

    async def move_cursor(self, feed: Feed, position: str, *, fence: int = 0) -> None:
        """See EventStore."""
        self._check()
        if fence < self.cursors.get(feed, ("", 0))[1]:
            raise Permanent(StoreReason.fenced, f"{feed.source} {feed.name}")
        self.cursors[feed] = position, fence

    async def forget(self, *, events: timedelta, payloads: timedelta) -> int:
        """Nothing ages in memory."""
        self._check()
        return 0
