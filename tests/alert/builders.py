"""Small builders for alert's tests: one sentence of a story a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.alert.domain.items import Item, Relabel
from services.contracts import identity
from services.contracts.configuration import Configuration
from services.contracts.events import (
    Action,
    Author,
    ClassifiedNotification,
    ConversationRef,
    Direction,
    Kind,
    Label,
    Mention,
    Notification,
    Origin,
    Sensitive,
    Urgency,
    Verdict,
)
from services.runtime.configuration import parse

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday morning; times in stories are minutes after it."""
ACCOUNT = "4001"


def at(minutes: float) -> datetime:
    """So many minutes into the story."""
    return MONDAY + timedelta(minutes=minutes)


def iid(native: str, platform: str = "x") -> str:
    """The item id of a native id on our account."""
    return identity.item_id(platform, ACCOUNT, native)


def question(native: str, minutes: float, who: str = "ana", **changes: Any) -> Item:
    """Somebody's message that needs an answer."""
    facts: dict[str, Any] = {
        "id": iid(native),
        "platform": "x",
        "account_id": ACCOUNT,
        "brand": "air",
        "inbound": True,
        "author_id": who,
        "counterpart_id": who,
        "source_time": at(minutes),
        "received_at": at(minutes),
        "classified_at": at(minutes),
        "opens": True,
        "label": Label.conversation,
    }
    return Item(**{**facts, **changes})


def chatter(native: str, minutes: float, who: str = "ana", **changes: Any) -> Item:
    """Somebody's message that waits for nobody: "thanks!"."""
    return question(native, minutes, who, **{"opens": False, **changes})


def answer(native: str, minutes: float, to: str | None = "ana", **changes: Any) -> Item:
    """The brand's reply to somebody."""
    given = {"inbound": False, "author_id": ACCOUNT, "opens": False, "label": None, **changes}
    return question(native, minutes, to or ACCOUNT, **{"counterpart_id": to, **given})


def relabel(to: Label, minutes: float, anchor: str | None = None) -> Relabel:
    """Mia's word on an item."""
    return Relabel(f"relabel-{minutes}", to, "mia", at(minutes), anchor and iid(anchor))


def verdict(needs_answer: float = 0.9, **changes: Any) -> Verdict:
    """What classify found: a conversation that needs an answer."""
    label = changes.pop("label", Label.conversation)
    scores = {one: 0.9 if one is label else 0.05 for one in Label}
    return Verdict(
        label=label,
        scores=scores,
        needs_answer=needs_answer,
        engine="test",
        model="test",
        **changes,
    )


def notified(
    native: str,
    moment: datetime,
    who: str = "ana",
    *,
    action: Action = Action.created,
    version: str = "2",
    outbound: bool = False,
    to: str | None = None,
    root: str | None = None,
    parent: str | None = None,
    text: str = "My flight was cancelled, what now?",
    judged: Verdict | None = None,
    private: bool = False,
    platform: str = "x",
    mentions: tuple[str, ...] = (),
    **changes: Any,
) -> ClassifiedNotification:
    """An event as it comes from classify. Inbound creations get a verdict that needs an answer."""
    item = iid(native, platform)
    event_id = {
        Action.created: identity.created(item),
        Action.edited: identity.edited(item, version),
        Action.deleted: identity.deleted(item),
    }[action]
    said = Notification(
        event_id=event_id,
        item_id=item,
        action=action,
        kinds=frozenset({Kind.direct if private else Kind.mention}),
        direction=Direction.outbound if outbound else Direction.inbound,
        brand="air",
        platform=platform,
        account_id=ACCOUNT,
        conversation=ConversationRef(root=root, counterpart_id=to if outbound else who),
        in_reply_to=iid(parent, platform) if parent else None,
        author=Author(id=ACCOUNT if outbound else who, handle=who, name=who.title()),
        private=private,
        text=text,
        mentions=tuple(Mention(id=one) for one in mentions),
        source_time=moment,
        received_at=changes.pop("received_at", moment),
        **changes,
    )
    judged = (judged or verdict()) if said.needs_verdict else None
    return ClassifiedNotification(
        notification=said, verdict=judged, classified_at=said.received_at + timedelta(seconds=0.1)
    )


PRESENCE = """
version: 1
brands:
  - {id: air, name: Air, author_lists: {vip: ["x:queen"]}}
accounts:
  - {id: "4001", brand: air, platform: x, handle: air, quiet_start: 0s,
     settings: {access_token: PRESENCE_X_ACCESS_TOKEN}}
  - {id: "4001", brand: air, platform: facebook, handle: airpage, quiet_start: 0s}
people:
  - {id: mia, name: Mia, roles: [responder], slack: U1}
  - {id: ben, name: Ben, roles: [responder], slack: U2}
  - {id: lea, name: Lea, roles: [lead], slack: U3}
  - {id: tom, name: Tom, roles: [trainee], slack: U4}
  - {id: eva, name: Eva, roles: [engineer], slack: U5}
rotas:
  - id: social
    zone: Europe/Berlin
    layers:
      - id: week
        rotation: {every: weekly, handoff: "09:00", starts: 2026-02-16, members: [mia, ben]}
policies:
  - id: team
    answer_within: 15m
    claim_for: 20m
    steps:
      - {at: "0%", targets: [{rota: social}]}
      - {at: "75%", targets: [{rota: social, who: next}]}
      - {at: "100%", targets: [{person: lea}]}
    fallback: {person: lea}
  - id: care
    answer_within: 10m
    steps:
      - {at: "0%", targets: [{person: lea}]}
destinations:
  - {id: room, kind: slack, channel: C1}
  - {id: safe, kind: slack, channel: C2, shared: false}
  - {id: teams, kind: teams_workflow}
routes:
  - {id: care, match: {sensitive: any}, policy: care, destinations: [safe],
     checklist: ["Call the crisis line"], ignores_closed_hours: true}
  - {id: default, policy: team, destinations: [room]}
"""


def configuration(text: str = PRESENCE) -> Configuration:
    """A checked presence.yaml; give another text for another team."""
    return parse(text)


__all__ = [
    "ACCOUNT",
    "MONDAY",
    "PRESENCE",
    "Action",
    "Label",
    "Origin",
    "Sensitive",
    "Urgency",
    "answer",
    "at",
    "chatter",
    "configuration",
    "iid",
    "notified",
    "question",
    "relabel",
    "verdict",
]
