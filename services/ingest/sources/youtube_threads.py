"""Another look at one comment thread by YouTube's Data API: two units, and one for what is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from services.ingest.domain.threads import Thread, changed, remembered
from services.ingest.sources.gone import gone
from services.ingest.sources.pulled import Event, Look
from services.ingest.sources.youtube import events_of

REPLY_PAGES = 5
ASKED_FOR = 50
"""Comments in one request."""

Read = Callable[[str, dict[str, str]], Awaitable[dict[str, Any] | None]]
"""One request of one unit; None where the thread is not there. Raises Transient or Permanent."""


async def look(read: Read, thread: Thread) -> Look:
    """See ThreadSource. Threads are flat: all of one concerns the customer who began it or joined it."""
    told = await _told(read, thread.root)
    versions: dict[str, str] = {}
    for one in told:
        words = one["comment"]["snippet"]
        was_edited = words.get("updatedAt") != words.get("publishedAt")
        versions[str(one["comment"]["id"])] = str(words.get("updatedAt")) if was_edited else ""
    new, edited = changed(versions, thread.seen)
    events = [
        Event("comment", one, orjson.dumps(one))
        for one in told
        if one["comment"]["id"] in new
        or (one["action"] == "edited" and one["comment"]["id"] in edited)
    ]
    waiting = [one["comment"] for one in thread.items if one.get("comment")]
    missing = [one for one in dict.fromkeys((*waiting, *thread.seen)) if one not in versions]
    asked = missing[:ASKED_FOR]
    if asked:
        found = await read("/comments", {"part": "id", "id": ",".join(asked)})
        there = {str(one.get("id")) for one in (found or {}).get("items") or ()}
        for native_id in [one for one in asked if one not in there]:
            missing.remove(native_id)
            events.append(gone(native_id, thread.root))
    body = orjson.dumps([event.payload for event in events])
    return Look(events, remembered(versions, missing, thread.seen), body)


async def _told(read: Read, root: str) -> list[dict[str, Any]]:
    """The thread and all its replies, in the form in which a turn tells them; none where it is gone."""
    query = {"part": "snippet,replies", "id": root, "textFormat": "plainText"}
    found = await read("/commentThreads", query)
    threads = [one for one in (found or {}).get("items") or () if isinstance(one, dict)]
    if not threads:
        return []
    replies: list[Any] = []
    query = {"part": "snippet", "parentId": root, "textFormat": "plainText", "maxResults": "100"}
    for _ in range(REPLY_PAGES):
        answer = await read("/comments", query) or {}
        replies += answer.get("items") or []
        if not answer.get("nextPageToken"):
            break
        query = {**query, "pageToken": str(answer["nextPageToken"])}
    return [one for one in events_of(threads[0], replies) if _is_whole(one)]


def _is_whole(told: dict[str, Any]) -> bool:
    """What is broken is told by the turn that reads all threads; here it would be told again and again."""
    comment = told["comment"]
    return (
        isinstance(comment, dict)
        and isinstance(comment.get("id"), str)
        and isinstance(comment.get("snippet"), dict)
    )
