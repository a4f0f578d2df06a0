"""Whatever anybody sends to classify's or alert's routes: no 500, no crash, no memory that stays.

500 requests each from a seed in `make test`; FUZZ_REQUESTS=10000 (and FUZZ_SEED) for more. Ingest's own
routes: test_ingest_fuzz.py.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import orjson
import psutil
import pytest
from pydantic import SecretStr
from slack_sdk.signature import SignatureVerifier

from services.alert.chat.links import Links
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.slack_inbound import SlackInbound
from services.alert.chat.slack_interactions import SlackInteractions
from services.alert.chat.slack_modals import CLOSE_CALLBACK, RELABEL_CALLBACK
from services.alert.console.app import create_app
from services.alert.domain.card import CardAct
from services.classify.http import classify_app
from services.runtime.clock import ManualClock
from tests.alert.chat_builders import NOON, SECRET, MemoryEpisodes, card, configuration, row
from tests.alert.chat_servers import TOKEN, SlackServer, serving
from tests.alert.test_slack_interactions import SIGNING_SECRET, pressed
from tests.classify.building import notification, stub_classifier
from tests.integration.test_ingest_fuzz import GROWTH, SEED, Fuzzer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "500"))
PUBLIC = "https://presence.example"
API_TOKEN = "a token for scripts"
Ask = Callable[[], Awaitable[httpx.Response]]


async def _hold(ask: Ask, allowed: set[int]) -> Counter[int]:
    """Ask again and again; every status is one of these, and memory stays."""
    statuses: Counter[int] = Counter()
    process, before = psutil.Process(), 0
    for number in range(REQUESTS):
        answer = await ask()
        statuses[answer.status_code] += 1
        where = (
            f"seed {SEED}, request {number}: {answer.request.method} {answer.request.url!r:.200}"
        )
        assert answer.status_code in allowed, f"{where}: {answer.status_code} {answer.text[:300]}"
        if number == REQUESTS // 4:
            before = process.memory_info().rss
    grown = process.memory_info().rss - before
    assert grown < GROWTH, f"{grown / 1_048_576:.0f} MB more"
    return statuses


class Changed(Fuzzer):
    """These bodies, and what chance makes of them."""

    def __init__(self, seed: int, *bodies: bytes) -> None:
        self.chance = random.Random(seed)
        self.bodies = {"shop": list(bodies)}

    def next(self) -> bytes:
        """As it is, or changed."""
        if self.chance.random() < 0.15:
            return self.chance.choice(self.bodies["shop"])
        return self.body("shop")


async def test_nothing_that_anybody_asks_classify_is_an_error_of_ours() -> None:
    whole = notification("Where is my parcel?").to_bytes()
    author = {"id": "7", "handle": "anna", "name": "Anna"}
    asked = {"text": "Wo bleibt mein Paket?", "kinds": ["mention"], "author": author, "title": "?"}
    more = {"language_hint": "de", "addressed": True, "private": False}
    fuzzer = Changed(SEED, whole, orjson.dumps(asked | more), orjson.dumps({"text": "hi"}))
    chance = fuzzer.chance
    transport = httpx.ASGITransport(classify_app(stub_classifier()))
    async with httpx.AsyncClient(transport=transport, base_url="http://classify") as http:

        async def ask() -> httpx.Response:
            headers = {}
            if chance.random() < 0.1:
                headers["content-length"] = chance.choice(["-1", "x", str(2**70), ""])
            method = "POST" if chance.random() < 0.95 else chance.choice(["GET", "PUT", "HEAD"])
            body = b"x" * 1_100_000 if chance.random() < 0.01 else fuzzer.next()
            return await http.request(method, "/v1/classify", content=body, headers=headers)

        statuses = await _hold(ask, {200, 400, 405, 413, 422})
        assert (await http.post("/v1/classify", json={"text": "still there?"})).status_code == 200
    assert statuses[200] > REQUESTS // 20, statuses
    assert statuses[422] > REQUESTS // 20, statuses


def _raw(headers: dict[str, bytes]) -> httpx.Headers:
    """As they are: a str would have to be ASCII."""
    return httpx.Headers([(name.encode(), value) for name, value in headers.items()])


def _submitted(callback: str, choice: str) -> dict[str, Any]:
    """Slack's view_submission payload."""
    values = {"choice": {"choice": {"selected_option": {"value": choice}}}}
    view = {
        "id": "V1",
        "callback_id": callback,
        "private_metadata": json.dumps({"e": "ep-1", "c": "C0HELP1"}),
        "state": {"values": values},
    }
    return {"type": "view_submission", "user": {"id": "U0MIA1"}, "view": view}


class Visitor:
    """Somebody with some of what our pages and chats give away, and bad intentions."""

    def __init__(self, http: httpx.AsyncClient, links: Links, clock: ManualClock) -> None:
        self.http, self.links, self.clock = http, links, clock
        self.chance = random.Random(SEED)
        acts = [pressed(act, "U0MIA1", "1.1", "ep-1") for act in CardAct.__members__]
        sent = [_submitted(CLOSE_CALLBACK, "do_not_feed"), _submitted(RELABEL_CALLBACK, "spam")]
        self.slack = Changed(SEED, *(orjson.dumps(one) for one in (*acts, *sent)))

    async def ask(self) -> httpx.Response:
        """One request."""
        self.http.cookies.clear()
        kinds = [
            self._slack,
            self._slack,
            self._page,
            self._page,
            self._form,
            self._form,
            self._read,
        ]
        return await self.chance.choice(kinds)()

    def strange(self) -> str:
        """What a header, a cookie or a field holds that nobody of us wrote."""
        return self.chance.choice(
            [
                "",
                "[",
                "http://[",
                "a" * 3_000,
                "\xfc" * 30,
                "-1",
                "9" * 5_000,
                "\x00",
                "%00",
                "//evil.example",
                "é.é",
            ]
        )

    def bent(self, token: str) -> str:
        """A token of ours, mostly whole."""
        dice = self.chance.random()
        if dice < 0.6:
            return token
        if dice < 0.8:
            return token[: self.chance.randrange(len(token))] + "x"
        return quote(self.chance.randbytes(self.chance.randrange(1, 60)), safe="")

    def headers(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for name in ("host", "origin", "authorization", "content-type", "accept"):
            if self.chance.random() < 0.06:
                prefix = "Bearer " if name == "authorization" else ""
                found[name] = (prefix + self.strange()).encode("latin-1")
        if self.chance.random() < 0.2:
            found["authorization"] = f"Bearer {API_TOKEN}".encode()
        nonce = self.strange() if self.chance.random() < 0.3 else "n" * 24
        session = self.strange() if self.chance.random() < 0.3 else self.links.session("mia")
        if self.chance.random() < 0.7:
            cookie = f"presence_form={nonce}; presence_session={session}"
            found["cookie"] = cookie.encode("latin-1")
        return found

    async def _slack(self) -> httpx.Response:
        payload = self.slack.next()
        body = urlencode({"payload": payload}).encode()
        if self.chance.random() < 0.2:
            body = self.chance.choice(
                [payload, b"", b"payload=", b"payload=\xff", body[:-9] + b"%ff"]
            )
        stamp = str(int(self.clock.now().timestamp()) - self.chance.choice([0, 0, 0, 0, 400]))
        try:
            made = SignatureVerifier(SIGNING_SECRET).generate_signature(timestamp=stamp, body=body)
        except UnicodeDecodeError:
            made = None
        headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": made or "v0=ab"}
        sent = {name: value.encode() for name, value in headers.items()}
        if self.chance.random() < 0.2:
            sent[self.chance.choice(list(sent))] = self.strange().encode("latin-1")
        return await self.http.post("/slack/interactions", content=body, headers=_raw(sent))

    def _token(self) -> str:
        episode = self.chance.choice(["ep-1", "ep-1", "ep-2", "gone", "\x00", "../x"])
        person = self.chance.choice([None, "mia", "kim", "nobody"])
        return self.bent(
            self.links.episode_token(episode, person, self.chance.choice([None, *CardAct]))
        )

    def _path(self) -> str:
        sign_in = self.links.sign_in(self.chance.choice(["mia", "nobody"]), self.strange())
        return self.chance.choice(
            [
                f"/a/{self._token()}", f"/a/{self._token()}", f"/a/{self._token()}/sign-in",
                "/sign-in", f"/sign-in/{self.bent(sign_in.rsplit('/', 1)[1])}", "/sign-out",
            ]
        )  # fmt: skip

    async def _page(self) -> httpx.Response:
        query = self.chance.choice(
            ["", "", "?said=done", "?said=taken", "?said=" + quote(self.strange())]
        )
        method = self.chance.choice(["GET", "GET", "GET", "HEAD", "DELETE"])
        return await self.http.request(method, self._path() + query, headers=_raw(self.headers()))

    async def _form(self) -> httpx.Response:
        chance = self.chance
        fields = {
            "form": self.bent(self.links.form("n" * 24)),
            "act": chance.choice([*CardAct, self.strange()]),
            "reason": chance.choice(["do_not_feed", "duplicate", self.strange()]),
            "label": chance.choice(["spam", "news", self.strange()]),
            "why": self.strange(),
            "who": chance.choice(["mia", "Bo", self.strange()]),
            "person": chance.choice(["mia", self.strange()]),
        }
        for name in list(fields):
            if chance.random() < 0.1:
                del fields[name]
        body = urlencode(fields).encode()
        kind = {"content-type": b"application/x-www-form-urlencoded"}
        if chance.random() < 0.1:
            body = chance.choice(
                [chance.randbytes(300), b"&=" * 900, b"form[]=1", body[:-1] + b"%"]
            )
        if chance.random() < 0.1:
            kind["content-type"] = chance.choice([b"multipart/form-data; boundary=x", b"text/\xff"])
        return await self.http.post(self._path(), content=body, headers=_raw(kind | self.headers()))

    async def _read(self) -> httpx.Response:
        strange = "/static/" + quote(self.chance.randbytes(9), safe="")
        path = self.chance.choice(["/", "/", "/api/v1/episodes", "/api/v1/episodes", strange, "//"])
        return await self.http.get(
            path + self.chance.choice(["", "?x=%ff"]), headers=_raw(self.headers())
        )


@asynccontextmanager
async def _alert(public: str) -> AsyncIterator[Visitor]:
    clock, file = ManualClock(NOON), configuration()
    # ep-1 is claimed and closed on the way; ep-2 is masked; the list has both.
    episodes = MemoryEpisodes(card(), card(episode_id="ep-2", masked="private", words=None))
    episodes.rows = [row(), row(episode_id="ep-2", words=None, sensitive=("legal",))]
    links = Links(public, SecretStr(SECRET), clock)

    async def send_sign_in(_person: str, _url: str) -> None:
        episodes.cards["ep-1"] = card()  # open again: more to act on

    async with serving("/api/{method}", SlackServer().handle) as address:
        client = SlackClient(SecretStr(TOKEN), f"{address}/api/")
        destination = SlackDestination("help", "C0HELP1", client)
        app = create_app(
            episodes=episodes,
            configuration=lambda: file,
            links=links,
            slack=SlackInbound(
                SlackInteractions(episodes, lambda: file, [destination], clock), clock
            ),
            slack_signing_secrets=(SecretStr(SIGNING_SECRET),),
            send_sign_in=send_sign_in,
            api_token=SecretStr(API_TOKEN),
            clock=clock,
        )
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=public) as http:
            yield Visitor(http, links, clock)
        await client.close()


@pytest.mark.parametrize("public", [PUBLIC, "http://localhost:8003"])
async def test_nothing_that_anybody_sends_to_alert_is_an_error_of_ours(public: str) -> None:
    allowed = {200, 303, 307, 400, 401, 403, 404, 405, 410, 413, 422}
    async with _alert(public) as visitor:
        statuses = await _hold(visitor.ask, allowed)
        answer = await visitor.http.get(
            "/api/v1/episodes", headers={"authorization": f"Bearer {API_TOKEN}"}
        )
        assert answer.status_code == 200
        assert len(answer.json()["episodes"]) == 2
    assert statuses[200] > REQUESTS // 10, statuses
    assert statuses[303] > 0, statuses
