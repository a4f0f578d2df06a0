"""YouTube comments: what threads mean, and a server that answers as the Data API documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from services.contracts.configuration.accounts import YouTubeSettings
from services.contracts.events import Action, Direction, Kind, Notification
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Rejected
from services.ingest.domain.threads import Thread
from services.ingest.sources.pulled import Page, PullReason
from services.ingest.sources.youtube import events_of, parse_comment
from services.ingest.sources.youtube_api import COMMENTS, Quota, YouTubeChannel, until_reset
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from tests.ingest.brand import NOW, payload
from tests.ingest.web_server import Answer, Asked, WebServer

AIR = OwnAccount("youtube", "UCair", "UCair", "air", frozenset({"UCair"}))
KEY = SecretStr("the-api-key")


def heard(name: str) -> dict[tuple[str, Action], Notification]:
    thread = orjson.loads(payload("youtube", name))
    found = {}
    for told in events_of(thread, thread["replies"]["comments"]):
        one = parse_comment(told, AIR, Receipt(NOW))
        assert isinstance(one, Notification), one
        found[one.item_id.rpartition(":")[2], one.action] = one
    return found


def test_a_comment_under_our_video_is_addressed_and_its_own_thread() -> None:
    found = heard("thread")["Ugx1", Action.created]
    assert found.kinds == {Kind.comment}
    assert found.addressed
    assert found.direction is Direction.inbound
    assert found.conversation.root == "Ugx1"
    assert (found.author.id, found.author.handle) == ("UCkofi", "kofi")
    assert found.permalink == "https://www.youtube.com/watch?v=vid1&lc=Ugx1"
    assert found.source_time == datetime(2026, 11, 21, 8, 59, tzinfo=UTC)


def test_our_answer_is_of_the_person_whose_handle_it_begins_with() -> None:
    found = heard("thread")["Ugx1.r2", Action.created]
    assert found.direction is Direction.outbound
    assert found.conversation.counterpart_id == "UCada"
    assert not found.addressed


def test_an_edited_comment_is_created_and_edited() -> None:
    found = heard("thread")
    created, edited = found["Ugx1.r1", Action.created], found["Ugx1.r1", Action.edited]
    assert created.needs_verdict
    assert edited.item_id == created.item_id
    assert edited.event_id.endswith(":edited:2026-11-21T08%3A59%3A50%2B00%3A00")


def test_a_reply_under_our_own_comment_is_a_reply_to_us() -> None:
    found = heard("own_thread")
    assert found["Ugx2.r1", Action.created].kinds == {Kind.comment, Kind.reply}
    broadcast = found["Ugx2", Action.created]
    assert broadcast.direction is Direction.outbound
    assert broadcast.conversation.counterpart_id is None


def test_a_writer_whose_channel_is_gone_is_a_person_of_their_own() -> None:
    thread = orjson.loads(payload("youtube", "thread"))
    del thread["snippet"]["topLevelComment"]["snippet"]["authorChannelId"]
    found = parse_comment(next(events_of(thread, [])), AIR, Receipt(NOW))
    assert isinstance(found, Notification)
    assert found.author.id == "unknown-Ugx1"


_KEYS = st.sampled_from(
    ["id", "snippet", "topLevelComment", "authorChannelId", "value", "updatedAt", "parentId"]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(thread=st.dictionaries(_KEYS, _JSON), replies=st.lists(_JSON, max_size=3))
@settings(max_examples=100, deadline=None)
def test_a_mutated_thread_never_raises(thread: dict[str, Any], replies: list[Any]) -> None:
    for told in events_of(thread, replies):
        assert isinstance(parse_comment(told, AIR, Receipt(NOW)), Notification | Rejected)


# -- the API


def comment(name: str, at: datetime, author: str = "UCkofi", **more: Any) -> dict[str, Any]:
    when = at.isoformat().replace("+00:00", "Z")
    return {
        "id": name,
        "snippet": {
            "channelId": "UCair", "videoId": "v", "textDisplay": f"words of {name}",
            "authorDisplayName": f"@{author}", "authorChannelId": {"value": author},
            "publishedAt": when, "updatedAt": when, **more,
        },
    }  # fmt: skip


class Channel:
    """The documented behaviour: newest threads first, at most five replies inline, page tokens."""

    page_size = 3
    inline = 2

    def __init__(self) -> None:
        self.threads: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        self.instead: Answer | None = None

    def writes(self, name: str, at: datetime, **more: Any) -> None:
        self.threads.insert(0, (comment(name, at, **more), []))

    def replies(self, thread: str, name: str, at: datetime, author: str = "UCada") -> None:
        under = next(one for one in self.threads if one[0]["id"] == thread)
        under[1].insert(0, comment(name, at, author, parentId=thread))

    def __call__(self, asked: Asked) -> Answer:
        if asked.headers.get("x-goog-api-key") != KEY.get_secret_value():
            return self._error(400, "badRequest", "API_KEY_INVALID")
        if self.instead is not None:
            return self.instead
        parts = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/channels":
            items = [{"id": query["id"]}] if query["id"] == "UCair" else []
            return Answer(200, orjson.dumps({"items": items}))
        if parts.path == "/comments" and "id" in query:
            there = [two["id"] for one in self.threads for two in (one[0], *one[1])]
            found = [{"id": one} for one in query["id"].split(",") if one in there]
            return Answer(200, orjson.dumps({"items": found}))
        if parts.path == "/commentThreads" and "id" in query:
            named = [self._thread(*one) for one in self.threads if one[0]["id"] == query["id"]]
            return Answer(200, orjson.dumps({"items": named}))
        if parts.path == "/comments":
            found = next(one[1] for one in self.threads if one[0]["id"] == query["parentId"])
            return Answer(200, orjson.dumps({"items": found}))
        start = int(query.get("pageToken", "0"))
        items = [self._thread(*one) for one in self.threads[start : start + self.page_size]]
        more = start + self.page_size < len(self.threads)
        token = {"nextPageToken": str(start + self.page_size)} if more else {}
        return Answer(200, orjson.dumps({"items": items, **token}))

    def _thread(self, top: dict[str, Any], replies: list[dict[str, Any]]) -> dict[str, Any]:
        snippet = {
            "channelId": "UCair", "videoId": "v", "topLevelComment": top,
            "totalReplyCount": len(replies),
        }  # fmt: skip
        return {
            "id": top["id"],
            "snippet": snippet,
            "replies": {"comments": replies[: self.inline]},
        }

    @staticmethod
    def _error(status: int, reason: str, detail: str = "") -> Answer:
        error = {"code": status, "errors": [{"reason": reason}], "details": [{"reason": detail}]}
        return Answer(status, orjson.dumps({"error": error}))


@pytest.fixture
def channel() -> Channel:
    made = Channel()
    for number in range(1, 3):
        made.writes(f"old{number}", NOW - timedelta(hours=10 - number))
    return made


@pytest.fixture
def server(channel: Channel) -> Iterator[WebServer]:
    with WebServer(channel).running() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def connect(
    server: WebServer, clock: ManualClock, id_: str = "UCair", **given: Any
) -> YouTubeChannel:
    account = OwnAccount("youtube", id_, id_, "air", frozenset({id_}))
    settings_ = YouTubeSettings.model_validate(given)
    return YouTubeChannel(account, settings_, KEY, clock, api=server.url)


@pytest.fixture
async def source(server: WebServer, clock: ManualClock) -> AsyncIterator[YouTubeChannel]:
    made = connect(server, clock)
    yield made
    await made.close()


def names(page: Page) -> list[str]:
    return [one.payload["comment"]["id"] for one in page.events]


async def test_the_first_page_is_history_and_what_follows_in_turn_is_live(
    source: YouTubeChannel, channel: Channel, clock: ManualClock, server: WebServer
) -> None:
    await source.identify()
    first = await source.page(COMMENTS, None)
    assert names(first) == ["old1", "old2"]
    again = await source.page(COMMENTS, first.position)
    assert (names(again), len(server.asked)) == ([], 2)
    channel.writes("new", NOW + timedelta(seconds=30))
    await clock.forward(60)
    found = await source.page(COMMENTS, first.position)
    assert (names(found), found.live) == (["new"], True)
    await clock.forward(60)
    assert names(await source.page(COMMENTS, found.position)) == []


async def test_what_was_not_handed_over_is_given_again(
    source: YouTubeChannel, channel: Channel, clock: ManualClock
) -> None:
    first = await source.page(COMMENTS, None)
    channel.writes("new", NOW)
    for _ in range(2):
        await clock.forward(60)
        assert names(await source.page(COMMENTS, first.position)) == ["new"]


async def test_replies_beyond_those_in_the_answer_are_read_once(
    source: YouTubeChannel, channel: Channel, clock: ManualClock, server: WebServer
) -> None:
    first = await source.page(COMMENTS, None)
    for number in range(4):
        channel.replies("old2", f"r{number}", NOW + timedelta(seconds=number))
    await clock.forward(60)
    found = await source.page(COMMENTS, first.position)
    assert names(found) == ["r0", "r1", "r2", "r3"]
    await clock.forward(60)
    before = len(server.asked)
    assert names(await source.page(COMMENTS, found.position)) == []
    assert len(server.asked) == before + 1, "the count has not grown"


async def test_our_own_answers_come_before_the_questions_that_could_page(
    source: YouTubeChannel, channel: Channel, clock: ManualClock
) -> None:
    first = await source.page(COMMENTS, None)
    channel.writes("question", NOW + timedelta(seconds=1))
    channel.replies("question", "answer", NOW + timedelta(seconds=20), author="UCair")
    await clock.forward(60)
    assert names(await source.page(COMMENTS, first.position)) == ["answer", "question"]


async def test_after_a_restart_the_gap_is_read_to_its_end_as_backfill(
    source: YouTubeChannel, channel: Channel, clock: ManualClock, server: WebServer
) -> None:
    first = await source.page(COMMENTS, None)
    for number in range(7):
        channel.writes(f"gap{number}", NOW + timedelta(hours=number + 1))
    await clock.forward(8 * 3_600)
    restarted = connect(server, clock)
    found = await restarted.page(COMMENTS, first.position)
    assert [one for one in names(found) if one.startswith("gap")] == [f"gap{n}" for n in range(7)]
    assert not found.live
    await restarted.close()


async def test_history_beyond_the_first_page_never_pages(
    source: YouTubeChannel, channel: Channel, clock: ManualClock
) -> None:
    channel.threads.clear()
    for number in range(9):
        channel.writes(f"busy{number}", NOW - timedelta(hours=9 - number))
    first = await source.page(COMMENTS, None)
    assert len(names(first)) == 3
    await clock.forward(60)
    assert names(await source.page(COMMENTS, first.position)) == []


async def test_a_reply_in_an_older_thread_is_found_by_the_deep_reading(
    source: YouTubeChannel, channel: Channel, clock: ManualClock
) -> None:
    for number in range(4):
        channel.writes(f"newer{number}", NOW - timedelta(hours=5 - number))
    page = await source.page(COMMENTS, None)
    await clock.forward(60)
    await source.page(COMMENTS, page.position)
    channel.replies("old1", "late", NOW + timedelta(seconds=70))
    found: list[str] = []
    for _ in range(16):
        await clock.forward(60)
        now = await source.page(COMMENTS, page.position)
        found += names(now)
        page = now if now.events else page
    assert found == ["late"]


@pytest.mark.parametrize(
    ("status", "reason", "kind", "means"),
    [
        (403, "quotaExceeded", Transient, PullReason.rate_limited),
        (403, "rateLimitExceeded", Transient, PullReason.rate_limited),
        (429, "", Transient, PullReason.rate_limited),
        (503, "backendError", Transient, PullReason.server_error),
        (400, "keyInvalid", Permanent, PullReason.credentials),
        (403, "accessNotConfigured", Permanent, PullReason.credentials),
        (404, "channelNotFound", Permanent, PullReason.wrong_account),
    ],
)
async def test_what_the_api_refuses_is_said_in_its_reason(
    source: YouTubeChannel,
    channel: Channel,
    status: int,
    reason: str,
    kind: type,
    means: PullReason,
) -> None:
    channel.instead = channel._error(status, reason)
    with pytest.raises(kind) as told:
        await source.page(COMMENTS, None)
    error = told.value
    assert isinstance(error, Transient | Permanent)
    assert error.reason is means
    if reason == "quotaExceeded":
        assert isinstance(error, Transient)
        assert 0 < (error.retry_after or 0) <= 3_600


async def test_a_wrong_key_and_a_wrong_channel_are_told_before_anything_is_read(
    server: WebServer, clock: ManualClock
) -> None:
    other = connect(server, clock, "UCother")
    with pytest.raises(Permanent, match="knows no channel UCother") as told:
        await other.identify()
    assert told.value.reason is PullReason.wrong_account
    await other.close()
    assert all("key" not in one.path for one in server.asked), "a key in an address is in every log"


async def test_an_answer_that_is_no_json_is_tried_again(
    source: YouTubeChannel, channel: Channel
) -> None:
    channel.instead = Answer(200, b"<html>")
    with pytest.raises(Transient) as told:
        await source.page(COMMENTS, None)
    assert told.value.reason is PullReason.unexpected


def test_the_rest_of_the_days_quota_lasts_until_midnight_in_california() -> None:
    at = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
    assert until_reset(at) == timedelta(hours=12).total_seconds()
    quota = Quota(1_000)
    for _ in range(900):
        quota.spent(1, at)
        pace = quota.pace(at)
    assert pace == pytest.approx(12 * 3_600 / 100)
    quota.spent(1, at + timedelta(hours=12))
    assert quota.pace(at + timedelta(hours=12)) == pytest.approx(86_400 / 999)


async def looks(
    source: YouTubeChannel, seen: dict[str, str]
) -> tuple[list[tuple[Action, str]], dict[str, str]]:
    thread = Thread("old1", ({"comment": "old1"},), frozenset({"UCkofi"}), seen)
    look = await source.look(thread)
    read = [await source.parse(one, Receipt(NOW, reread=True)) for one in look.events]
    found = [one for one in read if isinstance(one, Notification)]
    assert len(found) == len(read)
    return [(one.action, one.item_id.rsplit(":", 1)[1]) for one in found], dict(look.seen)


async def test_a_thread_is_read_whole_again_with_its_edits_and_deletions(
    source: YouTubeChannel, channel: Channel
) -> None:
    for number in range(4):
        channel.replies("old1", f"r{number}", NOW, author="UCfake")
    found, seen = await looks(source, {})
    assert found == [(Action.created, one) for one in ("old1", "r3", "r2", "r1", "r0")]
    assert await looks(source, seen) == ([], seen)
    replies = next(one[1] for one in channel.threads if one[0]["id"] == "old1")
    replies[0]["snippet"]["updatedAt"] = (NOW + timedelta(minutes=1)).isoformat()
    del replies[1]
    found, seen = await looks(source, seen)
    assert found == [(Action.edited, "r3"), (Action.deleted, "r2")]
    channel.threads = [one for one in channel.threads if one[0]["id"] != "old1"]
    found, _ = await looks(source, seen)
    assert {action for action, _ in found} == {Action.deleted}
    assert {name for _, name in found} == {"old1", "r3", "r1", "r0"}


async def test_threads_are_left_once_half_of_the_days_units_are_spent(
    server: WebServer, clock: ManualClock
) -> None:
    source = connect(server, clock, daily_units=100)
    for _ in range(50):
        await source.identify()
    with pytest.raises(Transient, match="units"):
        await source.look(Thread("old1", (), frozenset()))
    await clock.forward(24 * 3600)
    await source.look(Thread("old1", (), frozenset()))
    await source.close()
