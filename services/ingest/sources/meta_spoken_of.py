"""Where people speak of a page and not under its posts: recommendations, and posts that tag it.

Neither is in the page's feed, so a gap of the webhook would lose them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from services.ingest.domain.native import instant
from services.ingest.sources.meta_forms import mention_change, rating_change
from services.ingest.sources.meta_graph_api import GraphApi

Said = tuple[datetime, dict[str, Any], dict[str, Any]]
"""When, what Graph tells (with its `from`), and the same in the webhook's form."""
RATINGS, TAGGED = "ratings", "tagged"
_FIELDS = {
    RATINGS: "created_time,open_graph_story{id},review_text,reviewer{id,name}",
    TAGGED: "id,from,message,created_time,permalink_url",
}


async def spoken_of(api: GraphApi, page: str, edge: str, begin: datetime) -> AsyncIterator[Said]:
    """What was said since `begin` on one of the two edges, the newest first. Raises Transient, Permanent."""
    query = {"fields": _FIELDS[edge], "limit": "25"}
    async for listed in api.pages(f"/{page}/{edge}", query):
        for one in listed:
            at = instant(one.get("created_time"))
            if at is None:
                continue
            if at < begin:
                return
            if edge == TAGGED:
                yield at, one, mention_change(one)
            elif isinstance(one.get("open_graph_story"), dict):
                # Without its story a recommendation has no id that the webhook would have told.
                yield at, {**one, "from": one.get("reviewer")}, rating_change(one)
