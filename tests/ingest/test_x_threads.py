"""X's conversations, searched on a server that answers as X documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from pydantic import SecretStr

from services.contracts.configuration.accounts import XSettings
from services.contracts.events import Action, Direction, Kind, Notification
from services.ingest.domain.accounts import own_accounts
from services.ingest.domain.item import Receipt
from services.ingest.domain.threads import Thread
from services.ingest.sources import x_checks
from services.ingest.sources.pulled import PullReason
from services.ingest.sources.x_auth import authorisation
from services.ingest.sources.x_threads import XConversations
from services.runtime.checks import State
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from tests.ingest.brand import NOW, configuration, platform
from tests.ingest.web_server import Answer, Asked, WebServer

AIR = own_accounts(configuration())["x", "2244994945"]


def post(number: int, by: str, answers: int | None, text: str = "hello") -> dict[str, Any]:
    referenced = [{"type": "replied_to", "id": str(answers)}] if answers else []
    return {
        "id": str(number), "author_id": by, "text": text, "conversation_id": "100",
        "created_at": (NOW - timedelta(minutes=3)).isoformat().replace("+00:00", "Z"),
        "referenced_tweets": referenced, "in_reply_to_user_id": "7" if answers else None,
        "entities": {"mentions": [{"id": "7", "username": "lina"}]},
    }  # fmt: skip


class Conversation:
    """Recent search: the newest first, two a page, behind since_id, a day back."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.instead: Answer | None = None
        self.shown = 0
        self.oldest = 50
        self.asked_for: list[str] = []
        self.hidden: set[str] = set()
        """Of somebody whose posts are protected."""

    def __call__(self, asked: Asked) -> Answer:
        assert asked.headers["authorization"] == "Bearer the-token"
        if self.instead:
            return self.instead
        parts = urlsplit(asked.path)
        query = {name: one[0] for name, one in parse_qs(parts.query).items()}
        if parts.path == "/2/users/me":
            return Answer(200, orjson.dumps({"data": {"id": AIR.id}}))
        if parts.path == "/2/tweets":
            return self._by_id(query["ids"].split(","))
        since = int(query.get("since_id", "0"))
        if 0 < since < self.oldest:
            detail = "'since_id' must be a tweet id created after [TIMESTAMP]."
            return Answer(400, orjson.dumps({"title": "Invalid Request", "detail": detail}))
        conversation = query["query"].removeprefix("conversation_id:")
        listed = [
            one
            for one in sorted(self.posts, key=lambda one: -int(one["id"]))
            if int(one["id"]) > since and one["conversation_id"] == conversation
        ]
        begin = int(query.get("next_token", "0"))
        page = listed[begin : begin + 2]
        self.shown += len(page)
        more = {"next_token": str(begin + 2)} if begin + 2 < len(listed) else {}
        users = [{"id": one["author_id"], "username": f"name{one['author_id']}"} for one in page]
        told = {"data": page, "includes": {"users": users}, "meta": more}
        return Answer(200, orjson.dumps(told))

    def _by_id(self, ids: list[str]) -> Answer:
        """What is there as data, what is not as errors, beside each other."""
        self.asked_for += ids
        standing = {one["id"]: one for one in self.posts}
        problems = "https://api.twitter.com/2/problems/"
        missing = [one for one in ids if one not in standing or one in self.hidden]
        errors = [
            {
                "resource_id": one,
                "type": problems
                + ("not-authorized-for-resource" if one in self.hidden else "resource-not-found"),
            }
            for one in missing
        ]
        data = [standing[one] for one in ids if one not in missing]
        return Answer(200, orjson.dumps({"data": data, "errors": errors}))


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


@pytest.fixture
def server(conversation: Conversation) -> Iterator[WebServer]:
    with WebServer(conversation).running() as running:
        yield running


def settings(server: WebServer) -> XSettings:
    given = {"access_token": "X_TOKEN", "threads": True, "api_url": server.url}
    return XSettings.model_validate(given)


def secrets(_: str) -> SecretStr:
    return SecretStr("the-token")


@pytest.fixture
async def source(server: WebServer) -> AsyncIterator[XConversations]:
    auth = authorisation(settings(server), secrets)
    assert auth
    made = XConversations(AIR, server.url, auth, ManualClock(NOW))
    yield made
    await made.close()


async def looks(
    source: XConversations, seen: dict[str, str]
) -> tuple[list[Notification], dict[str, str]]:
    thread = Thread("101", ({"post": "101"},), frozenset({"7"}), seen)
    look = await source.look(thread)
    read = [await source.parse(one, Receipt(NOW, reread=True)) for one in look.events]
    found = [one for one in read if isinstance(one, Notification)]
    assert len(found) == len(read)
    return found, dict(look.seen)


def native(found: list[Notification]) -> list[str]:
    return [one.item_id.rsplit(":", 1)[1] for one in found]


async def test_what_is_new_in_a_customers_conversation_is_found_and_paid_for_once(
    source: XConversations, conversation: Conversation
) -> None:
    await source.identify()
    conversation.posts = [
        post(100, "900", None), post(101, "7", 100, "@air where is my bag?"),
        post(102, "666", 101, "@lina send your card"), post(103, "901", 100, "nice"),
    ]  # fmt: skip
    found, seen = await looks(source, {})
    assert native(found) == ["101", "102"]
    impostor = found[1]
    assert impostor.overheard
    assert (impostor.kinds, impostor.author.handle) == (frozenset({Kind.reply}), "name666")
    assert impostor.in_reply_to == found[0].item_id
    assert [one.handle for one in impostor.mentions] == ["lina"]
    shown = conversation.shown
    assert await looks(source, seen) == ([], seen)
    assert conversation.shown == shown, "nothing is shown twice"
    conversation.posts += [post(104, AIR.id, 101, "Here it is"), post(105, "666", 102, "Hurry")]
    found, seen = await looks(source, seen)
    assert native(found) == ["104", "105"]
    assert found[0].direction is Direction.outbound
    assert [one for one in seen if one.startswith("until")] == []


async def test_a_waiting_post_that_its_author_deleted_is_told_once_and_a_hidden_one_is_not(
    source: XConversations, conversation: Conversation
) -> None:
    conversation.posts = [post(100, "900", None), post(101, "7", 100)]
    _, seen = await looks(source, {})
    conversation.hidden = {"101"}
    found, seen = await looks(source, seen)
    assert found == []
    conversation.hidden.clear()
    del conversation.posts[1]
    (gone,), seen = await looks(source, seen)
    assert (gone.action, native([gone])) == (Action.deleted, ["101"])
    asked = len(conversation.asked_for)
    found, seen = await looks(source, seen)
    assert found == []
    assert len(conversation.asked_for) == asked, "it is not asked for again"


async def test_the_deletion_of_an_edited_post_is_told_of_the_item_that_it_was(
    source: XConversations, conversation: Conversation
) -> None:
    details = {"post": "109", "first": "101"}
    look = await source.look(Thread("101", (details,), frozenset({"7"}), {}))
    (gone,) = [await source.parse(one, Receipt(NOW, reread=True)) for one in look.events]
    assert isinstance(gone, Notification)
    assert gone.event_id.endswith(":101:deleted")


async def test_what_the_webhook_brings_as_well_is_the_same_event(
    source: XConversations, conversation: Conversation
) -> None:
    conversation.posts = [post(100, "7", None), post(101, "7", 100)]
    found, _ = await looks(source, {})
    body = orjson.dumps({"for_user_id": AIR.id, "tweet_create_events": [_first_version(101)]})
    (told,) = platform("x").read(body)
    assert isinstance(told, Notification)
    assert told.event_id in {one.event_id for one in found}


def _first_version(number: int) -> dict[str, Any]:
    return {"id_str": str(number), "text": "hello", "user": {"id_str": "7"}}


async def test_a_conversation_older_than_the_search_reaches_is_searched_whole(
    source: XConversations, conversation: Conversation
) -> None:
    conversation.posts = [post(100, "7", None), post(101, "7", 100)]
    found, _ = await looks(source, {"12": ""})
    assert native(found) == ["100", "101"]


async def test_a_plan_without_search_is_said_and_a_limit_is_waited_out(
    source: XConversations, conversation: Conversation, server: WebServer
) -> None:
    account = configuration().account("x", AIR.id)
    assert account is not None
    with_search = account.model_copy(update={"settings": settings(server)})
    finding = await x_checks.may_search(with_search, AIR, secrets)  # type: ignore[arg-type]
    assert finding.state is State.good
    reset = {"x-rate-limit-reset": str(int(NOW.timestamp()) + 90)}
    conversation.instead = Answer(429, b"{}", reset)
    with pytest.raises(Transient) as limited:
        await looks(source, {})
    assert limited.value.retry_after == 90
    no = {"title": "Client Forbidden", "detail": "You must use keys from an enrolled project"}
    conversation.instead = Answer(403, orjson.dumps(no))
    with pytest.raises(Permanent) as refused:
        await looks(source, {})
    assert refused.value.reason is PullReason.credentials
    finding = await x_checks.may_search(with_search, AIR, secrets)  # type: ignore[arg-type]
    assert finding.state is State.wrong
    assert "enrolled project" in finding.says
