"""Cards as Block Kit: what is shown, and that no text can break it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from deploy.local.chat.blocks import view_faults
from services.alert.acting import AnswerForm, PrivateAnswer, Sending
from services.alert.chat import slack_act_forms, slack_answers, slack_blocks, slack_modals
from services.alert.chat.text import units
from services.alert.domain.answering import Caution, Warned, Way
from services.alert.domain.card import CardAct, CardLine, CardState, CardStatus, LineAct, StatusKind
from services.contracts.configuration import Person, SavedReply
from tests.alert.block_kit import hold_as_a_view, hold_as_blocks
from tests.alert.chat_builders import NOON, card, line

HOSTILE = [
    "<!channel> <!here> <@U0MIA1> <#C0HELP1>",
    "<https://evil.example|Your bank>",
    "*bold* _it_ ~no~ `code` ```block``` > quote",
    "[link](https://evil.example) <at>Mia</at>",
    "&lt;!channel&gt; &amp;",
    "\u202egnp.exe\u2066",
    "line\r\n\n\n\x00\x07line\u2028line",
    "Z" + "\u0310" * 200,
    "👩‍👩‍👧‍👦" * 2_000,
    "<" * 10_000,
    "مرحبا بالعالم " * 500,
    "",
]
QUESTIONS = (CardAct.no_reply_needed, CardAct.not_for_us)
REF = "0b0c1a52-6f0e-4f5e-9d4e-0c1e5a3f7b11"
any_text = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=300), st.text("<>&*_`|@!", max_size=4000)
)


def _texts(value: Any) -> list[dict[str, Any]]:
    """Every object with a type, at any depth."""
    if isinstance(value, list):
        return [found for one in value for found in _texts(one)]
    if not isinstance(value, dict):
        return []
    inside = [found for one in value.values() for found in _texts(one)]
    return [value, *inside] if "type" in value else inside


def hold_slacks_rules(blocks: list[dict[str, Any]]) -> None:
    """Slack's documented limits, and that outside text is never markup."""
    assert len(blocks) <= 50
    hold_as_blocks(blocks)
    for parsed in Block.parse_all(blocks):
        parsed.validate_json()
    for one in _texts(blocks):
        text = one.get("text")
        limit = {"header": 150, "section": 3000, "button": 75}.get(one["type"])
        if limit and isinstance(text, dict):
            assert 0 < units(text["text"]) <= limit
        if one["type"] == "context":
            assert len(one["elements"]) <= 10
        if one["type"] == "actions":
            assert len(one["elements"]) <= 25
            ids = [button["action_id"] for button in one["elements"]]
            assert len(ids) == len(set(ids))
        if one["type"] == "plain_text":
            assert "<" not in one["text"]
            assert ">" not in one["text"]
            assert one["emoji"] is False
        if one["type"] == "mrkdwn":  # only ever our own link
            assert one["text"].startswith("<https://social.example/")
            assert one["text"].endswith("|Original>")
            assert one["text"].count("<") == one["text"].count("|") == 1
    assert "<!" not in json.dumps(blocks, ensure_ascii=False)
    assert "<@" not in json.dumps(blocks, ensure_ascii=False)


@settings(max_examples=60, deadline=None)
@given(any_text, any_text, any_text, st.sampled_from(CardState), st.lists(any_text, max_size=60))
def test_no_text_breaks_a_card_or_pings_anybody(
    who: str, words: str, why: str, state: CardState, steps: list[str]
) -> None:
    hostile = card(
        who=who,
        words=words,
        why=why,
        state=state,
        account=who,
        brand=why,
        platform=why,
        ended=words,
        claimed_by=who,
        headline=words,
        checklist=tuple(steps),
        stale=True,
        permalink="https://social.example/1?a=<b>|c",
    )
    hold_slacks_rules(slack_blocks.card_blocks(hostile))
    hold_slacks_rules(slack_blocks.line_blocks(line(words), hostile))
    hold_slacks_rules(slack_blocks.page_blocks(hostile, "https://social.example/c", None))
    for text in (
        slack_blocks.card_text(hostile),
        slack_blocks.line_text(line(words), hostile),
        slack_blocks.notification_text(words),
    ):
        assert text
        assert units(text) <= slack_blocks.TEXT_LIMIT
        assert "<" not in text
        assert "\n" not in text


@settings(max_examples=60, deadline=None)
@given(any_text, st.integers(1, 400))
def test_an_escaped_text_is_within_its_limit_and_halves_no_entity(text: str, limit: int) -> None:
    escaped = slack_blocks.escape(text, limit)
    assert units(escaped) <= limit
    for piece in escaped.split("&")[1:]:
        assert piece.startswith(("amp;", "lt;", "gt;"))


@settings(max_examples=25, deadline=None)
@given(
    any_text,
    any_text,
    st.lists(st.tuples(st.sampled_from(StatusKind), any_text), max_size=12),
    st.booleans(),
    st.sampled_from(CardState),
)
def test_no_text_breaks_what_goes_on_or_a_line_of_ours(
    who: str, words: str, going_on: list[tuple[StatusKind, str]], beyond: bool, state: CardState
) -> None:
    hostile = card(
        acts=tuple(CardAct),
        state=state,
        platform=who,
        status=tuple(CardStatus(kind, who, NOON, says, beyond, REF) for kind, says in going_on),
    )
    hold_slacks_rules(slack_blocks.card_blocks(hostile))
    for ours in (
        CardLine("line/1", who, NOON, words, says=words, mention=words, about=REF, url=words),
        CardLine("line/1", who, NOON, None, says=f"{words}:", mention="U0MIA1", about=REF),
    ):
        asking = replace(ours, asks=tuple(LineAct))
        hold_slacks_rules(slack_blocks.line_blocks(asking, hostile))
        assert units(slack_blocks.line_text(asking, hostile)) <= slack_blocks.TEXT_LIMIT


@settings(max_examples=20)
@example("", "", "x" * 3_000, True, ["a name"] * 300)
@example("", "", "👩‍👩‍👧‍👦" * 300, False, [])  # 3,300 of Slack's units in 2,100 code points
@given(any_text, any_text, any_text, st.booleans(), st.lists(st.text(max_size=200), max_size=12))
def test_no_text_breaks_a_form(
    who: str, words: str, draft: str, private: bool, many: list[str]
) -> None:
    about = card(who=who, account=who, platform=who, headline=words)
    saved = tuple(
        SavedReply.model_construct(id=f"s{n}", name=one or "x", text=one or "x")
        for n, one in enumerate(many)
    )
    form = AnswerForm(
        card=about,
        words=tuple(CardLine("i", who, NOON, words) for _ in range(3)),
        way=Way(private, 280, closes_at=NOON),
        other=Way(not private, 280),
        seen="0" * 16,
        warned=tuple(Warned(caution, words, NOON) for caution in Caution),
        saved=saved,
        needs_approval=private,
        text=draft,
    )
    opened = slack_answers.draft_of(form, "C0HELP1")
    sending = Sending("a" * 36, "ep-1", draft, private, NOON)
    people = [Person.model_construct(id=f"p{n}", name=one) for n, one in enumerate(many)]
    found = [PrivateAnswer(one, NOON, one) for one in dict.fromkeys(many)] or [
        PrivateAnswer("i", NOON, words)
    ]
    views = [
        slack_answers.answer_view(form, opened, text=draft, asked=form.warned),
        slack_answers.answer_view(form, opened),
        slack_answers.sent_view(sending, "C0HELP1", "Europe/Berlin"),
        slack_answers.said_view("Not sent", words, "C0HELP1", "ep-1", draft),
        *(slack_modals.modal(act, about, "C0HELP1") for act in QUESTIONS),
        slack_act_forms.reject_view("a" * 36, "C0HELP1"),
        *(
            slack_act_forms.act_view(
                act,
                about,
                "C0HELP1",
                now=NOON,
                zone="Europe/Berlin",
                people=people,
                private_answers=found,
            )
            for act in (
                CardAct.snooze,
                CardAct.hand_over,
                CardAct.note,
                CardAct.promise,
                CardAct.answered_in_private,
            )
        ),
    ]
    for view in views:
        assert view_faults(view) == []
        hold_as_a_view(view)
        View(**view).validate_json()
        for one in _texts(view["blocks"]):
            if one["type"] == "plain_text":
                assert "<" not in one["text"]
                assert one["emoji"] is False
        assert "<!" not in json.dumps([b for b in view["blocks"] if b["type"] != "input"])


def test_an_open_card_says_who_has_it_their_words_and_a_time_of_day() -> None:
    shown = json.dumps(slack_blocks.card_blocks(card()), ensure_ascii=False)
    assert "Mastodon · Ana (@ana)" in shown
    assert "Nobody has it yet · Answer by 13:15 (Mon 2 Mar, Berlin)" in shown
    assert "PUBLIC on Mastodon as @air" in shown
    assert "My order never arrived, can somebody help?" in shown


def test_an_open_card_offers_claim_first_and_the_way_to_the_original_last() -> None:
    buttons = slack_blocks.card_blocks(card())[-1]["elements"]
    assert [button["text"]["text"] for button in buttons] == [
        "Claim",
        "No reply needed",
        "Not for us",
        "Open on Mastodon",
    ]
    assert buttons[0]["style"] == "primary"
    assert buttons[0]["value"] == "ep-1"
    assert buttons[3]["url"] == "https://social.example/@ana/1"


def test_an_ended_card_is_one_line_without_buttons() -> None:
    blocks = slack_blocks.card_blocks(
        card(state=CardState.answered, ended="answered by Mia after 4 min", acts=())
    )
    assert [block["type"] for block in blocks] == ["context"]
    assert blocks[0]["elements"][0]["text"] == "✓ Answered by Mia after 4 min"


def test_masked_words_are_replaced_by_the_reason() -> None:
    shown = json.dumps(slack_blocks.card_blocks(card(words=None, masked="private message")))
    assert "Words hidden here (private message)" in shown


def test_an_address_that_is_no_web_address_becomes_no_button() -> None:
    for bad in ("javascript:alert(1)", "https://", "http://a b", "https://x@evil.example/", None):
        buttons = slack_blocks.card_blocks(card(permalink=bad))[-1]["elements"]
        assert all("url" not in button for button in buttons)


def test_a_sensitive_card_shows_the_teams_checklist() -> None:
    shown = json.dumps(
        slack_blocks.card_blocks(card(sensitive=("self_harm",), checklist=("Call the lead",))),
        ensure_ascii=False,
    )
    assert "⚠️ Sensitive: self harm" in shown
    assert "☐ Call the lead" in shown
