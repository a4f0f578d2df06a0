"""The story set in time: every line gets the id and the moment that its platform would give it.

Ids hold their time, as the platforms' own do, so a story that starts at another moment has other ids
and is new to everybody who dedupes by them. The same start gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from deploy.local.demo.cast import FACEBOOK_ID, digits
from deploy.local.demo.script import Line

_X_EPOCH_MS = 1_288_834_974_657


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _native_id(line: Line, moment: datetime, number: int) -> str:
    ms = _milliseconds(moment)
    if line.platform == "x":
        return str((ms - _X_EPOCH_MS) << 22 | (number & 0x3FFFFF))
    if line.platform == "mastodon":
        return str(ms << 16 | (number & 0xFFFF))
    if line.form == "direct" and line.platform in ("facebook", "instagram"):
        return "m_" + hashlib.sha256(f"{line.key}/{ms}".encode()).hexdigest()[:44]
    if line.platform == "facebook":
        return f"{ms}{number:03d}"
    if line.platform == "instagram":
        return f"18{ms}{number % 100:02d}"
    prefix = {"shop": "rev", "helpdesk": "tkt", "newswire": "art"}[line.platform]
    return f"{prefix}_{ms}{number:03d}"


class Placed(NamedTuple):
    """A line with its moment and its native id."""

    line: Line
    id: str
    moment: datetime

    @property
    def ms(self) -> int:
        """Its moment in milliseconds of Unix time."""
        return _milliseconds(self.moment)

    @property
    def s(self) -> int:
        """Its moment in whole seconds of Unix time."""
        return self.ms // 1000


@dataclass(frozen=True)
class World:
    """Every line with its place in time."""

    start: datetime
    placed: dict[str, Placed]

    @classmethod
    def of(cls, lines: Sequence[Line], start: datetime, pace: float = 1.0) -> World:
        """Set the lines in time; `start` is aware, and cut to milliseconds."""
        start = start.astimezone(UTC)
        start = start.replace(microsecond=start.microsecond // 1000 * 1000)
        placed = {}
        for number, line in enumerate(lines):
            moment = start + timedelta(milliseconds=round(line.at * 1000 / pace))
            placed[line.key] = Placed(line, _native_id(line, moment, number), moment)
        return cls(start, placed)

    def about(self, placed: Placed) -> Placed:
        """What it answers or acts on."""
        if placed.line.re is None:
            raise LookupError(f"{placed.line.key} answers nothing")
        return self.placed[placed.line.re]

    def root(self, placed: Placed) -> Placed:
        """The first item of its thread."""
        while placed.line.re is not None:
            placed = self.about(placed)
        return placed

    def post_id(self, placed: Placed) -> str:
        """Facebook's id of the post at the top of the thread: `page_post`."""
        return f"{FACEBOOK_ID}_{self.root(placed).id}"

    def token(self, seed: str, length: int = 24) -> str:
        """A made-up id that is new in every run."""
        return hashlib.sha256(f"{seed}/{self.start.isoformat()}".encode()).hexdigest()[:length]

    def number(self, seed: str, length: int = 15) -> str:
        """The same, in digits."""
        return digits(f"{seed}/{self.start.isoformat()}", length)
