"""Another look at a thread by Bluesky's AppView: one request, and one for each post that is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import orjson

from services.ingest.domain.threads import Node, Thread, changed, concerning, remembered
from services.ingest.sources.bluesky import EDITED_IN_THREAD, GONE, IN_THREAD
from services.ingest.sources.bluesky_session import Answered, BlueskySession
from services.ingest.sources.pulled import Event, Look, PullReason
from services.runtime.errors import Transient

DEPTH = 100
"""Answers to answers; the AppView itself shows fewer."""
ASKED_FOR = 10
"""Missing posts that are asked for after one look; the others after the next."""
OTHER_WAYS = 3
"""Waiting posts whose own thread is read where the root is gone."""


async def look(
    session: BlueskySession, gone: Callable[[str], Awaitable[bool]], thread: Thread
) -> Look:
    """See ThreadSource. `gone` asks the network whether it still has a record."""
    waiting = [one["uri"] for one in thread.items if one.get("uri")]
    posts: dict[str, dict[str, Any]] = {}
    for start in dict.fromkeys((thread.root, *waiting[:OTHER_WAYS])):
        if start not in posts:
            posts |= await _posts(session, start)
    nodes = [
        Node(uri, _of(one, "record", "reply", "parent", "uri"), _of(one, "author", "did"))
        for uri, one in posts.items()
    ]
    ours = concerning(nodes, waiting, thread.customers)
    # Who sees a post later sees other counts; its content has an id of its own.
    versions = {uri: str(one.get("cid") or "") for uri, one in posts.items() if uri in ours}
    new, edited = changed(versions, thread.seen)
    events = [_event(IN_THREAD, posts[uri]) for uri in new]
    events += [_event(EDITED_IN_THREAD, posts[uri]) for uri in edited]
    missing = {**dict.fromkeys(waiting, ""), **thread.seen}
    missing = {uri: one for uri, one in missing.items() if uri not in posts}
    for uri in list(missing)[:ASKED_FOR]:
        if await gone(uri):
            del missing[uri]
            events.append(_event(GONE, {"uri": uri, "root": thread.root}))
    body = orjson.dumps([event.payload for event in events])
    return Look(events, remembered(versions, missing, thread.seen), body)


async def _posts(session: BlueskySession, start: str) -> dict[str, dict[str, Any]]:
    """The post and all below it, as far as the AppView shows them to us."""
    try:
        found = await session.get(
            "app.bsky.feed.getPostThread", uri=start, depth=DEPTH, parentHeight=0
        )
    except Answered as answer:
        if answer.code == "NotFound":
            return {}
        raise
    tree = found.get("thread") if isinstance(found, dict) else None
    if not isinstance(tree, dict):
        raise Transient(PullReason.unexpected, "getPostThread: no thread")
    return dict(_walk(tree))


def _walk(tree: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Without recursion: how deep a thread goes is up to strangers."""
    branches = [tree]
    while branches:
        branch = branches.pop()
        post = branch.get("post")
        if isinstance(post, dict) and isinstance(post.get("uri"), str):
            yield post["uri"], post
        replies = branch.get("replies")
        branches += [one for one in replies or () if isinstance(one, dict)][::-1]


def _of(one: dict[str, Any], *path: str) -> str | None:
    found: Any = one
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None


def _event(name: str, payload: dict[str, Any]) -> Event:
    return Event(name, payload, orjson.dumps(payload))
