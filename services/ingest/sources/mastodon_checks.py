"""Whether a Mastodon token may read what Presence listens to."""

from __future__ import annotations

from services.ingest.sources.pulled import PulledSource, PullReason
from services.runtime.checks import Finding, good, wrong
from services.runtime.errors import Permanent


async def may_read(source: PulledSource, secret: str) -> Finding:
    """Read one page of each feed: the server says best which scope is missing."""
    missing = []
    for feed in source.feeds:
        try:
            await source.page(feed, None)
        except Permanent as error:
            if error.reason is not PullReason.credentials:
                raise
            missing.append(f"read:{feed}")
    if missing:
        says = f"the token may not read: {', '.join(missing)} is missing"
        mend = f"make a token with read:accounts read:notifications read:statuses, put it into {secret}"
        return wrong(says, mend)
    return good("the token is this account's and reads its notifications and statuses")
