"""A bare text as a notification: what a person types into `presence classify`, or a labelled row holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from services.contracts import identity
from services.contracts.events import Author, ConversationRef, Direction, Kind, Notification

BARE_TIME: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Bare texts have no time; no rule for them looks at one."""


def as_notification(
    text: str,
    *,
    kinds: Iterable[Kind] = (Kind.mention,),
    addressed: bool = False,
    private: bool = False,
    title: str | None = None,
    author: Author | None = None,
    language_hint: str | None = None,
) -> Notification:
    """Judged as an inbound mention of the brand where nothing else is said."""
    item = identity.item_id("bare", "0", identity.content_hash({"text": text, "title": title}))
    return Notification(
        event_id=identity.created(item),
        item_id=item,
        kinds=frozenset(kinds),
        direction=Direction.inbound,
        brand="bare",
        platform="bare",
        account_id="0",
        conversation=ConversationRef(),
        author=author or Author(id="someone"),
        addressed=addressed,
        private=private,
        text=text,
        title=title,
        language_hint=language_hint,
        source_time=BARE_TIME,
        received_at=BARE_TIME,
    )
