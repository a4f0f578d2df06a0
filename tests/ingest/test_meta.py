"""What Meta's changes and messages mean."""

from __future__ import annotations

import pytest

from services.contracts.events import Action, Direction, Kind, Notification
from services.ingest.domain.outcome import Ignored, Rejected
from services.ingest.sources.source import Refused
from tests.ingest.brand import platform

META = platform("meta")


def test_a_comment_under_our_post_is_addressed_and_rooted_at_the_post() -> None:
    found = META.one("comment")
    assert found.kinds == {Kind.comment}
    assert found.addressed
    assert found.conversation.root == "1010_55"
    assert found.conversation.counterpart_id == "300"
    assert found.in_reply_to == "facebook:1010:1010_55"
    assert found.permalink == "https://facebook.example/55"


def test_our_comment_names_what_it_answers_and_leaves_the_person_open() -> None:
    found = META.one("own_comment_reply")
    assert found.direction is Direction.outbound
    assert found.conversation.counterpart_id is None
    assert found.in_reply_to == META.one("comment").item_id


def test_a_comment_whose_writer_is_kept_from_us_is_still_a_person() -> None:
    found = META.one("comment_without_from")
    assert found.direction is Direction.inbound
    assert found.text
    assert found.conversation.counterpart_id == "unknown-1010_55_3"


def test_our_own_post_is_a_broadcast() -> None:
    found = META.one("own_post")
    assert found.direction is Direction.outbound
    assert found.kinds == {Kind.post}
    assert found.conversation.counterpart_id is None


def test_a_reaction_is_one_item_a_person_and_target() -> None:
    found = META.one("reaction")
    assert found.kinds == {Kind.reaction}
    assert not found.needs_verdict


def test_a_review_is_addressed() -> None:
    found = META.one("review")
    assert found.kinds == {Kind.review}
    assert found.addressed


def test_a_mention_elsewhere_is_a_mention() -> None:
    assert META.one("page_mention").kinds == {Kind.mention}


def test_a_message_is_private_and_an_echo_is_our_answer() -> None:
    theirs, ours = META.one("message"), META.one("echo_by_person")
    assert theirs.private
    assert theirs.addressed
    assert theirs.media[0].url == "https://cdn.example/ticket.jpg"
    assert ours.direction is Direction.outbound
    assert ours.conversation == theirs.conversation
    assert not ours.automated


def test_an_echo_of_a_listed_app_is_a_machine() -> None:
    assert META.one("echo_by_machine").automated


def test_a_message_edit_counts_its_version() -> None:
    found = META.one("message_edited")
    assert found.action is Action.edited
    assert found.event_id == META.one("message").item_id + ":edited:1"


def test_a_read_mark_is_counted_and_nothing_else() -> None:
    (found,) = META.read_file("read")
    assert isinstance(found, Ignored)


def test_instagram_is_its_own_platform() -> None:
    found = META.one("instagram_comment")
    assert (found.platform, found.account_id) == ("instagram", "1784")
    assert found.author.handle == "lin"
    assert found.conversation.root == "18000"


def test_an_unsent_instagram_message_is_deleted() -> None:
    found = META.one("instagram_deleted_message")
    assert found.action is Action.deleted
    assert found.text == ""


def test_one_unreadable_entry_does_not_lose_the_others() -> None:
    found = META.read_file("several_entries")
    read = [isinstance(one, Notification) for one in found]
    assert read == [True, True, False, False, False, True]
    assert sum(isinstance(one, Rejected) for one in found) == 3


def test_the_subscription_is_verified_by_its_token() -> None:
    query = {
        "hub.mode": "subscribe",
        "hub.verify_token": "meta-verify-token",
        "hub.challenge": "42",
    }
    answer = META.source.challenge(query)
    assert answer is not None
    assert answer.body == b"42"


@pytest.mark.parametrize(
    "change",
    [{"hub.verify_token": "wrong"}, {"hub.mode": "unsubscribe"}, {"hub.verify_token": "é"}],
)
def test_a_wrong_subscription_is_refused(change: dict[str, str]) -> None:
    query = {
        "hub.mode": "subscribe",
        "hub.verify_token": "meta-verify-token",
        "hub.challenge": "42",
    }
    with pytest.raises(Refused):
        META.source.challenge({**query, **change})
