"""What the engineers or the team should know about the pipeline itself."""

from __future__ import annotations

from typing import Literal

from services.contracts.base import Contract, Moment, StrEnum


class NoticeKind(StrEnum):
    """What the engineers or the team should know about the pipeline itself."""

    silence = "silence"
    caught_up = "caught_up"
    token = "token"  # noqa: S105
    source_down = "source_down"
    source_up = "source_up"
    dead_letter_limit = "dead_letter_limit"
    dead_letter_resumed = "dead_letter_resumed"
    offset_out_of_range = "offset_out_of_range"
    classifier_degraded = "classifier_degraded"
    gap = "gap"
    """Something was left out and is not read later: a person looks at the platform itself."""
    destination_down = "destination_down"
    """A chat takes no messages; `source` is the destination's id."""
    destination_up = "destination_up"
    restart_needed = "restart_needed"
    """A changed presence.yaml touches what a service reads only when it starts."""
    restarted = "restarted"


class Notice(Contract):
    """Something about a source or a service, not about a customer."""

    schema_version: Literal[1] = 1
    kind: NoticeKind
    service: str
    source: str
    account_id: str | None = None
    says: str
    """One line: what is wrong and what to do."""
    at: Moment
    until: Moment | None = None

    @property
    def key(self) -> str:
        """Source and account."""
        return f"{self.source}:{self.account_id or ''}"
