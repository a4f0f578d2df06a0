"""What X's account activity means."""

from __future__ import annotations

import base64
import hashlib
import hmac

import orjson
import pytest

from services.contracts.events import Action, Direction, Kind, Notification
from services.ingest.domain.address import Heard
from services.ingest.domain.outcome import Ignored, Rejected, RejectReason
from services.ingest.sources.source import Refused
from tests.ingest.brand import SECRETS, payload, platform

X = platform("x")


def test_a_mention_keeps_words_links_and_who_was_named() -> None:
    found = X.one("mention")
    assert found.kinds == {Kind.mention}
    assert found.text == "@ExampleAir my bag is lost & nobody answers https://t.co/a1"
    assert found.links == ("https://example.org/bag",)
    assert [mention.id for mention in found.mentions] == ["2244994945"]
    assert found.conversation.root == "9001"
    assert not found.addressed
    assert found.author.known, "501 is on the brand's list"
    assert found.permalink == "https://x.com/ada_l/status/9001"


def test_one_post_that_names_and_answers_us_is_one_item_of_two_kinds() -> None:
    found = X.one("mention_and_reply")
    assert found.kinds == {Kind.mention, Kind.reply}
    assert found.addressed
    assert found.conversation.root == "8000"
    assert found.in_reply_to == "x:2244994945:8000"


def test_a_long_quote_is_read_whole() -> None:
    found = X.one("long_quote")
    assert found.kinds == {Kind.quote, Kind.mention}
    assert found.text.startswith("Look at this, cut nowhere: five hours")
    assert found.links == ("https://example.org/five",)
    assert found.media[0].alt == "A queue"


def test_recovered_activity_has_the_ids_that_it_had_whatever_it_comes_with() -> None:
    """X recovers up to five days: other counts by then, other neighbours in the payload."""
    body = orjson.loads(payload("x", "mention"))
    (post,) = body["tweet_create_events"]
    later = {**post, "favorite_count": 12, "user": {**post["user"], "followers_count": 9_000}}
    other = {**post, "id": 9002, "id_str": "9002"}
    again = orjson.dumps({**body, "tweet_create_events": [other, later]})
    first, second = X.read(again)
    assert isinstance(first, Notification)
    assert isinstance(second, Notification)
    assert second.event_id == X.one("mention").event_id != first.event_id


def test_a_quote_that_does_not_name_us_is_a_quote() -> None:
    body = orjson.loads(payload("x", "long_quote"))
    (post,) = body["tweet_create_events"]
    post["extended_tweet"]["entities"]["user_mentions"] = []
    (found,) = X.read(orjson.dumps(body))
    assert isinstance(found, Notification)
    assert found.kinds == {Kind.quote}
    assert not found.addressed


def test_a_repost_belongs_to_the_post_it_repeats() -> None:
    found = X.one("repost")
    assert found.kinds == {Kind.repost}
    assert found.conversation.root == "8000"


def test_our_reply_is_of_the_person_it_answers() -> None:
    found = X.one("own_reply")
    assert found.direction is Direction.outbound
    assert found.conversation.counterpart_id == "501"
    assert found.key == X.one("mention").key, "a person's events and their answers keep their order"


def test_our_broadcast_is_of_nobody_and_a_listed_app_is_a_machine() -> None:
    found = X.one("own_broadcast")
    assert found.direction is Direction.outbound
    assert found.conversation.counterpart_id is None
    assert found.automated


def test_direct_messages_both_ways_share_one_conversation_without_root() -> None:
    theirs, ours = X.one("direct"), X.one("own_direct_by_machine")
    assert theirs.conversation == ours.conversation
    assert theirs.conversation.root is None
    assert theirs.private
    assert theirs.addressed
    assert theirs.text == "booking ABC123 <3"
    assert theirs.author.handle == "ada_l"
    assert ours.direction is Direction.outbound
    assert ours.automated


def test_likes_and_follows_are_gestures_of_their_author() -> None:
    like, follow = X.read_file("favorite_and_follow")
    assert isinstance(like, Notification)
    assert isinstance(follow, Notification)
    assert like.kinds == {Kind.reaction}
    assert like.conversation.root == "8000"
    assert follow.kinds == {Kind.follow}
    assert follow.conversation.root, "a follow does not join the direct messages"
    assert not like.needs_verdict


def test_typing_is_counted_and_nothing_else() -> None:
    (found,) = X.read_file("typing")
    assert isinstance(found, Ignored)


def test_one_broken_post_does_not_lose_its_neighbours() -> None:
    first, broken, last = X.read_file("one_broken_of_three")
    assert isinstance(first, Notification)
    assert isinstance(broken, Rejected)
    assert broken.reason is RejectReason.malformed
    assert "user" in broken.detail
    assert isinstance(last, Notification)


def test_a_rejection_says_where_and_never_repeats_what_a_person_wrote() -> None:
    body = orjson.loads(orjson.dumps({"for_user_id": "2244994945"}))
    body["tweet_create_events"] = [
        {"id_str": "1", "user": {"id_str": "2"}, "text": {"my": "secret words"}}
    ]
    (found,) = X.read(orjson.dumps(body))
    assert isinstance(found, Rejected)
    assert "text" in found.detail
    assert "secret words" not in found.detail


def test_the_challenge_is_answered_with_the_consumer_secret() -> None:
    answer = X.source.challenge({"crc_token": "abc"})
    assert answer is not None
    digest = hmac.new(SECRETS["X_ONE"].encode(), b"abc", hashlib.sha256).digest()
    token = orjson.loads(answer.body)["response_token"]
    assert token == "sha256=" + base64.b64encode(digest).decode()


def test_a_challenge_can_name_the_app_of_a_second_account() -> None:
    answer = X.source.challenge({"crc_token": "abc", "account": "2244994999"})
    assert answer is not None
    assert answer != X.source.challenge({"crc_token": "abc"})


@pytest.mark.parametrize("query", [{}, {"crc_token": ""}, {"crc_token": "a", "account": "nobody"}])
def test_a_challenge_without_token_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(Refused):
        X.source.challenge(query)


def test_an_edited_post_is_the_item_that_it_was_and_is_answered_in_its_newest_version() -> None:
    body = orjson.loads(payload("x", "mention"))
    tweet = body["tweet_create_events"][0]
    first = tweet["id_str"]
    tweet["edit_history"] = {"initial_tweet_id": first, "edit_tweet_ids": [first]}
    (before,) = platform("x").read(orjson.dumps(body))
    tweet["id_str"] = "1900000000000000099"
    tweet["edit_history"]["edit_tweet_ids"].append(tweet["id_str"])
    (after,) = platform("x").read(orjson.dumps(body))
    assert isinstance(before, Heard)
    assert isinstance(after, Heard)
    assert (before.action, after.action) == (Action.created, Action.edited)
    assert after.item_id == before.item_id
    assert after.event_id == f"{before.item_id}:edited:1900000000000000099"
    assert after.conversation == before.conversation
    assert before.address == {"post": first}
    assert after.address == {"post": "1900000000000000099", "first": first}
