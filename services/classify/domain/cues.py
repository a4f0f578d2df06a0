"""What words hint at, and how often a text hints at it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.contracts.base import StrEnum
from services.contracts.events import Sensitive


class Cue(StrEnum):
    """What a word hints at, besides the sensitive flags."""

    question = "question"
    complaint = "complaint"
    plea = "plea"
    thanks = "thanks"
    urgent = "urgent"
    promotion = "promotion"
    scam = "scam"
    news = "news"
    me = "me"
    """The writer speaks of themselves."""
    you = "you"
    """The writer speaks to somebody."""


Meaning = Cue | Sensitive


class Hit(NamedTuple):
    """One pattern found in a text."""

    meaning: Meaning
    language: str
    words: str
    """The pattern as listed."""
    idiom: bool = False
    """Takes back one hit of the same meaning."""
    found: str = ""
    """The words of the text that make the pattern, without what lies between."""


def standing(hits: Iterable[Hit]) -> dict[Meaning, int]:
    """How often each meaning occurs that no idiom takes back; none of them 0."""
    counted: dict[Meaning, int] = {}
    for hit in hits:
        counted[hit.meaning] = counted.get(hit.meaning, 0) + (-1 if hit.idiom else 1)
    return {meaning: times for meaning, times in counted.items() if times > 0}
