"""Ids of items, events and conversations: built here, compared everywhere, parsed nowhere.

Components are percent-encoded and joined with colons. An id is opaque to everybody who receives it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson


def _joined(*components: str) -> str:
    return ":".join([_quoted(component) for component in components])


def _quoted(component: str) -> str:
    # Nearly all are digits or words, and an item takes a dozen of them.
    if component.isalnum() and component.isascii():
        return component
    return quote(component, safe="")


def item_id(platform: str, account_id: str, native_id: str) -> str:
    """`platform:account:native id`. `account_id` is the platform's immutable id, never a handle."""
    if not native_id:
        raise ValueError("an item without a native id takes content_hash() instead")
    return _joined(platform, account_id, native_id)


def content_hash(content: Mapping[str, Any]) -> str:
    """A native id for an item whose platform gives none: a hash of its canonical content.

    Key order does not matter. `content` holds what the sender said and nothing about its receipt.
    """
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return "sha256-" + hashlib.sha256(canonical).hexdigest()[:40]


def created(item: str) -> str:
    """The event id of an item's creation."""
    return f"{item}:created"


def edited(item: str, version: str) -> str:
    """The event id of one edit; `version` is the platform's (an edit time, a revision id)."""
    if not version:
        raise ValueError("an edit without the platform's version takes a content_hash()")
    return f"{item}:edited:{quote(version, safe='')}"


def deleted(item: str) -> str:
    """The event id of an item's deletion."""
    return f"{item}:deleted"


def conversation_id(platform: str, account_id: str, root: str | None, counterpart_id: str) -> str:
    """`platform:account:root:counterpart`; the root is empty for direct messages."""
    return _joined(platform, account_id, root or "", counterpart_id)


def counterpart_key(platform: str, account_id: str, counterpart_id: str | None, item: str) -> str:
    """The record key on `presence.notifications`: one person's events keep their order.

    Never re-rooted: it does not hold the thread. Without a counterpart it is the item's own id.
    """
    return _joined(platform, account_id, counterpart_id) if counterpart_id else item
