"""What classify found, and what another model would have said."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import orjson
from pydantic import Field

from services.contracts.base import Contract, Moment, SortedSet, StrEnum
from services.contracts.events.notification import Notification


class Label(StrEnum):
    """What the item is: a person who talks to or about the brand, a scam or promotion, or news."""

    conversation = "conversation"
    spam = "spam"
    news = "news"


class Sensitive(StrEnum):
    """What overrides every label and takes its own route."""

    self_harm = "self_harm"
    threat = "threat"
    safety = "safety"
    medical = "medical"
    minor = "minor"
    legal = "legal"
    press = "press"
    discrimination = "discrimination"
    data_leak = "data_leak"


class Urgency(StrEnum):
    """How soon a person is needed."""

    low = "low"
    normal = "normal"
    high = "high"


class Reason(Contract):
    """One named piece of evidence, in words a responder understands."""

    layer: str
    """metadata, structure, spam_sign, repetition, text, sensitive, correction."""
    name: str
    says: str
    weight: float = 0.0
    """Its share of the decision, positive towards the label."""


class Verdict(Contract):
    """What classify found."""

    label: Label
    scores: dict[Label, float] = Field(min_length=len(Label))
    """One score a label, adding up to 1. So many keys of this type are every label, exactly once."""
    needs_answer: float = Field(ge=0, le=1)
    urgency: Urgency = Urgency.normal
    sensitive: SortedSet[Sensitive] = frozenset()
    impersonates: str | None = None
    """The brand account id that the author's handle or name looks like."""
    language: str = "und"
    """BCP 47; `und` where it cannot be told."""
    similarity: str | None = None
    """A signature of 32 hex digits: near-duplicates differ in few of its 128 bits (docs/classifier.md)."""
    held: bool = False
    """Looks like spam or news but is addressed to us: counted and shown, never dropped."""
    reasons: tuple[Reason, ...] = ()
    engine: str
    model: str
    """Name and content hash of the model."""


class ClassifiedNotification(Contract):
    """A notification with its verdict, or with none where nothing is to be judged."""

    schema_version: Literal[1] = 1
    notification: Notification
    verdict: Verdict | None = None
    classified_at: Moment

    @staticmethod
    def bytes_around(
        notification: bytes, verdict: Verdict | None, classified_at: datetime
    ) -> bytes:
        """The wire form around the bytes of a notification that was read: to write it anew costs the most.

        `classified_at` is aware. Fields of a newer version go along; readers drop them.
        """
        judged = b',"verdict":' + verdict.to_bytes() if verdict is not None else b""
        at = orjson.dumps(classified_at, option=orjson.OPT_UTC_Z)
        return b'{"schema_version":1,"notification":%b%b,"classified_at":%b}' % (
            notification,
            judged,
            at,
        )


class Opinion(Contract):
    """What one model says of an item, before anybody's corrections."""

    label: Label
    scores: dict[Label, float]
    needs_answer: float = Field(ge=0, le=1)
    model: str


class Comparison(Contract):
    """A challenger beside the model that serves, on one item. Changes nothing; holds no text."""

    schema_version: Literal[1] = 1
    item_id: str
    champion: Opinion
    """Of the model that serves: what went out."""
    challenger: Opinion
    language: str = "und"
    addressed: bool = False
    at: Moment
