"""RSS and Atom: what documents mean, and a server that behaves as servers of feeds do."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from structlog.testing import capture_logs

from services.contracts.configuration import Configuration
from services.contracts.configuration.accounts import FeedSettings
from services.contracts.events import Action, Direction, Kind, Notification, Origin
from services.contracts.topics import NOTIFICATIONS
from services.ingest.checks import source_checks
from services.ingest.collector import Collector
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Rejected
from services.ingest.listener import Listener
from services.ingest.metrics import Metrics
from services.ingest.sources.pulled import PullReason
from services.ingest.sources.rss import NoFeed, news, parse_entry, position, read
from services.ingest.sources.rss_feed import ARTICLES, FEED_LIMIT, LONGEST, RssFeed
from services.ingest.store.event_store import MemoryEventStore
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from services.runtime.producer import MemoryProducer
from tests.ingest.brand import NOW, PAYLOADS, configuration
from tests.ingest.web_server import Answer, Asked, WebServer

FEED = OwnAccount("rss", "aviation-news", "aviation-news", "air", frozenset({"aviation-news"}))
NEWS = (PAYLOADS / "rss" / "news.xml").read_bytes()
ATOM = (PAYLOADS / "rss" / "atom.xml").read_bytes()
XML = {"content-type": "application/xml"}


def rss(*items: tuple[str, str, str, str], channel: str = "") -> bytes:
    """A document of (guid, link, title, text), newest first."""
    made = "".join(
        f"<item><guid isPermaLink='false'>{guid}</guid><link>{link}</link>"
        f"<title>{title}</title><description>{text}</description></item>"
        for guid, link, title, text in items
    )
    return f"<rss version='2.0'><channel><title>T</title>{channel}{made}</channel></rss>".encode()


def articles(body: bytes, headers: dict[str, str] = XML) -> list[Notification]:
    found = []
    for entry in read(body, headers, "https://news.example/feed").entries:
        one = parse_entry(entry.model_dump(mode="json"), FEED, Receipt(NOW))
        assert isinstance(one, Notification), one
        found.append(one)
    return found


# -- what a document means


def test_an_article_is_text_of_nobody_in_particular_and_not_addressed() -> None:
    quiet, cancelled = articles(NEWS)
    assert cancelled.title == "Example Air cancels 40 flights"
    assert cancelled.text == "Forty flights were cancelled. See https://example.org/why."
    assert cancelled.links == ("https://news.example/a/2", "https://example.org/why")
    assert cancelled.kinds == {Kind.article}
    assert cancelled.direction is Direction.inbound
    assert not cancelled.addressed
    assert not cancelled.private
    assert cancelled.author.name == "Ann Reporter"
    assert cancelled.permalink == "https://news.example/a/2"
    assert [one.kind for one in cancelled.media] == ["image/jpeg"]
    assert cancelled.language_hint == "en-GB"
    assert quiet.title == "A quiet day < a loud one"
    assert quiet.author.name == "Aviation & Travel"


def test_the_source_time_is_our_receipt_and_the_feeds_date_a_claim() -> None:
    quiet, _ = articles(NEWS)
    assert quiet.source_time == NOW
    assert quiet.claimed_time == datetime(1990, 1, 1, tzinfo=UTC)
    (undated,) = articles(rss(("g", "https://n.example/1", "t", "x")))
    assert (undated.source_time, undated.claimed_time) == (NOW, None)


def test_atom_in_another_encoding_with_relative_links_is_read() -> None:
    (found,) = articles(ATOM)
    assert found.title == "Koffer & Gerät"
    assert found.text == "Passt das Gerät?"
    assert found.author.name == "Jörg"
    assert found.permalink == "https://news.example/fragen/1"
    assert found.claimed_time == datetime(2026, 11, 21, 6, 59, tzinfo=UTC)


def test_a_wrong_encoding_in_the_header_loses_no_article() -> None:
    (found,) = articles(ATOM, {"content-type": "application/atom+xml; charset=utf-8"})
    assert found.title
    assert found.permalink == "https://news.example/fragen/1"


def test_of_broken_xml_what_can_be_read_is_read() -> None:
    cut = NEWS[: NEWS.index(b"<title>A quiet day")]
    assert "Example Air cancels 40 flights" in [one.title for one in articles(cut)]


@pytest.mark.parametrize(
    "body", [b"", b"<html><body>Sign in</body></html>", b'{"a": 1}', b"\xff\xfe<", b"<rss"]
)
def test_what_is_no_feed_is_told(body: bytes) -> None:
    with pytest.raises(NoFeed):
        read(body, XML, "https://news.example/feed")


def test_an_entity_reads_no_file_and_grows_to_nothing() -> None:
    body = (
        b'<!DOCTYPE rss [<!ENTITY f SYSTEM "file:///etc/hostname"><!ENTITY a "aaaaaaaaaa">'
        b'<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        b"<rss version='2.0'><channel><item><title>&f;&b;</title></item></channel></rss>"
    )
    (found,) = articles(body)
    assert "aaaa" not in (found.title or "")
    assert (found.title or "") in ("", "&f;&b;")


# -- what is new


def reading(body: bytes, known: Any = ()) -> tuple[list[tuple[str, Action]], Any]:
    fresh, now = news(read(body, XML, "https://n.example/").entries, known)
    return [(one.title, one.action) for one in fresh], now


A = ("g1", "https://n.example/1", "One", "first")
B = ("g2", "https://n.example/2", "Two", "second")


def test_a_new_guid_for_the_same_article_is_no_new_article() -> None:
    _, known = reading(rss(A))
    for guid in ("g1?utm=2", "g1?utm=3", "g1?utm=4"):
        found, known = reading(rss((guid, *A[1:])), known)
        assert found == []
        found, known = reading(rss((guid, "https://n.example/moved", *A[2:])), known)
        assert found == []


def test_a_changed_text_is_an_edit_of_the_same_item_even_under_a_new_guid() -> None:
    _, known = reading(rss(A))
    entries = read(rss(("g9", *A[1:3], "changed")), XML, "https://n.example/").entries
    (edited,), _ = news(entries, known)
    assert edited.action is Action.edited
    assert edited.id == known[0].id
    one = parse_entry(edited.model_dump(mode="json"), FEED, Receipt(NOW))
    assert isinstance(one, Notification)
    assert ":edited:" in one.event_id


def test_articles_that_share_a_link_or_their_words_stand_side_by_side() -> None:
    same_link = rss(
        ("s2", "https://n.example/s", "Down", "now"), ("s1", "https://n.example/s", "Up", "a")
    )
    found, known = reading(same_link)
    assert [title for title, _ in found] == ["Up", "Down"]
    again = rss(
        ("s3", "https://n.example/s", "Down", "now"), ("s2", "https://n.example/s", "Down", "now")
    )
    found, _ = reading(again, known)
    assert found == [("Down", Action.created)]


def test_an_article_that_comes_back_is_not_new() -> None:
    _, known = reading(rss(A, B))
    found, known = reading(rss(B), known)
    assert found == []
    assert reading(rss(A, B), known)[0] == []


def test_a_position_is_read_as_it_was_written() -> None:
    _, known = reading(rss(A, B))
    before = position(None)
    written = type(before)(known, '"e"', None).written()
    assert position(written) == type(before)(known, '"e"', None)
    assert position("") == position(None)


@given(body=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_bytes_that_are_no_document_are_told_and_nothing_else(body: bytes) -> None:
    try:
        read(body, XML, "https://n.example/")
    except NoFeed:
        return


@given(cut=st.integers(0, len(NEWS)), junk=st.binary(max_size=12), kind=st.text(max_size=20))
@settings(max_examples=60, deadline=None)
def test_a_mutated_document_never_raises_and_its_entries_are_articles(
    cut: int, junk: bytes, kind: str
) -> None:
    try:
        document = read(NEWS[:cut] + junk + NEWS[cut + len(junk) :], {"content-type": kind}, "x")
    except NoFeed:
        return
    for entry in document.entries:
        one = parse_entry(entry.model_dump(mode="json"), FEED, Receipt(NOW))
        assert isinstance(one, Notification | Rejected)


_KEYS = st.sampled_from(["id", "title", "links", "claimed_at", "media"])
_JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner),
)


@given(payload=_JSON)
@settings(max_examples=60, deadline=None)
def test_a_payload_that_is_no_entry_is_rejected(payload: Any) -> None:
    assert isinstance(parse_entry(payload, FEED, Receipt(NOW)), Notification | Rejected)


# -- fetching


class Site:
    """A server of one feed: validators, and whatever goes wrong."""

    def __init__(self) -> None:
        self.body = rss(A)
        self.headers: dict[str, str] = {}
        self.instead: Answer | None = None

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/old":
            return Answer(301, headers={"location": "/feed"})
        if asked.path == "/circle":
            return Answer(302, headers={"location": "/circle"})
        if self.instead is not None:
            return self.instead
        etag = '"' + hashlib.sha256(self.body).hexdigest()[:8] + '"'
        if asked.headers.get("if-none-match") == etag:
            return Answer(304, headers={"etag": etag, **self.headers})
        return Answer(200, self.body, {"etag": etag, "content-type": "text/xml", **self.headers})


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def server(site: Site) -> Iterator[WebServer]:
    with WebServer(site).running() as running:
        yield running


@pytest.fixture
async def feed(server: WebServer) -> AsyncIterator[RssFeed]:
    made = of(server, "/feed")
    yield made
    await made.close()


def of(server: WebServer, path: str, every: str = "1m") -> RssFeed:
    given = FeedSettings.model_validate({"url": server.url + path, "every": every})
    clock = ManualClock(NOW)
    made = RssFeed(FEED, given, clock)
    made.test_clock = clock  # type: ignore[attr-defined]
    return made


async def passes(feed: RssFeed, seconds: float) -> None:
    await feed.test_clock.forward(seconds)  # type: ignore[attr-defined]


async def titles(feed: RssFeed, after: str | None) -> tuple[list[str], str | None, bool]:
    page = await feed.page(ARTICLES, after)
    return [one.payload["title"] for one in page.events], page.position, page.live


async def test_the_first_page_is_all_there_is_and_no_news(feed: RssFeed) -> None:
    assert await titles(feed, None) == (["One"], (await titles(feed, None))[1], False)


async def test_nothing_is_asked_before_its_turn_and_304_is_healthy(
    feed: RssFeed, server: WebServer
) -> None:
    _, at, _ = await titles(feed, None)
    assert await titles(feed, at) == ([], at, False)
    assert len(server.asked) == 1
    await passes(feed, 60)
    assert (await titles(feed, at))[0] == []
    assert len(server.asked) == 2
    assert server.asked[1].headers["if-none-match"]


async def test_what_comes_in_its_turn_is_live_and_after_a_gap_is_backfill(
    feed: RssFeed, site: Site
) -> None:
    _, at, _ = await titles(feed, None)
    await passes(feed, 60)
    site.body = rss(B, A)
    found, at, live = await titles(feed, at)
    assert (found, live) == (["Two"], True)
    await passes(feed, 3_600)
    site.body = rss(("g3", "https://n.example/3", "Three", "third"), B, A)
    found, at, live = await titles(feed, at)
    assert (found, live) == (["Three"], False)


async def test_what_was_not_handed_over_is_given_again(feed: RssFeed, site: Site) -> None:
    _, at, _ = await titles(feed, None)
    await passes(feed, 60)
    site.body = rss(B, A)
    assert (await titles(feed, at))[0] == ["Two"]
    await passes(feed, 60)
    assert (await titles(feed, at))[0] == ["Two"], "the cursor had not moved"


async def test_a_document_that_changed_without_news_is_not_fetched_again_and_again(
    feed: RssFeed, site: Site, server: WebServer
) -> None:
    _, at, _ = await titles(feed, None)
    site.body = rss(A, channel="<lastBuildDate>now</lastBuildDate>")
    await passes(feed, 60)
    assert (await titles(feed, at))[0] == []
    first = server.asked[-1].headers["if-none-match"]
    await passes(feed, 60)
    await titles(feed, at)
    assert server.asked[-1].headers["if-none-match"] != first


@pytest.mark.parametrize(
    ("channel", "headers", "seconds"),
    [
        ("<ttl>30</ttl>", {}, 1_800),
        ("", {"cache-control": "public, max-age=600"}, 600),
        ("", {"cache-control": "max-age=31536000"}, LONGEST),
        ("<ttl>0</ttl>", {"cache-control": "no-cache, max-age=0"}, 60),
    ],
)
async def test_the_longest_wait_that_anybody_asks_for_is_kept(
    feed: RssFeed,
    site: Site,
    server: WebServer,
    channel: str,
    headers: dict[str, str],
    seconds: float,
) -> None:
    site.body, site.headers = rss(A, channel=channel), headers
    _, at, _ = await titles(feed, None)
    await passes(feed, seconds - 2)
    await titles(feed, at)
    assert len(server.asked) == 1
    await passes(feed, 2)
    await titles(feed, at)
    assert len(server.asked) == 2


def test_an_update_period_is_divided_by_its_frequency() -> None:
    xmlns = "xmlns:sy='http://purl.org/rss/1.0/modules/syndication/'"
    body = (
        f"<rss version='2.0' {xmlns}><channel><title>t</title><sy:updatePeriod>daily</sy:updatePeriod>"
        "<sy:updateFrequency>4</sy:updateFrequency></channel></rss>"
    )
    assert read(body.encode(), XML, "x").interval == timedelta(hours=6).total_seconds()


@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_asks_for_time_gets_it(
    feed: RssFeed, site: Site, server: WebServer, status: int
) -> None:
    _, at, _ = await titles(feed, None)
    await passes(feed, 60)
    site.instead = Answer(status, headers={"retry-after": "600"})
    with pytest.raises(Transient) as told:
        await titles(feed, at)
    assert told.value.retry_after == 600
    site.instead = None
    await passes(feed, 500)
    assert (await titles(feed, at))[0] == []
    assert len(server.asked) == 2, "it asked for ten minutes"
    site.body = rss(B, A)
    await passes(feed, 100)
    assert (await titles(feed, at))[0] == ["Two"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, PullReason.unexpected), (410, PullReason.unexpected), (403, PullReason.credentials)],
)
async def test_what_only_a_person_can_mend_is_permanent(
    feed: RssFeed, site: Site, status: int, reason: PullReason
) -> None:
    site.instead = Answer(status)
    with pytest.raises(Permanent) as told:
        await titles(feed, None)
    assert told.value.reason is reason


async def test_a_broken_document_moves_nothing_and_is_tried_again(
    feed: RssFeed, site: Site
) -> None:
    _, at, _ = await titles(feed, None)
    await passes(feed, 60)
    site.instead = Answer(200, b"<html>We will be back soon</html>", {"content-type": "text/html"})
    with pytest.raises(Transient, match="neither RSS nor Atom"):
        await titles(feed, at)
    site.instead, site.body = None, rss(B, A)
    await passes(feed, 300)
    assert (await titles(feed, at))[0] == ["Two"]


async def test_a_feed_without_end_is_cut_off_packed_or_not(feed: RssFeed, site: Site) -> None:
    huge = b"<rss>" + b" " * FEED_LIMIT
    for answer in (
        Answer(200, huge),
        Answer(200, gzip.compress(huge), {"content-encoding": "gzip"}),
    ):
        site.instead = answer
        with pytest.raises(Permanent, match="over 5242880 bytes"):
            await titles(feed, None)


async def test_a_feed_that_moved_is_read_and_the_move_is_told(
    server: WebServer,
) -> None:
    feed = of(server, "/old")
    with capture_logs() as said:
        assert (await titles(feed, None))[0] == ["One"]
        assert (await titles(feed, None))[0] == ["One"]
    assert [one["to"] for one in said] == [server.url + "/feed"], "once"
    await feed.close()
    circle = of(server, "/circle")
    with pytest.raises(Permanent, match="moves in circles"):
        await titles(circle, None)
    await circle.close()


async def test_a_server_that_is_not_there_is_transient(server: WebServer) -> None:
    feed = RssFeed(
        FEED, FeedSettings.model_validate({"url": "http://127.0.0.1:9/"}), ManualClock(NOW)
    )
    with pytest.raises(Transient) as told:
        await titles(feed, None)
    assert told.value.reason is PullReason.unreachable
    await feed.close()


# -- the whole way, by the listener


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_feed_is_history_first_then_live_once_and_again_after_an_outage(
    site: Site, server: WebServer
) -> None:
    clock, producer, store = ManualClock(NOW), MemoryProducer(), MemoryEventStore()
    metrics = Metrics(CollectorRegistry())
    feed = RssFeed(FEED, FeedSettings.model_validate({"url": f"{server.url}/feed"}), clock)
    collector = Collector(producer, store, metrics, clock)
    listener = Listener(feed, collector, store, producer, metrics, clock)

    def heard() -> list[tuple[str | None, Origin, bool]]:
        records = producer.on(NOTIFICATIONS.name)
        read_ = [Notification.model_validate_json(one.value or b"") for one in records]
        return [(one.title, one.origin, one.may_page) for one in read_]

    async def turn() -> None:
        """Until the server has been asked once more."""
        asked = len(server.asked)
        async with asyncio.timeout(10):
            while len(server.asked) == asked:
                await clock.forward(60)
                await asyncio.sleep(0.02)

    running = asyncio.create_task(listener.run())
    try:
        await until(lambda: len(heard()) == 1)
        assert heard() == [("One", Origin.backfill, False)]
        await asyncio.sleep(0.1)
        site.body = rss(B, A)
        await turn()
        await until(lambda: len(heard()) == 2)
        assert heard()[1][0] == "Two"
        assert heard()[1][2]
        site.instead = Answer(503, headers={"retry-after": "300"})
        site.body = rss(("g3", "https://n.example/3", "Three", "third"), B, A)
        await turn()
        site.instead = None
        await turn()
        await until(lambda: len(heard()) == 3)
        assert [title for title, _, _ in heard()] == ["One", "Two", "Three"]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_doctor_reads_the_feed_and_says_what_is_wrong_with_it(
    server: WebServer, site: Site
) -> None:
    raw = configuration().model_dump(mode="json", by_alias=True, exclude_none=True)
    mine = next(one for one in raw["accounts"] if one["platform"] == "rss")
    mine["settings"]["url"] = f"{server.url}/feed"
    raw["accounts"] = [mine]
    changed = Configuration.model_validate(raw)

    async def said() -> str:
        checks = source_checks(changed, lambda name: SecretStr(name), ManualClock(NOW), None)
        found = [await one.look() for one in checks]
        return " ".join(one.says for one in found)

    assert "the feed is read: 1 entries" in await said()
    site.instead = Answer(410)
    assert "gone: take it out of presence.yaml" in await said()
