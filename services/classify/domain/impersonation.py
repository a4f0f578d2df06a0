"""Who looks like the brand and is not: handles and names a glance would confuse.

Names are compared by their skeleton: confusable characters, digits that stand for letters, accents and
separators taken away. The rule is the field's (Unicode TR 39), the table a small part of it: what is
seen in handles.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

_LOOK_ALIKE = str.maketrans(
    {
        "0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "$": "s", "|": "l", "!": "l",
        "а": "a", "в": "b", "е": "e", "ё": "e", "з": "e", "і": "l", "ї": "l", "ј": "j", "к": "k", "м": "m",
        "н": "h", "о": "o", "р": "p", "с": "c", "т": "t", "у": "y", "х": "x", "ѕ": "s", "ԁ": "d", "ӏ": "l",
        "α": "a", "β": "b", "ε": "e", "η": "n", "ι": "l", "κ": "k", "ν": "v", "ο": "o", "ρ": "p", "τ": "t",
        "υ": "u", "χ": "x", "ω": "w", "ı": "l", "ł": "l", "ø": "o", "đ": "d", "ɑ": "a", "ɡ": "g", "ʀ": "r",
        "i": "l", "q": "g",
    }
)  # fmt: skip
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_SERVICE_WORDS = (
    "help", "helpdesk", "support", "care", "service", "customerservice", "customercare", "team", "official",
    "real", "the", "info", "desk", "hq", "app", "online", "kundenservice", "hilfe", "ayuda", "soporte",
    "atencion", "clientes", "suporte", "ajuda", "sac", "assistance", "aide", "assistenza", "refund",
)  # fmt: skip
_SHORTEST = 4


class Identity(NamedTuple):
    """One of the brand's accounts as impersonators see it."""

    platform: str
    account_id: str
    handle: str | None
    brand_name: str


@dataclass(frozen=True, slots=True)
class Resemblance:
    """Whom an author looks like, and how."""

    account_id: str
    says: str


@lru_cache(maxsize=65_536)
def skeleton(name: str) -> str:
    """What remains of a handle or name at a glance."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    letters = plain.split("@")[0] if "@" in plain[1:] else plain.lstrip("@")
    looked = "".join(c for c in letters.translate(_LOOK_ALIKE) if c.isalnum())
    for pair, one in _PAIRS:
        looked = looked.replace(pair, one)
    return looked


_SERVICE_SKELETONS = frozenset(skeleton(word) for word in _SERVICE_WORDS)


def resembles(
    platform: str, author_id: str, handle: str | None, name: str | None, brand: Iterable[Identity]
) -> Resemblance | None:
    """The account of the brand that this author looks like; None for the brand itself and for others."""
    accounts = tuple(brand)
    if any(one.platform == platform and one.account_id == author_id for one in accounts):
        return None
    for account in accounts:
        if account.handle and handle and _alike(handle, account.handle):
            return Resemblance(account.account_id, f"@{handle} looks like @{account.handle}")
    for account in accounts:
        if name and _alike(name, account.brand_name, exactly=True):
            return Resemblance(
                account.account_id, f"calls itself {name!r}, as {account.brand_name} does"
            )
        if handle and _alike(handle, account.brand_name, exactly=True):
            return Resemblance(account.account_id, f"@{handle} looks like {account.brand_name}")
    return None


def _alike(theirs: str, ours: str, *, exactly: bool = False) -> bool:
    one, other = skeleton(theirs.lstrip("@")), skeleton(ours.lstrip("@"))
    if len(other) < _SHORTEST:
        return len(other) > 1 and _with_service_word(one, other)
    if one == other or _with_service_word(one, other):
        return True
    if exactly or len(other) < _SHORTEST + 1:
        return False
    return edits(one, other, at_most=1 if len(other) < 9 else 2) is not None


def _with_service_word(one: str, other: str) -> bool:
    """`acmehelp` for `acme`: the brand with a word of service before or after it."""
    if len(one) <= len(other):
        return False
    rest = one.removeprefix(other) if one.startswith(other) else one.removesuffix(other)
    return rest != one and rest in _SERVICE_SKELETONS


def edits(one: str, other: str, at_most: int) -> int | None:
    """Insertions, deletions, changes and swaps of neighbours between two words; None beyond `at_most`."""
    if abs(len(one) - len(other)) > at_most:
        return None
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if before and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > at_most:
            return None
        before, last = last, row
    return last[-1] if last[-1] <= at_most else None
