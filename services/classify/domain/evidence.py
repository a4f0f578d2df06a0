"""Evidence in layers: each a named reason that shifts the odds of the labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final, NamedTuple

from services.classify.domain.cues import Cue
from services.classify.domain.reading import Reading
from services.contracts.base import StrEnum
from services.contracts.events import Kind, Notification

LONE_PERSON_MENTIONS: Final = 5
"""So many handles beside the brand's: a list of strangers, as engagement farms write."""
YOUNG: Final = timedelta(days=7)


class Layer(StrEnum):
    """Where a reason comes from."""

    metadata = "metadata"
    structure = "structure"
    spam_sign = "spam_sign"
    text = "text"
    correction = "correction"
    sensitive = "sensitive"


class Shift(NamedTuple):
    """Log-odds added to the labels."""

    conversation: float = 0.0
    spam: float = 0.0
    news: float = 0.0


class Evidence(NamedTuple):
    """One observation, what it says to a responder, and how it shifts the labels."""

    layer: Layer
    name: str
    says: str
    shift: Shift


def gather(notification: Notification, reading: Reading) -> list[Evidence]:
    """Everything that speaks for a label besides the text engine."""
    return [
        *_of_kind(notification),
        *_of_author(notification),
        *_of_spam(notification, reading),
        *_of_words(reading),
    ]


def _of_kind(item: Notification) -> Iterator[Evidence]:
    if Kind.article in item.kinds:
        yield Evidence(Layer.metadata, "article", "an article from a feed", Shift(news=9.0))
    if Kind.repost in item.kinds:
        yield Evidence(Layer.metadata, "repost", "a repost of somebody's words", Shift(news=2.5))
    if item.private:
        yield Evidence(Layer.metadata, "private", "a private message to you", Shift(1.5))
    elif Kind.review in item.kinds:
        yield Evidence(Layer.metadata, "review", "a review of you", Shift(2.0))
    elif Kind.reply in item.kinds:
        yield Evidence(Layer.metadata, "reply", "a reply to your post", Shift(1.0))
    elif item.addressed:
        yield Evidence(Layer.metadata, "addressed", "addressed to you", Shift(0.7))
    if item.automated:
        says = "marked by the platform as automatic"
        yield Evidence(Layer.metadata, "automated", says, Shift(-2.0, 0.5, 1.0))


def _of_author(item: Notification) -> Iterator[Evidence]:
    author = item.author
    if author.known:
        yield Evidence(Layer.metadata, "known author", "someone you know", Shift(2.5))
    if author.bot:
        yield Evidence(Layer.metadata, "bot", "a bot account", Shift(-1.5, 0.5, 1.0))
    if author.created_at is not None and item.links:
        age = item.received_at - author.created_at
        if timedelta(0) <= age < YOUNG:
            says = f"a link from an account {max(age.days, 0)} days old"
            yield Evidence(Layer.spam_sign, "young account", says, Shift(spam=1.0))


def _of_spam(item: Notification, reading: Reading) -> Iterator[Evidence]:
    structure = reading.structure
    strangers = max(structure.handles, len(item.mentions))
    if strangers > LONE_PERSON_MENTIONS:
        says = f"names {strangers} accounts at once"
        yield Evidence(Layer.spam_sign, "many mentions", says, Shift(spam=1.0))
    scam, promotion = reading.first(Cue.scam), reading.first(Cue.promotion)
    if structure.shortener and (scam or promotion):
        says = f"a shortened link beside “{shown(scam or promotion)}”"
        yield Evidence(Layer.spam_sign, "shortened link", says, Shift(spam=1.0))
    if reading.count(Cue.complaint):
        return  # who complains of a scam uses its words
    # One word may be chance or a customer's question, two are a manner of speaking.
    scams, promotions = reading.count(Cue.scam), reading.count(Cue.promotion)
    asks = structure.questions > 0
    if scams >= 2 or (scams and not asks):
        says = f"words that scams use: “{shown(scam)}”"
        yield Evidence(Layer.spam_sign, "scam words", says, Shift(spam=1.5 if scams > 1 else 0.5))
    if promotions >= 2 or (promotions and not asks):
        says = f"words of promotion: “{shown(promotion)}”"
        weight = 1.5 if promotions > 1 else 1.0
        yield Evidence(Layer.spam_sign, "promotion words", says, Shift(spam=weight))


def _of_words(reading: Reading) -> Iterator[Evidence]:
    advertises = reading.count(Cue.scam) + reading.count(Cue.promotion)
    if advertises:
        return
    wants = (
        reading.count(Cue.complaint)
        + reading.count(Cue.plea)
        + reading.count(Cue.question)
        + reading.structure.questions
    )
    if wants and reading.count(Cue.me) and not reading.structure.links:
        says = "speaks of themselves and wants something"
        yield Evidence(Layer.structure, "personal", says, Shift(1.0))
    if reading.speaks_of_nobody and (reading.structure.links or reading.count(Cue.news)):
        says = "speaks to nobody, as a headline does"
        yield Evidence(Layer.structure, "headline", says, Shift(news=1.0))


def shown(found: str | None) -> str:
    """Words of a text as a person would read them."""
    return (found or "").strip()
