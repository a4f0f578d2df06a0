"""What people say of a verdict."""

from __future__ import annotations

from typing import Literal

from services.contracts.base import Contract, Moment
from services.contracts.events.verdict import Label


class Corrected(Contract):
    """What a correction says of its item, so that classify can learn from the correction alone."""

    platform: str
    author: str
    """The platform's immutable id of who wrote it."""
    language: str = "und"
    similarity: str | None = None
    """The item's signature, as in its verdict."""
    addressed: bool = False
    private: bool = False
    sensitive: bool = False
    """Flagged when it was judged: its correction holds for the item itself and teaches nothing else."""
    text: str | None = None
    """For `presence train --corrections`; never of what is private, sensitive or deleted."""


class Correction(Contract):
    """A person's relabel of one item. Compacted by item id: the last one holds."""

    schema_version: Literal[1] = 1
    item_id: str
    from_label: Label
    to_label: Label
    by: str
    """The person's id in presence.yaml."""
    at: Moment
    reason: str | None = None
    about: Corrected | None = None
    """None in what was written before classify learned from corrections."""
    retracted: bool | None = None
    """Taken back: the classifier's own word holds again, and nothing is learned."""
