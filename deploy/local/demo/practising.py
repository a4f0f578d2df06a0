"""A part of the story for training: a quarter of an hour of a new responder's day, as notifications.

Little of each scene, so that one person can keep up; the brand's own answers are in it, for the debrief.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from deploy.local.demo import script
from deploy.local.demo.cast import BRAND_IDS
from deploy.local.demo.script import Line
from services.contracts import identity
from services.contracts.events import Author, ConversationRef, Direction, Kind, Notification

BRAND = "aurora"
STRETCHED = 40.0
"""One second of the story is so many in training: a person has to read, think and write."""
SCENES = {
    "x-first": 4,
    "x-first-answers": 9,
    "shop-reviews": 2,
    "fedi-talk": 2,
    "messenger": 8,
    "x-news": 1,
    "x-chatter": 1,
    "x-scam": 2,
    "x-safety": 1,
    "x-sensitive-answers": 9,
    "x-press": 1,
}
"""Scenes, and how many lines of each."""
_WEBHOOKS = {"shop", "helpdesk", "newswire"}
_KINDS = {
    "mention": Kind.mention,
    "reply": Kind.reply,
    "direct": Kind.direct,
    "comment": Kind.comment,
    "review": Kind.review,
}


def notifications(start: datetime) -> list[Notification]:
    """In the order of their time; `start` is aware."""
    lines = {line.key: line for line in script.read()}
    found = [_notification(line, lines, start) for line in _chosen(lines)]
    return sorted(found, key=lambda one: one.source_time)


def _chosen(lines: dict[str, Line]) -> Iterator[Line]:
    taken: Counter[str] = Counter()
    keys: set[str] = set()
    for line in lines.values():
        says = line.act == "say" and line.form in _KINDS and line.app is None
        if says and taken[line.scene] < SCENES.get(line.scene, 0) and line.re in {None, *keys}:
            taken[line.scene] += 1
            keys.add(line.key)
            yield line


def _notification(line: Line, lines: dict[str, Line], start: datetime) -> Notification:
    about = lines.get(line.re or "")
    root = line
    while (above := lines.get(root.re or "")) is not None:
        root = above
    other = about.who if line.who.is_brand and about is not None else line.who
    private = line.form == "direct"
    at = start + timedelta(seconds=line.at * STRETCHED)
    item = _item(line)
    return Notification(
        event_id=identity.created(item),
        item_id=item,
        kinds=frozenset({_KINDS[line.form]}),
        direction=Direction.outbound if line.who.is_brand else Direction.inbound,
        brand=BRAND,
        platform=_platform(line),
        account_id=BRAND_IDS[line.platform],
        conversation=ConversationRef(root=None if private else root.key, counterpart_id=other.id),
        in_reply_to=_item(about) if about is not None else None,
        author=Author(
            id=BRAND_IDS[line.platform] if line.who.is_brand else line.who.id,
            handle=line.who.handle,
            name=line.who.name,
        ),
        addressed=private or line.form in ("comment", "review", "reply"),
        private=private,
        text=line.text,
        language_hint=None,
        source_time=at,
        received_at=at,
    )


def _platform(line: Line) -> str:
    return "webhook" if line.platform in _WEBHOOKS else line.platform


def _item(line: Line) -> str:
    return identity.item_id(_platform(line), BRAND_IDS[line.platform], line.key)
