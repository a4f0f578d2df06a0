"""How a text is built: what a model can learn from without knowing its language.

The names are the columns of the text engines; an engine file says which it was trained with, so a
column is added at the end and never given another meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import log1p

from services.classify.domain.cues import Cue, Meaning
from services.classify.domain.text import HANDLE, LINK, Text

_SHORTENERS = re.compile(
    r"(?://|^|\.)(?:bit\.ly|tinyurl\.com|goo\.gl|t\.ly|is\.gd|cutt\.ly|rb\.gy|ow\.ly|buff\.ly|rebrand\.ly|shorturl\.at|"
    r"tiny\.cc|s\.id|v\.gd|bl\.ink|linktr\.ee|lnkd\.in|wa\.me|t\.me|adf\.ly|shorte\.st)(?:/|$)",
    re.IGNORECASE,
)
# A name put together with hyphens, or an ending that costs next to nothing: `parcel-rebook.info`, `win.top`.
_MADE_UP = re.compile(
    r"(?://|^)(?:[\w-]+\.){0,3}?(?:[a-z0-9]+-[\w-]+\.[a-z.]{2,12}|[\w-]+\.(?:top|xyz|icu|cyou|buzz|click|vip|win|bid|"
    r"live|online|site|website|space|shop|club|pw|su|tk|cc|info))(?:[/?:]|$)",
    re.IGNORECASE,
)
_QUESTION_MARKS = re.compile(r"[?؟？;՞፧⸮]")
_EXCLAMATIONS = re.compile(r"[!！¡]")
_HASHTAGS = re.compile(r"[#＃]\w+")
_MONEY = re.compile(r"[$€£¥₹₽₿]")
# That a word begins is asked after its first letter: so the search leaps from one such letter to the next.
_CURRENCIES = re.compile(
    r"(?:u(?<!\wu)sdt?|e(?<!\we)ur|g(?<!\wg)bp|r(?<!\wr)s|b(?<!\wb)tc|e(?<!\we)th)\b"
)
_LONG_NUMBER = re.compile(r"0[0\s().-]{5,}0")
_QUOTES = re.compile(r"[\"“”«»„「」『』]")
_EMOJI = re.compile(
    "[\U0001f300-\U0001faff\u2600-\u27bf\U0001f1e6-\U0001f1ff\u2b00-\u2bff\u23e9-\u23fa]"
)
_TRUNCATED = re.compile(r"(?:\.\.\.|…)\s*(?:" + LINK + r"\s*)*$")
_ENDS_SENTENCE = re.compile(r"[.!?。！？؟।]\s*$")
_REPOST = re.compile(r"^\s*rt\s", re.IGNORECASE)
_FROM_OUTLET = re.compile(r"(?:\s[|–—-]\s\S[^|–—]{0,30}$)|(?:\bvia\s+\ue002)|\([A-Z][\w .]{1,20}\)")
_OUTLET_MARKS = re.compile("[|–—(-]|via")
_CUES = tuple(Cue)
_PERSONAL = (Cue.me, Cue.you, Cue.question, Cue.plea)
_NO_CUES = (0.0,) * len(_CUES)


@dataclass(frozen=True, slots=True)
class Structure:
    """One text's build, as numbers between about 0 and 3."""

    values: tuple[float, ...]
    """In the order of `COLUMNS`."""
    links: int
    handles: int
    hashtags: int
    emoji: int
    words: int
    questions: int
    shortener: bool
    capitals: float
    """Share of the words of three or more letters that are all capitals."""


COLUMNS: tuple[str, ...] = (
    "length",
    "very short",
    "links",
    "several links",
    "little but a link",
    "link shortener",
    "ends with a link",
    "handles",
    "many handles",
    "begins with a handle",
    "marked as a repost",
    "hashtags",
    "mostly hashtags",
    "emoji",
    "question marks",
    "exclamation marks",
    "cut off",
    "capital letters",
    "written like a headline",
    "begins with a small letter",
    "ends like a sentence",
    "digits",
    "money",
    "a long number",
    "a colon",
    "quotation marks",
    "names an outlet",
    *(f"words: {cue}" for cue in Cue),
    "speaks of nobody",
    "a made-up host",
)


def describe(text: Text, cues: Mapping[Meaning, int], links: int | None = None) -> Structure:
    """Measure a text. `cues`: how often each stands; `links` where the platform counts more."""
    raw, masked = text.raw, text.masked
    words = text.words
    count = len(words)
    n_links = max(len(text.links), links or 0)
    n_handles = len(text.handles)
    hashtags = len(_HASHTAGS.findall(masked)) if "#" in masked or "＃" in masked else 0
    emoji = 0 if raw.isascii() else len(_EMOJI.findall(raw))
    questions = len(_QUESTION_MARKS.findall(raw))
    shortener = any(_SHORTENERS.search(link) for link in text.links)
    written = [w for w in raw.split() if _is_written(w[0]) and "://" not in w]
    long_words = [w for w in written if len(w) >= 3]
    capitals = _share(sum(map(str.isupper, long_words)), len(long_words))
    headline = _share(sum([w[0].isupper() for w in written[1:]]), len(written) - 1)
    stripped = masked.strip(" " + HANDLE)
    speaks = any(cue in cues for cue in _PERSONAL)
    values = (
        log1p(count) / 2,
        float(count <= 3),
        float(n_links > 0),
        float(n_links > 1),
        float(n_links > 0 and count < 6),
        float(shortener),
        float(masked.rstrip().endswith(LINK)),
        float(n_handles > 0),
        float(n_handles > 2),
        float(masked.lstrip(' ."“').startswith(HANDLE)),
        float(_REPOST.match(raw) is not None),
        min(hashtags, 5) / 2,
        _share(2 * hashtags, count),
        log1p(emoji),
        min(questions, 3) / 2,
        min(len(_EXCLAMATIONS.findall(raw)), 5) / 3,
        float(_TRUNCATED.search(masked) is not None),
        2 * capitals,
        2 * headline if len(written) > 3 else 0.0,
        float(bool(written) and written[0][0].islower()),
        float(_ENDS_SENTENCE.search(stripped) is not None),
        4 * _share(masked.count("0"), len(masked)),
        float(_MONEY.search(raw) is not None or _CURRENCIES.search(raw.lower()) is not None),
        float(_LONG_NUMBER.search(masked) is not None),
        float(":" in stripped),
        float(_QUOTES.search(masked) is not None),
        float(_OUTLET_MARKS.search(raw) is not None and _FROM_OUTLET.search(raw) is not None),
        *([min(cues.get(cue, 0), 3) / 2 for cue in _CUES] if cues else _NO_CUES),
        float(not speaks),
        float(any(_MADE_UP.search(link) for link in text.links)),
    )
    return Structure(
        values, n_links, n_handles, hashtags, emoji, count, questions, shortener, capitals
    )


def _is_written(first: str) -> bool:
    """Whether a word begins with a letter, or a sign that counts as one."""
    return first.isalpha() or (first.isalnum() and not first.isdecimal())


def _share(part: float, whole: float) -> float:
    return min(part / whole, 1.0) if whole > 0 else 0.0
