"""Systems that are connected without code: a mapping and a signature in presence.yaml."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from services.contracts.configuration import WebhookMapping
from services.contracts.events import Action, Direction, Kind, Notification
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Ignored, Parsed, Rejected, RejectReason
from services.ingest.sources.mapping import MappedForm
from services.ingest.sources.registry import build_sources
from services.ingest.sources.source import Delivery, RefusalReason, Refused
from services.runtime import configuration as presence_yaml
from services.runtime.errors import WrongConfiguration
from tests.ingest.brand import LATER, LINK_SECRET, NOW, SECRETS, configuration, payload, platform

HELPDESK, DISCOURSE = platform("helpdesk"), platform("discourse")
LINK = "https://example.org/blue"
EXAMPLE = Path(__file__).resolve().parents[2] / "presence.example.yaml"


def forum_says(event: str, name: str) -> Parsed:
    """What the forum's webhook of that event becomes."""
    body = payload("discourse", name)
    headers = {**DISCOURSE.sign(body), "x-discourse-event": event}
    delivery = Delivery(headers, body)
    accounts = DISCOURSE.source.verify(delivery, NOW)
    (found,) = DISCOURSE.source.parse(delivery, accounts, Receipt(NOW))
    return found


def test_a_ticket_comment_becomes_an_addressed_comment_of_its_ticket() -> None:
    found = HELPDESK.one("comment")
    assert found.kinds == {Kind.comment}
    assert found.addressed
    assert found.conversation.root == "5158"
    assert (found.author.id, found.author.name) == ("8447", "Kofi Boateng")
    assert found.title == "Where is my bag?"
    assert found.source_time.isoformat() == "2026-11-21T09:00:00.120000+00:00"


def test_what_an_agent_wrote_is_ours_and_answers_the_requester() -> None:
    found = HELPDESK.one("own_reply")
    assert found.direction is Direction.outbound
    assert found.conversation.counterpart_id == "8447"


def test_a_forum_post_is_text_with_its_links_and_its_action_from_a_header() -> None:
    found = forum_says("post_created", "post_created")
    assert isinstance(found, Notification)
    assert found.text.startswith('Does the blue one fit a 15" laptop?\n')
    assert found.text.endswith(f"\nSee {LINK}")
    assert found.links == (LINK,)
    assert found.permalink == "https://forum.example/p/9021"
    edited = forum_says("post_edited", "post_edited")
    assert isinstance(edited, Notification)
    assert (edited.action, edited.item_id) == (Action.edited, found.item_id)
    deleted = forum_says("post_destroyed", "post_created")
    assert isinstance(deleted, Notification)
    assert (deleted.action, deleted.text) == (Action.deleted, "")


def test_a_staff_reply_on_the_forum_is_an_answer() -> None:
    found = forum_says("post_created", "staff_reply")
    assert isinstance(found, Notification)
    assert found.direction is Direction.outbound
    assert found.conversation.counterpart_id == "412"
    assert found.conversation.root == "topic-771"


def test_what_when_leaves_out_is_counted_and_no_mistake() -> None:
    found = forum_says("ping", "ping")
    assert isinstance(found, Ignored)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("without_words", "text: the mapping finds nothing at `event.comment.body`"),
        ("without_author", "author.id: the mapping finds nothing at `event.comment.author.id`"),
    ],
)
def test_what_the_mapping_does_not_find_is_said_by_name(name: str, says: str) -> None:
    (found,) = HELPDESK.read_file(name)
    assert isinstance(found, Rejected)
    assert (found.reason, found.detail) == (RejectReason.malformed, says)
    assert found.account_id == "desk"


def test_a_value_of_the_wrong_kind_is_said_without_what_a_person_wrote() -> None:
    body = orjson.loads(payload("helpdesk", "comment"))
    body["event"]["comment"]["body"] = ["secret words"]
    (found,) = HELPDESK.read(orjson.dumps(body))
    assert isinstance(found, Rejected)
    assert found.detail == "mapped: text: Input should be a valid string"


def test_an_expression_that_fails_on_a_payload_is_said_with_its_field() -> None:
    form = MappedForm(
        WebhookMapping.model_validate(
            {"id": "id", "kind": "'post'", "author.id": "sort_by(a, &b)", "text": "text"}
        )
    )
    found = form.simple({"id": 1, "a": [{"b": 1}, {"b": "x"}], "text": "hi"}, {})
    assert isinstance(found, Rejected)
    assert found.detail == "author.id: `sort_by(a, &b)` fails here: JMESPathTypeError"


_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "id", "text"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(payload_=st.dictionaries(st.sampled_from(["a", "b", "id", "text"]), _VALUES))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_payload_makes_an_expression_raise(payload_: dict[str, Any]) -> None:
    form = MappedForm(
        WebhookMapping.model_validate(
            {
                "id": "id",
                "kind": "a[?b == `1`] | [0].id || 'post'",
                "author.id": "max_by(a, &b) || join('-', b) || id",
                "text": "to_string(text)",
                "links": "a[].b",
                "html": "reverse(text)",
                "private": "a > b",
                "title": "merge(a, b)",
                "language": "keys(a)[0]",
                "version": "sum(b)",
                "created_at": "avg(b)",
            }
        )
    )
    assert isinstance(form.simple(payload_, {}), dict | Rejected | Ignored)


# -- signatures


def test_the_forums_signature_is_over_the_body_in_hexadecimal() -> None:
    body = payload("discourse", "post_created")
    digest = hmac.new(SECRETS["DISCOURSE_SECRET"].encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-discourse-event-signature": f"sha256={digest}"}
    assert DISCOURSE.source.verify(Delivery(headers, body), NOW)
    with pytest.raises(Refused, match=RefusalReason.signature_wrong):
        DISCOURSE.source.verify(Delivery(headers, body + b" "), NOW)


def test_the_help_desks_signature_is_over_its_time_and_the_body() -> None:
    """Of its documentation: base64 of HMAC-SHA256 over the timestamp and the body."""
    body, at = b'{"a": 1}', "2026-11-21T09:00:00Z"
    signed = at.encode() + body
    digest = hmac.new(SECRETS["HELPDESK_SECRET"].encode(), signed, hashlib.sha256).digest()
    headers = {
        "x-zendesk-webhook-signature": base64.b64encode(digest).decode(),
        "x-zendesk-webhook-signature-timestamp": at,
    }
    assert HELPDESK.source.verify(Delivery(headers, body), NOW)
    with pytest.raises(Refused, match=RefusalReason.timestamp_old):
        HELPDESK.source.verify(Delivery(headers, body), LATER)
    moved = {**headers, "x-zendesk-webhook-signature-timestamp": "2026-11-21T09:06:00Z"}
    with pytest.raises(Refused, match=RefusalReason.signature_wrong):
        HELPDESK.source.verify(Delivery(moved, body), LATER)
    for wrong in ("yesterday", "é"):
        broken = {**headers, "x-zendesk-webhook-signature-timestamp": wrong}
        with pytest.raises(Refused, match=RefusalReason.timestamp_invalid):
            HELPDESK.source.verify(Delivery(broken, body), NOW)


# -- mistakes in presence.yaml


def example_with(change: dict[str, Any]) -> tuple[str, int]:
    """The example with a changed webhook account, and the line of its first changed key."""
    file = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    shop = next(one for one in file["accounts"] if one["platform"] == "webhook")
    for key, value in change.items():
        shop["settings"][key] = value
    text = yaml.safe_dump(file, sort_keys=False)
    inner = next(iter(next(iter(change.values()))), "") if change else ""
    line = next((n for n, one in enumerate(text.splitlines(), 1) if f" {inner}: " in one), 0)
    return text, line


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"kind": "'post", "id": "id", "author.id": "a", "text": "t"}, "no JMESPath expression"),
        ({"colour": "blue", "id": "id", "author.id": "a", "text": "t"}, "unknown key"),
    ],
)
def test_a_mistake_in_a_mapping_is_told_with_its_line(mapping: dict[str, str], says: str) -> None:
    text, line = example_with({"mapping": mapping})
    with pytest.raises(WrongConfiguration) as told:
        presence_yaml.parse(text)
    first = next(iter(mapping))
    accounts = yaml.safe_load(text)["accounts"]
    at = next(i for i, one in enumerate(accounts) if one["platform"] == "webhook")
    expected = f"presence.yaml:{line}: accounts[{at}].settings.mapping.{first}: {says}"
    assert expected in str(told.value)


def test_a_mapping_without_words_or_a_scheme_without_its_signature_is_refused() -> None:
    for change, says in (
        ({"mapping": {"id": "id", "kind": "'post'", "author.id": "a"}}, "map text or html"),
        ({"scheme": "hmac", "signature": None}, "scheme hmac needs `signature`"),
    ):
        text, _ = example_with(change)
        with pytest.raises(WrongConfiguration, match=says):
            presence_yaml.parse(text)


def test_a_mapping_works_over_cloudevents_in_both_modes() -> None:
    raw = configuration().model_dump(mode="json", by_alias=True, exclude_none=True)
    forum = next(one for one in raw["accounts"] if one["id"] == "zip-forum")
    forum["settings"]["mapping"] = {
        "id": "data.key", "kind": "type", "author.id": "data.by", "text": "data.says",
    }  # fmt: skip
    changed = type(configuration()).model_validate(raw)
    found = build_sources(changed, lambda name: SecretStr(SECRETS[name]), LINK_SECRET)["forum"]
    data = {"key": "k1", "by": "u1", "says": "hello"}
    event = {"specversion": "1.0", "id": "1", "source": "/f", "type": "mention"}
    modes = [
        ({"content-type": "application/cloudevents+json"}, orjson.dumps({**event, "data": data})),
        (
            {"content-type": "application/json", **{f"ce-{k}": v for k, v in event.items()}},
            orjson.dumps(data),
        ),
    ]
    for headers, body in modes:
        accounts = {"zip-forum": found.account}  # type: ignore[attr-defined]
        (one,) = found.parse(Delivery(headers, body), accounts, Receipt(NOW))
        assert isinstance(one, Notification), one
        assert one.kinds == {Kind.mention}
        assert one.text == "hello"
