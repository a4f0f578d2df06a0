"""The verdict: layers of evidence, costs, what overrides, and why in a responder's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

from services.classify.domain.evidence import Evidence, Layer, Shift, gather, shown
from services.classify.domain.impersonation import Identity, Resemblance, resembles
from services.classify.domain.lessons import Told
from services.classify.domain.need import AT_ONCE, NOBODY_WAITS, Need, NeedWeights, urgency, waiting
from services.classify.domain.reading import Reading
from services.classify.domain.sensitive import READS_LIKE, SAYS, flags_of, is_broadcast
from services.classify.domain.signs import SpamSigns
from services.contracts.configuration import Costs
from services.contracts.events import (
    Label,
    Notification,
    Reason,
    Sensitive,
    Urgency,
    Verdict,
)

_LABELS = (Label.conversation, Label.spam, Label.news)
_READS_LIKE = {
    Label.conversation: "reads like a person talking",
    Label.spam: "reads like spam",
    Label.news: "reads like news",
}


TOLD = 0.8
"""needs_answer, at least, of what people want to see as a conversation."""
CORRECTED = "corrected"
"""The name of the reason where a person's word decided."""


_LITTLE = {
    Label.conversation: "a person talking",
    Label.spam: "spam",
    Label.news: "news",
}
_TELLING = 0.6
"""Below, the likeliest label of the text alone is no argument to show a responder."""


NO_SIGNS = SpamSigns()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What judging goes by besides the item itself."""

    costs: Costs
    identities: tuple[Identity, ...] = ()
    engine: str = "none"
    model: str = "none"
    signs: SpamSigns = NO_SIGNS
    text_only: bool = False
    """Leave every layer but the text engine out."""
    need: NeedWeights | None = None
    """What was learned of who waits; None: by the rule of words alone."""


@dataclass(frozen=True, slots=True)
class Read:
    """An item's text as read, scored by an engine, and signed."""

    reading: Reading
    scores: Sequence[float]
    """Of the text engine, in the order conversation, spam, news."""
    similarity: str | None = None
    also: tuple[Evidence, ...] = ()
    """What the team's corrections say of its author."""
    text_by: str = "text"
    """Which stage the scores come from: the text engine, or `llm`."""
    told: Told | None = None
    """What a person said of it, or of nearly the same text."""
    meant: frozenset[Sensitive] = frozenset()
    """The sensitive flags that the engine reads in what it means."""


def judge(item: Notification, read: Read, by: Judgement) -> Verdict:
    """Pure: the same item and scores give the same verdict."""
    reading = read.reading
    evidence = (
        [] if by.text_only else [*gather(item, reading), *by.signs.find(item, reading), *read.also]
    )
    scores = _combined(read.scores, evidence)
    need = waiting(item, reading, by.need)
    flags = flags_of(item, reading, likeliest(scores), read.meant)
    label = decide(scores, keep_from(by.costs, need.value))
    told = read.told
    if told is not None and (told.exact or not flags):
        label, scores = told.label, _certain(told.label)
        if label is Label.conversation:
            need = Need(max(need.value, TOLD), need.says)
    else:
        told = None
    if flags and not is_broadcast(item) and not item.overheard and told is None:
        label, need = Label.conversation, Need(AT_ONCE, need.says)
    elif label is not Label.conversation:
        need = Need(NOBODY_WAITS, ())
    alike = resembles(
        item.platform, item.author.id, item.author.handle, item.author.name, by.identities
    )
    return Verdict(
        label=label,
        scores=scores,
        needs_answer=round(need.value, 3),
        urgency=_urgency(item, alike, urgency(reading, flags, label, need.value)),
        sensitive=flags,
        impersonates=alike.account_id if alike else None,
        language=reading.language,
        similarity=read.similarity,
        held=item.addressed and label is not Label.conversation,
        reasons=(
            *_of_told(told),
            *_reasons(label, scores, read, evidence, need, flags, alike),
        ),
        engine=by.engine,
        model=by.model,
    )


def _urgency(item: Notification, alike: Resemblance | None, found: Urgency) -> Urgency:
    """An impostor who answers somebody is at work this minute."""
    return Urgency.high if alike and item.in_reply_to is not None else found


def _certain(label: Label) -> dict[Label, float]:
    return {one: 0.98 if one is label else 0.01 for one in _LABELS}


def _of_told(told: Told | None) -> tuple[Reason, ...]:
    if told is None:
        return ()
    return (Reason(layer=Layer.correction, name=CORRECTED, says=told.says, weight=1.0),)


def keep_from(costs: Costs, need: float) -> float:
    """From which probability on it is kept as a conversation.

    Dropping it costs `lost_person`, times the chance that it is a person, times the chance that the
    person waits; keeping it costs `extra_card` times the chance that it is no person. Where nobody
    waits either way the likeliest label is the truest.
    """
    return costs.extra_card / (costs.extra_card + costs.lost_person * need)


def likeliest(scores: Mapping[Label, float]) -> Label:
    """The label of the highest score; a conversation where it is level with another."""
    return max(_LABELS, key=lambda label: scores[label])


def decide(scores: Mapping[Label, float], keep: float) -> Label:
    """The likelier of spam and news where it and the costs both speak against a conversation."""
    other = Label.spam if scores[Label.spam] >= scores[Label.news] else Label.news
    if scores[Label.conversation] >= min(keep, scores[other]):
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
    flags: frozenset[Sensitive],
    alike: Resemblance | None,
) -> tuple[Reason, ...]:
    reading = read.reading
    found = [
        Reason(
            layer=Layer.sensitive,
            name=flag,
            says=_says(flag, reading),
            weight=1.0,
        )
        for flag in sorted(flags)
    ]
    if alike:
        found.append(Reason(layer=Layer.metadata, name="look-alike", says=alike.says, weight=1.0))
    found += [
        Reason(layer=Layer.text, name="need", says=says, weight=round(need.value, 3))
        for says in need.says
    ]
    weighed = sorted(
        ((round(_towards(label, one.shift), 3), one) for one in evidence), key=lambda pair: -pair[0]
    )
    speaking_for = [_reason(one, weight) for weight, one in weighed if weight >= 0]
    against = [_reason(one, weight) for weight, one in weighed if weight < 0]
    text = _of_text(label, scores, read, flags)
    # What speaks for the label comes first: a card shows the first few.
    return (*found, *speaking_for, text, *against)


def _says(flag: Sensitive, reading: Reading) -> str:
    if flag in reading.flags:
        return f"{SAYS[flag]}: “{shown(reading.first(flag))}”"
    return READS_LIKE[flag]


def _reason(one: Evidence, weight: float) -> Reason:
    says = one.says if weight >= 0 else f"though {one.says}"
    return Reason(layer=one.layer, name=one.name, says=says, weight=weight)


def _of_text(
    label: Label, scores: Mapping[Label, float], read: Read, flags: frozenset[Sensitive]
) -> Reason:
    looks = likeliest(dict(zip(_LABELS, read.scores, strict=True)))
    share = read.scores[_LABELS.index(looks)]
    says = f"the text {_READS_LIKE[looks]} ({share:.0%})"
    if read.text_by == "llm":
        says = f"a language model says that the text {_READS_LIKE[looks]}"
    elif share < _TELLING:
        says = f"the text alone says little ({share:.0%} {_LITTLE[looks]})"
    if label is Label.conversation and likeliest(scores) is not label and not flags:
        says += ", not surely enough to leave a person waiting"
    weight = round(share if looks is label else -share, 3)
    return Reason(layer=Layer.text, name=read.text_by, says=says, weight=weight)
