"""The stages of a verdict, for measuring: who was asked, who decided, what it cost."""

from __future__ import annotations

from typing import Protocol

from services.classify.domain.verdict import CORRECTED, likeliest
from services.contracts.base import StrEnum
from services.contracts.events import Label, Verdict


class Stage(StrEnum):
    """In the order in which they are asked."""

    reading = "reading"
    text = "text"
    """The text engine as a whole; of it:"""
    linear = "linear"
    sentence = "sentence"
    llm = "llm"
    layers = "layers"


class Decider(StrEnum):
    """What a verdict's label comes from."""

    correction = "correction"
    """A person's word on the item or on nearly the same text."""
    sensitive = "sensitive"
    """A flag made it a conversation."""
    costs = "costs"
    """Another label was likelier, not surely enough to lose a person."""
    layers = "layers"
    """Metadata and signs outweighed the text."""
    llm = "llm"
    text = "text"


class LlmResult(StrEnum):
    """What became of a question."""

    answered = "answered"
    nonsense = "nonsense"
    timeout = "timeout"
    rate_limited = "rate_limited"
    refused = "refused"
    unavailable = "unavailable"
    over_budget = "over_budget"
    resting = "resting"


class Spent(Protocol):
    """Told what a stage did: how many items it was asked about, and its CPU or waiting seconds."""

    def __call__(self, stage: Stage, items: int, seconds: float) -> None: ...


def unmeasured(stage: Stage, items: int, seconds: float) -> None:
    """Where nobody measures."""


def decided_by(verdict: Verdict) -> Decider:
    """Which stage the label comes from."""
    names = {reason.name for reason in verdict.reasons}
    if CORRECTED in names:
        return Decider.correction
    if likeliest(verdict.scores) is not verdict.label:
        flagged = verdict.sensitive and verdict.label is Label.conversation
        return Decider.sensitive if flagged else Decider.costs
    text = next((reason for reason in verdict.reasons if reason.name in ("text", "llm")), None)
    if text is not None and text.weight < 0:
        return Decider.layers
    return Decider.llm if text is not None and text.name == "llm" else Decider.text
