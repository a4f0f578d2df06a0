"""The sentences of a card, which every chat shows in its own layout."""

from __future__ import annotations

from services.alert.chat.text import clean, clip, one_line, second_of_day, time_of_day
from services.alert.domain.answering import Caution, Warned
from services.alert.domain.card import (
    Card,
    CardAct,
    CardLine,
    CardState,
    CardStatus,
    LineAct,
    StatusKind,
)

WHO_LIMIT = 80
SAYS_LIMIT = 200
HEADING_LIMIT = 600

_PLATFORMS = {
    "x": "X",
    "mastodon": "Mastodon",
    "facebook": "Facebook",
    "instagram": "Instagram",
    "bluesky": "Bluesky",
    "youtube": "YouTube",
    "email": "Email",
    "webhook": "Webhook",
    "rss": "RSS",
}

ACT_LABELS: dict[CardAct, str] = {
    CardAct.claim: "Claim",
    CardAct.answer: "Answer",
    CardAct.no_reply_needed: "No reply needed",
    CardAct.not_for_us: "Not for us",
    CardAct.snooze: "Snooze",
    CardAct.hand_over: "Hand over",
    CardAct.note: "Note for the team",
    CardAct.promise: "Note a promise",
    CardAct.answered_in_private: "Answered in private",
    CardAct.reopen: "Reopen",
}

LINKED = (CardAct.claim, CardAct.answer, CardAct.no_reply_needed, CardAct.not_for_us)
"""Those with a button of their own; the others stand in a menu, or on the episode's page."""

LINE_ACT_LABELS: dict[LineAct, str] = {
    LineAct.undo: "Undo",
    LineAct.approve: "Approve",
    LineAct.edit: "Edit",
    LineAct.reject: "Reject",
    LineAct.it_is_there: "It is there",
    LineAct.send_again: "Send again",
    LineAct.kept: "Promise kept",
}

STATUSES = 9
"""So many things that go on are shown; a card's line of context has ten places."""

_ENDED = {
    CardState.answered: "Answered",
    CardState.closed: "Closed without an answer",
    CardState.withdrawn: "Withdrawn by its author",
    CardState.relabelled: "Not for us",
    CardState.merged: "Continued on another card",
}


def platform(card: Card) -> str:
    """The platform as people write it."""
    return platform_named(card.platform)


def platform_named(name: str) -> str:
    """As people write it."""
    return _PLATFORMS.get(name, clip(one_line(name).capitalize(), WHO_LIMIT))


def who(card: Card) -> str:
    """The counterpart; a name is no place for a novel."""
    return clip(one_line(card.who), WHO_LIMIT)


def who_of(line: CardLine) -> str:
    """Who wrote a later message."""
    return clip(one_line(line.who), WHO_LIMIT)


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
    """What an answer would be: everybody reads it, or one person. A mark says it to who only glances."""
    account = clip(one_line(card.account).removeprefix("@"), WHO_LIMIT)
    named = account if card.platform == "email" else f"@{account}"
    return f"{'🌐 PUBLIC' if card.public else '🔒 PRIVATE'} on {platform(card)} as {named}"


def hidden(card: Card) -> str:
    """Stands where the words would be."""
    return f"Words hidden here ({clean(card.masked or 'private')}). Open the original to read them."


def ended(card: Card) -> str:
    """How it ended."""
    if card.ended:
        said = one_line(card.ended)
        return said[:1].upper() + said[1:]
    return _ENDED.get(card.state, card.state.value.capitalize())


def going_on(card: Card) -> list[str]:
    """What goes on beside the state: answers on their way, a snooze, promises."""
    return [_going_on(one, card.zone) for one in card.status[:STATUSES]]


def _going_on(one: CardStatus, zone: str) -> str:
    who = clip(one_line(one.who), WHO_LIMIT)
    says = clip(one_line(one.says or ""), SAYS_LIMIT)
    at = time_of_day(one.at, zone) if one.at else "soon"
    match one.kind:
        case StatusKind.review:
            return f"✍️ {who} wrote an answer: a second person sends it (see the thread)"
        case StatusKind.pending:
            return f"📤 {who}'s answer goes out at {second_of_day(one.at, zone)}"
        case StatusKind.sent:
            return f"📤 {who}'s answer is on its way"
        case StatusKind.limited:
            return f"⏳ {who}'s answer waits for the platform's limit until {at}"
        case StatusKind.refused:
            return f"⚠️ {who}'s answer was not posted" + (f": {says}" if says else "")
        case StatusKind.stopped:
            return f"{who}'s answer was not sent: the matter had ended"
        case StatusKind.unknown:
            return f"❓ Nobody can tell whether {who}'s answer arrived (see the thread)"
        case StatusKind.snoozed:
            late = ", past its due time" if one.beyond_due else ""
            return f"💤 Snoozed by {who} until {at}{late}"
        case StatusKind.promised:
            return f"🤝 {who} promised" + (f" “{says}”" if says else "") + f" by {at}"


def caution(warned: Warned, card: Card) -> str:
    """One thing to look at before an answer goes out."""
    about = clip(one_line(warned.about), SAYS_LIMIT)
    at = time_of_day(warned.at, card.zone) if warned.at else ""
    return {
        Caution.personal_data: f"Everybody can read it, and it holds {about}.",
        Caution.window_closing: f"The platform takes no answer after {at}.",
        Caution.newer_messages: f"They wrote again since you opened this ({about} newer): look first.",
        Caution.someone_writing: f"{about} has this form open too.",
        Caution.claimed: f"{about} has claimed it.",
        Caution.answer_under_way: f"An answer by {about} is on its way.",
        Caution.repeated: f"This very text was sent {about} times within the hour.",
        Caution.long: f"It may be too long for the server: {about} characters.",
    }[warned.caution]


def wrote_again(line: CardLine, card: Card) -> str:
    """Heads a later message in the thread, or a line of ours."""
    if line.says is not None:
        return clip(one_line(line.says), HEADING_LIMIT)
    return f"{who_of(line)} wrote again at {time_of_day(line.at, card.zone)}"


STALE = (
    "State may be stale: Presence was away or a source lagged. Check the original before answering."
)
