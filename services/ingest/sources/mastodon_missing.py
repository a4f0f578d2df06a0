"""Whether a status that the server does not show us is gone, or only hidden from us.

A server answers 404 to both. Somebody who blocks us still waits in the thread of whoever answers them, and
what they wrote is theirs: only what is surely gone is told as deleted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

ANYBODY = frozenset({"", "public", "unlisted"})
"""Visibilities with which a stranger is shown a status; "" where it is not known, which nearly all are."""
Shown = Callable[[str], Awaitable[bool | None]]
"""Whether anybody without a token is shown the status; None where the server shows strangers nothing."""
Blocked = Callable[[Collection[str]], Awaitable[bool | None]]
"""Whether one of these accounts blocks us; None where our token may not ask."""


class Missing:
    """For one look at one thread: people's blocks are asked for once."""

    def __init__(self, shown: Shown, blocked: Blocked, customers: Collection[str]) -> None:
        self._shown = shown
        self._blocked = blocked
        self._customers = customers
        self._asked = False
        self._blocks: bool | None = None

    async def is_gone(self, status: str, visibility: str = "") -> bool:
        """Unsure means no. Raises Transient or Permanent."""
        if visibility in ANYBODY:
            shown = await self._shown(status)
            if shown is not None:
                return not shown
        if not self._asked:
            self._blocks = await self._blocked(self._customers) if self._customers else None
            self._asked = True
        return self._blocks is False
