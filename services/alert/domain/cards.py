"""An episode as a card. What a shared place may not show is left out here, for every destination."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.alert.domain.card import Card, CardAct, CardLine, CardState, CardStatus, StatusKind
from services.alert.domain.groups import SHOWN_FROM
from services.alert.domain.items import Item
from services.alert.domain.response_time import span_in_words, time_left
from services.contracts.events import CloseReason, Urgency

HEADLINE = 90
"""Characters that a phone's lock screen shows."""
PLATFORMS = {
    "x": "X",
    "facebook": "Facebook",
    "instagram": "Instagram",
    "mastodon": "Mastodon",
    "bluesky": "Bluesky",
    "youtube": "YouTube",
    "email": "Email",
    "webhook": "Web",
    "rss": "RSS",
}
CLOSED = {
    CloseReason.no_reply_needed: "closed by {by}: no reply needed",
    CloseReason.do_not_feed: "closed by {by}: do not feed",
    CloseReason.handled_elsewhere: "closed by {by}: handled elsewhere",
    CloseReason.duplicate: "closed by {by}: duplicate",
    CloseReason.withdrawn: "deleted by its author before anybody answered",
    CloseReason.relabelled: "not for us, says {by}",
    CloseReason.merged: "belongs to an older card",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A stored episode with everything that its card needs."""

    episode_id: str
    version: int
    state: CardState
    brand: str
    """The brand's name."""
    platform: str
    account: str
    items: Sequence[Item]
    """The person's messages, in order."""
    opened_at: datetime
    due_at: datetime | None
    zone: str
    claimed_by: str | None = None
    """The person's name."""
    reason: CloseReason | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    """The person's name, where one is known."""
    reopened: bool = False
    checklist: tuple[str, ...] = ()
    stale: bool = False
    status: tuple[CardStatus, ...] = ()
    answerable: bool = False
    """Whether it can be answered from Presence."""
    linked: bool = False
    """Answered by a person's word that a private message counts."""
    alike: int = 0
    """How many people write much the same, this one among them."""


def one_line(text: str) -> str:
    """Plain text on one line: no controls, no runs of space. Joiners stay: emoji and Persian need them."""
    cleared = re.sub(r"[\s\x00-\x1f\x7f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069]+", " ", text)
    return cleared.strip(" \u200c\u200d")


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where something is missing."""
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip(" \u200d") + "…"


def who_in_words(item: Item) -> str:
    """Name and handle as far as they are known."""
    name = one_line(item.shown.name or "")
    handle = f"@{one_line(item.shown.handle)}" if item.shown.handle else ""
    return " ".join(part for part in (name, handle) if part) or "somebody"


def _sensitive(items: Sequence[Item]) -> tuple[str, ...]:
    return tuple(sorted({flag.value for item in items for flag in item.sensitive}))


def _masked(standing: Standing) -> str | None:
    flags = _sensitive(standing.items)
    if flags:
        return "sensitive: " + ", ".join(flag.replace("_", " ") for flag in flags)
    if any(item.private for item in standing.items):
        return "private message"
    return None


def card_for(standing: Standing, now: datetime, *, shared: bool) -> Card:
    """The card as it is at `now`. `shared`: people beyond those on call read the place it goes to."""
    items = standing.items
    first = next((item for item in items if item.deleted_at is None), items[0])
    mask = _masked(standing)
    hidden = mask if shared else None
    words = None if hidden else _words(first)
    live = standing.state.live
    return Card(
        episode_id=standing.episode_id,
        version=standing.version,
        state=standing.state,
        headline=headline(standing, first, now, secret=mask is not None),
        brand=standing.brand,
        platform=standing.platform,
        account=standing.account,
        who=who_in_words(first),
        words=words,
        masked=hidden,
        why=_why(standing, first),
        public=not first.private,
        due_at=standing.due_at,
        zone=standing.zone,
        permalink=first.shown.permalink,
        claimed_by=standing.claimed_by,
        ended=_ended(standing),
        urgent=any(item.urgency is Urgency.high for item in items),
        sensitive=_sensitive(items),
        checklist=standing.checklist,
        thread=tuple(
            line_for(item, hide=hidden is not None) for item in items if item is not first
        ),
        stale=standing.stale,
        acts=_acts(standing) if live else _acts_afterwards(standing),
        status=tuple(_shown(one, hidden=hidden is not None) for one in standing.status),
    )


def line_for(item: Item, *, hide: bool) -> CardLine:
    """One later message, for the card's thread."""
    return CardLine(
        item_id=item.id,
        who=who_in_words(item),
        at=item.source_time,
        words=None if hide else _words(item),
    )


def hides(items: Sequence[Item], *, shared: bool) -> bool:
    """Whether the words of these items are masked in such a place."""
    secret = any(item.private or item.sensitive for item in items)
    return shared and secret


def headline(standing: Standing, first: Item, now: datetime, *, secret: bool) -> str:
    """`time left · platform · who · their words`: at most HEADLINE characters of plain text."""
    lead = time_left(standing.due_at, now) if standing.state.live else standing.state.value
    parts = [
        lead,
        PLATFORMS.get(standing.platform, standing.platform),
        cut(who_in_words(first), 32),
    ]
    if secret:
        parts.append("sensitive" if _sensitive(standing.items) else "private message")
    elif first.deleted_at is None:
        parts.append(one_line(first.shown.text))
    return cut(one_line(" · ".join(part for part in parts if part)), HEADLINE)


def _words(item: Item) -> str:
    return "(deleted by its author)" if item.deleted_at is not None else item.shown.text


def _why(standing: Standing, first: Item) -> str:
    why = _reason(standing, first)
    if standing.alike >= SHOWN_FROM:
        why = f"{why}; one of {standing.alike} like it"
    return why


def _reason(standing: Standing, first: Item) -> str:
    if standing.reopened:
        return "The answer was deleted, so this person waits again"
    if first.relabel is not None and not first.relabelled_away:
        return "A person said that this is a conversation"
    return "; ".join(first.shown.why[:3]) or "Somebody wrote to or about the brand"


def _ended(standing: Standing) -> str | None:
    if standing.reason is None or standing.ended_at is None:
        return None
    if standing.reason is not CloseReason.answered:
        return CLOSED[standing.reason].format(by=standing.ended_by or "somebody")
    took = span_in_words(standing.ended_at - standing.opened_at)
    by = f" by {standing.ended_by}" if standing.ended_by else ""
    return f"answered{by} after {took}"


def _acts(standing: Standing) -> tuple[CardAct, ...]:
    claim = (CardAct.claim,) if standing.state is CardState.open else ()
    answer = (CardAct.answer,) if standing.answerable else ()
    elsewhere = () if standing.items[0].private else (CardAct.answered_in_private,)
    return (
        *claim,
        *answer,
        CardAct.no_reply_needed,
        CardAct.not_for_us,
        CardAct.snooze,
        CardAct.hand_over,
        CardAct.note,
        CardAct.promise,
        *elsewhere,
    )


def _acts_afterwards(standing: Standing) -> tuple[CardAct, ...]:
    """What can still be done about an ended episode."""
    if standing.state is CardState.merged or standing.state is CardState.withdrawn:
        return ()
    by_a_person = standing.reason is not CloseReason.answered or standing.linked
    reopen = (CardAct.reopen,) if by_a_person else ()
    return (*reopen, CardAct.promise, CardAct.note)


def _shown(status: CardStatus, *, hidden: bool) -> CardStatus:
    """Where words are masked, what was promised is too: it may repeat them."""
    return replace(status, says=None) if hidden and status.kind is StatusKind.promised else status
