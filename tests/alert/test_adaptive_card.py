"""Adaptive Cards: the published schema, Teams' size limit, and literal text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from services.alert.chat import adaptive_card
from services.alert.chat.links import Links
from services.alert.domain.card import Card, CardState
from services.runtime.clock import ManualClock
from tests.alert.adaptive_schema import is_a_card
from tests.alert.chat_builders import NOON, SECRET, card, line, person
from tests.alert.test_slack_blocks import HOSTILE

LINKS = Links("https://presence.example", SecretStr(SECRET), ManualClock(NOON))
any_text = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=300))


def _messages(shown: Card, words: str) -> list[adaptive_card.Message]:
    return [
        adaptive_card.card_message(shown, LINKS, NOON),
        adaptive_card.follow_up_message(shown, NOON),
        adaptive_card.line_message(line(words), shown, LINKS),
        adaptive_card.page_message(person("mia@air.example"), shown, LINKS),
        adaptive_card.told_message(words),
    ]


def _hold(message: adaptive_card.Message) -> None:
    assert len(adaptive_card.encode(message)) <= adaptive_card.MESSAGE_LIMIT
    assert message["summary"]
    is_a_card(message["attachments"][0]["content"])


def _text_blocks(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for one in value for found in _text_blocks(one)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if value.get("type") == "TextBlock" else []
    return own + [found for one in value.values() for found in _text_blocks(one)]


@settings(max_examples=40, deadline=None)
@given(any_text, any_text, st.sampled_from(CardState), st.lists(any_text, max_size=30))
def test_no_text_breaks_a_card_or_becomes_markup(
    who: str, words: str, state: CardState, steps: list[str]
) -> None:
    hostile = card(
        who=who, words=words, why=who, headline=words, state=state, ended=words,
        claimed_by=who, platform=who, account=words, checklist=tuple(steps), stale=True,
    )  # fmt: skip
    for message in _messages(hostile, words):
        _hold(message)
        # Only a TextBlock reads Markdown and mentions, and only our own words stand in one.
        assert set(_text_blocks(message)) <= {"<at>Mia</at>, you are on call"}


@pytest.mark.parametrize("text", ["ﷺ" * 50_000, "👩‍👩‍👧‍👦" * 20_000, '"\\\n' * 50_000])
def test_the_words_give_way_before_the_size_limit(text: str) -> None:
    huge = card(words=text, why=text, who=text, checklist=(text,) * 200, headline=text)
    for message in _messages(huge, text):
        _hold(message)


def test_the_acts_are_signed_links_that_name_nobody() -> None:
    content = adaptive_card.card_message(card(), LINKS, NOON)["attachments"][0]["content"]
    claim = content["actions"][0]
    assert claim["title"] == "Claim"
    link = LINKS.read_episode(claim["url"].rsplit("/", 1)[1])
    assert (link.episode_id, link.act, link.person_id) == ("ep-1", "claim", None)


def test_an_ended_card_offers_nothing_to_press() -> None:
    ended = card(state=CardState.closed, acts=(), permalink=None)
    content = adaptive_card.follow_up_message(ended, NOON)["attachments"][0]["content"]
    assert "actions" not in content


def test_a_page_mentions_the_person_on_call() -> None:
    message = adaptive_card.page_message(person("mia@air.example"), card(), LINKS)
    [entity] = message["attachments"][0]["content"]["msteams"]["entities"]
    assert entity["text"] == "<at>Mia</at>"
    assert entity["mentioned"] == {"id": "mia@air.example", "name": "Mia"}
