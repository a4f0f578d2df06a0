"""Who is in the story: the brand's accounts, and everybody else, made from their handle alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

X_ID = "1702338415094276096"
X_HANDLE = "auroraair"
FACEBOOK_ID = "104218837655201"
INSTAGRAM_ID = "17841462210985530"
MASTODON_ID = "109302118822716523"
SHOP_ID = "aurora-shop"
HELPDESK_ID = "aurora-helpdesk"
NEWSWIRE_ID = "aurora-newswire"
BRAND_NAME = "Aurora Air"

INBOX_APP_ID = "1517776481860111"
"""The tool in which the brand's people write their messages."""
AUTOREPLY_APP_ID = "2201337799004410"
"""The machine that says "we have received your message"; presence.demo.yaml lists it."""
AUTOREPLY_TEXT = "We have received your message and will get back to you as soon as we can."

BRAND_IDS = {
    "x": X_ID,
    "facebook": FACEBOOK_ID,
    "instagram": INSTAGRAM_ID,
    "mastodon": MASTODON_ID,
    "shop": SHOP_ID,
    "helpdesk": HELPDESK_ID,
    "newswire": NEWSWIRE_ID,
}
"""The brand's account id by the part of the story."""


def digits(seed: str, length: int) -> str:
    """`length` digits that depend on the seed alone and do not begin with 0."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:12], "big")
    return str(10 ** (length - 1) + number % (9 * 10 ** (length - 1)))


@dataclass(frozen=True)
class Person:
    """Somebody on a platform."""

    platform: str
    handle: str
    name: str
    sort: str = "ordinary"
    """ordinary; new (an account of three days with no followers); press (known and verified)."""

    @property
    def is_brand(self) -> bool:
        """Whether this is one of the brand's own accounts."""
        return self.handle == "brand"

    @property
    def id(self) -> str:
        """The platform's immutable id: the same in every run."""
        if self.is_brand:
            return BRAND_IDS[self.platform]
        seed = f"{self.platform}/{self.handle}"
        length = {"x": 19, "facebook": 16, "instagram": 16, "mastodon": 18}.get(self.platform)
        return f"cust-{digits(seed, 6)}" if length is None else "1" + digits(seed, length - 1)

    @property
    def followers(self) -> int:
        """How many follow them."""
        if self.is_brand:
            return 48_210
        if self.sort == "new":
            return int(digits(self.handle, 2)) % 7
        most = 3_000 if self.sort != "press" else 300_000
        return int(digits(self.handle, 6)) % most + 12

    @property
    def verified(self) -> bool:
        """Whether the platform vouches for them."""
        return self.is_brand or self.sort == "press"

    def joined(self, now: datetime) -> datetime:
        """When their account was made."""
        if self.sort == "new":
            return now - timedelta(days=1 + int(digits(self.handle, 3)) % 4, hours=3)
        days = 300 + int(digits(self.handle + "/joined", 4)) % 4_000
        return datetime(2025, 6, 1, 9, 30, tzinfo=UTC) - timedelta(days=days)


def brand(platform: str) -> Person:
    """The brand on that platform."""
    return Person(platform, "brand", BRAND_NAME)
