"""Faults on demand: what a test wants Slack to do wrong, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """What goes wrong."""

    rate_limited = "rate_limited"
    """429 with Retry-After, nothing done."""
    error = "error"
    """HTTP 200 with `ok: false` and this error, nothing done."""
    status = "status"
    """This HTTP status, nothing done."""
    lost_answer = "lost_answer"
    """Done, and the answer is an HTTP 502: the sender cannot know."""
    slow = "slow"
    """Done after so many seconds."""


@dataclass
class Fault:
    """One fault that waits for its call."""

    method: str
    """Like chat.postMessage; `*` is any."""
    kind: FaultKind
    times: int = 1
    """How often; 0 is until it is cleared."""
    error: str = "internal_error"
    status: int = 503
    seconds: float = 1.0
    """Of Retry-After, or of slowness."""

    @classmethod
    def read(cls, body: dict[str, Any]) -> Fault:
        """From the body of `POST /_test/faults`. Raises KeyError, ValueError or TypeError."""
        fields = {
            name: body[name] for name in ("times", "error", "status", "seconds") if name in body
        }
        return cls(method=str(body["method"]), kind=FaultKind(body["kind"]), **fields)


class Faults:
    """Those that wait, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let this happen from the next call on."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Let everything work again."""
        self._waiting.clear()

    def take(self, method: str) -> Fault | None:
        """What goes wrong with this call."""
        for fault in self._waiting:
            if fault.method in (method, "*"):
                if fault.times == 1:
                    self._waiting.remove(fault)
                elif fault.times > 1:
                    fault.times -= 1
                return fault
        return None
