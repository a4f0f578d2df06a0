"""What the tests of classify are made of: notifications, readings, raw records."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from confluent_kafka import Message

from services.classify.classifier import Classifier
from services.classify.domain.reading import Reading
from services.classify.engines.port import TextEngine
from services.classify.engines.sentence import SentenceEncoder
from services.classify.engines.stub import StubEngine
from services.classify.model import create_reader, load_engine
from services.classify.reader import Reader
from services.contracts import identity
from services.contracts.configuration import Costs
from services.contracts.events import (
    Author,
    ConversationRef,
    Direction,
    Kind,
    Notification,
    Verdict,
)
from services.contracts.topics import NOTIFICATIONS

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@cache
def reader() -> Reader:
    """One for all tests: building it loads a language model."""
    return create_reader()


@cache
def encoder() -> SentenceEncoder:
    """One for all tests: building it reads 30 MB."""
    return SentenceEncoder.load()


@cache
def shipped() -> TextEngine:
    """The built-in model."""
    return load_engine(None)


def reading(text: str, **given: Any) -> Reading:
    """A text as the service reads it."""
    return reader().read(text, **given)


def notification(
    text: str = "Where is my parcel?", native: str = "1", **given: Any
) -> Notification:
    """An inbound mention on X unless said otherwise."""
    item = identity.item_id("x", "42", native)
    fields: dict[str, Any] = {
        "event_id": identity.created(item),
        "item_id": item,
        "kinds": frozenset({Kind.mention}),
        "direction": Direction.inbound,
        "brand": "acme",
        "platform": "x",
        "account_id": "42",
        "conversation": ConversationRef(root=native, counterpart_id="7"),
        "author": Author(id="7", handle="anna", name="Anna"),
        "text": text,
        "source_time": NOW,
        "received_at": NOW,
    }
    return Notification(**(fields | given))


def verdict_on(item: Notification | str, engine: TextEngine | None = None, **given: Any) -> Verdict:
    """By the built-in model unless said otherwise."""
    asked = notification(item) if isinstance(item, str) else item
    costs = given.pop("costs", Costs())
    return Classifier(reader(), engine or shipped(), costs, **given).judge([asked])[0]


def raw(
    value: Notification | bytes,
    *,
    offset: int = 0,
    key: bytes | None = b"x:42:7",
    headers: list[tuple[str, str | bytes | None]] | None = None,
) -> Message:
    """A record as the consumer hands it over."""
    return Message(
        topic=NOTIFICATIONS.name,
        partition=0,
        offset=offset,
        key=key,
        value=value if isinstance(value, bytes) else value.to_bytes(),
        headers=headers,
        timestamp=(1, int(NOW.timestamp() * 1000)),
    )


def stub_classifier(**given: Any) -> Classifier:
    """Everything real but the engine."""
    return Classifier(reader(), StubEngine(**given), Costs())
