"""Another look at the comments under a post or medium, by Graph, in the webhook's form."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import orjson

from services.ingest.domain.native import instant
from services.ingest.domain.threads import Node, Thread, changed, concerning, remembered
from services.ingest.sources.gone import gone
from services.ingest.sources.meta_forms import COMMENT, REPLY, comment_change, instagram_change
from services.ingest.sources.meta_graph_api import GraphApi
from services.ingest.sources.pulled import Event, Look, PullReason
from services.runtime.errors import Permanent, Transient

PAGES = 6
"""Of fifty comments, the newest first; older ones under the same post are not looked at."""
ASKED_FOR = 10
"""Missing comments that are asked for after one look; the others after the next."""
SHARE = 50.0
"""Per cent of Meta's limit: above it the rest is for gaps and answers."""


async def look(api: GraphApi, kind: str, account_id: str, thread: Thread, now: datetime) -> Look:
    """See ThreadSource. `kind` is `page` or `instagram`."""
    if api.usage >= SHARE:
        raise Transient(PullReason.rate_limited, "the rest of Meta's limit is for gaps")
    waiting = [one["comment"] for one in thread.items if one.get("comment")]
    comments = {
        str(one["id"]): one async for one in _comments(api, kind, thread.root) if one.get("id")
    }
    nodes = [
        Node(native_id, _parent(one) or thread.root, _id(one.get("from")))
        for native_id, one in comments.items()
    ]
    ours = concerning(nodes, waiting, thread.customers)
    versions = {
        native_id: _version(one) for native_id, one in comments.items() if native_id in ours
    }
    new, edited = changed(versions, thread.seen)
    place = {"id": thread.root}
    events = []
    for native_id in new:
        one = comments[native_id]
        change = instagram_change(one, place) if kind == "instagram" else comment_change(one, place)
        at = instant(one.get("created_time") or one.get("timestamp")) or now
        events.append(_event(kind, account_id, at, change))
    for native_id in edited if kind == "page" else ():
        change = comment_change(comments[native_id], place, "edited")
        events.append(_event(kind, account_id, now, change))
    missing = [one for one in dict.fromkeys((*waiting, *thread.seen)) if one not in comments]
    for native_id in missing[:ASKED_FOR]:
        if not await _is_there(api, native_id):
            missing.remove(native_id)
            events.append(gone(native_id, thread.root))
    body = orjson.dumps([event.payload for event in events])
    return Look(events, remembered(versions, missing, thread.seen), body)


async def _comments(api: GraphApi, kind: str, root: str) -> AsyncIterator[dict[str, Any]]:
    if kind == "instagram":
        fields = f"{REPLY},replies.limit(50){{{REPLY}}}"
        query = {"fields": fields, "limit": "50"}
    else:
        query = {
            "fields": COMMENT,
            "filter": "stream",
            "order": "reverse_chronological",
            "limit": "50",
        }
    read = 0
    try:
        async for page in api.pages(f"/{root}/comments", query):
            for comment in page:
                yield comment
                replies = comment.get("replies")
                for reply in (replies.get("data") if isinstance(replies, dict) else None) or ():
                    if isinstance(reply, dict):
                        yield {"parent_id": comment.get("id"), **reply}
            read += 1
            if read >= PAGES:
                return
    except Permanent as error:
        # The post is gone with all its comments: each of them is asked for.
        if error.reason is not PullReason.gone:
            raise


async def _is_there(api: GraphApi, native_id: str) -> bool:
    try:
        await api.get(f"/{native_id}", {"fields": "id"})
    except Permanent as error:
        if error.reason is PullReason.gone:
            return False
        raise
    return True


def _event(kind: str, account_id: str, at: datetime, change: dict[str, Any]) -> Event:
    entry = {"id": account_id, "time": int(at.timestamp()), "changes": [change]}
    payload = {"object": kind, "entry": [entry]}
    return Event("entry", payload, orjson.dumps(payload))


def _parent(comment: Mapping[str, Any]) -> str | None:
    return _id(comment.get("parent")) or comment.get("parent_id")


def _id(one: Any) -> str | None:
    return str(one["id"]) if isinstance(one, Mapping) and one.get("id") else None


def _version(comment: Mapping[str, Any]) -> str:
    """Meta gives edits no number: an edit shows by its words, of which only a mark is kept."""
    said = str(comment.get("message") or comment.get("text") or "")
    return hashlib.sha256(said.encode()).hexdigest()[:12]
