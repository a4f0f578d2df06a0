"""What of a thread is gone and what is only hidden from us, and who there is one of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import HttpUrl, SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.contracts.configuration import Configuration
from services.contracts.configuration.accounts import MastodonSettings
from services.contracts.events import Direction, Notification
from services.ingest.domain.accounts import own_accounts
from services.ingest.domain.item import Receipt
from services.ingest.domain.threads import Thread
from services.ingest.sources.mastodon_api import LOOK_ELSEWHERE, MastodonAccountFeed
from services.runtime.clock import ManualClock
from tests.ingest.brand import NOW, configuration
from tests.serving import serve

BOB = {"id": "77", "acct": "bob@far.example"}
SECOND = {"id": "4711", "acct": "air_care@second.example"}


def status(native_id: str, author: dict[str, str], **more: Any) -> dict[str, Any]:
    written = {"id": native_id, "account": author, "content": f"<p>{native_id}</p>"}
    return {**written, "created_at": NOW.isoformat(), **more}


class Server:
    """A Mastodon server with one thread, some of which it does not show us."""

    def __init__(self) -> None:
        self.there = {
            "1": status("1", BOB),
            "2": status("2", SECOND, in_reply_to_id="1", in_reply_to_account_id="77"),
        }
        self.blocking = False
        """Bob blocks us: his statuses are 404 for our token."""
        self.strangers_status: int | None = None
        self.relationships_status = 200
        self.met = {"air_care@second.example": SECOND}
        self.asked: list[str] = []
        routes = [
            Route("/api/v1/accounts/verify_credentials", lambda _: JSONResponse({"id": "109"})),
            Route("/api/v1/accounts/lookup", self.lookup),
            Route("/api/v1/accounts/relationships", self.relationships),
            Route("/api/v1/statuses/{id}", self.status),
            Route("/api/v1/statuses/{id}/context", self.context),
        ]
        self.app = Starlette(routes=routes)
        self.app.state.stop = lambda: None

    def _shown(self, request: Request) -> list[dict[str, Any]]:
        known = "authorization" in request.headers
        hidden = known and self.blocking
        return [one for one in self.there.values() if not (hidden and one["account"] is BOB)]

    async def status(self, request: Request) -> Response:
        if "authorization" not in request.headers and self.strangers_status:
            return JSONResponse({"error": "log in"}, self.strangers_status)
        found = [one for one in self._shown(request) if one["id"] == request.path_params["id"]]
        return JSONResponse(found[0]) if found else JSONResponse({"error": "no record"}, 404)

    async def context(self, request: Request) -> Response:
        below = [one for one in self._shown(request) if one["id"] != request.path_params["id"]]
        return JSONResponse({"ancestors": [], "descendants": below})

    async def relationships(self, request: Request) -> Response:
        self.asked.append("relationships")
        ids = request.query_params.getlist("id[]")
        told = [{"id": one, "blocked_by": self.blocking and one == "77"} for one in ids]
        return JSONResponse(told, self.relationships_status)

    async def lookup(self, request: Request) -> Response:
        self.asked.append("lookup")
        found = self.met.get(request.query_params["acct"])
        return JSONResponse(found) if found else JSONResponse({"error": "no record"}, 404)


@pytest.fixture
def server() -> Server:
    return Server()


CLOCK = ManualClock(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
async def feed(server: Server) -> AsyncIterator[MastodonAccountFeed]:
    account = replace(own_accounts(with_handles())["mastodon", "109"])
    with serve(server.app) as url:
        made = MastodonAccountFeed(
            account, MastodonSettings(url=HttpUrl(url)), SecretStr("a token"), CLOCK
        )
        yield made
        await made.close()


def with_handles() -> Configuration:
    """The second account, on another server, with the handle that people see."""
    file = configuration()
    accounts = tuple(
        one.model_copy(update={"handle": "@air_care"}) if one.id == "110@second.example" else one
        for one in file.accounts
    )
    return file.model_copy(update={"accounts": accounts})


def waiting(visibility: str = "public", **seen: str) -> Thread:
    item = {"status": "1", "visibility": visibility, "acct": "bob@far.example"}
    return Thread("1", (item,), frozenset({"77"}), seen)


async def deleted(feed: MastodonAccountFeed, thread: Thread) -> list[str]:
    look = await feed.look(thread)
    return [str(one.payload) for one in look.events if one.name == "delete"]


async def test_a_status_that_is_gone_for_everybody_is_told_as_deleted(
    server: Server, feed: MastodonAccountFeed
) -> None:
    del server.there["1"]
    assert await deleted(feed, waiting()) == ["1"]


async def test_somebody_who_blocks_us_has_deleted_nothing(
    server: Server, feed: MastodonAccountFeed
) -> None:
    server.blocking = True
    look = await feed.look(waiting())
    assert [one for one in look.events if one.name == "delete"] == []
    assert await deleted(feed, replace(waiting(), seen=look.seen)) == []


@pytest.mark.parametrize(
    ("visibility", "strangers", "blocks", "relationships", "told"),
    [
        ("direct", None, True, 200, []),
        ("direct", None, False, 200, ["1"]),
        ("direct", None, False, 403, []),  # nobody can say: it is not told
        ("public", 401, True, 200, []),
        ("public", 401, False, 200, ["1"]),
        ("public", 401, False, 403, []),
    ],
)
async def test_where_strangers_are_shown_nothing_the_persons_blocks_are_asked_for(
    server: Server,
    feed: MastodonAccountFeed,
    visibility: str,
    strangers: int | None,
    *,
    blocks: bool,
    relationships: int,
    told: list[str],
) -> None:
    server.strangers_status, server.blocking = strangers, blocks
    server.relationships_status = relationships
    if not blocks:
        del server.there["1"]
    assert await deleted(feed, waiting(visibility)) == told


async def test_our_account_on_another_server_is_ours_here_too(
    server: Server, feed: MastodonAccountFeed
) -> None:
    await feed.identify()
    found = await read_second(feed)
    assert found.direction is Direction.outbound
    assert not found.overheard
    assert found.conversation.counterpart_id == "77"


async def test_an_account_that_the_server_has_not_met_is_asked_for_again(
    server: Server, feed: MastodonAccountFeed
) -> None:
    server.met.clear()
    await feed.identify()
    await feed.look(waiting())
    assert server.asked.count("lookup") == 1
    assert (await read_second(feed)).direction is Direction.inbound
    server.met["air_care@second.example"] = SECOND
    await CLOCK.forward(LOOK_ELSEWHERE)
    await feed.look(waiting())
    assert (await read_second(feed)).direction is Direction.outbound
    await CLOCK.forward(LOOK_ELSEWHERE)
    await feed.look(waiting())
    assert server.asked.count("lookup") == 2


async def read_second(feed: MastodonAccountFeed) -> Notification:
    """What the second account wrote, as the thread tells it."""
    look = await feed.look(waiting())
    (event,) = [one for one in look.events if one.payload["id"] == "2"]
    found = await feed.parse(event, Receipt(NOW, reread=True))
    assert isinstance(found, Notification), found
    return found
