"""The sentences of a card, which every chat shows in its own layout."""

from __future__ import annotations

from services.alert.chat.text import clean, clip, one_line, time_of_day
from services.alert.domain.card import Card, CardAct, CardLine, CardState

WHO_LIMIT = 80

_PLATFORMS = {
    "x": "X",
    "mastodon": "Mastodon",
    "facebook": "Facebook",
    "instagram": "Instagram",
    "bluesky": "Bluesky",
    "email": "Email",
    "webhook": "Webhook",
    "rss": "RSS",
}

ACT_LABELS: dict[CardAct, str] = {
    CardAct.claim: "Claim",
    CardAct.no_reply_needed: "No reply needed",
    CardAct.not_for_us: "Not for us",
}

_ENDED = {
    CardState.answered: "Answered",
    CardState.closed: "Closed without an answer",
    CardState.withdrawn: "Withdrawn by its author",
    CardState.relabelled: "Not for us",
    CardState.merged: "Continued on another card",
}


def platform(card: Card) -> str:
    """The platform as people write it."""
    return _PLATFORMS.get(card.platform, one_line(card.platform).capitalize())


def who(card: Card) -> str:
    """The counterpart; a name is no place for a novel."""
    return clip(one_line(card.who), WHO_LIMIT)


def title(card: Card) -> str:
    """Who it is and where: `Urgent · Mastodon · Ana (@ana)`."""
    marks = []
    if card.sensitive:
        flags = ", ".join(flag.replace("_", " ") for flag in card.sensitive)
        marks.append(f"⚠️ Sensitive: {flags}")
    if card.urgent:
        marks.append("🔺 Urgent")
    return " · ".join([*marks, platform(card), who(card)])


def holder(card: Card) -> str:
    """Who has it."""
    if card.claimed_by:
        return f"{one_line(card.claimed_by)} has it"
    return "Nobody has it yet"


def due(card: Card) -> str | None:
    """By when a human should have answered, as a time of day."""
    return None if card.due_at is None else f"Answer by {time_of_day(card.due_at, card.zone)}"


def where_to_answer(card: Card) -> str:
    """What an answer would be: everybody reads it, or one person."""
    account = one_line(card.account).removeprefix("@")
    return f"{'PUBLIC' if card.public else 'PRIVATE'} on {platform(card)} as @{account}"


def hidden(card: Card) -> str:
    """Stands where the words would be."""
    return f"Words hidden here ({clean(card.masked or 'private')}). Open the original to read them."


def ended(card: Card) -> str:
    """How it ended."""
    if card.ended:
        said = one_line(card.ended)
        return said[:1].upper() + said[1:]
    return _ENDED.get(card.state, card.state.value.capitalize())


def wrote_again(line: CardLine, card: Card) -> str:
    """Heads a later message in the thread."""
    return f"{clip(one_line(line.who), WHO_LIMIT)} wrote again at {time_of_day(line.at, card.zone)}"


STALE = (
    "State may be stale: Presence was away or a source lagged. Check the original before answering."
)
