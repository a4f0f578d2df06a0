"""Answering on Bluesky, against a server that loses requests and answers as told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

from services.contracts.configuration.accounts import BlueskySettings
from services.contracts.events import Direction, Kind
from services.ingest.domain.address import Address, Heard, address_of
from services.ingest.domain.item import Receipt, notification
from services.ingest.domain.replying import Draft, RefusalCause
from services.ingest.sources.bluesky import BlueskyReplay
from services.ingest.sources.bluesky_session import BlueskySession
from services.ingest.speaking.bluesky import BlueskySpeaker, link_facets, record_key
from services.ingest.speaking.port import Ambiguous, SpeakReason
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from tests.ingest.bluesky_server import PASSWORD, BlueskyServer
from tests.ingest.brand import NOW, platform, sources

SOURCE = sources()["bluesky"]
assert isinstance(SOURCE, BlueskyReplay)
AIR = SOURCE.accounts["did:plc:exampleairexampleairexam"]
DRAFT = Draft("We are so sorry. May we look into it?", private=False)
ANA = "did:plc:anaanaanaanaanaanaanaana"
OUR_POST = f"at://{AIR.id}/app.bsky.feed.post/3lb2222222222"


def address(name: str = "mention") -> Address:
    heard = platform("bluesky").one(name)
    assert isinstance(heard, Heard)
    return address_of(heard)


class World:
    def __init__(self) -> None:
        self.server = BlueskyServer(AIR.id)
        self.clock = ManualClock(NOW)
        session = BlueskySession(
            AIR.id, BlueskySettings(), SecretStr(PASSWORD), self.clock,
            transport=self.server.transport,
        )  # fmt: skip
        self.speaker = BlueskySpeaker(AIR, session, self.clock)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.speaker.close()


async def test_an_answer_names_its_parent_and_the_threads_root(world: World) -> None:
    await world.speaker.post(DRAFT, address("reply"), "one")
    (record,) = world.server.records.values()
    assert record["reply"]["root"]["uri"] == OUR_POST
    assert record["reply"]["parent"]["uri"] == f"at://{ANA}/app.bsky.feed.post/3lbaaaaaaaa2b"
    assert record["text"] == DRAFT.text


async def test_what_was_posted_is_the_event_that_its_echo_will_be(world: World) -> None:
    posted = await world.speaker.post(DRAFT, address(), "one")
    said = notification(posted.item, AIR, Receipt(NOW + timedelta(seconds=1)))
    assert (said.direction, said.kinds) == (Direction.outbound, frozenset({Kind.reply}))
    assert said.conversation.counterpart_id == ANA
    assert said.conversation.root == address().root
    assert said.item_id.endswith(record_key("one"))
    assert said.permalink == f"https://bsky.app/profile/{AIR.id}/post/{record_key('one')}"


@pytest.mark.parametrize(
    "lost",
    [
        httpx.ReadTimeout("lost"),
        httpx.RemoteProtocolError("lost"),
        httpx.Response(502, text="bad gateway"),
        httpx.Response(200, text="cut of"),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.parametrize("written", [True, False])
async def test_after_a_lost_confirmation_the_next_try_posts_once(
    world: World, lost: httpx.Response | Exception, written: bool
) -> None:
    if written:
        world.server.after_writing = lost
    else:
        world.server.before_writing = lost
    with pytest.raises(Ambiguous):
        await world.speaker.post(DRAFT, address(), "one")
    await world.clock.forward(60.0)
    posted = await world.speaker.post(DRAFT, address(), "one")
    assert posted.item.native_id.endswith(record_key("one"))
    assert len(world.server.records) == 1


async def test_two_replies_with_the_same_words_are_two(world: World) -> None:
    await world.speaker.post(DRAFT, address(), "one")
    await world.speaker.post(DRAFT, address(), "two")
    assert len(world.server.records) == 2


async def test_a_server_that_is_not_reached_or_limits_us_surely_posted_nothing(
    world: World,
) -> None:
    world.server.before_writing = httpx.ConnectError("refused")
    with pytest.raises(Transient) as not_reached:
        await world.speaker.post(DRAFT, address(), "one")
    assert not_reached.value.reason is SpeakReason.unreachable
    world.server.before_writing = httpx.Response(429, headers={"retry-after": "17"})
    with pytest.raises(Transient) as limited:
        await world.speaker.post(DRAFT, address(), "one")
    assert limited.value.reason is SpeakReason.rate_limited
    assert limited.value.retry_after == 17.0


async def test_a_refusal_is_in_the_platforms_words(world: World) -> None:
    no = {"error": "InvalidRequest", "message": "Invalid app.bsky.feed.post record"}
    world.server.before_writing = httpx.Response(400, json=no)
    with pytest.raises(Permanent) as refused:
        await world.speaker.post(DRAFT, address(), "one")
    assert refused.value.reason is SpeakReason.refused
    assert refused.value.detail == "Invalid app.bsky.feed.post record"


async def test_nobody_answers_what_is_gone_or_closed_to_us(world: World) -> None:
    world.server.reply_disabled = True
    with pytest.raises(Permanent, match="does not let us answer"):
        await world.speaker.post(DRAFT, address(), "one")
    world.server.gone.add(address().details["uri"])
    with pytest.raises(Permanent, match="no longer there"):
        await world.speaker.post(DRAFT, address(), "one")
    assert not world.server.records


async def test_an_answer_that_went_out_is_told_also_when_the_post_is_gone_since(
    world: World,
) -> None:
    await world.speaker.post(DRAFT, address(), "one")
    world.server.gone.add(address().details["uri"])
    posted = await world.speaker.post(DRAFT, address(), "one")
    assert posted.item.text == DRAFT.text


async def test_a_wrong_password_needs_a_person_and_is_not_repeated_in_words(world: World) -> None:
    world.server.password = "another"
    with pytest.raises(Permanent) as refused:
        await world.speaker.post(DRAFT, address(), "one")
    assert refused.value.reason is SpeakReason.credentials
    assert PASSWORD not in str(refused.value)


async def test_handles_that_exist_are_mentioned_and_others_are_words(world: World) -> None:
    world.server.handles = {"ana.example.org": ANA}
    draft = replace(
        DRAFT, text="🙏 @Ana.example.org see https://air.example/@no.body (not @no.body)"
    )
    await world.speaker.post(draft, address(), "one")
    (record,) = world.server.records.values()
    encoded = draft.text.encode()
    shown = {
        encoded[one["index"]["byteStart"] : one["index"]["byteEnd"]].decode(): one["features"][0]
        for one in record["facets"]
    }
    assert shown.keys() == {"@Ana.example.org", "https://air.example/@no.body"}
    assert shown["@Ana.example.org"]["did"] == ANA


def test_a_sentences_end_is_none_of_its_link() -> None:
    facets = link_facets("(see https://a.example/x). https://b.example/y_(z)!")
    assert [one["features"][0]["uri"] for one in facets] == [
        "https://a.example/x",
        "https://b.example/y_(z)",
    ]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("x" * 300, None),
        ("x" * 301, RefusalCause.too_long),
        ("🇩🇪" * 300, None),
        ("👨‍👩‍👧‍👦" * 120, None),
        ("👨‍👩‍👧‍👦" * 121, RefusalCause.too_long),
    ],
    ids=["300", "301", "300 flags", "120 families", "more than 3,000 bytes"],
)
async def test_length_is_what_a_reader_sees_and_bytes(
    world: World, text: str, cause: RefusalCause | None
) -> None:
    refusal = world.speaker.check(Draft(text, private=False), address(), NOW)
    assert (refusal.cause if refusal else None) is cause


async def test_a_private_answer_is_refused(world: World) -> None:
    refusal = world.speaker.check(replace(DRAFT, private=True), address(), NOW)
    assert refusal is not None
    assert refusal.cause is RefusalCause.visibility


def test_record_keys_are_tids_and_all_different() -> None:
    keys = [record_key(f"reply-{number}") for number in range(2_000)]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 13 and key[0] in "234567abcdefghij" for key in keys)
    assert record_key("reply-1") == record_key("reply-1")
