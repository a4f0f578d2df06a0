"""Outside text made fit to be shown: cleaned, cut between characters, never a command to a chat.

What a stranger wrote reaches a card only through these functions. They change as little as possible:
what somebody said has to stay readable, in every script.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

ELLIPSIS = "…"

# Overrides and embeddings turn the line around them; marks (LRM, RLM, ALM) only place a character
# and are left to those who write right to left.
_BIDI_CONTROLS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_FIRST_STRONG_ISOLATE, _LEFT_TO_RIGHT_ISOLATE, _POP_ISOLATE = "\u2068", "\u2066", "\u2069"
_LEFT_TO_RIGHT_MARK = "\u200e"
# A handle inside a right-to-left name: without it `(@layla)` is shown as `(layla@)`.
_HANDLE = re.compile(r"\(?@[\w.@-]+\)?", re.ASCII)
_WORD_JOINER, _ZERO_WIDTH_SPACE = "\u2060", "\u200b"
"""Both unseen: no line breaks at the first, any line may break at the second."""
_BREAK_EVERY = 20
# Not in it: Thai to Khmer, Chinese, Japanese, Korean, emoji.
_LONG_WORD = re.compile(
    r"[^\s\u0e00-\u109f\u1780-\u17ff\u2e80-\ufe6f\uff00-\uffff\U0001f000-\U0003ffff]{29,}"
)
_ZERO_WIDTH_JOINER = "\u200d"
_MOST_MARKS = 4
"""Combining marks that a character keeps; a stack of fifty paints over the lines around it."""


def clean(text: str, *, lines: bool = False) -> str:
    """The text without control characters and without bidi controls; with `lines` it keeps breaks."""
    text = text.encode("utf-8", "replace").decode().translate(_BIDI_CONTROLS)
    kept = []
    marks = 0
    for character in text.replace("\r\n", "\n").replace("\r", "\n"):
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _MOST_MARKS:
            continue
        if character == "\n" and lines:
            kept.append("\n")
        elif character.isspace() or unicodedata.category(character) in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        else:
            kept.append(character)
    rows = (" ".join(row.split()) for row in "".join(kept).split("\n"))
    return "\n".join(rows).strip()


def one_line(text: str) -> str:
    """Cleaned, without breaks; a name in a right-to-left script does not reorder the line around it."""
    text = clean(text)
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in text):
        text = _HANDLE.sub(rf"{_LEFT_TO_RIGHT_ISOLATE}\g<0>{_POP_ISOLATE}", text)
        return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"
    return text


def right_to_left(text: str) -> bool:
    """Whether a reader begins at the right: its first letter says so."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def joined_line(text: str) -> str:
    """Parts joined by ` · ` on one line: a part in a right-to-left script turns only itself around."""
    line = " · ".join(one_line(part) for part in text.split(" · "))
    # Browsers look into the isolate for a line's direction: a mark before it says that the line is ours.
    return f"{_LEFT_TO_RIGHT_MARK}{line}" if line.startswith(_FIRST_STRONG_ISOLATE) else line


def units(text: str) -> int:
    """Length in UTF-16 units: what the strictest reader of a "characters" limit would count."""
    return len(text) + sum(character > "\uffff" for character in text)


def _joins(before: str, character: str) -> bool:
    point = ord(character)
    return (
        unicodedata.combining(character) != 0
        or before.endswith(_ZERO_WIDTH_JOINER)
        or character == _ZERO_WIDTH_JOINER
        or 0xFE00 <= point <= 0xFE0F  # variation selectors
        or 0x1F3FB <= point <= 0x1F3FF  # skin tones
        or 0xE0020 <= point <= 0xE007F  # tags in flags
        or unicodedata.category(character) in ("Mn", "Me", "Mc")
        or (_regional(character) and len(before) == 1 and _regional(before))
    )


def _regional(character: str) -> bool:
    return 0x1F1E6 <= ord(character) <= 0x1F1FF


def characters(text: str) -> Iterator[str]:
    """What a reader takes for one character each (an approximation of grapheme clusters)."""
    cluster = ""
    for character in text:
        # No real character is longer than a family of four; without an end, one would swallow a text.
        if cluster and len(cluster) < 16 and _joins(cluster, character):
            cluster += character
        else:
            if cluster:
                yield cluster
            cluster = character
    if cluster:
        yield cluster


def clip(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, cut between characters and marked with an ellipsis.

    What `one_line` isolated stays isolated.
    """
    if units(text) <= limit:
        return text
    kept: list[str] = []
    size, still_open = units(ELLIPSIS), 0
    for character in characters(text):
        opens = character in (_FIRST_STRONG_ISOLATE, _LEFT_TO_RIGHT_ISOLATE)
        closes = character == _POP_ISOLATE
        if size + units(character) + still_open + opens > limit:
            break
        still_open += opens - closes
        size += units(character)
        kept.append(character)
    return "".join(kept).rstrip() + ELLIPSIS + _POP_ISOLATE * max(still_open, 0)


def disarm(text: str) -> str:
    """No chat's own notation for a ping survives: `<!channel>`, `<@U1>`, `<at>Mia</at>`.

    For places that show text as it is; a word joiner is put behind the opening bracket.
    """
    for opening in ("<!", "<@", "<#", "</at", "<at", "<AT", "<At", "<aT", "</AT", "</At", "</aT"):
        text = text.replace(opening, f"<{_WORD_JOINER}{opening[1:]}")
    return text


def breakable(text: str) -> str:
    """Words too long for a phone's line may be broken: for places that cut what does not fit.

    Scripts without spaces are left alone, because every reader's software breaks those by itself.
    """
    return _LONG_WORD.sub(lambda found: _with_breaks(found.group()), text)


def _with_breaks(word: str) -> str:
    letters = list(characters(word))
    parts = range(0, len(letters), _BREAK_EVERY)
    return _ZERO_WIDTH_SPACE.join("".join(letters[at : at + _BREAK_EVERY]) for at in parts)


def web_address(url: str | None) -> str | None:
    """The address where it is a plain web address, with nothing in it that a chat reads as markup."""
    if not url or any(character.isspace() or ord(character) < 0x20 for character in url):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        return None
    for character in "<>|\"'`\\":
        url = url.replace(character, f"%{ord(character):02X}")
    return url.translate(_BIDI_CONTROLS)


def time_of_day(moment: datetime, zone: str) -> str:
    """`14:32 (Mon 23 Nov, Berlin)`: a time on a wall, which stays true however long the card stands."""
    local = moment.astimezone(ZoneInfo(zone))
    place = zone.rsplit("/", 1)[-1].replace("_", " ")
    return (
        f"{local:%H:%M} ({_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}, {place})"
    )


def second_of_day(moment: datetime | None, zone: str) -> str:
    """`14:32:10`: for what happens within the minute."""
    return f"{moment.astimezone(ZoneInfo(zone)):%H:%M:%S}" if moment else "once"


def clock_time(moment: datetime, zone: str) -> str:
    """`14:32`."""
    return f"{moment.astimezone(ZoneInfo(zone)):%H:%M}"


# strftime's names follow the process's locale; a card's words do not.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
