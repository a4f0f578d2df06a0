"""The verdict: layers of evidence, costs, what overrides, and why in a responder's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from services.classify.domain.evidence import Evidence, Layer, Shift, gather
from services.classify.domain.impersonation import Identity, Resemblance, resembles
from services.classify.domain.need import Need, needs_answer, urgency
from services.classify.domain.reading import Reading
from services.contracts.configuration import Costs
from services.contracts.events import (
    Kind,
    Label,
    Notification,
    Reason,
    Sensitive,
    Verdict,
)

_LABELS = (Label.conversation, Label.spam, Label.news)
_READS_LIKE = {
    Label.conversation: "reads like a person talking",
    Label.spam: "reads like spam",
    Label.news: "reads like news",
}
_FLAG_SAYS = {
    Sensitive.self_harm: "may speak of self-harm",
    Sensitive.threat: "may be a threat",
    Sensitive.safety: "may be about a danger",
    Sensitive.medical: "may be about someone's health",
    Sensitive.minor: "may be about a child",
    Sensitive.legal: "may be a legal matter",
    Sensitive.press: "may come from the press",
    Sensitive.discrimination: "may be about discrimination",
    Sensitive.data_leak: "may be about leaked data",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What judging goes by besides the item itself."""

    keep_conversation_from: float
    """A conversation from this probability on: what costs leave of "unsure means conversation"."""
    identities: tuple[Identity, ...] = ()
    engine: str = "none"
    model: str = "none"
    text_only: bool = False
    """Leave every layer but the text engine out."""


def keep_from(costs: Costs) -> float:
    """From which probability on it is kept as a conversation.

    Calling it spam costs `lost_person` times the chance that it is a person, keeping it costs
    `extra_card` times the chance that it is not: the two are equal at extra / (extra + lost).
    """
    return costs.extra_card / (costs.extra_card + costs.lost_person)


@dataclass(frozen=True, slots=True)
class Read:
    """An item's text as read, scored by an engine, and signed."""

    reading: Reading
    scores: Sequence[float]
    """Of the text engine, in the order conversation, spam, news."""
    similarity: str | None = None


def judge(item: Notification, read: Read, by: Judgement) -> Verdict:
    """Pure: the same item and scores give the same verdict."""
    evidence = [] if by.text_only else gather(item, read.reading)
    scores = _combined(read.scores, evidence)
    label = decide(scores, by.keep_conversation_from)
    flags = read.reading.sensitive
    if flags and not item.kinds & {Kind.article, Kind.repost} and not item.automated:
        label = Label.conversation
    alike = resembles(
        item.platform, item.author.id, item.author.handle, item.author.name, by.identities
    )
    need = needs_answer(item, read.reading, label)
    return Verdict(
        label=label,
        scores=scores,
        needs_answer=round(need.value, 3),
        urgency=urgency(item, read.reading, label, need.value),
        sensitive=flags,
        impersonates=alike.account_id if alike else None,
        language=read.reading.language,
        similarity=read.similarity,
        held=item.addressed and label is not Label.conversation,
        reasons=_reasons(label, scores, read, evidence, need, alike),
        engine=by.engine,
        model=by.model,
    )


def decide(scores: dict[Label, float], keep_from: float) -> Label:
    """The likelier of spam and news where both it and the costs speak against a conversation."""
    other = Label.spam if scores[Label.spam] >= scores[Label.news] else Label.news
    if scores[Label.conversation] >= min(keep_from, scores[other]):
        return Label.conversation
    return other


def _combined(text: Sequence[float], evidence: Sequence[Evidence]) -> dict[Label, float]:
    logits = [log(max(score, 1e-9)) for score in text]
    for one in evidence:
        logits = [logit + shift for logit, shift in zip(logits, one.shift, strict=True)]
    highest = max(logits)
    raised = [exp(logit - highest) for logit in logits]
    total = sum(raised)
    return {label: round(r / total, 4) for label, r in zip(_LABELS, raised, strict=True)}


def _towards(label: Label, shift: Shift) -> float:
    own = shift[_LABELS.index(label)]
    return own - (sum(shift) - own) / 2


def _reasons(
    label: Label,
    scores: dict[Label, float],
    read: Read,
    evidence: Sequence[Evidence],
    need: Need,
    alike: Resemblance | None,
) -> tuple[Reason, ...]:
    reading = read.reading
    found = [
        Reason(
            layer=Layer.sensitive,
            name=flag,
            says=f"{_FLAG_SAYS[flag]}: “{_plain(reading.first(flag))}”",
            weight=1.0,
        )
        for flag in sorted(reading.sensitive)
    ]
    if alike:
        found.append(Reason(layer=Layer.metadata, name="look-alike", says=alike.says, weight=1.0))
    found += [
        Reason(layer=Layer.text, name="need", says=says, weight=round(need.value, 3))
        for says in need.says
    ]
    found += [
        Reason(
            layer=one.layer,
            name=one.name,
            says=one.says,
            weight=round(_towards(label, one.shift), 3),
        )
        for one in evidence
    ]
    likeliest = max(_LABELS, key=lambda one: read.scores[_LABELS.index(one)])
    share = read.scores[_LABELS.index(likeliest)]
    says = f"the text {_READS_LIKE[likeliest]} ({share:.0%})"
    if label is Label.conversation and max(scores, key=lambda one: scores[one]) is not label:
        says += ", not surely enough to leave a person waiting"
    weight = round(share if likeliest is label else -share, 3)
    found.append(Reason(layer=Layer.text, name="text", says=says, weight=weight))
    return tuple(found)


def _plain(pattern: str | None) -> str:
    return (pattern or "").replace("*", "…").replace(" .. ", " … ").strip()
