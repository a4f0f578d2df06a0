"""The events that cross a service boundary. docs/architecture.md says who writes and reads which."""

from __future__ import annotations

from services.contracts.events.correction import Corrected, Correction
from services.contracts.events.episode import CloseReason, EpisodeChange, EpisodeEvent
from services.contracts.events.notice import Notice, NoticeKind
from services.contracts.events.notification import (
    Action,
    Author,
    ConversationRef,
    Direction,
    Kind,
    Media,
    Mention,
    Notification,
    Origin,
)
from services.contracts.events.reply import Outcome, OutcomeState, Reply
from services.contracts.events.verdict import (
    ClassifiedNotification,
    Comparison,
    Label,
    Opinion,
    Reason,
    Sensitive,
    Urgency,
    Verdict,
)

__all__ = [
    "Action",
    "Author",
    "ClassifiedNotification",
    "CloseReason",
    "Comparison",
    "ConversationRef",
    "Corrected",
    "Correction",
    "Direction",
    "EpisodeChange",
    "EpisodeEvent",
    "Kind",
    "Label",
    "Media",
    "Mention",
    "Notice",
    "NoticeKind",
    "Notification",
    "Opinion",
    "Origin",
    "Outcome",
    "OutcomeState",
    "Reason",
    "Reply",
    "Sensitive",
    "Urgency",
    "Verdict",
]
