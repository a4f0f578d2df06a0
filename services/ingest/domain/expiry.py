"""When a credential's end is near enough to tell a person."""

from __future__ import annotations

from datetime import datetime, timedelta

NEAR = timedelta(days=7)
"""Room for a weekend and for an app's review; deploy/prometheus warns at the same time."""


def expiry_warning(
    source: str, account_id: str, ends: datetime | None, now: datetime
) -> str | None:
    """What to tell of a token that ends at `ends`; None while there is nothing to tell."""
    if ends is None or ends - now > NEAR:
        return None
    verb = "expires" if ends > now else "expired"
    return (
        f"{source}: the token of {account_id} {verb} on {ends:%Y-%m-%d %H:%M} UTC: make a new one on the "
        "platform, put it into the variable that presence.yaml names, and restart ingest"
    )
