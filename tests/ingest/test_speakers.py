"""What every speaker promises, against local servers that behave as the platforms' documentation says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import orjson
import pytest

from services.contracts.events import Direction, Kind
from services.contracts.identity import item_id
from services.ingest.checks import source_checks
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Address, Heard, address_of
from services.ingest.domain.item import Receipt, notification
from services.ingest.domain.outcome import Parsed
from services.ingest.domain.replying import Certainty, Draft, RefusalCause
from services.ingest.sources.youtube import events_of, parse_comment
from services.ingest.speaking.port import Ambiguous, Speaker, SpeakReason
from services.ingest.speaking.registry import build_speakers
from services.runtime.checks import State
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from tests.ingest import platforms
from tests.ingest.bluesky_server import PASSWORD
from tests.ingest.brand import NOW, payload, platform
from tests.ingest.platforms import Fault, LocalPlatform
from tests.integration.ingest_service import with_accounts

DRAFT = Draft("We are so sorry. May we look into it?", private=False)
PRIVATE = replace(DRAFT, private=True)


@dataclass(frozen=True)
class Place:
    """Somewhere a person wrote to us."""

    platform: str
    source: str
    public: str
    direct: str
    answered_at: str
    """The path of a public answer; Mastodon, X and Bluesky name the thread in the body."""

    def address(self, file: str) -> Address:
        """As the source made it when it parsed the platform's payload."""
        found = _comment(0) if self.source == "youtube" else platform(self.source).one(file)
        assert isinstance(found, Heard), f"{file} cannot be answered"
        return address_of(found)


def _comment(number: int) -> Parsed:
    """A comment of the thread, the first at 0."""
    thread = orjson.loads(payload("youtube", "thread"))
    told = list(events_of(thread, thread["replies"]["comments"]))
    return parse_comment(told[number], CHANNEL, Receipt(NOW))


CHANNEL = OwnAccount("youtube", "UCair", "UCair", "air", frozenset({"UCair"}))
PLACES = [
    Place("mastodon", "mastodon", "mention", "direct", "/api/v1/statuses"),
    Place("x", "x", "mention", "direct", "/2/tweets"),
    Place("facebook", "meta", "comment", "message", "/v23.0/{}/comments"),
    Place("instagram", "meta", "instagram_comment", "", "/v23.0/{}/replies"),
    Place("bluesky", "bluesky", "mention", "", "/xrpc/com.atproto.repo.putRecord"),
    Place("youtube", "youtube", "thread", "", "/youtube/v3/comments"),
]
PUBLIC_ONLY = ("bluesky", "youtube")
"""Where Presence writes no direct messages."""


@dataclass(frozen=True)
class Line:
    """A speaker, the platform at its other end, and whom it answers."""

    speaker: Speaker
    server: LocalPlatform
    place: Place

    @property
    def address(self) -> Address:
        return self.place.address(self.place.public)


@contextmanager
def _speaker(name: str, url: str) -> Iterator[Speaker]:
    file = with_accounts(platforms.account(name, url))
    (speaker,) = build_speakers(file, platforms.secrets, ManualClock(NOW)).values()
    yield speaker


@pytest.fixture(params=PLACES, ids=lambda place: place.platform)
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    place: Place = request.param
    with (
        platforms.serving(place.platform) as server,
        _speaker(place.platform, server.url) as speaker,
    ):
        await speaker.prepare()
        yield Line(speaker, server, place)
        await speaker.close()


async def test_an_answer_stands_under_what_it_answers(line: Line) -> None:
    address = line.address
    posted = await line.speaker.post(DRAFT, address, "reply-1")
    (post,) = line.server.posts
    native = address.details.get("comment", "")
    assert post.path == line.place.answered_at.format(native)
    assert posted.item.native_id == post.native_id
    named: dict[str, dict[str, object]] = {
        "mastodon": {"in_reply_to_id": address.details.get("status"), "visibility": "public"},
        "x": {"reply": {"in_reply_to_tweet_id": address.details.get("post")}},
        "bluesky": {
            "reply": {
                end: {"uri": address.details.get(uri), "cid": address.details.get(cid)}
                for end, uri, cid in (("root", "root_uri", "root_cid"), ("parent", "uri", "cid"))
            }
        },
    }
    named["youtube"] = {"snippet": {"parentId": native, "textOriginal": DRAFT.text}}
    thread = named.get(line.place.platform, {"message": DRAFT.text})
    assert {name: post.body[name] for name in thread} == thread
    assert Kind.direct not in posted.item.kinds


async def test_what_was_posted_is_the_event_that_the_echo_will_be(line: Line) -> None:
    posted = await line.speaker.post(DRAFT, line.address, "reply-1")
    event = notification(posted.item, line.speaker.account, Receipt(NOW + timedelta(days=3650)))
    assert event.direction is Direction.outbound
    assert event.event_id == f"{event.item_id}:created"
    (post,) = line.server.posts
    account = line.speaker.account.native_id
    assert event.item_id == item_id(line.place.platform, account, post.native_id)
    assert DRAFT.text in event.text


async def test_a_private_answer_is_private(line: Line) -> None:
    if line.place.platform in PUBLIC_ONLY:
        refusal = line.speaker.check(PRIVATE, line.address, NOW)
        assert refusal is not None
        assert refusal.cause is RefusalCause.visibility
        return
    posted = await line.speaker.post(PRIVATE, line.address, "reply-1")
    (post,) = line.server.posts
    assert posted.item.private
    assert Kind.direct in posted.item.kinds
    assert post.body.get("visibility", "direct") == "direct"
    assert "/comments" not in post.path
    assert "/replies" not in post.path
    assert post.path != "/2/tweets"


async def test_what_was_said_in_private_is_not_answered_in_public(line: Line) -> None:
    if not line.place.direct:
        pytest.skip("no such payload")
    address = line.place.address(line.place.direct)
    refusal = line.speaker.check(DRAFT, address, NOW)
    assert refusal is not None
    assert refusal.cause is RefusalCause.visibility
    assert line.speaker.check(PRIVATE, address, NOW) is None


@pytest.mark.parametrize("private", [False, True])
async def test_a_text_that_is_too_long_is_known_before_it_is_sent(
    line: Line, private: bool
) -> None:
    if private and line.place.platform in PUBLIC_ONLY:
        pytest.skip("speaks in public only")
    refusal = line.speaker.check(Draft("ü" * 10_001, private), line.address, NOW)
    assert refusal is not None
    assert refusal.cause is RefusalCause.too_long
    assert line.speaker.check(Draft("ü" * 60, private), line.address, NOW) is None


async def test_a_used_up_limit_had_no_effect_and_says_when(line: Line) -> None:
    line.server.faults = [Fault.limited]
    with pytest.raises(Transient) as caught:
        await line.speaker.post(DRAFT, line.address, "reply-1")
    assert caught.value.reason is SpeakReason.rate_limited
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 0
    assert line.server.posts == []


async def test_a_refusal_is_told_in_the_platforms_words(line: Line) -> None:
    line.server.faults = [Fault.refused]
    with pytest.raises(Permanent, match=r"deleted|blocked"):
        await line.speaker.post(DRAFT, line.address, "reply-1")


@pytest.mark.parametrize(("fault", "stands"), [(Fault.answer_lost, 1), (Fault.before, 0)])
async def test_a_lost_confirmation_may_mean_either(line: Line, fault: Fault, stands: int) -> None:
    line.server.faults = [fault]
    with pytest.raises(Ambiguous):
        await line.speaker.post(DRAFT, line.address, "reply-1")
    assert len(line.server.posts) == stands


async def test_who_promises_a_key_posts_once_with_it(line: Line) -> None:
    if line.speaker.certainty is not Certainty.by_key:
        pytest.skip("promises no key")
    line.server.faults = [Fault.answer_lost]
    with pytest.raises(Ambiguous):
        await line.speaker.post(DRAFT, line.address, "reply-1")
    again = await line.speaker.post(DRAFT, line.address, "reply-1")
    assert [one.native_id for one in line.server.posts] == [again.item.native_id]
    found = await line.speaker.find(DRAFT, line.address, NOW)
    assert found is not None
    assert found.item.native_id == again.item.native_id
    assert await line.speaker.find(Draft("Another text", False), line.address, NOW) is None


async def test_a_server_that_is_not_there_was_surely_sent_nothing(line: Line) -> None:
    with _speaker(line.place.platform, "http://127.0.0.1:9") as speaker:
        with pytest.raises(Transient) as caught:
            await speaker.post(DRAFT, line.address, "reply-1")
        assert caught.value.reason is SpeakReason.unreachable
        await speaker.close()


async def test_a_call_proves_who_calls_and_no_failure_tells_the_token(line: Line) -> None:
    line.server.faults = [Fault.none, Fault.refused]
    await line.speaker.post(DRAFT, line.address, "reply-1")
    (post,) = line.server.posts
    sent = post.headers["authorization"]
    if line.place.platform == "x":
        assert sent.startswith("OAuth ")
        assert 'oauth_token="the-token"' in sent
        assert "oauth_signature=" in sent
    elif line.place.platform == "bluesky":
        assert sent == "Bearer access-0"
    else:
        assert sent == "Bearer the-token"
    if line.place.source == "meta":
        assert len(post.query["appsecret_proof"]) == 64
    with pytest.raises(Permanent) as caught:
        await line.speaker.post(DRAFT, line.address, "reply-2")
    told = str(caught.value) + repr(line.speaker)
    assert not any(secret in told for secret in ("the-token", "access-0", PASSWORD))


def test_a_messaging_window_closes_and_a_new_message_opens_it_again() -> None:
    with _speaker("facebook", "http://127.0.0.1:9") as speaker:
        address = PLACES[2].address("message")
        late = address.said_at + timedelta(hours=25)
        refusal = speaker.check(PRIVATE, address, late)
        assert refusal is not None
        assert refusal.cause is RefusalCause.window_closed
        newer = replace(address, heard_at=address.said_at + timedelta(hours=2))
        assert speaker.check(PRIVATE, newer, late) is None


@pytest.mark.parametrize("name", ["facebook", "instagram"])
async def test_a_person_may_answer_a_message_for_seven_days_where_meta_allows_it(name: str) -> None:
    address = replace(PLACES[2].address("message"), said_at=NOW - timedelta(hours=30))
    with platforms.serving(name) as server:
        raw = platforms.account(name, server.url)
        raw["settings"]["human_agent"] = True
        (speaker,) = build_speakers(
            with_accounts(raw), platforms.secrets, ManualClock(NOW)
        ).values()
        assert speaker.check(PRIVATE, address, NOW) is None
        late = speaker.check(PRIVATE, address, NOW + timedelta(days=6))
        assert late is not None
        assert late.cause is RefusalCause.window_closed
        await speaker.post(PRIVATE, address, "reply-1")
        await speaker.post(PRIVATE, replace(address, heard_at=NOW), "reply-2")
        first, second = (one.body for one in server.posts)
        assert (first["messaging_type"], first["tag"]) == ("MESSAGE_TAG", "HUMAN_AGENT")
        assert "tag" not in second
        await speaker.close()


async def test_an_answer_to_an_answer_on_youtube_begins_with_its_writers_handle() -> None:
    found = next(
        one for one in map(_comment, range(1, 3)) if isinstance(one, Heard) and one.in_reply_to
    )
    address = address_of(found)
    handle = f"@{found.author.handle}"
    with platforms.serving("youtube") as server, _speaker("youtube", server.url) as speaker:
        await speaker.post(DRAFT, address, "reply-1")
        await speaker.post(Draft(f"{handle} gladly", private=False), address, "reply-2")
        said = [one.body["snippet"] for one in server.posts]
        assert [one["textOriginal"] for one in said] == [
            f"{handle} {DRAFT.text}",
            f"{handle} gladly",
        ]
        assert {one["parentId"] for one in said} == {"Ugx1"}
        assert server.tokens == 1, "an access token serves for an hour"
        await speaker.close()


async def test_a_revoked_refresh_token_is_said_before_anything_is_sent() -> None:
    with platforms.serving("youtube") as server:
        raw = platforms.account("youtube", server.url)
        raw["settings"]["refresh_token"] = "TOKEN"
        file = with_accounts(raw)
        (speaker,) = build_speakers(file, platforms.secrets, ManualClock(NOW)).values()
        with pytest.raises(Permanent, match=r"Google refuses the refresh token: Token has been"):
            await speaker.prepare()
        assert server.posts == []
        await speaker.close()


@pytest.mark.parametrize(("token", "state"), [("REFRESH", State.good), ("TOKEN", State.wrong)])
async def test_the_doctor_says_whether_youtube_takes_the_refresh_token(
    token: str, state: State
) -> None:
    with platforms.serving("youtube") as server:
        raw = platforms.account("youtube", server.url)
        raw["settings"]["refresh_token"] = token
        asked = source_checks(with_accounts(raw), platforms.secrets, ManualClock(NOW), None)
        (answers,) = [one for one in asked if one.name.endswith(": answers")]
        finding = await answers.look()
        assert finding.state is state
        assert platforms.SECRETS[token] not in finding.says


def test_x_counts_as_x_does() -> None:
    with _speaker("x", "http://127.0.0.1:9") as speaker:
        address = PLACES[1].address("mention")
        link = "https://example.com/" + "a" * 300
        assert speaker.check(Draft(f"{'a' * 256} {link}", False), address, NOW) is None
        assert speaker.check(Draft("語" * 140, False), address, NOW) is None
        assert speaker.check(Draft("語" * 141, False), address, NOW) is not None


async def test_mastodon_counts_the_mention_that_it_adds() -> None:
    with (
        platforms.serving("mastodon") as server,
        _speaker("mastodon", server.url) as speaker,
    ):
        await speaker.prepare()
        address = PLACES[0].address("mention")
        mention = len("@" + address.details["acct"].partition("@")[0] + " ")
        assert speaker.check(Draft("a" * (80 - mention), False), address, NOW) is None
        assert speaker.check(Draft("a" * (81 - mention), False), address, NOW) is not None
        await speaker.post(Draft("hello", False), address, "reply-1")
        await speaker.post(Draft(f"hello @{address.details['acct']}", False), address, "reply-2")
        handle = f"@{address.details['acct']}"
        assert [one.body["status"] for one in server.posts] == [
            f"{handle} hello",
            f"hello {handle}",
        ]
        await speaker.close()


def test_an_account_without_a_token_that_may_write_only_listens() -> None:
    raw = platforms.account("x", "http://127.0.0.1:9")
    raw["settings"] = {"consumer_secret": "X_ONE"}
    assert build_speakers(with_accounts(raw), platforms.secrets, ManualClock(NOW)) == {}
