"""The metrics that classify owns. No person, text or conversation in a label; every label set is there
from the start."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter

from services.classify.domain.reading import UNDETERMINED
from services.classify.languages import LANGUAGES
from services.contracts.events import Label, Verdict
from services.contracts.topics import NOTIFICATIONS
from services.runtime.dead_letter import DeadLetterReason
from services.runtime.metrics import dead_letters_counter

OTHER = "other"
_LANGUAGES = frozenset((*LANGUAGES, UNDETERMINED))
DEAD_REASONS = (DeadLetterReason.malformed, DeadLetterReason.failed, DeadLetterReason.too_large)


class Metrics:
    """Counted by the batch handler."""

    def __init__(self, registry: CollectorRegistry, engine: str) -> None:
        self._engine = engine
        self._verdicts = Counter(
            "presence_verdicts_total",
            "Verdicts given on inbound items.",
            ["label", "engine", "language"],
            registry=registry,
        )
        self._dead = dead_letters_counter(registry)
        for label in Label:
            for language in (*sorted(_LANGUAGES), OTHER):
                self._verdicts.labels(label, engine, language)
        for reason in DEAD_REASONS:
            self._dead.labels(NOTIFICATIONS.name, reason)

    def count_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Call when they are on the bus."""
        for verdict in verdicts:
            language = verdict.language if verdict.language in _LANGUAGES else OTHER
            self._verdicts.labels(verdict.label, self._engine, language).inc()

    def count_dead(self, reasons: Iterable[DeadLetterReason]) -> None:
        """Call when they are on the bus."""
        for reason in reasons:
            self._dead.labels(NOTIFICATIONS.name, reason).inc()
