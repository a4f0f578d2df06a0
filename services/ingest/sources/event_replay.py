"""Replays of platforms that post nowhere: one event of a stream or list in the body of a request."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Parsed, Rejected, RejectReason
from services.ingest.replay_mark import HEADER
from services.ingest.sources.source import (
    Accounts,
    Challenge,
    Delivery,
    RefusalReason,
    Refused,
    json_object,
)


@dataclass(frozen=True)
class EventReplay:
    """The body is `{"account_id": …, "event": …, "payload": …}`; a platform says how an event is read."""

    accounts: Mapping[str, OwnAccount]
    name: str
    media_types: frozenset[str] = frozenset({"application/json"})
    unreadable_status: int = 422
    taken_status: int = 202

    @abstractmethod
    def read(self, body: Mapping[str, Any], account: OwnAccount, receipt: Receipt) -> Parsed:
        """The one event."""

    def verify(self, delivery: Delivery, now: datetime) -> Accounts:
        """Every account; the replay mark is the signature, and the intake has checked it."""
        if HEADER not in delivery.headers:
            raise Refused(RefusalReason.signature_missing)
        return self.accounts

    def parse(self, delivery: Delivery, accounts: Accounts, receipt: Receipt) -> list[Parsed]:
        """The one event."""
        body = json_object(delivery.body)
        if isinstance(body, Rejected):
            return [body]
        account = accounts.get(str(body.get("account_id")))
        if account is None:
            says = f"account_id {body.get('account_id')!s}"[:80]
            return [Rejected(RejectReason.unknown_account, says)]
        return [self.read(body, account, receipt)]

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """Nothing beside the replay mark."""
        return {"content-type": "application/json"}

    def challenge(self, query: Mapping[str, str]) -> Challenge | None:
        """Nothing to answer."""
        return None
