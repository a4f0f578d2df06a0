"""Whether a person waits for an answer, and how soon: not chatter or thanks."""

from __future__ import annotations

from math import exp
from operator import mul
from typing import NamedTuple

from services.classify.domain.cues import Cue
from services.classify.domain.reading import Reading
from services.contracts.events import Kind, Label, Notification, Sensitive, Urgency

NOBODY_WAITS = 0.03
"""For spam and news that are believed to be so."""
AT_ONCE = 0.97
"""For what is sensitive: somebody looks at it, whatever it says."""

_IDLE = 0.4
_PRESSING = 0.6
_BRIEF = 6
"""Words of a text that can be no more than thanks."""
_MILD = frozenset({Sensitive.legal, Sensitive.press, Sensitive.data_leak, Sensitive.discrimination})


class Need(NamedTuple):
    """How much an item needs an answer (0..1), and why in a responder's words."""

    value: float
    says: tuple[str, ...]


class Ruled(NamedTuple):
    """What the words say of the need, as log-odds, and why."""

    odds: float
    says: tuple[str, ...]


class NeedWeights(NamedTuple):
    """What was learned from labelled rows: how much the rule and each column of the structure weigh."""

    bias: float
    rule: float
    columns: tuple[float, ...]


def waiting(item: Notification, reading: Reading, by: NeedWeights | None = None) -> Need:
    """How likely a person waits behind this, taken that it is a person.

    By what was learned, where something was and the word lists cover the language; else by the rule.
    """
    if item.kinds and item.kinds <= {Kind.reaction, Kind.follow, Kind.repost}:
        return Need(NOBODY_WAITS, ())
    if item.overheard:
        return Need(NOBODY_WAITS, ("said to somebody else, where a customer of ours waits",))
    odds, says = ruled(item, reading)
    if by is not None and reading.listed and not (_says_nothing(reading) or _only_thanks(reading)):
        learned = sum(map(mul, by.columns, reading.structure.values))
        learned += by.bias + by.rule * odds
        # "Please advise, thanks": thanks beside a plea are manners, and must not make it less.
        polite = reading.count(Cue.plea) and reading.count(Cue.thanks)
        odds = max(odds, learned) if polite else learned
    return Need(1.0 / (1.0 + exp(-odds)), says)


def ruled(item: Notification, reading: Reading) -> Ruled:
    """A sum of signs.

    In a language without a word list the signs are missing, not the need: such an item waits.
    """
    odds = _start(item, reading)
    says: list[str] = []
    marks = reading.structure.questions
    asks = min(max(reading.count(Cue.question), marks), 2)
    complains = min(reading.count(Cue.complaint), 3)
    pleads = min(reading.count(Cue.plea), 2)
    personal = reading.count(Cue.me) + reading.count(Cue.you)
    wanted = 0.0
    if asks:
        wanted += 1.6 if marks else 1.0 if personal else 0.5
        says.append("asks a question")
    if complains:
        wanted += 1.4 + 0.5 * (complains - 1)
        says.append("complains")
    if pleads:
        wanted += 1.3 + 0.4 * (pleads - 1)
        says.append("asks for help")
    wants = asks + complains + pleads
    # A headline asks and deplores too, of nobody and with a link to read on.
    shared = reading.structure.links and not personal and not item.addressed and not item.private
    odds += 0.4 * wanted if shared else wanted
    if reading.count(Cue.thanks):
        odds -= 0.3 if wants else 2.5
        if not wants:
            says.append("thanks or praise, nothing asked")
    if _says_nothing(reading):
        odds -= 2.5
        says.append("no words to answer")
    return Ruled(odds, tuple(says))


def _start(item: Notification, reading: Reading) -> float:
    if item.private:
        odds = 0.6
    elif Kind.review in item.kinds:
        odds = 0.2
    elif item.addressed or Kind.reply in item.kinds:
        odds = -0.5
    else:
        odds = -0.9
        if reading.speaks_of_nobody and not reading.count(Cue.complaint):
            odds -= 0.9
    if not reading.listed and reading.text.words:
        odds = max(odds, -0.5) + 0.7
    if reading.count(Cue.me) and reading.count(Cue.you):
        odds += 0.3
    return odds


def _says_nothing(reading: Reading) -> bool:
    letters = sum(map(len, reading.text.words))
    return letters <= 2 and not reading.structure.questions


def _only_thanks(reading: Reading) -> bool:
    """A few words of thanks and nothing else: after an answer they must not open the next episode.

    A longer text may thank for nothing ("thanks for losing my bag"): there what was learned decides.
    """
    return (
        len(reading.text.words) <= _BRIEF
        and reading.count(Cue.thanks) > 0
        and not reading.structure.questions
        and not any(reading.count(cue) for cue in (Cue.question, Cue.complaint, Cue.plea))
    )


def urgency(reading: Reading, flags: frozenset[Sensitive], label: Label, need: float) -> Urgency:
    """High: danger, or a matter that cannot wait; low: nobody waits."""
    if flags:
        return Urgency.normal if flags <= _MILD and not reading.count(Cue.urgent) else Urgency.high
    if label is not Label.conversation or need < _IDLE:
        return Urgency.low
    wants = reading.count(Cue.complaint) + reading.count(Cue.plea) + reading.structure.questions
    if reading.count(Cue.urgent) and wants and need >= _PRESSING:
        return Urgency.high
    return Urgency.normal
