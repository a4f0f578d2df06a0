"""Alert's metrics, declared in one place, their label sets initialised at start.

Seconds throughout. No person, text or conversation id is ever in a label. docs/operations.md
documents each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.alert.domain.boards.audit import Finding
from services.alert.domain.card import CardState
from services.alert.domain.firing import Firing, Why
from services.alert.domain.lifecycle import Record, Shows
from services.contracts.configuration import Configuration
from services.contracts.events import CloseReason, Label, Urgency

RESPONSE = (30, 60, 120, 180, 300, 600, 900, 1800, 3600, 14400)
PIPELINE = (0.05, 0.1, 0.15, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)
SEGMENTS = ("detect", "classify", "page", "claim", "reply")
PRIORITIES = ("sensitive", *(urgency.value for urgency in Urgency))


class AlertMetrics:
    """What alert measures."""

    def __init__(self, registry: CollectorRegistry, configuration: Configuration) -> None:
        by_response = ["platform", "priority", "hours"]
        self.first_response = Histogram(
            "presence_first_response_seconds",
            "From the source time of an episode's first item to its answer: first episodes.",
            by_response,
            buckets=RESPONSE,
            registry=registry,
        )
        self.next_response = Histogram(
            "presence_next_response_seconds",
            "The same for later episodes of a conversation.",
            by_response,
            buckets=RESPONSE,
            registry=registry,
        )
        self.segments = Histogram(
            "presence_response_segment_seconds",
            "Where a response time went; the segments of an episode add up to it.",
            ["segment"],
            buckets=RESPONSE,
            registry=registry,
        )
        self.sla = Counter(
            "presence_sla",
            "Answered episodes by whether the answer came in its time.",
            ["platform", "result"],
            registry=registry,
        )
        self.closed = Counter(
            "presence_episodes_closed",
            "Episodes that ended, by how.",
            ["reason"],
            registry=registry,
        )
        self.open_episodes = Gauge(
            "presence_open_episodes",
            "Episodes in which a person waits.",
            ["platform", "state"],
            registry=registry,
        )
        self.oldest = Gauge(
            "presence_oldest_unanswered_seconds",
            "Age of the oldest open episode; 0 where there is none.",
            ["platform", "state"],
            registry=registry,
        )
        self.held_back = Gauge(
            "presence_held_back",
            "Items written to us that look like spam or news, and that nobody has judged yet.",
            ["platform", "state"],
            registry=registry,
        )
        self.on_call = Gauge(
            "presence_oncall_present",
            "1 while somebody is on call or the rota keeps closed hours, 0 in a gap.",
            ["rota"],
            registry=registry,
        )
        self.pages = Counter(
            "presence_pages", "Pages that were delivered.", ["destination"], registry=registry
        )
        self.escalations = Counter(
            "presence_escalations",
            "Escalation steps that came due, and what became of them.",
            ["step", "reason"],
            registry=registry,
        )
        self.overdue = Gauge(
            "presence_overdue_escalations",
            "Timers that should have fired over 30 s ago, and episodes that lack one.",
            registry=registry,
        )
        self.audit_findings = Gauge(
            "presence_audit_findings",
            "Promises that were not kept by themselves, as the auditor counts them; always 0.",
            ["finding"],
            registry=registry,
        )
        self.corrections = Counter(
            "presence_corrections", "Labels changed by people.", ["from", "to"], registry=registry
        )
        self.pipeline = Histogram(
            "presence_pipeline_seconds",
            "From ingest's receipt of a live item to its card in the chat.",
            ["platform"],
            buckets=PIPELINE,
            registry=registry,
        )
        self._platforms: set[str] = {account.platform for account in configuration.accounts}
        self._rotas: set[str] = set()
        self._initialise(configuration)

    def _initialise(self, configuration: Configuration) -> None:
        for platform in self._platforms:
            for priority, hours in product(PRIORITIES, self._readings(configuration)):
                self.first_response.labels(platform, priority, hours)
                self.next_response.labels(platform, priority, hours)
            for result in ("met", "missed"):
                self.sla.labels(platform, result)
            self.pipeline.labels(platform)
        for segment in SEGMENTS:
            self.segments.labels(segment)
        for reason in CloseReason:
            self.closed.labels(reason.value)
        for destination in configuration.destinations:
            self.pages.labels(destination.id)
        longest = max(len(policy.steps) for policy in configuration.policies)
        for step in (*map(str, range(longest)), "end"):
            for why in Why:
                self.escalations.labels(step, why.value)
        for before in Label:
            for after in Label:
                if before is not after:
                    self.corrections.labels(before.value, after.value)
        self.figures({}, {}, {})
        self.audited(dict.fromkeys(Finding, 0))

    @staticmethod
    def _readings(configuration: Configuration) -> tuple[str, ...]:
        """Business seconds are measured only where the team keeps business hours: null, not 0."""
        return ("wall", "business") if configuration.targets.hours else ("wall",)

    def ended(self, record: Record) -> None:
        """An episode ended for the first time. What a new source brought silently is not ours to count."""
        if record.shows is Shows.silent:
            return
        ending = record.folded.ending
        reason = ending.reason if ending else CloseReason.merged
        self.closed.labels(reason.value).inc()
        seconds = record.folded.wall_seconds
        counts = record.label is Label.conversation or record.sensitive
        if reason is not CloseReason.answered or ending is None or seconds is None or not counts:
            return
        first = record.folded.round == 1
        histogram = self.first_response if first else self.next_response
        histogram.labels(record.platform, record.priority, "wall").observe(seconds)
        if record.business_seconds is not None:
            business = histogram.labels(record.platform, record.priority, "business")
            business.observe(record.business_seconds)
        result = "met" if ending.at <= record.due_at else "missed"
        self.sla.labels(record.platform, result).inc()
        for name, length in segments(record).items():
            self.segments.labels(name).observe(length)

    def fired(self, record: Record, firing: Firing) -> None:
        """A timer fired."""
        for step, why in firing.reasons:
            self.stepped(record, step, why)

    def stepped(self, record: Record, step: int, why: Why) -> None:
        """What became of a step, or of a page that it brought."""
        name = str(step) if step < len(record.policy.steps) else "end"
        self.escalations.labels(name, why.value).inc()

    def paged(self, destination: str) -> None:
        """A page was delivered."""
        self.pages.labels(destination).inc()

    def corrected(self, before: Label, after: Label) -> None:
        """A person changed a label."""
        self.corrections.labels(before.value, after.value).inc()

    def card_delivered(self, record: Record, now: datetime) -> None:
        """An episode's first card stands."""
        seconds = max(0.0, (now - record.received_at).total_seconds())
        self.pipeline.labels(record.platform).observe(seconds)

    def figures(
        self,
        open_: Mapping[tuple[str, str], int],
        oldest: Mapping[tuple[str, str], float],
        held: Mapping[str, int],
    ) -> None:
        """The gauges, as just read from the database; what is not there is 0."""
        states = (CardState.open.value, CardState.claimed.value, "digest", "silent")
        # A platform that left the file is brought back to 0 once nobody waits there any more.
        self._platforms |= {*(platform for platform, _ in open_), *held}
        for platform in self._platforms:
            for state in states:
                self.open_episodes.labels(platform, state).set(open_.get((platform, state), 0))
                self.oldest.labels(platform, state).set(oldest.get((platform, state), 0.0))
            self.held_back.labels(platform, "held").set(held.get(platform, 0))

    def audited(self, findings: Mapping[Finding, int]) -> None:
        """What the auditor found, by finding."""
        for finding, count in findings.items():
            self.audit_findings.labels(finding.value).set(count)

    def present(self, rotas: Iterable[tuple[str, bool]]) -> None:
        """Whether somebody is on call, by rota; one that left the file is not shown any more."""
        found = dict(rotas)
        for gone in self._rotas - set(found):
            self.on_call.remove(gone)
        self._rotas = set(found)
        for rota, there in found.items():
            self.on_call.labels(rota).set(int(there))


def segments(record: Record) -> dict[str, float]:
    """The segments of an answered episode, in seconds; they add up to its wall seconds.

    What did not happen (no page, no claim) is left out, and its time belongs to the next segment.
    """
    ending = record.folded.ending
    if ending is None:
        return {}
    marks = (
        ("detect", record.received_at),
        ("classify", record.classified_at),
        ("page", record.first_paged_at),
        ("claim", record.first_claimed_at),
        ("reply", ending.at),
    )
    found: dict[str, float] = {}
    last = record.folded.opened_at
    for name, mark in marks:
        if mark is None:
            continue
        at = max(last, min(mark, ending.at))
        found[name] = (at - last).total_seconds()
        last = at
    return found
