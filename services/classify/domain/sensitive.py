"""What overrides every label: which flags of the word lists stand, and what they say.

Tuned for recall: a flag too many costs a look, one too few may cost far more. What is taken back is
only what a headline says of the world: `three injured, police say` speaks to nobody. A journalist's
request, a threat or a leak is told in the same dry words, so those flags stand.
"""

from __future__ import annotations

from typing import Final

from services.classify.domain.cues import Cue
from services.classify.domain.reading import Reading
from services.contracts.events import Kind, Label, Notification, Sensitive

SAYS: Final = {
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
READS_LIKE: Final = {
    Sensitive.self_harm: "reads like somebody who may harm themselves",
    Sensitive.threat: "reads like a threat",
    Sensitive.safety: "reads like something dangerous",
    Sensitive.medical: "reads like somebody's health is at stake",
    Sensitive.minor: "reads as if a child were concerned",
    Sensitive.legal: "reads like a legal matter",
    Sensitive.press: "reads like a journalist asking",
    Sensitive.discrimination: "reads like somebody treated worse for who they are",
    Sensitive.data_leak: "reads like somebody's data in the wrong hands",
}
"""Where no list names the words: what the embedding makes of the whole."""
_OF_THE_WORLD: Final = frozenset(
    {Sensitive.medical, Sensitive.safety, Sensitive.legal, Sensitive.discrimination}
)
"""What headlines are full of."""


def flags_of(
    item: Notification,
    reading: Reading,
    likeliest: Label,
    meant: frozenset[Sensitive] = frozenset(),
) -> frozenset[Sensitive]:
    """The flags that stand for this item; `likeliest` is its label by the scores alone.

    `meant` are those that an engine reads in the whole. They know no idioms and no headlines, so a
    listed idiom takes them back, and they stand in what is addressed to the brand or is likeliest
    somebody talking, and in nothing else.

    Everything stands in what is addressed to the brand. Elsewhere, what speaks of nobody and to nobody
    and has a link raises no flag for what the world is full of. Neither does what is likelier no
    conversation, has a link or the words of news, and does not speak for its writer.
    """
    raised = reading.flags
    meant = frozenset(flag for flag in meant if not _plays_with(flag, reading))
    if item.addressed or item.private:
        return raised | meant
    if _is_shared(reading):
        meant, raised = meant - _OF_THE_WORLD, raised - _OF_THE_WORLD
    if likeliest is Label.conversation and not is_broadcast(item):
        return raised | meant
    if not raised:
        return raised
    if is_broadcast(item):
        return raised & {Sensitive.self_harm}
    reports = reading.structure.links or reading.count(Cue.news)
    if likeliest is not Label.conversation and reports and not _speaks_for_itself(reading):
        return raised - _OF_THE_WORLD
    return raised


def _is_shared(reading: Reading) -> bool:
    """A link, and words that speak of nobody and to nobody: somebody passes on what they read."""
    structure = reading.structure
    return bool(structure.links) and not structure.handles and reading.speaks_of_nobody


def _speaks_for_itself(reading: Reading) -> bool:
    """Of the writer, or in need of something; headlines ask, and say "you", but never that."""
    return any(reading.count(cue) for cue in (Cue.me, Cue.plea, Cue.complaint))


def _plays_with(flag: Sensitive, reading: Reading) -> bool:
    return any(hit.idiom and hit.meaning is flag for hit in reading.hits)


def is_broadcast(item: Notification) -> bool:
    """An article, a repost of somebody's words, or a machine: nobody waits behind it."""
    return bool(item.kinds & {Kind.article, Kind.repost}) or item.automated
