"""Recorded payloads made new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import orjson
import pytest

from services.cli.replay import read_lines, rebased
from services.contracts.events import Notification
from services.ingest.domain.item import UNKNOWN_AUTHOR
from services.ingest.rebase import newest_time, shifted, shifted_notification
from tests.ingest.brand import PAYLOADS, payload, platform

BY = timedelta(days=3, hours=1)
FILES = sorted(path.relative_to(PAYLOADS) for path in PAYLOADS.glob("*/*.json"))


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_shifted_payload_means_the_same_later_and_elsewhere(path: Path) -> None:
    source, name = path.parent.name, path.stem
    asked = platform(source)
    late = datetime(2027, 1, 1, tzinfo=UTC)
    before = asked.read(payload(source, name), late)
    moved = shifted(source, orjson.loads(payload(source, name)), BY, "77")
    after = asked.read(orjson.dumps(moved), late)
    assert [type(one) for one in before] == [type(one) for one in after]
    for old, new in zip(before, after, strict=True):
        if not isinstance(old, Notification) or not isinstance(new, Notification):
            continue
        assert new.event_id != old.event_id
        if not old.author.id.startswith(UNKNOWN_AUTHOR):
            assert new.author == old.author, "people stay who they are"
            assert new.conversation.counterpart_id == old.conversation.counterpart_id
        if old.source_time != old.received_at:
            assert abs(new.source_time - old.source_time - BY) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("source", "question", "reply"),
    [("x", "mention", "own_reply"), ("meta", "comment", "own_comment_reply"),
     ("mastodon", "mention", "own_reply"), ("bluesky", "mention", "own_reply"),
     ("shop", "review", "own_reply")],
)  # fmt: skip
def test_an_answer_still_answers_its_question(source: str, question: str, reply: str) -> None:
    asked, read = platform(source), []
    for name in (question, reply):
        moved = shifted(source, orjson.loads(payload(source, name)), BY, "77")
        (found,) = asked.read(orjson.dumps(moved), datetime(2027, 1, 1, tzinfo=UTC))
        assert isinstance(found, Notification)
        read.append(found)
    assert read[1].in_reply_to == read[0].item_id


def test_a_notification_keeps_its_references() -> None:
    mention, reply = platform("x").one("mention"), platform("x").one("own_reply")
    moved = [shifted_notification(one, BY, "77") for one in (mention, reply)]
    assert moved[1].in_reply_to == moved[0].item_id
    assert moved[0].event_id == f"{moved[0].item_id}:created"
    assert moved[1].conversation.root == moved[0].conversation.root


def test_the_age_of_an_account_is_not_the_time_of_a_post() -> None:
    assert newest_time(orjson.loads(payload("mastodon", "mention"))) == datetime(
        2026, 11, 21, 9, 0, 2, tzinfo=UTC
    )


def test_lines_are_native_payloads_or_notifications(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    native = {"source": "x", "body": orjson.loads(payload("x", "mention"))}
    notification = platform("x").one("mention").model_dump(mode="json")
    raw = {"source": "meta", "raw": "{broken"}
    file.write_bytes(
        b"\n".join([orjson.dumps(native), b"", orjson.dumps(notification), orjson.dumps(raw)])
    )
    lines = list(read_lines([str(file)], None))
    assert [one.source for one in lines] == ["x", "replay", "meta"]
    now = datetime(2027, 1, 1, tzinfo=UTC)
    moved = rebased(lines, now)
    assert isinstance(moved[1].body, Notification)
    assert moved[1].body.source_time == now
    assert moved[2].body == b"{broken"


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b'{"body": {}}', b'{"source": "x"}', b'{"event_id": "1", "item_id": "2"}']
)
def test_a_wrong_line_is_named(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes(b"\n" + text)
    with pytest.raises(click.UsageError, match=r"lines\.jsonl:2: "):
        list(read_lines([str(file)], None))
