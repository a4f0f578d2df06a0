"""Whatever anybody sends to any route of ingest: no 500, no crash, no memory that stays.

2,000 requests from a seed in `make test`; FUZZ_REQUESTS=10000 (and FUZZ_SEED) for more.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import psutil
import pytest

from tests.conftest import FreshDatabase
from tests.ingest.brand import PAYLOADS, SECRETS, configuration, platform
from tests.integration.ingest_service import running, settings_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "2000"))
SEED = int(os.environ.get("FUZZ_SEED", "20261122"))
GROWTH = 64 * 1_048_576
ALLOWED = {200, 202, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429}
KNOWN = ("x", "meta", "shop", "forum", "mastodon", "replay")
WITH_FILES = ("x", "meta", "shop", "forum", "mastodon")
STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 1e308, "", "\x00", "𝕏" * 50, "a" * 10_000, [], {}, [[[[]]]], {"id": {}},
    "2026-13-45T99:99:99Z", "Fri Nov 20 25:61:61 +0000 2026", "\u202e", "<script>", -(2**63), ["a", 1],
)  # fmt: skip


def _spots(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value that can be changed: (container, key)."""
    if isinstance(value, dict):
        inner = [spot for one in value.values() for spot in _spots(one)]
        return [(value, key) for key in value] + inner
    if isinstance(value, list):
        inner = [spot for one in value for spot in _spots(one)]
        return [(value, index) for index in range(len(value))] + inner
    return []


class Fuzzer:
    """Payloads of every platform, and what chance makes of them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.bodies = {
            source: [
                file.read_bytes()
                for file in sorted(
                    (PAYLOADS / ("shop" if source == "forum" else source)).glob("*.json")
                )
            ]
            for source in WITH_FILES
        }

    def body(self, source: str) -> bytes:
        native = self.chance.choice(self.bodies.get(source) or self.bodies["shop"])
        change: Callable[[bytes], bytes] = self.chance.choice(
            [self._values, self._values, self._values, self._bytes, self._cut, self._rubbish]
        )
        return change(native)

    def _values(self, body: bytes) -> bytes:
        read = orjson.loads(body)
        for _ in range(self.chance.randint(1, 4)):
            spots = _spots(read)
            if not spots:
                break
            where, key = self.chance.choice(spots)
            if self.chance.random() < 0.3:
                del where[key]
            elif self.chance.random() < 0.2:
                where[key] = [where[key]] * self.chance.randint(0, 20)
            else:
                where[key] = copy.deepcopy(self.chance.choice(STRANGE))
        try:
            return orjson.dumps(read)
        except TypeError:
            return body

    def _bytes(self, body: bytes) -> bytes:
        changed = bytearray(body)
        for _ in range(self.chance.randint(1, 10)):
            changed[self.chance.randrange(len(changed))] = self.chance.randrange(256)
        return bytes(changed)

    def _cut(self, body: bytes) -> bytes:
        return body[: self.chance.randrange(len(body))]

    def _rubbish(self, _body: bytes) -> bytes:
        return self.chance.choice(
            [b"", b"[" * 5_000, b"null", b"1e999", b'"' + b"\xff" * 50, self.chance.randbytes(300)]
        )

    def headers(self, source: str, body: bytes) -> dict[str, str]:
        """Mostly authentic, so that what is behind the signature is reached."""
        try:
            signed = platform(source).sign(body) if source in WITH_FILES else {}
        except ValueError:
            signed = {"content-type": "application/json"}  # no text: nobody can sign it
        if self.chance.random() < 0.15 and signed:
            name = self.chance.choice(sorted(signed))
            signed[name] = self.chance.choice(["", "a" * 5_000, "sha256=", "v1,", "-1", "\t;="])
        if self.chance.random() < 0.05:
            signed["content-length"] = self.chance.choice(["-1", "x", str(2**70)])
        return signed

    def path(self) -> str:
        return self.chance.choice(
            [
                "/", "//", "/webhooks/", "/metrics", "/health/live", "/health/ready",
                "/webhooks/x/../x", "/webhooks/" + quote(self.chance.randbytes(12)),
            ]
        )  # fmt: skip


async def test_nothing_that_anybody_sends_is_an_error_of_ours(
    kafka: str, postgres: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    raw = configuration().model_dump(mode="json", by_alias=True, exclude_none=True)
    file = configuration().model_validate(
        {**raw, "accounts": [one for one in raw["accounts"] if one["platform"] != "mastodon"]}
    )
    fuzzer, process, before = Fuzzer(SEED), psutil.Process(), 0
    statuses: dict[int, int] = {}
    async with running(settings_for(kafka, postgres()), file) as http:
        for number in range(REQUESTS):
            answer = await _one(http, fuzzer)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            assert answer.status_code in ALLOWED, f"seed {SEED}, request {number}: {answer.text}"
            if number == REQUESTS // 4:
                before = process.memory_info().rss
        assert (await http.get("/health/ready")).status_code == 200
        grown = process.memory_info().rss - before
    assert grown < GROWTH, f"{grown / 1_048_576:.0f} MB more"
    assert statuses.get(200, 0) > REQUESTS // 10, "what is behind the signature was reached"


async def _one(http: httpx.AsyncClient, fuzzer: Fuzzer) -> httpx.Response:
    dice = fuzzer.chance.random()
    if dice < 0.05:
        method = fuzzer.chance.choice(["GET", "PUT", "DELETE", "POST", "HEAD", "OPTIONS"])
        return await http.request(method, fuzzer.path())
    source = fuzzer.chance.choice(KNOWN)
    if dice < 0.1:
        token = quote(fuzzer.chance.randbytes(20))
        query = fuzzer.chance.choice(["crc_token", "hub.mode", "hub.challenge", "hub.verify_token"])
        return await http.get(f"/webhooks/{source}?{query}={token}&{query}")
    body = fuzzer.body(source)
    return await http.post(
        f"/webhooks/{source}", content=body, headers=fuzzer.headers(source, body)
    )
