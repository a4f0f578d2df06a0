"""Golden messages, one file an event version and case: `<Event>.v<version>.<case>.json`.

They are the contract in the concrete: what is written today must read tomorrow. A change of an event
adds a version with new files and leaves the old ones standing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from services.contracts.base import Contract

__all__ = ["Example", "every", "of"]


@dataclass(frozen=True, slots=True)
class Example:
    """One golden message."""

    event: str
    """Name of the event's class."""
    version: int
    case: str
    payload: dict[str, Any]

    @property
    def name(self) -> str:
        """As the file is called, without its suffix."""
        return f"{self.event}.v{self.version}.{self.case}"


def every() -> tuple[Example, ...]:
    """All of them, by name. ValueError on a file whose name is not of the form above."""
    found = []
    for file in resources.files(__name__).iterdir():
        if not file.name.endswith(".json"):
            continue
        event, version, case, _ = file.name.split(".")
        payload = json.loads(file.read_text(encoding="utf-8"))
        found.append(Example(event, int(version.removeprefix("v")), case, payload))
    return tuple(sorted(found, key=lambda example: example.name))


def of(event: type[Contract]) -> tuple[Example, ...]:
    """Those of one event, every version."""
    return tuple(example for example in every() if example.event == event.__name__)
