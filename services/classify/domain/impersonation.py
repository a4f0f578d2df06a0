"""Who looks like the brand and is not: handles and names a glance would confuse.

Names are compared by their skeleton: confusable characters, digits that stand for letters, accents and
separators taken away. The rule is the field's (Unicode TR 39), the table a small part of it: what is
seen in handles.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

_LOOK_ALIKE = str.maketrans(
    {
        "0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "$": "s", "|": "l", "!": "l",
        "а": "a", "в": "b", "е": "e", "ё": "e", "з": "e", "і": "l", "ї": "l", "ј": "j", "к": "k", "м": "m",
        "н": "h", "о": "o", "р": "p", "с": "c", "т": "t", "у": "y", "х": "x", "ѕ": "s", "ԁ": "d", "ӏ": "l",
        "α": "a", "β": "b", "ε": "e", "η": "n", "ι": "l", "κ": "k", "ν": "v", "ο": "o", "ρ": "p", "τ": "t",
        "υ": "u", "χ": "x", "ω": "w", "ı": "l", "ł": "l", "ø": "o", "đ": "d", "ɑ": "a", "ɡ": "g", "ʀ": "r",
        "ա": "w", "հ": "h", "օ": "o", "ո": "n", "ս": "u", "ց": "g", "ք": "p", "յ": "j", "զ": "q",
        "ᴀ": "a", "ʙ": "b", "ᴄ": "c", "ᴅ": "d", "ᴇ": "e", "ꜰ": "f", "ɢ": "g", "ʜ": "h", "ɪ": "l", "ᴊ": "j",
        "ᴋ": "k", "ʟ": "l", "ᴍ": "m", "ɴ": "n", "ᴏ": "o", "ᴘ": "p", "ꜱ": "s", "ᴛ": "t", "ᴜ": "u", "ᴠ": "v",
        "ᴡ": "w", "ʏ": "y", "ᴢ": "z", "ß": "b", "þ": "p", "ð": "d", "ħ": "h", "ŧ": "t", "ƒ": "f", "ɩ": "l",
        "г": "r", "п": "n", "ԛ": "g", "ԝ": "w", "ь": "b", "ү": "y", "һ": "h", "є": "e", "э": "e", "л": "n",
        "δ": "d", "σ": "o", "θ": "o", "γ": "y", "μ": "u", "ℓ": "l", "@": "a", "€": "e", "£": "l",
        "i": "l", "q": "g",
    }
)  # fmt: skip
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("nn", "m"))
_SERVICE_WORDS = (
    "help", "helpdesk", "helpline", "support", "supports", "care", "cares", "service", "services", "customer",
    "customers", "client", "clients", "customerservice", "customercare", "agent", "assist", "contact", "team",
    "official", "officiel", "oficial", "offiziell", "ufficiale", "real", "the", "info", "desk",
    "hq", "online",
    "refund", "refunds", "claims", "complaints", "verify", "security", "secure", "wallet",
    "giveaway", "promo",
    "kundenservice", "kundendienst", "hilfe", "ayuda", "soporte", "atencion", "clientes",
    "alcliente", "suporte",
    "ajuda", "atendimento", "sac", "assistance", "aide", "serviceclient", "assistenza", "clienti", "supporto",
    "destek", "musteri", "hizmetleri", "yardim", "cs", "layanan", "bantuan", "resmi", "pomoc", "obsluga",
    "klienta", "support24", "app", "klantenservice", "поддержка", "помощь", "официальный", "客服", "官方",
    "公式", "サポート", "고객센터", "공식", "دعم", "خدمة", "العملاء", "الرسمي", "सहायता", "sahayata",
)  # fmt: skip
_REGIONS = (
    "uk", "us", "usa", "eu", "de", "fr", "es", "it", "br", "mx", "in", "jp", "tr", "id", "ru",
    "ar", "pl", "nl",
    "global", "int", "world", "24", "247", "24h", "24x7",
)  # fmt: skip
_SHORTEST = 4
_ANY_EDIT_FROM = 7
"""Shorter names have neighbours that are other words (`lumio`, `lucio`): there only a swap or a doubled
letter counts."""
_TWO_EDITS_FROM = 10


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


def _either(words: Iterable[str]) -> str:
    shown = {skeleton(word) for word in words}
    return "|".join(sorted(map(re.escape, shown - {""}), key=len, reverse=True))


_SERVICE = re.compile(
    f"(?:{_either(_REGIONS)})?(?:{_either(_SERVICE_WORDS)})+(?:{_either(_REGIONS)})?"
)
_BESIDE = re.compile(f"(?:{_either((*_SERVICE_WORDS, *_REGIONS))})*")


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
    one, other = skeleton(theirs), skeleton(ours)
    if len(other) <= 1:
        return False
    bare = skeleton(theirs.rstrip("0123456789_.- "))
    if _with_service_word(one, other) or _with_service_word(bare, other):
        return True
    if len(other) < _SHORTEST:
        return False
    if one == other:
        return True
    if exactly:
        return False
    if len(other) < _ANY_EDIT_FROM:
        return len(other) > _SHORTEST and _slipped(one, other)
    return edits(one, other, at_most=1 if len(other) < _TWO_EDITS_FROM else 2) is not None


def _slipped(one: str, other: str) -> bool:
    """Two neighbours swapped, or a letter doubled or halved: what a glance does not see."""
    if len(one) == len(other):
        return sorted(one) == sorted(other) and edits(one, other, at_most=1) == 1
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return len(longer) - len(shorter) == 1 and any(
        a == b and longer[:i] + longer[i + 1 :] == shorter
        for i, (a, b) in enumerate(pairwise(longer))
    )


def _with_service_word(one: str, other: str) -> bool:
    """`acmehelp`, `the_acme_support_team_uk`: the brand with words of service before or after it."""
    start = one.find(other)
    while start >= 0:
        before, after = one[:start], one[start + len(other) :]
        serves = _SERVICE.fullmatch(before) or _SERVICE.fullmatch(after)
        if serves and _BESIDE.fullmatch(before) and _BESIDE.fullmatch(after):
            return True
        start = one.find(other, start + 1)
    return False


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
