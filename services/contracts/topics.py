"""The registry of topics: they are created from it, documented from it, and tested against it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from services.contracts.base import Contract, StrEnum
from services.contracts.events import (
    ClassifiedNotification,
    Comparison,
    Correction,
    EpisodeEvent,
    Notice,
    Notification,
    Outcome,
    Reply,
)


class Service(StrEnum):
    """Who writes and reads."""

    ingest = "ingest"
    classify = "classify"
    alert = "alert"
    operator = "operator"
    """A person at the command line."""
    anybody = "anybody"


class Keeping(StrEnum):
    """Kafka's cleanup.policy."""

    delete = "delete"
    compact = "compact"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as data.

    `event` is None only for dead letters, which keep the original bytes. `retention` is None for a
    compacted topic.
    """

    name: str
    event: type[Contract] | None
    key: str
    writers: tuple[Service, ...]
    readers: tuple[Service, ...]
    says: str
    retention: timedelta | None = timedelta(days=14)
    keeping: Keeping = Keeping.delete
    dead_letters: bool = False
    """Whether a consumer of this topic dead-letters into `<name>.dlq`."""
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def dlq(self) -> str:
        """The name of its dead-letter topic."""
        return f"{self.name}.dlq"


MAX_RECORD_BYTES = 1_000_000
PARTITIONS = 12
PARTITIONS_SMALL = 3
"""For the demo and the tests."""

NOTIFICATIONS = Topic(
    "presence.notifications",
    Notification,
    "counterpart key",
    (Service.ingest,),
    (Service.classify,),
    "What happened on the platforms, in one form for all of them.",
    dead_letters=True,
)
CLASSIFIED = Topic(
    "presence.classified",
    ClassifiedNotification,
    "counterpart key",
    (Service.classify,),
    (Service.alert,),
    "The same with a verdict.",
    dead_letters=True,
)
CORRECTIONS = Topic(
    "presence.corrections",
    Correction,
    "item id",
    (Service.alert,),
    (Service.classify,),
    "Relabels by people; every classify replica reads all partitions without a group.",
    retention=None,
    keeping=Keeping.compact,
)
SHADOW = Topic(
    "presence.shadow",
    Comparison,
    "item id",
    (Service.classify,),
    (Service.operator,),
    "What a challenger model would have said; `presence evaluate --shadow` reads it.",
    retention=timedelta(days=30),
)
REPLIES = Topic(
    "presence.replies",
    Reply,
    "counterpart key",
    (Service.alert,),
    (Service.ingest,),
    "What a person wrote and sent; ingest posts it.",
    retention=timedelta(days=3),
    dead_letters=True,
)
OUTCOMES = Topic(
    "presence.outcomes",
    Outcome,
    "counterpart key",
    (Service.ingest,),
    (Service.alert,),
    "Reply posted, refused, rate-limited or unknown.",
    retention=timedelta(days=3),
    dead_letters=True,
)
NOTICES = Topic(
    "presence.notices",
    Notice,
    "source and account",
    (Service.ingest, Service.classify),
    (Service.alert,),
    "Silence, expiring tokens, tripped limits.",
    retention=timedelta(days=3),
    dead_letters=True,
)
EPISODES = Topic(
    "presence.episodes",
    EpisodeEvent,
    "conversation id",
    (Service.alert,),
    (Service.ingest, Service.anybody),
    "The lifecycle of every episode; ingest reads the threads of open ones again.",
)
INTAKE_DLQ = Topic(
    "presence.intake.dlq",
    None,
    "source and account",
    (Service.ingest,),
    (Service.operator,),
    "Authentic payloads that ingest could not read.",
)

EVENT_TOPICS: tuple[Topic, ...] = (
    NOTIFICATIONS,
    CLASSIFIED,
    CORRECTIONS,
    SHADOW,
    REPLIES,
    OUTCOMES,
    NOTICES,
    EPISODES,
)


def _dead_letters_of(topic: Topic) -> Topic:
    return Topic(
        topic.dlq,
        None,
        "as the origin",
        topic.readers,
        (Service.operator,),
        f"Records of {topic.name} that could not be handled, with the reason.",
    )


TOPICS: tuple[Topic, ...] = (
    *EVENT_TOPICS,
    INTAKE_DLQ,
    *(_dead_letters_of(topic) for topic in EVENT_TOPICS if topic.dead_letters),
)
"""Every topic, dead letters included."""


def topic_named(name: str) -> Topic:
    """The registered topic of that name; KeyError where there is none."""
    return {topic.name: topic for topic in TOPICS}[name]


class Group(StrEnum):
    """Consumer groups: whoever reads a topic with committed offsets."""

    classify = "presence-classify"
    alert = "presence-alert"
    alert_notices = "presence-alert-notices"
    alert_outcomes = "presence-alert-outcomes"
    ingest = "presence-ingest"
    ingest_threads = "presence-ingest-threads"


GROUPS: tuple[tuple[Group, Topic], ...] = (
    (Group.classify, NOTIFICATIONS),
    (Group.alert, CLASSIFIED),
    (Group.ingest, REPLIES),
    (Group.alert_outcomes, OUTCOMES),
    (Group.ingest_threads, EPISODES),
    (Group.alert_notices, NOTICES),
)
"""What each group reads, in the order of the flow. Corrections are read without a group."""


class Header(StrEnum):
    """Record headers. Each appears at most once on a record."""

    event_id = "event-id"
    trace = "traceparent"
    schema_version = "schema-version"
    reason = "dead-letter-reason"
    detail = "dead-letter-detail"
    origin_topic = "origin-topic"
    origin_partition = "origin-partition"
    origin_offset = "origin-offset"
    origin_timestamp = "origin-timestamp"
    origin_sha256 = "origin-sha256"
    """Set where the original was truncated: the hash of all of it."""
    origin_headers = "origin-headers"
    """Of a webhook's request, as JSON: what reading it again takes. Never a signature or a credential."""
    failed_at = "failed-at"
    service = "service"
