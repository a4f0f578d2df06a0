"""How often one person is pinged: at most PINGS in PINGS_WITHIN. Pure.

A ping about something sensitive neither counts nor waits; whoever calls leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

PINGS = 5
PINGS_WITHIN = timedelta(minutes=10)


def next_ping(pinged: Iterable[datetime], now: datetime) -> datetime:
    """When one more ping is allowed: `now`, or when the oldest that is in the way is ten minutes old.

    `pinged` may hold times to come: pings that wait for their turn.
    """
    late = sorted((at for at in pinged if at > now - PINGS_WITHIN), reverse=True)
    return now if len(late) < PINGS else late[PINGS - 1] + PINGS_WITHIN
