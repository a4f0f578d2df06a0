"""The anatomy of a speaker: what one platform must do so that a person's answer goes out through it.

`check` is pure and says before anything is sent why it would be refused; `post` sends; `find` looks
whether it was sent. The driver (`desk.py`) decides what to do with each, and when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.contracts.base import StrEnum
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Address
from services.ingest.domain.item import Item
from services.ingest.domain.replying import Certainty, Draft, Refusal, RefusalCause
from services.runtime.errors import PresenceError

__all__ = [
    "Ambiguous",
    "Certainty",
    "Draft",
    "Posted",
    "Refusal",
    "RefusalCause",
    "SpeakReason",
    "Speaker",
]


@dataclass(frozen=True, slots=True)
class Posted:
    """It stands on the platform.

    `item` is what the source would read from the platform's echo, with the same native id: both become
    one event. Its thread and counterpart are taken from the address, so they may be left out.
    """

    item: Item


class SpeakReason(StrEnum):
    """Why the platform's API did not take an answer. Bounded: logs and metrics use it."""

    unreachable = "unreachable"
    timeout = "timeout"
    disconnected = "disconnected"
    server_error = "server_error"
    rate_limited = "rate_limited"
    credentials = "credentials"
    refused = "refused"
    unexpected = "unexpected"
    """An answer that is none of the platform's documented ones."""


class Ambiguous(PresenceError):
    """It may have been sent. What happens next is a matter of the speaker's `certainty`."""


class Speaker(Protocol):
    """One account's mouth. Makes no connection before its first call."""

    @property
    def account(self) -> OwnAccount:
        """Who speaks."""
        ...

    @property
    def certainty(self) -> Certainty:
        """See Certainty."""
        ...

    @property
    def key_lifetime(self) -> timedelta:
        """For `by_key`: so long the platform remembers a key. Else zero."""
        ...

    async def prepare(self) -> None:
        """Learn what `check` needs (a server's limits). Called before every check; cheap when known.

        Raises Transient or Permanent.
        """
        ...

    def check(self, draft: Draft, address: Address, now: datetime) -> Refusal | None:
        """Length, visibility and reply window, before anything is sent. Pure."""
        ...

    async def post(self, draft: Draft, address: Address, key: str) -> Posted:
        """Send it as an answer in the item's thread. `key` is the same for every try of one reply.

        Raises Transient where it surely was not sent (`retry_after` where the platform asked for it;
        reason rate_limited for a 429), Ambiguous where it may have been, and Permanent where it was
        refused, `detail` in the platform's own words.
        """
        ...

    async def find(self, draft: Draft, address: Address, since: datetime) -> Posted | None:
        """For `by_reading` (and `by_key`, once keys are forgotten): the answer, if it was posted.

        Looks at own items from `since` on. Raises Transient or Permanent where it cannot tell.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
