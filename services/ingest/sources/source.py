"""The anatomy that every webhook source shares: verify the raw body, then parse it.

A source is one file. `verify` works on the bytes as they came, in constant time, before anything is
parsed, and says for which of the brand's accounts the signature speaks. `parse` is pure and never
raises: whatever it is handed becomes notifications, rejected or ignored changes. `sign` is the inverse of
`verify`, for replays and tests.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from services.contracts.base import StrEnum
from services.contracts.events import Notification
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Item, Receipt, notification
from services.ingest.domain.outcome import Ignored, Parsed, Rejected, RejectReason, first_error


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as it came: header names in lower case, the body untouched."""

    headers: Mapping[str, str]
    body: bytes


HEADERS_KEPT = 4_096
"""Characters of a request's headers that go with a dead letter."""
_OF_THE_CONNECTION = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept", "accept-encoding", "te"}
)
_SECRET = re.compile(
    "signature|secret|token|authori[sz]ation|authentication|cookie|password|api-?key"
)


def meaningful(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that a payload may need to be understood: CloudEvents' attributes, the name of an event.

    Never what proves the sender or opens a session.
    """
    kept: dict[str, str] = {}
    left = HEADERS_KEPT
    for name, value in headers.items():
        left -= len(name) + len(value)
        if left < 0:
            break
        if name not in _OF_THE_CONNECTION and not _SECRET.search(name):
            kept[name] = value
    return kept


class RefusalReason(StrEnum):
    """Why a request is turned away before it is read. Bounded: a metric label."""

    signature_missing = "signature_missing"
    signature_wrong = "signature_wrong"
    timestamp_invalid = "timestamp_invalid"
    timestamp_old = "timestamp_old"
    """Or from the future, by more than the same tolerance."""
    token_wrong = "token_wrong"  # noqa: S105
    replay_mark_wrong = "replay_mark_wrong"


class Refused(Exception):
    """The request is not authentic, or no longer: nobody reads it."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Challenge:
    """The answer to a platform that asks whether this endpoint is ours."""

    content_type: str
    body: bytes


Accounts = Mapping[str, OwnAccount]
"""Accounts by the key that the payload uses (for Meta: `object:id`)."""


class Source(Protocol):
    """A platform's webhook."""

    @property
    def name(self) -> str:
        """The last part of /webhooks/…, and the `source` label."""
        ...

    @property
    def media_types(self) -> frozenset[str]:
        """Content types taken; anything else is 415."""
        ...

    @property
    def taken_status(self) -> int:
        """200 where the platform asks for exactly that, else 202."""
        ...

    @property
    def unreadable_status(self) -> int:
        """The answer when nothing of an authentic payload could be read (it is dead-lettered then)."""
        ...

    def verify(self, delivery: Delivery, now: datetime) -> Accounts:
        """The accounts that the signature speaks for. Raises Refused."""
        ...

    def parse(self, delivery: Delivery, accounts: Accounts, receipt: Receipt) -> list[Parsed]:
        """What happened. Never raises."""
        ...

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """Headers under which `verify` takes this body."""
        ...

    def challenge(self, query: Mapping[str, str]) -> Challenge | None:
        """The answer to a GET; None where the platform asks nothing. Raises Refused."""
        ...


UNREADABLE = (ValueError, TypeError, LookupError, OverflowError)
"""What reading hostile input may raise; pydantic's ValidationError is a ValueError."""


def same(expected: bytes, given: bytes) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(expected, given)


def json_object(body: bytes) -> dict[str, Any] | Rejected:
    """The body as a JSON object. orjson refuses invalid UTF-8, lone surrogates and deep nesting."""
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Rejected(RejectReason.malformed, f"line {error.lineno}, column {error.colno}")
    if not isinstance(read, dict):
        return Rejected(RejectReason.unsupported, f"a JSON {type(read).__name__}, not an object")
    return read


def read_change(
    read: Callable[[], Item | Ignored | Rejected],
    account: OwnAccount,
    receipt: Receipt,
    what: str,
) -> Parsed:
    """One change, alone: what is wrong with it stays with it and the others of its batch go on."""
    try:
        found = read()
        return notification(found, account, receipt) if isinstance(found, Item) else found
    except UNREADABLE as error:
        detail = first_error(error, f"{what}: ") if isinstance(error, ValueError) else what
        return Rejected(RejectReason.malformed, detail, account.id)


def as_list(value: Any, what: str) -> list[Any] | Rejected:
    """A list of changes, or why it is none."""
    if isinstance(value, list):
        return value
    return Rejected(RejectReason.malformed, f"{what}: a {type(value).__name__}, not a list")


def notifications_of(parsed: Iterable[Parsed]) -> list[Notification]:
    """Only what goes on the bus."""
    return [one for one in parsed if isinstance(one, Notification)]
