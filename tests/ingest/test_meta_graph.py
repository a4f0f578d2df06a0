"""What Meta's webhook did not bring is read from Graph, against a server that behaves as documented."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.contracts.configuration.accounts import MetaSettings
from services.contracts.events import Direction, Kind, Notice, Notification, Origin
from services.contracts.topics import NOTICES, NOTIFICATIONS
from services.ingest.collector import Collector
from services.ingest.domain.accounts import own_accounts
from services.ingest.domain.item import Receipt
from services.ingest.listener import Listener
from services.ingest.metrics import Metrics
from services.ingest.sources.meta import MetaSource
from services.ingest.sources.meta_graph import (
    HISTORY,
    LOOK_BACK,
    OWN,
    PEOPLE,
    READ_EVERY,
    MetaGraphFeed,
)
from services.ingest.sources.meta_graph_api import BLOCKED_FOR
from services.ingest.sources.pulled import PullReason
from services.ingest.sources.source import Delivery
from services.ingest.store.event_store import Feed, MemoryEventStore, Original
from services.runtime.backoff import Backoff
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from services.runtime.producer import MemoryProducer
from tests.ingest.brand import NOW, configuration, payload, platform
from tests.ingest.graph_server import APP_SECRET, TOKEN, GraphServer, graph_time
from tests.serving import serve


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


class Page:
    """A page with a life, and ears on it."""

    def __init__(
        self, server: GraphServer, account: tuple[str, str] = ("facebook", "1010")
    ) -> None:
        self.server = server
        self.clock = ManualClock(NOW)
        settings = MetaSettings.model_validate({"api_url": f"{server.base_url}/v23.0"})
        owned = own_accounts(configuration())[account]
        self.feed = MetaGraphFeed(
            owned, settings, SecretStr(TOKEN), SecretStr(APP_SECRET), self.clock
        )
        self.producer, self.store = MemoryProducer(), MemoryEventStore()
        metrics = Metrics(CollectorRegistry())
        self.collector = Collector(self.producer, self.store, metrics, self.clock)
        self.listener = Listener(
            self.feed, self.collector, self.store, self.producer, metrics, self.clock,
            backoff=Backoff(initial=1.0, cap=10.0),
        )  # fmt: skip
        self.account = account[1]
        self._task: asyncio.Task[None] | None = None

    async def was_read_until(self, at: datetime) -> None:
        for name in (OWN, PEOPLE):
            feed = Feed("meta", self.account, name)
            await self.store.move_cursor(feed, str(int(at.timestamp())))

    async def listens(self, until: int = 0) -> None:
        """Until so many notifications came, or it has caught up."""
        self._task = asyncio.create_task(self.listener.run())
        await self.settles(until)

    async def settles(self, until: int) -> None:
        for _ in range(500):
            await asyncio.sleep(0.01)
            if len(self.heard) >= until and self.told:
                return
        raise AssertionError(f"heard {self.heard}, told {self.told}")

    async def stops(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.feed.close()

    @property
    def heard(self) -> list[Notification]:
        records = self.producer.on(NOTIFICATIONS.name)
        return [Notification.model_validate_json(one.value or b"") for one in records]

    @property
    def told(self) -> list[Notice]:
        records = self.producer.on(NOTICES.name)
        return [Notice.model_validate_json(one.value or b"") for one in records]


@pytest.fixture
def server() -> Iterator[GraphServer]:
    made = GraphServer()
    with serve(made.app) as url:
        made.base_url = url
        yield made


@pytest.fixture
async def page(server: GraphServer) -> AsyncIterator[Page]:
    made = Page(server)
    yield made
    await made.stops()


def comment(number: int, at: datetime, by: str = "501", **more: Any) -> dict[str, Any]:
    name = {"501": "Rosa", "1010": "Example Air"}.get(by, "Kim")
    said = {"message": f"Where is my bag {number}?", "created_time": graph_time(at)}
    return {"id": f"9001_{number}", "from": {"id": by, "name": name}, **said, **more}


def post(server: GraphServer, *comments: dict[str, Any], at: datetime | None = None) -> None:
    """A post of the page with these comments, the newest first as Graph lists them."""
    when = graph_time(at or ago(50 * 60))
    said = {
        "message": "We fly to Oslo",
        "created_time": when,
        "from": {"id": "1010", "name": "Air"},
    }
    server.posts.append({"id": "1010_9001", **said})
    server.comments["1010_9001"] = sorted(comments, key=lambda c: c["created_time"], reverse=True)


def talk(server: GraphServer, *messages: tuple[str, str, datetime]) -> None:
    """A conversation with person 601; (id, from, at)."""
    newest = max(at for _, _, at in messages)
    server.conversations.append({"id": "t_1", "updated_time": graph_time(newest)})
    server.messages["t_1"] = [
        {
            "id": id_,
            "from": {"id": by},
            "to": {"data": [{"id": "601" if by == "1010" else "1010"}]},
            "created_time": graph_time(at),
            "message": f"words of {id_}",
        }
        for id_, by, at in sorted(messages, key=lambda one: one[2], reverse=True)
    ]


async def test_a_gap_is_read_with_the_brands_own_items_first(
    server: GraphServer, page: Page
) -> None:
    post(server, comment(1, ago(30)), comment(2, ago(20), "1010"), comment(3, ago(10)))
    talk(server, ("m_1", "601", ago(25)), ("m_2", "1010", ago(5)))
    await page.was_read_until(ago(60))
    await page.listens(until=5)
    heard = [(one.item_id.rsplit(":", 1)[1], one.direction) for one in page.heard]
    assert heard == [
        ("9001_2", Direction.outbound),
        ("m_2", Direction.outbound),
        ("9001_1", Direction.inbound),
        ("m_1", Direction.inbound),
        ("9001_3", Direction.inbound),
    ]
    assert {one.origin for one in page.heard} == {Origin.backfill}
    assert all(one.may_page for one in page.heard)
    message = page.heard[3]
    assert (message.private, message.text) == (True, "words of m_1")
    assert message.kinds == frozenset({Kind.direct})
    assert page.heard[1].conversation.counterpart_id == "601", "whom our message answers"
    assert page.heard[2].addressed, "a comment under our own post"
    assert page.heard[2].source_time == ago(30)


async def test_what_the_webhook_had_brought_is_the_same_event(
    server: GraphServer, page: Page
) -> None:
    said = platform("meta").one("comment")
    body = orjson.loads(payload("meta", "comment"))["entry"][0]["changes"][0]["value"]
    await page.collector.take([said], Original("meta", b"{}", NOW))
    server.posts.append({"id": body["post_id"], "created_time": graph_time(ago(600))})
    told = {"id": body["comment_id"], "from": body["from"], "message": body["message"]}
    server.comments[body["post_id"]] = [
        {**told, "created_time": graph_time(said.source_time)},
        comment(7, said.source_time - timedelta(seconds=1)),
    ]
    await page.was_read_until(said.source_time - timedelta(minutes=10))
    await page.clock.forward(120)
    await page.listens(until=2)
    assert [one.item_id for one in page.heard].count(said.item_id) == 1
    assert page.heard[-1].item_id.endswith("9001_7")


async def test_graph_and_the_webhook_read_the_same_thing_the_same_way(server: GraphServer) -> None:
    said = platform("meta").one("comment")
    body = orjson.loads(payload("meta", "comment"))["entry"][0]["changes"][0]["value"]
    page = Page(server)
    server.posts.append({"id": body["post_id"], "created_time": graph_time(ago(600))})
    server.comments[body["post_id"]] = [
        {
            "id": body["comment_id"],
            "from": body["from"],
            "message": body["message"],
            "created_time": graph_time(said.source_time),
            "parent": {"id": body["parent_id"]},
        }
    ]
    await page.clock.forward(120)
    found = await page.feed.page(PEOPLE, str(int(said.source_time.timestamp()) - 60))
    (event,) = found.events
    read = await page.feed.parse(event, Receipt(NOW))
    assert isinstance(read, Notification)
    differs = {"media", "permalink", "links"}
    assert read.model_dump(exclude=differs) == said.model_dump(exclude=differs)
    await page.stops()


async def test_what_was_read_is_a_webhook_body_that_can_be_replayed(
    server: GraphServer, page: Page
) -> None:
    post(server, comment(1, ago(30)))
    found = await page.feed.page(PEOPLE, str(int(ago(60).timestamp())))
    source = platform("meta").source
    assert isinstance(source, MetaSource)
    accounts = source.verify(Delivery(source.sign(found.body, NOW), found.body), NOW)
    (read,) = source.parse(Delivery({}, found.body), accounts, Receipt(NOW))
    assert isinstance(read, Notification)
    assert read.item_id.endswith("9001_1")


def recommendation(number: int, at: datetime) -> dict[str, Any]:
    words = {"review_text": f"Lost my bag {number}", "created_time": graph_time(at)}
    reviewer = {"id": "503", "name": "Lena"}
    return {**words, "open_graph_story": {"id": f"30{number}"}, "reviewer": reviewer}


def tag(number: int, at: datetime) -> dict[str, Any]:
    said = {"message": "@Example Air hello?", "created_time": graph_time(at)}
    return {"id": f"504_{number}", "from": {"id": "504", "name": "Ivo"}, **said}


async def test_recommendations_and_posts_that_tag_the_page_are_read_from_a_gap(
    server: GraphServer, page: Page
) -> None:
    server.ratings = [recommendation(number, ago(number)) for number in (3, 8, 30, 90)]
    server.tagged = [tag(1, ago(5)), tag(2, ago(700))]
    await page.was_read_until(ago(60))
    await page.listens(until=4)
    heard = {one.item_id.rsplit(":", 1)[1]: one for one in page.heard}
    assert set(heard) == {"303", "308", "3030", "504_1"}
    assert heard["303"].kinds == {Kind.review}
    assert heard["303"].addressed
    assert heard["303"].author.name == "Lena"
    assert heard["504_1"].kinds == {Kind.mention}
    assert heard["504_1"].source_time == ago(5)


async def test_a_recommendation_that_the_webhook_had_brought_is_the_same_event(
    server: GraphServer, page: Page
) -> None:
    said = platform("meta").one("review")
    value = orjson.loads(payload("meta", "review"))["entry"][0]["changes"][0]["value"]
    rating = {
        "created_time": graph_time(said.source_time),
        "open_graph_story": {"id": value["open_graph_story_id"]},
        "review_text": value["review_text"],
    }
    await page.collector.take([said], Original("meta", b"{}", NOW))
    server.ratings = [recommendation(1, said.source_time + timedelta(seconds=1)), rating]
    await page.was_read_until(said.source_time - timedelta(minutes=10))
    await page.clock.forward(120)
    await page.listens(until=2)
    assert [one.item_id for one in page.heard].count(said.item_id) == 1


async def test_comments_are_read_by_a_token_that_may_not_read_recommendations(
    server: GraphServer, page: Page
) -> None:
    server.ratings = server.tagged = None
    post(server, comment(1, ago(30)))
    await page.was_read_until(ago(60))
    await page.listens(until=1)
    assert [one.item_id.rsplit(":", 1)[1] for one in page.heard] == ["9001_1"]
    assert [one.kind.value for one in page.told] == ["caught_up"]


async def test_the_first_reading_is_history_but_for_what_a_webhook_may_be_bringing(
    server: GraphServer, page: Page
) -> None:
    post(server, comment(1, ago(30)), comment(2, ago(2)), comment(3, NOW - HISTORY - timedelta(1)))
    await page.listens(until=2)
    assert [(one.item_id[-1], one.may_page) for one in page.heard] == [("1", False), ("2", True)]


async def test_pages_of_comments_are_followed_and_the_token_stays_out_of_addresses(
    server: GraphServer, page: Page
) -> None:
    post(server, *(comment(number, ago(40 - number)) for number in range(1, 8)))
    await page.was_read_until(ago(60))
    await page.listens(until=7)
    assert [one.item_id[-1] for one in page.heard] == list("1234567")
    assert not [address for address in server.addresses if TOKEN in address]


async def test_quiet_hours_cost_a_reading_every_ten_minutes_and_no_more(
    server: GraphServer, page: Page
) -> None:
    await page.was_read_until(ago(60))
    await page.listens()
    readings = server.calls.count("1010/feed")
    assert readings == 1, "both feeds share one"
    for _ in range(5):
        await page.clock.forward(61)
        await asyncio.sleep(0.05)
    assert server.calls.count("1010/feed") == readings
    post(server, comment(1, NOW + timedelta(minutes=3)))
    await page.clock.forward(READ_EVERY)
    await page.settles(until=1)
    assert page.heard[0].item_id.endswith("9001_1")
    cursor = await page.store.cursor(Feed("meta", "1010", PEOPLE))
    assert cursor == str(int((NOW + timedelta(minutes=3)).timestamp()))


async def test_a_comment_younger_than_a_minute_is_left_to_the_webhook(
    server: GraphServer, page: Page
) -> None:
    post(server, comment(1, ago(0.5)))
    await page.was_read_until(ago(10))
    await page.listens()
    assert page.heard == []
    await page.clock.forward(READ_EVERY + 60)
    await page.settles(until=1)


async def test_a_second_page_begins_where_the_first_ended(server: GraphServer, page: Page) -> None:
    made = [comment(number, ago(400 - number)) for number in range(1, 151)]
    post(server, *made)
    first = await page.feed.page(PEOPLE, str(int(ago(500).timestamp())))
    second = await page.feed.page(PEOPLE, first.position)
    ids = [one.payload["entry"][0]["changes"][0]["value"]["comment_id"] for one in first.events]
    ids += [one.payload["entry"][0]["changes"][0]["value"]["comment_id"] for one in second.events]
    assert ids == [one["id"] for one in made]
    assert (await page.feed.page(PEOPLE, second.position)).events == []


async def test_instagram_comments_and_answers_are_read_though_messages_are_not_there(
    server: GraphServer,
) -> None:
    page = Page(server, ("instagram", "1784"))
    answer = {"id": "c2", "from": {"id": "1784", "username": "air"}, "text": "On its way",
              "timestamp": graph_time(ago(8))}  # fmt: skip
    server.media.append(
        {
            "id": "media-1",
            "timestamp": graph_time(NOW - LOOK_BACK / 2),
            "comments": {
                "data": [
                    {
                        "id": "c1", "from": {"id": "701", "username": "kofi"}, "text": "Refund?",
                        "timestamp": graph_time(ago(9)), "replies": {"data": [answer]},
                    }
                ]
            },
        }
    )  # fmt: skip
    await page.was_read_until(ago(60))
    await page.listens(until=2)
    own, asked = page.heard
    assert (own.direction, own.in_reply_to) == (Direction.outbound, asked.item_id)
    assert (asked.text, asked.author.handle, asked.addressed) == ("Refund?", "kofi", True)
    await page.stops()


@pytest.mark.parametrize("code", [4, 17, 32, 613, 80001])
async def test_a_limit_of_metas_is_waited_for(server: GraphServer, page: Page, code: int) -> None:
    server.refuse(code, "Application request limit reached", 403)
    with pytest.raises(Transient) as caught:
        await page.feed.identify()
    assert (caught.value.reason, caught.value.retry_after) == (PullReason.rate_limited, BLOCKED_FOR)


@pytest.mark.parametrize(
    ("header", "value", "wait"),
    [
        ("x-app-usage", {"call_count": 95, "total_time": 3, "total_cputime": 1}, BLOCKED_FOR),
        (
            "x-business-use-case-usage",
            {"1010": [{"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 7}]},
            420,
        ),
    ],
)
async def test_nearly_at_the_limit_nothing_is_asked_until_there_is_room(
    server: GraphServer, page: Page, header: str, value: Any, wait: float
) -> None:
    server.usage = {header: orjson.dumps(value).decode()}
    await page.feed.identify()
    with pytest.raises(Transient) as caught:
        await page.feed.page(PEOPLE, "0")
    assert caught.value.retry_after == pytest.approx(wait, abs=1)
    assert server.calls == ["1010"]
    server.usage = {}
    await page.clock.forward(wait + 1)
    await page.feed.identify()


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (190, PullReason.credentials, "refuses the token"),
        (10, PullReason.credentials, "lacks a permission"),
        (200, PullReason.credentials, "lacks a permission"),
        (100, PullReason.wrong_account, "sees no page 1010"),
    ],
)
async def test_a_refusal_is_said_in_words_without_the_token(
    server: GraphServer, page: Page, code: int, reason: PullReason, words: str
) -> None:
    server.refuse(code, "The session has been invalidated")
    with pytest.raises(Permanent, match=words) as caught:
        await page.feed.identify()
    assert caught.value.reason is reason
    assert TOKEN not in str(caught.value)


async def test_a_refused_token_is_told_once_as_a_notice(server: GraphServer, page: Page) -> None:
    for _ in range(2):
        server.refuse(190, "Session has expired", 401, error_subcode=463)
    await page.listens()
    await page.clock.forward(301)
    await page.settles(0)
    assert [one.kind.value for one in page.told][:1] == ["token"]
    assert "Session has expired" in page.told[0].says


@pytest.mark.parametrize("status", [500, 503])
async def test_trouble_of_metas_own_passes(server: GraphServer, page: Page, status: int) -> None:
    server.refuse(2, "Service temporarily unavailable", status)
    post(server, comment(1, ago(30)))
    await page.was_read_until(ago(60))
    task = asyncio.create_task(page.listens(until=1))
    for _ in range(20):
        await asyncio.sleep(0.02)
        await page.clock.forward(1)
    await task
    assert len(page.heard) == 1
