"""Comments under the post of a waiting customer are read again by Graph, in the webhook's form."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from services.contracts.configuration.accounts import MetaSettings
from services.contracts.events import Action, Direction, Notification
from services.ingest.domain.accounts import own_accounts
from services.ingest.domain.item import Receipt
from services.ingest.domain.threads import Thread
from services.ingest.sources.meta_graph import MetaGraphFeed
from services.ingest.sources.pulled import PullReason
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from tests.ingest.brand import NOW, configuration
from tests.ingest.graph_server import APP_SECRET, TOKEN, GraphServer, graph_time
from tests.serving import serve

AT = graph_time(NOW - timedelta(minutes=5))


@pytest.fixture
def server() -> Iterator[GraphServer]:
    made = GraphServer()
    with serve(made.app) as url:
        made.base_url = url
        yield made


async def feed(server: GraphServer, platform: str, account: str) -> AsyncIterator[MetaGraphFeed]:
    settings = MetaSettings.model_validate({"api_url": f"{server.base_url}/v23.0"})
    own = own_accounts(configuration())[platform, account]
    made = MetaGraphFeed(own, settings, SecretStr(TOKEN), SecretStr(APP_SECRET), ManualClock(NOW))
    yield made
    await made.close()


@pytest.fixture
async def page(server: GraphServer) -> AsyncIterator[MetaGraphFeed]:
    async for made in feed(server, "facebook", "1010"):
        yield made


@pytest.fixture
async def instagram(server: GraphServer) -> AsyncIterator[MetaGraphFeed]:
    async for made in feed(server, "instagram", "1784"):
        yield made


async def looks(source: MetaGraphFeed, thread: Thread) -> tuple[list[Notification], dict[str, str]]:
    look = await source.look(thread)
    read = [await source.parse(one, Receipt(NOW, reread=True)) for one in look.events]
    found = [one for one in read if isinstance(one, Notification)]
    assert len(found) == len(read), "all of it is readable"
    return found, dict(look.seen)


def said(native_id: str, by: str, text: str, **more: Any) -> dict[str, Any]:
    return {
        "id": native_id, "from": {"id": by, "name": by}, "message": text, "created_time": AT, **more
    }  # fmt: skip


def native(one: Notification) -> str:
    return one.item_id.rsplit(":", 1)[1]


async def test_who_answers_the_customer_elsewhere_is_found_and_other_talk_is_left(
    server: GraphServer, page: MetaGraphFeed
) -> None:
    # Under a post of somebody else's page, where the customer names us.
    server.threads["77_1"] = [
        said("1_1", "501", "Where is my bag, Example Air?"),
        said("1_2", "666", "Write to our agent", parent={"id": "1_1"}),
        said("1_3", "1010", "Please see baggage.example", parent={"id": "1_1"}),
        said("1_4", "900", "First!"),
    ]
    thread = Thread("77_1", ({"comment": "1_1"},), frozenset({"501"}))
    found, seen = await looks(page, thread)
    assert sorted(map(native, found)) == ["1_1", "1_2", "1_3"]
    impostor = next(one for one in found if native(one) == "1_2")
    assert impostor.overheard
    assert impostor.in_reply_to is not None
    assert impostor.in_reply_to.endswith("1_1")
    assert next(one for one in found if native(one) == "1_3").direction is Direction.outbound
    again, _ = await looks(page, Thread("77_1", thread.items, thread.customers, seen))
    assert again == []


async def test_edits_and_deletions_between_two_looks_are_told_and_a_hidden_one_is_not(
    server: GraphServer, page: MetaGraphFeed
) -> None:
    server.threads["1010_9"] = [
        said("9_1", "501", "Where is my bag?"),
        said("9_2", "666", "Write to our agent", parent={"id": "9_1"}),
        said("9_3", "502", "Same here", parent={"id": "9_1"}),
    ]
    thread = Thread("1010_9", ({"comment": "9_1"},), frozenset({"501"}))
    found, seen = await looks(page, thread)
    assert not any(one.overheard for one in found), "a comment under our own post is for us"
    server.threads["1010_9"] = [said("9_1", "501", "Where are my bags?")]
    server.threads["elsewhere"] = [said("9_3", "502", "Same here")]
    changed, seen = await looks(page, Thread("1010_9", thread.items, thread.customers, seen))
    assert [(one.action, native(one)) for one in changed] == [
        (Action.edited, "9_1"),
        (Action.deleted, "9_2"),
    ]
    del server.threads["1010_9"]
    gone, _ = await looks(page, Thread("1010_9", thread.items, thread.customers, seen))
    assert [(one.action, native(one)) for one in gone] == [(Action.deleted, "9_1")]


async def test_answers_beneath_an_instagram_comment_are_read_and_a_deletion_is_told(
    server: GraphServer, instagram: MetaGraphFeed
) -> None:
    def reply(native_id: str, by: str, text: str) -> dict[str, Any]:
        sender = {"id": by, "username": f"name{by}"}
        return {"id": native_id, "from": sender, "text": text, "timestamp": AT}

    top = reply("301", "501", "My flight is gone")
    server.threads["5005"] = [{**top, "replies": {"data": [reply("302", "666", "Your card?")]}}]
    thread = Thread("5005", ({"comment": "301", "under": "301"},), frozenset({"501"}))
    found, seen = await looks(instagram, thread)
    assert [native(one) for one in found] == ["301", "302"]
    assert found[1].author.handle == "name666"
    server.threads["5005"] = [top]
    (gone,), _ = await looks(instagram, Thread("5005", thread.items, thread.customers, seen))
    assert (gone.action, gone.item_id) == (Action.deleted, found[1].item_id)


async def test_threads_are_left_while_half_of_metas_limit_is_used(
    server: GraphServer, page: MetaGraphFeed
) -> None:
    server.usage = {"x-app-usage": '{"call_count": 61}'}
    await page.identify()
    with pytest.raises(Transient) as refused:
        await page.look(Thread("1010_9", (), frozenset()))
    assert refused.value.reason is PullReason.rate_limited


async def test_a_refused_token_is_said(server: GraphServer, page: MetaGraphFeed) -> None:
    server.refuse(190, "expired")
    with pytest.raises(Permanent) as refused:
        await page.look(Thread("1010_9", (), frozenset()))
    assert refused.value.reason is PullReason.credentials
