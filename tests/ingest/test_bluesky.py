"""What Bluesky's notifications and the own feed mean."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.events import Direction, Kind, Media, Notification
from services.ingest.domain.outcome import Ignored, Rejected
from services.ingest.sources.bluesky_text import LINK, MENTION, read_text
from tests.ingest.brand import payload, platform

BLUESKY = platform("bluesky")
AIR = "did:plc:exampleairexampleairexam"
ANA = "did:plc:anaanaanaanaanaanaanaana"
OUR_POST = f"at://{AIR}/app.bsky.feed.post/3lb2222222222"


def test_a_mention_spells_out_the_link_that_its_client_had_cut() -> None:
    found = BLUESKY.one("mention")
    link = "https://example.org/seat/12?x=1&y=2"
    assert found.text == f"🙏 @air.example mein Sitz ist kaputt: {link}"
    assert found.links == (link,)
    assert [(one.id, one.handle) for one in found.mentions] == [(AIR, "air.example")]
    assert found.kinds == {Kind.mention}
    assert found.language_hint == "de"
    assert not found.addressed


def test_the_networks_time_counts_and_the_records_is_a_claim() -> None:
    found = BLUESKY.one("mention")
    assert found.source_time == datetime(2026, 11, 21, 9, 0, 2, tzinfo=UTC)
    assert found.claimed_time == datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def test_an_item_is_its_at_uri_under_the_accounts_did() -> None:
    found = BLUESKY.one("mention")
    uri = f"at%3A%2F%2F{ANA.replace(':', '%3A')}%2Fapp.bsky.feed.post%2F3lbaaaaaaaa2a"
    assert found.item_id == f"bluesky:{AIR.replace(':', '%3A')}:{uri}"
    assert found.permalink == f"https://bsky.app/profile/{ANA}/post/3lbaaaaaaaa2a"


@pytest.mark.parametrize("name", ["reply", "reply_in_our_thread"])
def test_whoever_answers_us_or_under_our_post_is_addressed_to_us(name: str) -> None:
    found = BLUESKY.one(name)
    assert found.kinds == {Kind.reply}
    assert found.addressed
    assert found.conversation.root == OUR_POST
    assert found.conversation.counterpart_id == ANA


def test_a_post_that_quotes_and_names_us_is_one_item_with_both_kinds() -> None:
    quoted = BLUESKY.one("quote_with_picture")
    assert quoted.kinds == {Kind.quote, Kind.mention}
    assert quoted.media == (Media(kind="image", alt="A broken seat"),)
    body = orjson.loads(payload("bluesky", "quote_with_picture"))
    body["payload"]["reason"] = "mention"
    (again,) = BLUESKY.read(orjson.dumps(body))
    assert isinstance(again, Notification)
    assert (again.event_id, again.kinds) == (quoted.event_id, quoted.kinds)


def test_labels_of_author_and_moderators_warn_the_reader() -> None:
    found = BLUESKY.one("labelled")
    assert found.title == "Labelled: graphic-media, spam"
    assert found.links == ("https://example.org/news",)


@pytest.mark.parametrize(
    ("name", "kind", "root"),
    [
        ("like", Kind.reaction, OUR_POST),
        ("like_via_repost", Kind.reaction, OUR_POST),
        ("repost", Kind.repost, OUR_POST),
        ("follow", Kind.follow, f"at://{ANA}/app.bsky.graph.follow/3lbaaaaaaaa2i"),
    ],
)
def test_gestures_have_no_words_and_name_our_post(name: str, kind: Kind, root: str) -> None:
    found = BLUESKY.one(name)
    assert found.kinds == {kind}
    assert found.text == ""
    assert found.conversation.root == root


@pytest.mark.parametrize("name", ["verified", "starterpack_joined"])
def test_what_concerns_nobody_is_counted_and_nothing_else(name: str) -> None:
    (found,) = BLUESKY.read_file(name)
    assert isinstance(found, Ignored)


@pytest.mark.parametrize("name", ["own_reply", "own_second_part"])
def test_our_answer_is_of_the_person_whose_thread_it_goes_on(name: str) -> None:
    found = BLUESKY.one(name)
    assert found.direction is Direction.outbound
    assert found.kinds == {Kind.reply}
    assert found.conversation.counterpart_id == ANA
    assert found.conversation.root == f"at://{ANA}/app.bsky.feed.post/3lbaaaaaaaa2a"


def test_our_scheduled_broadcast_is_a_machine_and_of_nobody() -> None:
    found = BLUESKY.one("own_broadcast")
    assert found.automated
    assert found.conversation.counterpart_id is None


def test_our_repost_is_ours_and_repeats_no_words() -> None:
    found = BLUESKY.one("own_repost")
    assert found.direction is Direction.outbound
    assert found.author.id == AIR
    assert found.kinds == {Kind.repost}
    assert found.text == ""


def test_a_record_in_somebody_elses_repository_is_rejected() -> None:
    body = orjson.loads(payload("bluesky", "mention"))
    body["payload"]["uri"] = f"at://{AIR}/app.bsky.feed.post/forged"
    (found,) = BLUESKY.read(orjson.dumps(body))
    assert isinstance(found, Rejected)


def test_an_embed_that_nobody_knows_hides_no_words() -> None:
    body = orjson.loads(payload("bluesky", "mention"))
    body["payload"]["record"]["embed"] = {"$type": "org.example.embed", "record": 7}
    (found,) = BLUESKY.read(orjson.dumps(body))
    assert isinstance(found, Notification)
    assert "Sitz" in found.text


def test_facets_that_count_wrongly_leave_the_words_as_they_are() -> None:
    link = {"$type": LINK, "uri": "https://example.org/x"}
    inside_a_character = {"index": {"byteStart": 1, "byteEnd": 3}, "features": [link]}
    beyond = {"index": {"byteStart": 2, "byteEnd": 900}, "features": [link]}
    backwards = {"index": {"byteStart": 4, "byteEnd": 1}, "features": [link]}
    found = read_text("🙏 hello", [inside_a_character, beyond, backwards, "junk"])
    assert found.plain == "🙏 hello"
    assert set(found.links) == {"https://example.org/x"}


def test_a_link_under_other_words_keeps_the_words() -> None:
    link = {"$type": LINK, "uri": "https://evil.example"}
    facet = {"index": {"byteStart": 0, "byteEnd": 4}, "features": [link]}
    assert read_text("here", [facet]).plain == "here"


@given(
    text=st.text(max_size=40),
    slices=st.lists(st.tuples(st.integers(-5, 90), st.integers(-5, 90), st.booleans()), max_size=4),
)
@settings(max_examples=100, deadline=None)
def test_no_facet_makes_reading_raise_or_lose_the_text(
    text: str, slices: list[tuple[int, int, bool]]
) -> None:
    mention, link = {"$type": MENTION, "did": AIR}, {"$type": LINK, "uri": "https://example.org"}
    facets = [
        {"index": {"byteStart": start, "byteEnd": end}, "features": [link if is_link else mention]}
        for start, end, is_link in slices
    ]
    found = read_text(text, facets)
    assert found.plain == text or "https://example.org" in found.plain
