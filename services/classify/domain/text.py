"""The forms in which a text is looked at: normalised, masked, and as words.

Everything here is a pure function of the text. Only the first `READ_AT_MOST` characters are read: a
verdict does not change by what follows a page of text, and a hundred kilobytes must not stop a batch.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

READ_AT_MOST = 8_000

LINK = "\ue001"
"""Stands for a link in a masked text."""
HANDLE = "\ue002"
"""Stands for a handle in a masked text."""

_INVISIBLE = dict.fromkeys(
    [
        *range(0x09),
        *range(0x0E, 0x20),
        0x7F,
        0xAD,
        0x34F,
        0x61C,
        0x180E,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
        0xFEFF,
        *range(0xD800, 0xE000),
        *range(0xE000, 0xE010),
        *range(0xE0000, 0xE0080),
    ]
)
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘ʼ`´"), " ")
_WORDS_REMEMBERED = 8_192
_A_WORD = 32
"""Characters: longer ones hardly occur twice, and are not remembered."""
_ACCENTS = re.compile(
    "[" + "".join(c for c in map(chr, range(0x300, 0x900)) if unicodedata.combining(c)) + "]+"
)
# Marks from U+0900 on are letters of their scripts (Indic vowels, Japanese voicing): they stay.
# Of those that lose no accent by decomposing: Turkish, Polish and Danish letters, Arabic endings,
# Persian letters and the stretching stroke, Hindi nasal signs and the dot under a letter.
_TYPED_ALIKE = str.maketrans("ıłøđىةکیँ", "ilodيهكيं", "ـ़")
# A bare domain begins where a word does and has few labels: else a line of dots costs quadratic time.
_LINKS = re.compile(
    r"(?:https?://|www\.)\S+"
    r"|(?<![\w.-])[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9-]{1,63}){0,4}\."
    r"(?:com|net|org|io|co|ly|me|gl|be|gd|cc|info|biz|xyz|top|shop|site|online|club|link|app|uk|de|fr|es|ru|br|"
    r"live|vip|icu|win|bid|click|store|website|space|pro|life|fun|buzz|cyou|su|pw|tk|eu|nl|pl)"
    r"(?:/\S*|\b)",
    re.IGNORECASE,
)
_EMAILS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_HANDLES = re.compile(r"(?<!\w)@\w[\w.-]{0,80}(?:@[\w-]+(?:\.[\w-]+)+)?")
_REPOST = re.compile(r"^\s*RT\s+(?:" + HANDLE + r":?)?")
# Python's \w leaves out the vowel signs of Indic and Thai scripts, which are part of their words.
_WORDS = re.compile(r"[\w\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e]+")
# Arabic and Korean are here too: articles, prepositions and endings are written onto the word.
_UNSPACED = re.compile(
    r"[\u0600-\u06ff\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)


@dataclass(frozen=True, slots=True)
class Text:
    """One text in the forms that features, word lists and engines need."""

    raw: str
    """As written, cut to `READ_AT_MOST`, without invisible characters."""
    masked: str
    """Normalised and casefolded, links and handles each one private character, digits all 0."""
    folded: str
    """Masked, and without apostrophes and the accents that people leave out on a phone."""
    words: tuple[str, ...]
    """The words of `folded`."""
    links: tuple[str, ...]
    """Links in the text, as written."""
    handles: tuple[str, ...]
    """Handles in the text, casefolded, with their @."""
    plain: str
    """As written, with its capitals and digits, without repost mark, links and handles."""


def visible(text: str) -> str:
    """Compatibility-normalised text without invisible, control and surrogate characters."""
    if text.isascii():
        return text.translate(_INVISIBLE) if not text.isprintable() else text
    return unicodedata.normalize("NFKC", text.translate(_INVISIBLE))


def fold(text: str) -> str:
    """Casefolded, apostrophes as spaces, accents off, and letters alike that people type alike.

    Accents leave Latin, Cyrillic, Greek, Hebrew and Arabic; what Arabic, Hindi, Turkish and Polish
    writers use for each other on a phone becomes one.
    """
    text = text.casefold()
    if text.isascii():
        return text.replace("'", " ").replace("`", " ")
    # Nothing composes across a blank, and most words have been seen before.
    return " ".join(
        [_fold_word(word) if len(word) <= _A_WORD else _fold(word) for word in text.split(" ")]
    )


def _fold(casefolded: str) -> str:
    plain = casefolded.translate(_APOSTROPHES)
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", plain))
    return unicodedata.normalize("NFC", bare).translate(_TYPED_ALIKE)


_fold_word = lru_cache(_WORDS_REMEMBERED)(_fold)


def words_of(folded: str) -> tuple[str, ...]:
    """The words of a folded text, in order."""
    return tuple(_WORDS.findall(folded))


def is_unspaced(text: str) -> bool:
    """Whether the text holds a script whose words do not stand between spaces alone."""
    return not text.isascii() and _UNSPACED.search(text) is not None


def read(text: str, title: str | None = None) -> Text:
    """Bring a text, with its title or subject where there is one, into the forms above."""
    whole = f"{title}\n{text}" if title else text
    raw = visible(whole[:READ_AT_MOST])
    links: list[str] = []
    handles: list[str] = []

    def link(found: re.Match[str]) -> str:
        links.append(found.group())
        return LINK

    def handle(found: re.Match[str]) -> str:
        handles.append(found.group().casefold())
        return HANDLE

    masked = _EMAILS.sub(" ", raw) if "@" in raw else raw
    masked = _LINKS.sub(link, masked) if "." in masked else masked
    masked = _HANDLES.sub(handle, masked) if "@" in masked else masked
    plain = " ".join(
        _REPOST.sub("", masked, count=1).replace(LINK, " ").replace(HANDLE, " ").split()
    )
    masked = _digits_alike(masked.casefold())
    folded = fold(masked)
    return Text(raw, masked, folded, words_of(folded), tuple(links), tuple(handles), plain)


_DIGITS = re.compile("[1-9]")


def _digits_alike(text: str) -> str:
    return _DIGITS.sub("0", text)
