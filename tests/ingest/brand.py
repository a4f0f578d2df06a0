"""A brand with accounts on every platform, and native payloads that reach them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import orjson
from pydantic import SecretStr

from services.contracts.configuration import Configuration
from services.contracts.events import Notification
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Parsed
from services.ingest.replay_mark import HEADER, key_of, mark
from services.ingest.sources.registry import build_sources
from services.ingest.sources.source import Delivery, Source

NOW = datetime(2026, 11, 21, 9, 0, 30, tzinfo=UTC)
LINK_SECRET = SecretStr("link-secret-of-the-tests")
SECRETS = {
    "X_ONE": "x-consumer-secret",
    "X_TWO": "x-consumer-secret-of-another-app",
    "META_SECRET": "meta-app-secret",
    "META_TOKEN": "meta-verify-token",
    "META_SECRET_TWO": "meta-app-secret-of-another-app",
    "SHOP_SECRET": "whsec_" + base64.b64encode(b"the secret of the shop").decode(),
    "FORUM_SECRET": "whsec_" + base64.b64encode(b"the secret of the forum").decode(),
    "MASTODON_TOKEN": "mock_token",
    "BLUESKY_PASSWORD": "abcd-efgh-ijkl-mnop",
}
PAYLOADS = Path(__file__).parent / "payloads"
REPLAYED = ("mastodon", "bluesky")
"""Platforms that post nowhere: only replays come under their names, signed by the replay mark."""
MACHINE = {"app_ids": ["777", "Scheduler Pro"], "texts": ["We are out of office"]}


def configuration(**ingest: object) -> Configuration:
    """presence.yaml of the tests: two brands, every platform, two accounts on each."""
    x = {"platform": "x", "brand": "air", "automation": MACHINE}
    page = {"platform": "facebook", "brand": "air", "automation": MACHINE}
    meta = {"app_secret": "META_SECRET", "verify_token": "META_TOKEN"}
    other_meta = {"app_secret": "META_SECRET_TWO", "verify_token": "META_TOKEN"}
    server = {"url": "https://social.example", "access_token": "MASTODON_TOKEN"}
    second_server = {"url": "https://second.example", "access_token": "MASTODON_TOKEN"}
    mastodon = {"platform": "mastodon", "brand": "air", "automation": MACHINE}
    bluesky = {"platform": "bluesky", "brand": "air", "automation": MACHINE}
    bluesky["settings"] = {"app_password": "BLUESKY_PASSWORD"}
    shop = {"source": "shop", "secret": "SHOP_SECRET"}
    forum = {"source": "forum", "secret": "FORUM_SECRET", "scheme": "cloudevents"}
    return Configuration.model_validate(
        {
            "version": 1,
            "brands": [
                {"id": "air", "name": "Example Air", "author_lists": {"vip": ["x:501"]}},
                {"id": "shoes", "name": "Example Shoes"},
            ],
            "accounts": [
                {**x, "id": "2244994945", "settings": {"consumer_secret": "X_ONE"}},
                {**x, "id": "2244994999", "settings": {"consumer_secret": "X_TWO"}},
                {**page, "id": "1010", "settings": meta},
                {**page, "id": "2020", "settings": other_meta},
                {"platform": "instagram", "id": "1784", "brand": "air", "settings": meta},
                {**mastodon, "id": "109", "settings": server},
                {**mastodon, "id": "110@second.example", "settings": second_server},
                {**bluesky, "id": "did:plc:exampleairexampleairexam"},
                {**bluesky, "id": "did:plc:exampleairtwoexampleairt"},
                {"platform": "webhook", "id": "zip-shop", "brand": "shoes", "settings": shop},
                {"platform": "webhook", "id": "zip-forum", "brand": "shoes", "settings": forum},
            ],
            "people": [{"id": "mia", "name": "Mia"}],
            "rotas": [
                {
                    "id": "main",
                    "zone": "UTC",
                    "layers": [
                        {"id": "a", "rotation": {"starts": "2026-01-05", "members": ["mia"]}}
                    ],
                }
            ],
            "policies": [
                {
                    "id": "team",
                    "answer_within": "15m",
                    "steps": [{"at": "0%", "targets": [{"rota": "main"}]}],
                }
            ],
            "routes": [{"id": "all", "policy": "team", "destinations": ["care"]}],
            "destinations": [{"id": "care", "kind": "slack", "channel": "C1"}],
            "ingest": ingest,
        }
    )


@cache
def sources() -> dict[str, Source]:
    """Every webhook source of that configuration."""
    return build_sources(configuration(), lambda name: SecretStr(SECRETS[name]), LINK_SECRET)


def payload(source: str, name: str) -> bytes:
    """A payload in the platform's own form, as bytes."""
    return orjson.dumps(orjson.loads((PAYLOADS / source / f"{name}.json").read_bytes()))


@dataclass(frozen=True)
class Platform:
    """A source, and how it is asked."""

    source: Source
    folder: str

    def sign(self, body: bytes, now: datetime = NOW) -> dict[str, str]:
        """Headers that make the body authentic."""
        headers = self.source.sign(body, now)
        if self.source.name in REPLAYED:
            headers[HEADER] = mark(
                key_of(LINK_SECRET.get_secret_value().encode()), body, now, may_page=True
            )
        return headers

    def read(self, body: bytes, received_at: datetime = NOW) -> list[Parsed]:
        """Signed, verified and parsed."""
        delivery = Delivery(self.sign(body), body)
        accounts = self.source.verify(delivery, NOW)
        return self.source.parse(delivery, accounts, Receipt(received_at))

    def read_file(self, name: str) -> list[Parsed]:
        """The same for a file of payloads/."""
        return self.read(payload(self.folder, name))

    def one(self, name: str) -> Notification:
        """The only notification in a file."""
        (found,) = self.read_file(name)
        assert isinstance(found, Notification), found
        return found


def platform(name: str) -> Platform:
    """By the source's name."""
    return Platform(sources()[name], "shop" if name == "forum" else name)


LATER = NOW + timedelta(minutes=6)
