"""Ids are stable, opaque and injective; the record key never depends on the thread."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts import examples, identity
from services.contracts.events import Notification

anything = st.text(
    alphabet=st.one_of(st.sampled_from(":%/ é中"), st.characters(exclude_categories=["Cs"])),
    max_size=8,
)
something = anything.filter(bool)


def test_an_item_is_named_by_platform_account_and_native_id() -> None:
    assert identity.item_id("x", "2244994945", "1790001") == "x:2244994945:1790001"


def test_colons_slashes_percents_and_other_alphabets_are_encoded() -> None:
    assert identity.item_id("mastodon", "a:b/c", "50% é") == "mastodon:a%3Ab%2Fc:50%25%20%C3%A9"


def test_event_ids_are_the_item_id_with_what_happened() -> None:
    item = identity.item_id("x", "1", "2")
    assert identity.created(item) == "x:1:2:created"
    assert identity.edited(item, "2026-03-02T03:05:00Z") == "x:1:2:edited:2026-03-02T03%3A05%3A00Z"
    assert identity.deleted(item) == "x:1:2:deleted"


def test_an_item_without_a_native_id_is_refused_and_named_by_its_content() -> None:
    with pytest.raises(ValueError, match="content_hash"):
        identity.item_id("webhook", "shop", "")
    with pytest.raises(ValueError, match="content_hash"):
        identity.edited("webhook:shop:1", "")
    one = identity.content_hash({"from": "jo", "text": "Five stars"})
    same = identity.content_hash({"text": "Five stars", "from": "jo"})
    other = identity.content_hash({"text": "Five stars!", "from": "jo"})
    assert one == same != other


@settings(max_examples=150, deadline=None)
@given(st.tuples(anything, anything, something), st.tuples(anything, anything, something))
def test_two_items_never_share_an_id(
    left: tuple[str, str, str], right: tuple[str, str, str]
) -> None:
    assert (identity.item_id(*left) == identity.item_id(*right)) == (left == right)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(anything, anything, st.none() | something, something),
    st.tuples(anything, anything, st.none() | something, something),
)
def test_two_conversations_never_share_an_id(
    left: tuple[str, str, str | None, str], right: tuple[str, str, str | None, str]
) -> None:
    assert (identity.conversation_id(*left) == identity.conversation_id(*right)) == (left == right)


@settings(max_examples=100, deadline=None)
@given(something, st.lists(something, min_size=2, max_size=2, unique=True))
def test_the_events_of_one_item_never_share_an_id(native: str, versions: list[str]) -> None:
    item = identity.item_id("x", "1", native)
    ids = [
        identity.created(item),
        identity.deleted(item),
        *(identity.edited(item, version) for version in versions),
    ]
    assert len(set(ids)) == len(ids)


def _mention() -> Notification:
    file = next(one for one in examples.every() if one.name == "Notification.v1.x-mention")
    return Notification.model_validate_json(json.dumps(file.payload))


def test_a_persons_events_keep_one_key_in_every_thread() -> None:
    mention = _mention()
    elsewhere = mention.model_copy(
        update={"conversation": mention.conversation.model_copy(update={"root": "other"})}
    )
    assert mention.key == elsewhere.key == "x:2244994945:991"


def test_without_a_counterpart_the_key_is_the_items_own_id() -> None:
    mention = _mention()
    broadcast = mention.model_copy(
        update={"conversation": mention.conversation.model_copy(update={"counterpart_id": None})}
    )
    assert broadcast.key == mention.item_id


@settings(max_examples=150, deadline=None)
@given(st.tuples(anything, anything, something), st.tuples(anything, anything, something))
def test_two_counterparts_never_share_a_key(
    left: tuple[str, str, str], right: tuple[str, str, str]
) -> None:
    keys = [identity.counterpart_key(*one, item="unused") for one in (left, right)]
    assert (keys[0] == keys[1]) == (left == right)
