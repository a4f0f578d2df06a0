"""What is sent: one request (or, for Mastodon, one streamed event), in the platform's own form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson


class Expect(StrEnum):
    """What a correct intake does with it."""

    accepted = "accepted"
    """2xx."""
    refused = "refused"
    """4xx."""
    told = "told"
    """2xx with a dead letter, or 4xx: never a 5xx, never silence."""


class Signing(StrEnum):
    """How the request is signed."""

    right = "right"
    wrong = "wrong"
    """With another secret."""
    old = "old"
    """Rightly, an hour ago."""


class Envelope(StrEnum):
    """How a generic webhook is wrapped."""

    standard = "standard"
    structured = "structured"
    """CloudEvents in one JSON document."""
    binary = "binary"
    """CloudEvents with its attributes in headers."""


@dataclass(frozen=True)
class Delivery:
    """One thing to send, `at` seconds after the start."""

    at: float
    source: str
    """The last part of the address: x, meta, shop, helpdesk, newswire; or mastodon (streamed)."""
    body: Any
    """The native payload; `raw` is sent in its place where that is given."""
    note: str
    """What it shows."""
    items: tuple[str, ...]
    """The keys of the story's lines that it carries."""
    raw: str | None = None
    expect: Expect = Expect.accepted
    signing: Signing = Signing.right
    envelope: Envelope = Envelope.standard
    delivery_id: str = ""
    """`webhook-id`, or the CloudEvent's id: the same when it is delivered again."""
    again: bool = False
    """Byte for byte what was sent before."""

    def content(self) -> bytes:
        """The bytes of the request's body."""
        return self.raw.encode() if self.raw is not None else orjson.dumps(self.body)

    def to_line(self) -> bytes:
        """One line of JSONL, for `presence replay` and for people to look at."""
        line: dict[str, Any] = {"at": self.at, "source": self.source}
        line |= {"body": self.body} if self.raw is None else {"raw": self.raw[:20_000]}
        line["note"] = self.note
        for name, value, default in (
            ("expect", self.expect.value, "accepted"),
            ("signing", self.signing.value, "right"),
            ("envelope", self.envelope.value, "standard"),
            ("delivery_id", self.delivery_id, ""),
        ):
            if value != default:
                line[name] = value
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
