"""What can go wrong, in two kinds: what passes by itself, and what does not."""

from __future__ import annotations

from enum import StrEnum


class PresenceError(Exception):
    """The base of what our adapters raise.

    `reason` is a member of the adapter's own bounded enum: the same word stands in logs, the database
    and metric labels. `detail` is for people and never holds a secret.
    """

    def __init__(self, reason: StrEnum, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class Transient(PresenceError):
    """It may work later. `retry_after` is what the other side asked for, in seconds."""

    def __init__(
        self, reason: StrEnum, detail: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(reason, detail)
        self.retry_after = retry_after


class Permanent(PresenceError):
    """Trying again changes nothing."""


class WrongConfiguration(Exception):
    """A setting or presence.yaml is wrong. The message is for the person who wrote it; exit code 2."""
