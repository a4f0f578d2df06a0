"""What Mastodon's events mean."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from services.contracts.events import Direction, Kind, Notification
from services.ingest.domain.outcome import Ignored
from tests.ingest.brand import payload, platform

MASTODON = platform("mastodon")


def test_a_mention_is_plain_text_with_its_links() -> None:
    found = MASTODON.one("mention")
    assert (
        found.text == "@air my seat is broken\nsee https://example.org/seat/12?x=1\nPlease & thanks"
    )
    assert found.links == ("https://example.org/seat/12?x=1",)
    assert found.kinds == {Kind.mention}
    assert not found.addressed
    assert not found.private


def test_the_source_time_is_our_servers_and_the_status_time_is_a_claim() -> None:
    found = MASTODON.one("mention")
    assert found.source_time == datetime(2026, 11, 21, 9, 0, 2, tzinfo=UTC)
    assert found.claimed_time == datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def test_a_content_warning_is_the_title() -> None:
    found = MASTODON.one("reply_with_warning")
    assert found.title == "Rant"
    assert found.kinds == {Kind.mention, Kind.reply}
    assert found.addressed
    assert found.conversation.root == "990"


def test_the_servers_thread_root_replaces_the_parent() -> None:
    body = {**orjson.loads(payload("mastodon", "reply_with_warning")), "root": "900"}
    (found,) = MASTODON.read(orjson.dumps(body))
    assert isinstance(found, Notification)
    assert found.conversation.root == "900"


def test_a_direct_status_is_private_and_has_no_root() -> None:
    found = MASTODON.one("direct")
    assert found.kinds == {Kind.direct}
    assert found.private
    assert found.addressed
    assert found.conversation.root is None


def test_our_reply_is_of_the_person_it_answers() -> None:
    found = MASTODON.one("own_reply")
    assert found.direction is Direction.outbound
    assert found.conversation.counterpart_id == "200"


def test_our_scheduled_broadcast_is_a_machine_and_of_nobody() -> None:
    found = MASTODON.one("own_broadcast")
    assert found.automated
    assert found.conversation.counterpart_id is None


@pytest.mark.parametrize("name", ["followed_persons_post", "poll"])
def test_what_concerns_nobody_is_counted_and_nothing_else(name: str) -> None:
    (found,) = MASTODON.read_file(name)
    assert isinstance(found, Ignored)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("favourite", Kind.reaction), ("boost", Kind.repost), ("follow", Kind.follow)],
)
def test_gestures_have_no_words(name: str, kind: Kind) -> None:
    found = MASTODON.one(name)
    assert found.kinds == {kind}
    assert found.text == ""


def test_an_edit_takes_its_time_as_version() -> None:
    found = MASTODON.one("edited")
    assert found.event_id.endswith(":edited:2026-11-21T09%3A05%3A00%2B00%3A00")
