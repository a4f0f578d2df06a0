"""Recorded payloads made new: times moved to now, items under fresh ids. Pure.

What was recorded a year ago would otherwise be history, and what was replayed once a duplicate. People,
accounts and everything else stay; ids that refer to each other go on referring to each other.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.contracts.events import Notification
from services.ingest.domain.native import instant

_TIMES = frozenset(
    {"created_at", "timestamp_ms", "created_timestamp", "timestamp", "time", "created_time", "edited_at",
     "createdAt", "indexedAt"}
)  # fmt: skip
_PEOPLE = frozenset(
    {"user", "users", "account", "author", "counterpart", "from", "sender", "recipient", "mentions",
     "user_mentions", "apps", "application", "by"}
)  # fmt: skip
"""Their ids and the ages of their accounts stay."""
_IDS: dict[str, frozenset[str]] = {
    "x": frozenset({"id", "id_str", "in_reply_to_status_id", "in_reply_to_status_id_str"}),
    "meta": frozenset(
        {"comment_id", "post_id", "parent_id", "mid", "open_graph_story_id", "media_id"}
    ),
    "mastodon": frozenset({"id", "in_reply_to_id"}),
    "bluesky": frozenset({"uri", "root", "reasonSubject"}),
}
_IDS_OF_WEBHOOKS = frozenset({"id", "thread", "in_reply_to"})
_X_FORM = "%a %b %d %H:%M:%S +0000 %Y"


def newest_time(value: Any) -> datetime | None:
    """The newest time of a payload, people's own left out."""
    found: list[datetime] = []
    if isinstance(value, dict):
        for key, one in value.items():
            if key in _PEOPLE:
                continue
            at = instant(one) if key in _TIMES else newest_time(one)
            found += [at] if at else []
    elif isinstance(value, list):
        found = [at for one in value if (at := newest_time(one))]
    return max(found, default=None)


def shifted(source: str, payload: Any, by: timedelta, run: str) -> Any:
    """The payload `by` later; item ids have `run` (digits) appended."""
    ids = _IDS.get(source, _IDS_OF_WEBHOOKS)
    if source == "mastodon" and isinstance(payload, dict) and payload.get("event") == "delete":
        return {**payload, "payload": f"{payload.get('payload')}{run}"}
    return _walked(payload, by, run, ids, "")


def _walked(value: Any, by: timedelta, run: str, ids: frozenset[str], under: str) -> Any:
    if isinstance(value, list):
        return [_walked(one, by, run, ids, under) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, one in value.items():
        if key in _PEOPLE or (key in ("source", "target") and isinstance(one, dict)):
            kept[key] = one
        elif key in _TIMES:
            kept[key] = _later(one, by)
        elif key == "uri" and not str(one).startswith("at://"):
            # On Bluesky a link is a `uri` as well.
            kept[key] = one
        elif _is_item_id(key, under, ids) and isinstance(one, str | int) and one not in ("", None):
            kept[key] = int(f"{one}{run}") if isinstance(one, int) else f"{one}{run}"
        else:
            kept[key] = _walked(one, by, run, ids, key)
    return kept


def _is_item_id(key: str, under: str, ids: frozenset[str]) -> bool:
    """Instagram names a comment and its post plainly `id`, as Meta names its accounts."""
    return key in ids or (key == "id" and under in ("value", "media"))


def _later(value: Any, by: timedelta) -> Any:
    """The same notation, later. What is no time stays."""
    at = instant(value)
    if at is None:
        return value
    moved = at + by
    if isinstance(value, str) and value.isdigit():
        return str(_number(int(value), moved))
    if isinstance(value, int | float):
        return _number(value, moved)
    if isinstance(value, str) and value[:1].isalpha():
        return moved.strftime(_X_FORM)
    return moved.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _number(before: float, moved: datetime) -> int:
    """Seconds or milliseconds, as it was."""
    return int(moved.timestamp() * (1000 if before >= 100_000_000_000 else 1))


def shifted_notification(one: Notification, by: timedelta, run: str) -> Notification:
    """The same for an event in Presence's own form."""
    item_id = f"{one.item_id}-{run}"
    root = one.conversation.root
    moved = {"root": f"{root}-{run}" if root else None}
    return one.model_copy(
        update={
            "item_id": item_id,
            "event_id": item_id + one.event_id.removeprefix(one.item_id),
            "in_reply_to": f"{one.in_reply_to}-{run}" if one.in_reply_to else None,
            "conversation": one.conversation.model_copy(update=moved),
            "source_time": one.source_time + by,
            "claimed_time": one.claimed_time + by if one.claimed_time else None,
            "received_at": one.received_at + by,
        }
    )
