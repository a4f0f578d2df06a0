"""The anatomy of a source that is listened to: feeds that are read forward, and a stream of what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from services.contracts.base import StrEnum
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Parsed
from services.ingest.domain.threads import Thread


class PullReason(StrEnum):
    """Why a pulled source could not be read. Bounded: logs and notices use it."""

    unreachable = "unreachable"
    timeout = "timeout"
    disconnected = "disconnected"
    server_error = "server_error"
    rate_limited = "rate_limited"
    credentials = "credentials"
    """The token is refused: only a person can mend that."""
    wrong_account = "wrong_account"
    """The token is another account's than presence.yaml says."""
    gone = "gone"
    """What was asked for is not there (any more)."""
    unexpected = "unexpected"
    """An answer that is none of the platform's documented ones."""


@dataclass(frozen=True, slots=True)
class Event:
    """One native event: its name, its payload, and its bytes for the store."""

    name: str
    payload: Any
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a feed, oldest first; `position` is where the next one begins. Empty: the end.

    `live` where a source without a stream read it in its turn: it is no backfill of a gap then.
    """

    events: Sequence[Event]
    position: str | None
    body: bytes
    live: bool = False


class PulledSource(Protocol):
    """A platform that we listen to, for one account.

    `page` and `parse` are called by two tasks while the stream is open (services.ingest.lanes).
    Every method raises Transient (with `retry_after` where the platform asked for it) or Permanent.
    """

    @property
    def name(self) -> str:
        """The `source` label."""
        ...

    @property
    def account(self) -> OwnAccount:
        """Whose ears these are."""
        ...

    @property
    def feeds(self) -> tuple[str, ...]:
        """In the order in which a gap is filled: the brand's own items first."""
        ...

    @property
    def backfill_limit(self) -> int:
        """At most so many events of one feed are read after a gap."""
        ...

    async def identify(self) -> None:
        """Check the credential. Raises Permanent where it is refused or another account's."""
        ...

    def stream(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Connected when entered; iterates until the connection ends (then raises Transient)."""
        ...

    async def page(self, feed: str, after: str | None) -> Page:
        """What follows `after`; the newest page for None; for "" all there is, since it was empty."""
        ...

    async def parse(self, event: Event, receipt: Receipt) -> Parsed:
        """What it means; may ask the platform for the thread's root."""
        ...

    def asks_to_refetch(self, event: Event) -> bool:
        """Whether the event only says that the feeds have changed."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


@runtime_checkable
class ExpiringSource(Protocol):
    """A pulled source whose credential may end by itself.

    The others have none, one that never ends, or (email's access tokens) one that another program renews.
    """

    @property
    def name(self) -> str:
        """The `source` label."""
        ...

    @property
    def account(self) -> OwnAccount:
        """Whose credential it is."""
        ...

    async def token_expires(self) -> datetime | None:
        """None: never, or the platform does not say. Raises Transient or Permanent."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What another look at a thread brought: what is new, edited or gone since the last one."""

    events: Sequence[Event]
    seen: Mapping[str, str]
    """Native id and version of what stands there now: given to the next look."""
    body: bytes


@runtime_checkable
class ThreadSource(Protocol):
    """A pulled source whose API reads a thread whole, whomever its items name."""

    @property
    def name(self) -> str:
        """The `source` label."""
        ...

    @property
    def account(self) -> OwnAccount:
        """Whose customers wait."""
        ...

    @property
    def look_interval(self) -> float:
        """Seconds to leave between two looks: what of the platform's limit is for threads."""
        ...

    async def look(self, thread: Thread) -> Look:
        """What was said by or to our customers there, for `parse`. Raises Transient or Permanent."""
        ...
