"""Replayed notifications: /webhooks/replay, a Standard Webhook under a key of the link secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.contracts.events import Notification, Origin
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Parsed, Rejected, RejectReason, first_error
from services.ingest.sources.source import Accounts, Challenge, Delivery, json_object
from services.ingest.sources.webhook import StandardSignature

TYPE = "notification"


@dataclass(frozen=True)
class NotificationReplay:
    """`{"type": "notification", "data": {…a Notification…}}`.

    Ids and times stay as they are, so that what was already taken in is a duplicate; the origin is
    `replay`, and it pages only where the request's replay mark says so.
    """

    signature: StandardSignature
    accounts: Mapping[str, OwnAccount]
    """By `platform:id`."""
    name: str = "replay"
    media_types: frozenset[str] = frozenset({"application/json"})
    unreadable_status: int = 422
    taken_status: int = 202

    def verify(self, delivery: Delivery, now: datetime) -> Accounts:
        """Every account. Raises Refused."""
        self.signature.verify(delivery, now)
        return self.accounts

    def parse(self, delivery: Delivery, accounts: Accounts, receipt: Receipt) -> list[Parsed]:
        """The one notification."""
        body = json_object(delivery.body)
        if isinstance(body, Rejected):
            return [body]
        if body.get("type") != TYPE:
            return [Rejected(RejectReason.unsupported, f"type {body.get('type')!s}"[:80])]
        try:
            read = Notification.model_validate(body.get("data"))
        except ValueError as error:
            return [Rejected(RejectReason.malformed, first_error(error, "data."))]
        if f"{read.platform}:{read.account_id}" not in accounts:
            says = f"{read.platform} {read.account_id}"[:80]
            return [Rejected(RejectReason.unknown_account, says)]
        marked = receipt.origin is Origin.replay and receipt.may_page
        return [read.model_copy(update={"origin": Origin.replay, "may_page": marked})]

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """As the replay command does."""
        return {"content-type": "application/json", **self.signature.sign(body, now)}

    def challenge(self, query: Mapping[str, str]) -> Challenge | None:
        """Nothing to answer."""
        return None
