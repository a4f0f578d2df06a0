"""W3C trace context (https://www.w3.org/TR/trace-context/): one id for a message's whole way.

Presence sends no spans. It keeps the sender's trace where there is one, so that a card can be followed
back to the request that brought it, in whatever tool the sender and the proxies report to.
"""

from __future__ import annotations

import os
import re

HEADER = "traceparent"
_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")


def continued(given: str | None) -> str:
    """The given trace with a span of ours in it; a new one where none is given, or no valid one."""
    found = _FORM.fullmatch(given or "")
    trace, flags = found.groups() if found else (os.urandom(16).hex(), "00")
    return f"00-{trace}-{os.urandom(8).hex()}-{flags}"
