"""Where an answer to an item goes: what its source kept of it for that day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import Field

from services.contracts.events import Kind, Notification

Details = Mapping[str, str]
"""What one platform's API needs to answer one item. Opaque: made by the platform's source, read by its
speaker, and kept by everybody in between. It never travels on the bus and holds no person's words, an
email's subject excepted."""


class Heard(Notification):
    """A notification as its source handed it over, with the way back."""

    address: Details = Field(exclude=True, repr=False)
    """Stays in ingest's store."""


@dataclass(frozen=True, slots=True)
class Address:
    """One item that can be answered."""

    item_id: str
    platform: str
    account_id: str
    root: str | None
    """Native id of the thread's root, as the notification had it."""
    counterpart_id: str | None
    private: bool
    """Whether the item itself was (a direct message, an email, a status for followers)."""
    said_at: datetime
    """The item's source time."""
    details: Details = field(repr=False)
    heard_at: datetime | None = None
    """Source time of the newest private item of the same counterpart: a messaging window counts from
    it. Set by the store when it reads; none: there is none."""


def address_of(heard: Heard) -> Address:
    """What the store keeps."""
    return Address(
        item_id=heard.item_id,
        platform=heard.platform,
        account_id=heard.account_id,
        root=heard.conversation.root,
        counterpart_id=heard.conversation.counterpart_id,
        private=heard.private or Kind.direct in heard.kinds,
        said_at=heard.source_time,
        details=heard.address,
    )
