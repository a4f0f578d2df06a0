"""The metrics of ingest, declared once; no label holds a person, a text or a conversation."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from typing import TypeVar, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from services.contracts.events import Direction, Kind, Notification, Origin
from services.contracts.topics import INTAKE_DLQ, REPLIES
from services.ingest.domain.outcome import IgnoreReason
from services.ingest.domain.replying import RefusalCause
from services.ingest.sources.source import RefusalReason
from services.runtime.metrics import dead_letters_counter

M = TypeVar("M", bound=MetricWrapperBase)

_PRECEDENCE = (
    Kind.direct, Kind.review, Kind.reply, Kind.comment, Kind.quote, Kind.mention, Kind.repost,
    Kind.reaction, Kind.follow, Kind.article, Kind.post,
)  # fmt: skip
NO_KIND = "none"
"""Of a deletion whose kind the platform does not tell."""


@lru_cache(256)
def kind_label(kinds: frozenset[Kind]) -> str:
    """The one kind that an item with several counts under."""
    return next((kind.value for kind in _PRECEDENCE if kind in kinds), NO_KIND)


class Metrics:
    """Everything that ingest counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._children: dict[tuple[int, tuple[str, ...]], MetricWrapperBase] = {}
        labels = ["source", "kind", "direction", "origin"]
        self.notifications = Counter(
            "presence_notifications_total", "Events taken in.", labels, registry=registry
        )
        self.duplicates = Counter(
            "presence_duplicates_total",
            "Events that had been taken in before.",
            labels,
            registry=registry,
        )
        self.ignored = Counter(
            "presence_ignored_total",
            "Changes that were understood and concern nobody.",
            ["source", "reason"],
            registry=registry,
        )
        self.refused = Counter(
            "presence_intake_refused_total",
            "Requests that were not authentic.",
            ["source", "reason"],
            registry=registry,
        )
        self.requests = Counter(
            "presence_intake_requests_total",
            "Webhook requests by the status they were answered with.",
            ["source", "status"],
            registry=registry,
        )
        self.spooled = Counter(
            "presence_intake_spooled_total",
            "Payloads that were put on disk because Kafka did not take them.",
            ["source"],
            registry=registry,
        )
        self.spool_bytes = Gauge(
            "presence_intake_spool_bytes", "What waits on disk for Kafka.", registry=registry
        )
        self.seconds = Histogram(
            "presence_intake_seconds",
            "From the request's body to its answer, Kafka's acknowledgement included.",
            ["source"],
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
            registry=registry,
        )
        self.last_event = Gauge(
            "presence_source_last_event_timestamp_seconds",
            "Unix time of receipt of the newest event; 0: none since the start.",
            ["source", "account"],
            registry=registry,
        )
        self.source_up = Gauge(
            "presence_source_up",
            "1 while a pulled source is connected and caught up.",
            ["source", "account"],
            registry=registry,
        )
        self.source_leased = Gauge(
            "presence_source_leased",
            "1 on the replica that listens to the account.",
            ["source", "account"],
            registry=registry,
        )
        self.source_silent = Gauge(
            "presence_source_silent",
            "1 while an account is quieter than it ever is at this hour of the week.",
            ["source", "account"],
            registry=registry,
        )
        self.token_expiry = Gauge(
            "presence_source_token_expiry_timestamp_seconds",
            "Unix time at which the account's token ends; 0: never, or the platform does not say.",
            ["source", "account"],
            registry=registry,
        )
        self.gap = Gauge(
            "presence_source_gap_seconds",
            "Length of the last time that a pulled source was not connected.",
            ["source", "account"],
            registry=registry,
        )
        self.thread_looks = Counter(
            "presence_thread_looks_total",
            "Looks at threads of open episodes: something new was found, nothing was, or it failed.",
            ["source", "result"],
            registry=registry,
        )
        self.store_failures = Counter(
            "presence_ingest_store_failures_total",
            "Calls to PostgreSQL that failed; intake went on without them.",
            ["call"],
            registry=registry,
        )
        self.replies = Counter(
            "presence_replies_total",
            "What became of replies; cause: why one was refused.",
            ["state", "cause"],
            registry=registry,
        )
        self.reply_seconds = Histogram(
            "presence_reply_seconds",
            "From a person's pressing send to the platform's confirmation.",
            buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600),
            registry=registry,
        )
        self.replies_waiting = Gauge(
            "presence_replies_waiting",
            "Replies that are neither posted nor refused, nor given to a person as unknown.",
            registry=registry,
        )
        for state in ("posted", "rate_limited", "unknown"):
            self.replies.labels(state, "")
        for cause in RefusalCause:
            self.replies.labels("refused", cause.value)
        self.dead_letters = dead_letters_counter(registry, INTAKE_DLQ, REPLIES)
        for call in ("known", "record"):
            self.store_failures.labels(call)

    def initialise(self, sources: Iterable[str], accounts: Iterable[tuple[str, str]] = ()) -> None:
        """Every label set that can occur, at 0, so that a rate is right from the first event on."""
        for labels in accounts:
            self.last_event.labels(*labels)
        kinds = [*(kind.value for kind in Kind), NO_KIND]
        for source in sources:
            for kind, direction, origin in product(kinds, Direction, Origin):
                self.notifications.labels(source, kind, direction.value, origin.value)
                self.duplicates.labels(source, kind, direction.value, origin.value)
            for ignored in IgnoreReason:
                self.ignored.labels(source, ignored.value)
            for refused in RefusalReason:
                self.refused.labels(source, refused.value)
            self.seconds.labels(source)

    def taken(self, source: str, one: Notification) -> Counter:
        """The counter of events like this one."""
        labels = source, kind_label(one.kinds), one.direction.value, one.origin.value
        return self._child(self.notifications, labels)

    def duplicate(self, source: str, one: Notification) -> Counter:
        """The counter of repetitions of events like this one."""
        labels = source, kind_label(one.kinds), one.direction.value, one.origin.value
        return self._child(self.duplicates, labels)

    def heard(self, source: str, account_id: str) -> Gauge:
        """When the account was heard last."""
        return self._child(self.last_event, (source, account_id))

    def answered(self, source: str, status: int, seconds: float) -> None:
        """One webhook request, with what it was answered."""
        self._child(self.requests, (source, str(status))).inc()
        self._child(self.seconds, (source,)).observe(seconds)

    def _child(self, metric: M, labels: tuple[str, ...]) -> M:
        """One label set. Finding it anew costs more than counting, four times in every request."""
        key = id(metric), labels
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = metric.labels(*labels)
        return cast("M", found)
