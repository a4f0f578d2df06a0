"""Another look at a thread by Mastodon's API: two requests, and one for each status that is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import orjson

from services.ingest.domain.threads import Node, Thread, changed, concerning, remembered
from services.ingest.sources.mastodon import EDITED_IN_THREAD, IN_THREAD
from services.ingest.sources.mastodon_missing import Missing
from services.ingest.sources.pulled import Event, Look

Read = Callable[[str], Awaitable[Any]]
"""One GET; None where the server says 404. Raises Transient or Permanent otherwise."""

ASKED_FOR = 10
"""Missing statuses that are asked for after one look; the others after the next."""
OTHER_WAYS = 3
"""Waiting statuses whose own thread is read where the root is gone."""


async def look(
    read: Read, missing: Missing, thread: Thread, roots: Callable[[str, list[str]], None]
) -> Look:
    """See ThreadSource. `roots` is told the first status of the thread, and all below it."""
    waiting = [one["status"] for one in thread.items if one.get("status")]
    statuses = await _statuses(read, thread.root, waiting, roots)
    nodes = [
        Node(native_id, _text(one.get("in_reply_to_id")), _text(_of(one, "account", "id")))
        for native_id, one in statuses.items()
    ]
    ours = concerning(nodes, waiting, thread.customers)
    versions = {
        native_id: str(one.get("edited_at") or "")
        for native_id, one in statuses.items()
        if native_id in ours
    }
    new, edited = changed(versions, thread.seen)
    events = [_event(IN_THREAD, statuses[native_id]) for native_id in new]
    # An edited status is both: its first version may never have been seen.
    edited += [native_id for native_id in new if versions[native_id]]
    events += [_event(EDITED_IN_THREAD, statuses[native_id]) for native_id in edited]
    visible = {one["status"]: one.get("visibility", "") for one in thread.items if "status" in one}
    absent = [one for one in dict.fromkeys((*waiting, *thread.seen)) if one not in statuses]
    for native_id in absent[:ASKED_FOR]:
        status = await read(f"/api/v1/statuses/{quote(native_id, safe='')}")
        if status is None and await missing.is_gone(native_id, visible.get(native_id, "")):
            absent.remove(native_id)
            events.append(Event("delete", native_id, native_id.encode()))
    body = orjson.dumps([event.payload for event in events])
    return Look(events, remembered(versions, absent, thread.seen), body)


async def _statuses(
    read: Read, root: str, waiting: list[str], roots: Callable[[str, list[str]], None]
) -> dict[str, dict[str, Any]]:
    """The thread by native id, its first status among them."""
    found: dict[str, dict[str, Any]] = {}
    for start in (root, *waiting[:OTHER_WAYS]):
        if start in found:
            continue
        first = await read(f"/api/v1/statuses/{quote(start, safe='')}")
        if not isinstance(first, dict):
            continue
        context = await read(f"/api/v1/statuses/{quote(start, safe='')}/context")
        above, below = _listed(context, "ancestors"), _listed(context, "descendants")
        found |= {str(one["id"]): one for one in (*above, first, *below)}
        known = [str(one["id"]) for one in (*above, first, *below)]
        roots(known[0], known[1:])
    return found


def _listed(context: Any, name: str) -> list[dict[str, Any]]:
    listed = context.get(name) if isinstance(context, dict) else None
    return [one for one in listed or () if isinstance(one, dict) and one.get("id")]


def _of(one: dict[str, Any], *path: str) -> Any:
    found: Any = one
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _text(value: Any) -> str | None:
    return str(value) if value is not None else None


def _event(name: str, status: dict[str, Any]) -> Event:
    return Event(name, status, orjson.dumps(status))
