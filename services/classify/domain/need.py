"""Whether a person waits for an answer, and how soon: a question, complaint or plea, not chatter or thanks."""

from __future__ import annotations

from math import exp
from typing import NamedTuple

from services.classify.domain.lexicon import Cue
from services.classify.domain.reading import Reading
from services.contracts.events import Kind, Label, Notification, Sensitive, Urgency

NOBODY_WAITS = 0.03
"""For spam and news that are believed to be so."""
AT_ONCE = 0.97
"""For what is sensitive: somebody looks at it, whatever it says."""

_MILD = frozenset({Sensitive.legal, Sensitive.press, Sensitive.data_leak, Sensitive.discrimination})


class Need(NamedTuple):
    """How much an item needs an answer (0..1), and why in a responder's words."""

    value: float
    says: tuple[str, ...]


def needs_answer(item: Notification, reading: Reading, label: Label) -> Need:
    """A sum of signs, squeezed into 0..1.

    In a language without a word list the signs are missing, not the need: such an item waits for a
    person when it is addressed to the brand, and stands at the middle when it only mentions it.
    """
    if reading.sensitive and not _broadcast(item):
        return Need(AT_ONCE, ())
    if label is not Label.conversation:
        return Need(NOBODY_WAITS, ())
    if item.kinds and item.kinds <= {Kind.reaction, Kind.follow, Kind.repost}:
        return Need(NOBODY_WAITS, ())
    odds, says = _start(item, reading)
    asks = min(max(reading.count(Cue.question), reading.structure.questions), 2)
    complains = min(reading.count(Cue.complaint), 3)
    pleads = min(reading.count(Cue.plea), 2)
    if asks and (reading.structure.questions or reading.count(Cue.question)):
        odds += 1.6 if reading.structure.questions else 0.7
        says.append("asks a question")
    if complains:
        odds += 1.4 + 0.5 * (complains - 1)
        says.append("complains")
    if pleads:
        odds += 0.9 + 0.4 * (pleads - 1)
        says.append("asks for help")
    if reading.count(Cue.thanks):
        wants = asks + complains + pleads
        odds -= 0.3 if wants else 2.5
        if not wants:
            says.append("thanks or praise, nothing asked")
    if _says_nothing(reading):
        odds -= 2.5
        says.append("no words to answer")
    return Need(1.0 / (1.0 + exp(-odds)), tuple(says))


def _start(item: Notification, reading: Reading) -> tuple[float, list[str]]:
    odds = -0.9
    if item.private:
        odds = 0.6
    elif Kind.review in item.kinds:
        odds = 0.2
    elif item.addressed or Kind.reply in item.kinds:
        odds = -0.5
    if not reading.hits and reading.text.words and len(reading.text.words) > 2:
        # Nothing listed was found: perhaps the language has no list, perhaps it is a name.
        odds += 0.6
    if reading.count(Cue.me) and reading.count(Cue.you):
        odds += 0.3
    return odds, []


def _says_nothing(reading: Reading) -> bool:
    letters = sum(map(len, reading.text.words))
    return letters <= 2 and not reading.structure.questions


def _broadcast(item: Notification) -> bool:
    return bool(item.kinds & {Kind.article, Kind.repost}) or item.automated


def urgency(item: Notification, reading: Reading, label: Label, need: float) -> Urgency:
    """High: danger, or a matter that cannot wait; low: nobody waits."""
    flags = reading.sensitive
    if flags and not _broadcast(item):
        return Urgency.normal if flags <= _MILD and not reading.count(Cue.urgent) else Urgency.high
    if label is not Label.conversation or need < 0.4:
        return Urgency.low
    wants = reading.count(Cue.complaint) + reading.count(Cue.plea) + reading.structure.questions
    if reading.count(Cue.urgent) and wants and need >= 0.6:
        return Urgency.high
    return Urgency.normal
