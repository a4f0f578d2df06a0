"""The metrics that classify owns. No person, text or conversation in a label; every label set is there
from the start."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.classify.domain.lessons import Lessons
from services.classify.domain.reading import UNDETERMINED
from services.classify.languages import LANGUAGES
from services.classify.stages import Decider, LlmResult, Stage, decided_by
from services.contracts.events import Comparison, Label, Verdict
from services.contracts.topics import NOTIFICATIONS
from services.runtime.dead_letter import DeadLetterReason
from services.runtime.metrics import dead_letters_counter

OTHER = "other"
_LANGUAGES = frozenset((*LANGUAGES, UNDETERMINED))


class Metrics:
    """Counted by the batch handler and the classifier."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._verdicts = Counter(
            "presence_verdicts_total",
            "Verdicts given on inbound items.",
            ["label", "engine", "language"],
            registry=registry,
        )
        self._dead = dead_letters_counter(registry, NOTIFICATIONS)
        self._asked = Counter(
            "presence_classify_asked",
            "Items that a stage was asked about.",
            ["stage"],
            registry=registry,
        )
        self._seconds = Counter(
            "presence_classify_stage_seconds",
            "CPU seconds of a stage; of llm the seconds waited.",
            ["stage"],
            registry=registry,
        )
        self._decided = Counter(
            "presence_classify_decided",
            "Verdicts by what their label comes from.",
            ["by"],
            registry=registry,
        )
        self._lessons = Gauge(
            "presence_lessons",
            "Corrections held in mind: of items, for near-duplicates, of authors, and those not trusted.",
            ["of"],
            registry=registry,
        )
        self._shadow = Counter(
            "presence_shadow",
            "Items that a challenger was to judge: agreed, disagreed, or left out.",
            ["result"],
            registry=registry,
        )
        self._disagreements = Counter(
            "presence_shadow_disagreements",
            "Labels of the model that serves and of its challenger where they differ.",
            ["champion", "challenger"],
            registry=registry,
        )
        for result in ("agreed", "disagreed", "left_out", "failed"):
            self._shadow.labels(result)
        for one, other in itertools.permutations(Label, 2):
            self._disagreements.labels(one, other)
        self._llm = Counter(
            "presence_llm", "Questions to the language model.", ["result"], registry=registry
        )
        self._llm_tokens = Counter(
            "presence_llm_tokens", "Tokens that it counted.", registry=registry
        )
        for answer in LlmResult:
            self._llm.labels(answer)
        for stage in Stage:
            self._asked.labels(stage)
            self._seconds.labels(stage)
        for decider in Decider:
            self._decided.labels(decider)
        for kind in ("items", "texts", "authors", "untrusted"):
            self._lessons.labels(kind)

    def expect(self, engine: str) -> None:
        """Every label set of this engine is there from now on."""
        for label in Label:
            for language in (*sorted(_LANGUAGES), OTHER):
                self._verdicts.labels(label, engine, language)

    def count_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Call when they are on the bus."""
        given = list(verdicts)
        # A batch has few label sets: counting first saves most of what a counter costs.
        for (label, engine, language), count in collections.Counter(
            (one.label, one.engine, one.language if one.language in _LANGUAGES else OTHER)
            for one in given
        ).items():
            self._verdicts.labels(label, engine, language).inc(count)
        for decider, count in collections.Counter(map(decided_by, given)).items():
            self._decided.labels(decider).inc(count)

    def spent(self, stage: Stage, items: int, seconds: float) -> None:
        """See `stages.Spent`."""
        self._asked.labels(stage).inc(items)
        self._seconds.labels(stage).inc(seconds)

    def compared(self, comparisons: Sequence[Comparison]) -> None:
        """A challenger judged these."""
        for one in comparisons:
            champion, challenger = one.champion.label, one.challenger.label
            self._shadow.labels("agreed" if champion is challenger else "disagreed").inc()
            if champion is not challenger:
                self._disagreements.labels(champion, challenger).inc()

    def not_compared(self, items: int, *, failed: bool) -> None:
        """A challenger was too slow for these, or failed on them."""
        self._shadow.labels("failed" if failed else "left_out").inc(items)

    def asked_llm(self, result: LlmResult, tokens: int) -> None:
        """One question to the language model."""
        self._llm.labels(result).inc()
        self._llm_tokens.inc(tokens)

    def learned(self, lessons: Lessons) -> None:
        """What is known from corrections now."""
        self._lessons.labels("items").set(len(lessons.items))
        self._lessons.labels("texts").set(len(lessons.alike))
        self._lessons.labels("authors").set(len(lessons.authors))
        self._lessons.labels("untrusted").set(lessons.untrusted)

    def count_dead(self, reasons: Iterable[DeadLetterReason]) -> None:
        """Call when they are on the bus."""
        for reason in reasons:
            self._dead.labels(NOTIFICATIONS.name, reason).inc()
