"""A comment that stood in a thread and does so no more, where the platform itself has no event for it."""

from __future__ import annotations

from typing import Any

import orjson

from services.contracts.events import Kind
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Deletion, Item, Receipt
from services.ingest.domain.native import Native, NativeId
from services.ingest.domain.outcome import Parsed
from services.ingest.sources.pulled import Event
from services.ingest.sources.source import read_change

GONE = "gone"


class _Gone(Native):
    id: NativeId
    root: NativeId | None = None


def gone(native_id: str, root: str) -> Event:
    """The event."""
    told = {"id": native_id, "root": root}
    return Event(GONE, told, orjson.dumps(told))


def parse_gone(payload: Any, account: OwnAccount, receipt: Receipt) -> Parsed:
    """What it means: seen now, since nobody says when it happened. Never raises."""

    def read() -> Item:
        told = _Gone.model_validate(payload)
        kinds = frozenset({Kind.comment})
        return Deletion(told.id, None, told.root, receipt.received_at, kinds).item()

    return read_change(read, account, receipt, GONE)
