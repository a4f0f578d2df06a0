"""What overrides every label: which flags of the word lists stand, and what they say.

Tuned for recall: a flag too many costs a look, one too few may cost far more. What is taken back is
only what a headline says of the world: `three injured, police say` speaks to nobody.
"""

from __future__ import annotations

from typing import Final

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
_ALWAYS: Final = frozenset({Sensitive.self_harm})


def flags_of(item: Notification, reading: Reading, likeliest: Label) -> frozenset[Sensitive]:
    """The flags that stand for this item; `likeliest` is its label by the scores alone.

    Everything stands in what is addressed to the brand. Elsewhere, in what looks like news or spam and
    speaks of nobody, only self-harm does.
    """
    raised = reading.flags
    if not raised or item.addressed or item.private or likeliest is Label.conversation:
        return raised
    return raised & _ALWAYS if reading.speaks_of_nobody or is_broadcast(item) else raised


def is_broadcast(item: Notification) -> bool:
    """An article, a repost of somebody's words, or a machine: nobody waits behind it."""
    return bool(item.kinds & {Kind.article, Kind.repost}) or item.automated
