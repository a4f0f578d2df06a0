"""What takes presses, whichever chat they come from: the real episodes' handlers, and a practice's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

Answer = dict[str, Any] | None
"""The body of the 200; None: empty."""


class SlackPresses(Protocol):
    """Takes Slack's interactions."""

    async def handle(self, payload: dict[str, Any]) -> Answer:
        """One interaction. Raises KeyError, TypeError or ValueError for what is not Slack's."""
        ...

    async def drain(self) -> None:
        """Wait for acts that outlived their request."""
        ...


class TeamsPresses(Protocol):
    """Takes a bot's activities."""

    async def handle(self, activity: Mapping[str, Any], app_id: str) -> Answer:
        """One activity. Raises KeyError, TypeError or ValueError for one that is not Teams'."""
        ...
