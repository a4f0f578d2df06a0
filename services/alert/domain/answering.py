"""What a person must know before an answer goes out, and what becomes of it. Pure.

The limits are the platforms' own as `services.ingest.speaking` keeps them; ingest has the last word. A
caution never forbids: it asks the person to look once more, which they say by sending again.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.alert.domain.items import Item
from services.contracts.configuration import (
    Account,
    BlueskyAccount,
    EmailAccount,
    FacebookAccount,
    InstagramAccount,
    MastodonAccount,
    XAccount,
    YouTubeAccount,
)
from services.contracts.events import OutcomeState

CLOSES_SOON = timedelta(hours=1)
"""A reply window that closes within this time is said."""
NO_WORD = timedelta(minutes=10)
"""So long after its expiry an answer of which nobody told anything is for a person to look after."""
_COMMENT_WINDOW = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer an item."""

    private: bool
    limit: int
    """As the platform counts."""
    firm: bool = True
    """False where servers set their own limit: more may be taken."""
    closes_at: datetime | None = None
    """The platform takes no answer after it."""


class AnswerState(StrEnum):
    """Where an answer stands."""

    review = "review"
    """A trainee's: a second person sends it."""
    pending = "pending"
    """Goes out at its time; can be taken back."""
    sent = "sent"
    """On presence.replies: ingest posts it."""
    limited = "limited"
    """The platform asked to wait."""
    posted = "posted"
    refused = "refused"
    unknown = "unknown"
    """Sent, and nobody can tell whether it arrived: a person decides."""
    undone = "undone"
    rejected = "rejected"
    """By the second person."""
    stopped = "stopped"
    """The matter ended before it went out."""
    replaced = "replaced"
    """A person had an unknown one sent again."""

    @property
    def under_way(self) -> bool:
        """Whether it may still reach the customer by itself."""
        return self in (
            AnswerState.review,
            AnswerState.pending,
            AnswerState.sent,
            AnswerState.limited,
        )


class Caution(StrEnum):
    """Why to look once more."""

    personal_data = "personal_data"
    window_closing = "window_closing"
    newer_messages = "newer_messages"
    someone_writing = "someone_writing"
    claimed = "claimed"
    answer_under_way = "answer_under_way"
    repeated = "repeated"
    long = "long"


def ways(account: Account | None, item: Item, heard_at: datetime | None) -> tuple[Way, ...]:
    """How this item can be answered from Presence, the way it was asked first; none: only over there.

    `heard_at` is when the person last wrote in private.
    """
    public: Way | None = None
    private: Way | None = None
    match account:
        case XAccount() if account.settings.access_token:
            public, private = Way(False, 280), Way(True, 10_000)
        case FacebookAccount() | InstagramAccount() if account.settings.access_token:
            facebook = account.platform == "facebook"
            window = account.settings.message_window if item.private else _COMMENT_WINDOW
            closes = ((item.private and heard_at) or item.source_time) + window
            public = Way(False, 8_000 if facebook else 300)
            private = Way(True, 2_000 if facebook else 1_000, closes_at=closes)
        case MastodonAccount():
            public, private = Way(False, 500, firm=False), Way(True, 500, firm=False)
        case BlueskyAccount():
            public = Way(False, 300)
        case YouTubeAccount() if account.settings.refresh_token:
            public = Way(False, 10_000)
        case EmailAccount() if account.settings.smtp:
            private = Way(True, 40_000)
    found = (private,) if item.private else (public, private)
    return tuple(way for way in found if way is not None)


# X: these weigh one, everything else two; an address always weighs 23.
_X_LIGHT = ((0x0, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))
_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
_ADDRESS_WEIGHS = 23


def length(platform: str, text: str, *, private: bool) -> int:
    """How long the platform will find the text. Close, where the platform's own count is intricate."""
    text = unicodedata.normalize("NFC", text)
    if platform == "instagram" and private:
        return len(text.encode())
    if platform == "bluesky":
        return _characters(text)
    if platform in ("x", "mastodon") and not (platform == "x" and private):
        addresses = len(_ADDRESS.findall(text)) * _ADDRESS_WEIGHS
        rest = _ADDRESS.sub("", text)
        if platform == "mastodon":
            return addresses + _characters(rest)
        light = sum(any(a <= ord(one) <= b for a, b in _X_LIGHT) for one in rest)
        return addresses + light + 2 * (len(rest) - light)
    return len(text)


def _characters(text: str) -> int:
    """What a reader takes for one character each, nearly."""
    count, joined = 0, False
    for one in text:
        extends = (
            unicodedata.combining(one) != 0
            or one in "\u200d\ufe0e\ufe0f\u20e3"
            or "\U0001f3fb" <= one <= "\U0001f3ff"
        )
        count += not (extends or joined)
        joined = one == "\u200d"
    return count


_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DIGITS = re.compile(r"(?<![\w])\+?\d(?:[ ./()-]{0,2}\d){6,18}(?![\w])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")


def personal_data(text: str) -> tuple[str, ...]:
    """The kinds of personal data in a text, in words; tuned to be seldom wrong, not to find all."""
    found = []
    rest = _ADDRESS.sub(" ", text)
    if _EMAIL.search(rest):
        found.append("an email address")
        rest = _EMAIL.sub(" ", rest)
    if any(_is_iban(one.group()) for one in _IBAN.finditer(rest.upper())):
        found.append("a bank account number")
        rest = _IBAN.sub(" ", rest.upper())
    kinds = {_kind_of_number(one.group()) for one in _DIGITS.finditer(rest)}
    found += [kind for kind in ("a card number", "a phone number") if kind in kinds]
    return tuple(found)


def _is_iban(text: str) -> bool:
    bare = text.replace(" ", "")
    if not 15 <= len(bare) <= 34:
        return False
    return int("".join(str(int(one, 36)) for one in bare[4:] + bare[:4])) % 97 == 1


def _kind_of_number(text: str) -> str | None:
    digits = [int(one) for one in text if one.isdecimal()]
    if 13 <= len(digits) <= 19 and not text.startswith("+") and _luhn(digits):
        return "a card number"
    written_as_one = text.startswith(("+", "00", "0")) or bool(re.search(r"\d[ ./()-]+\d", text))
    dated = re.fullmatch(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}", text.strip())
    if 7 <= len(digits) <= 15 and written_as_one and not dated:
        return "a phone number"
    return None


def _luhn(digits: Sequence[int]) -> bool:
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(odd) + sum(sum(divmod(2 * one, 10)) for one in even)) % 10 == 0


@dataclass(frozen=True, slots=True)
class Warned:
    """One caution, with what it is about."""

    caution: Caution
    about: str = ""
    """Names, kinds of data, numbers: the words that belong into the sentence."""
    at: datetime | None = None

    @property
    def key(self) -> str:
        """Short and stable: what a person has looked at is known again, and anything new is not."""
        said = f"{self.caution.value}:{self.about}".encode()
        return hashlib.blake2s(said, digest_size=4).hexdigest()


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around an answer when it is sent or written."""

    now: datetime
    way: Way
    platform: str
    unseen: int
    """Messages of the person that came after the form was opened."""
    writing: tuple[str, ...]
    """Names of others who have the form open."""
    claimed_by: str | None
    """The name of another person who has it."""
    under_way: tuple[str, ...]
    """Names of those whose answers are on their way."""
    same_text: int
    """How often this text was sent within the hour."""
    same_text_most: int


def cautions(text: str, around: Around) -> tuple[Warned, ...]:
    """Everything to look at before `text` goes out; an empty text asks for what is true before writing."""
    found = []
    way = around.way
    if not way.private and text and (kinds := personal_data(text)):
        found.append(Warned(Caution.personal_data, _listed(kinds)))
    if way.closes_at is not None and way.closes_at - around.now < CLOSES_SOON:
        found.append(Warned(Caution.window_closing, at=way.closes_at))
    if around.unseen:
        found.append(Warned(Caution.newer_messages, str(around.unseen)))
    if around.under_way:
        found.append(Warned(Caution.answer_under_way, _listed(around.under_way)))
    if around.writing:
        found.append(Warned(Caution.someone_writing, _listed(around.writing)))
    elif around.claimed_by:
        found.append(Warned(Caution.claimed, around.claimed_by))
    if text and around.same_text >= around.same_text_most:
        found.append(Warned(Caution.repeated, str(around.same_text)))
    if text and not way.firm:
        size = length(around.platform, text, private=way.private)
        if size > way.limit:
            found.append(Warned(Caution.long, f"{size} of usually {way.limit}"))
    return tuple(found)


def too_long(platform: str, text: str, way: Way) -> tuple[int, int] | None:
    """Length and limit, where the platform will surely refuse the text."""
    size = length(platform, text, private=way.private)
    return (size, way.limit) if way.firm and size > way.limit else None


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


_FROM_OUTCOME = {
    OutcomeState.posted: AnswerState.posted,
    OutcomeState.refused: AnswerState.refused,
    OutcomeState.rate_limited: AnswerState.limited,
    OutcomeState.unknown: AnswerState.unknown,
}
_OPEN_TO = {
    AnswerState.refused: (AnswerState.sent, AnswerState.limited, AnswerState.unknown),
    AnswerState.limited: (AnswerState.sent, AnswerState.limited),
    AnswerState.unknown: (AnswerState.sent, AnswerState.limited),
}


def after(state: AnswerState, outcome: OutcomeState) -> AnswerState | None:
    """Where an outcome takes an answer; None: it says nothing new.

    That it stands on the platform is true whatever we thought before. Any order and repetition of one
    reply's outcomes ends in the same state.
    """
    to = _FROM_OUTCOME[outcome]
    if to is AnswerState.posted:
        return None if state is AnswerState.posted else to
    return to if state in _OPEN_TO[to] else None


def answered_item(items: Sequence[Item], openers: Iterable[str]) -> Item | None:
    """What an answer replies to: the newest question that still stands, else the newest message."""
    waiting = set(openers)
    standing = [item for item in items if item.deleted_at is None]
    asked = [item for item in standing if item.id in waiting]
    found = asked or standing
    return found[-1] if found else None


def mark(item_id: str) -> str:
    """A short stand-in for an item's id: ids have no bound, a form's memory has."""
    return hashlib.blake2s(item_id.encode(), digest_size=8).hexdigest()
