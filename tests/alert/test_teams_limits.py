"""Whatever strangers, colleagues and platforms write, what goes to Teams keeps Teams' limits."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from services.alert.acting import AnswerForm, PrivateAnswer, Sending
from services.alert.chat import bot_cards, bot_forms
from services.alert.chat.adaptive_card import MESSAGE_LIMIT, SHOWN, SUMMARY_LIMIT
from services.alert.chat.links import Links
from services.alert.chat.slack_modals import CLOSE_REASONS, RELABELS
from services.alert.chat.text import units
from services.alert.domain.answering import Caution, Warned, Way
from services.alert.domain.boards.board import BoardAct, BoardLine, Section
from services.alert.domain.card import CardAct, CardLine, CardState, CardStatus, LineAct, StatusKind
from services.alert.ports import MessageRef, PersonRef
from services.contracts.configuration import SavedReply
from services.runtime.clock import ManualClock
from tests.alert.adaptive_schema import is_a_card
from tests.alert.chat_builders import NOON, SECRET, board, card, configuration
from tests.alert.test_slack_blocks import HOSTILE

LINKS = Links("https://presence.example", SecretStr(SECRET), ManualClock(NOON))
WALLS = ("ﷺ" * 4_000, "👩‍👩‍👧‍👦" * 900, "a" * 12_000, "<at>Mia</at>" * 500, "\n" * 500 + "x")
OUR_CHOICES = {*CLOSE_REASONS.values(), *RELABELS.values()}
any_text = st.one_of(st.sampled_from((*HOSTILE, *WALLS)), st.text(max_size=200))
# A wall of text is slow to shrink and reads no better for it.
hostile_settings = settings(
    max_examples=8, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)


def hold(content: dict[str, Any], own: frozenset[str] = frozenset()) -> None:
    """One card: valid, six buttons in sight, and no Markdown but what we wrote ourselves."""
    is_a_card(content)
    sights = [one.get("actions", ()) for one in parts(content)]
    for actions in sights:
        shown = [one for one in actions if one.get("mode") != "secondary"]
        assert len(shown) <= SHOWN
    # A TextBlock and an expanded choice are read as Markdown.
    assert {one["text"] for one in parts(content) if one.get("type") == "TextBlock"} <= own


def hold_message(message: dict[str, Any], own: frozenset[str] = frozenset()) -> None:
    """The same for a message, with its size and what a lock screen shows."""
    assert len(orjson.dumps(message)) <= MESSAGE_LIMIT
    assert 0 < units(message["summary"]) <= SUMMARY_LIMIT
    hold(message["attachments"][0]["content"], own)


def parts(shown: Any) -> list[dict[str, Any]]:
    """Every object in it."""
    if isinstance(shown, list):
        return [found for one in shown for found in parts(one)]
    if not isinstance(shown, dict):
        return []
    return [shown, *(found for one in shown.values() for found in parts(one))]


@hostile_settings
@given(any_text, any_text, st.sampled_from(CardState), st.lists(st.sampled_from(StatusKind)))
def test_a_card_its_lines_and_its_pages(
    who: str, words: str, state: CardState, kinds: list[StatusKind]
) -> None:
    status = tuple(CardStatus(kind, who, NOON, words, ref="a") for kind in kinds)
    shown = card(
        who=who, words=words, why=words, headline=words, state=state, ended=words,
        claimed_by=who, platform=who, account=words, checklist=(words,) * 40, stale=True,
        acts=tuple(CardAct), status=status,
    )  # fmt: skip
    hold_message(bot_cards.card_message(shown, LINKS, NOON))
    for says in (None, words):
        said = CardLine("x:1:2", who, NOON, words, says, None, None, "a-1", tuple(LineAct))
        hold_message(bot_cards.line_message(said, shown, LINKS))
    person = PersonRef("mia", who, "29:mia")
    hold_message(bot_cards.page_message(person, shown, MessageRef("c", "1", words), LINKS))
    mention = bot_cards.mention_message(PersonRef("mia", "Mia", "x"), "29:mia", shown, LINKS)
    hold_message(mention, frozenset({"<at>Mia</at>, you are on call"}))
    hold_message(bot_cards.no_dialog_message({"presence": words, "about": "ep-1"}, LINKS))


@hostile_settings
@given(any_text, any_text, st.integers(0, 25))
def test_a_board(text: str, words: str, many: int) -> None:
    acts = tuple(BoardAct(f"a{n}", text or "x", words[:100], first=not n) for n in range(4))
    lines = tuple(BoardLine(text, words, acts, "https://x.example/1") for _ in range(many))
    sections = (Section(text, lines), Section(words, lines))
    shown = board(headline=text, sections=sections, acts=acts * 4, note=words, urgent=True)
    hold_message(bot_cards.board_message(shown, LINKS, NOON))


@hostile_settings
@given(any_text, any_text)
def test_every_form(who: str, words: str) -> None:
    shown = card(who=who, words=words, platform=who, account=words)
    people = list(configuration().people) * 60
    ours = [PrivateAnswer(f"x:1:{n}", NOON, words) for n in range(12)]
    for act in CardAct:
        if act in bot_cards.AT_ONCE or act is CardAct.answer:
            continue
        form = bot_forms.act_form(
            act, shown, now=NOON, zone="Europe/Berlin", people=people, private_answers=ours
        )
        hold(form)
        assert len(orjson.dumps(form)) <= MESSAGE_LIMIT
        for one in parts(form):
            if one.get("style") == "expanded":
                assert {each["title"] for each in one["choices"]} <= OUR_CHOICES


@hostile_settings
@given(any_text, any_text)
def test_the_form_of_an_answer(who: str, words: str) -> None:
    line = CardLine("x:1:2", who, NOON, words)
    saved = tuple(SavedReply(id=f"s{n}", name="Where is it", text="We look.") for n in range(60))
    form = AnswerForm(
        card(who=who, platform=who, account=words),
        (line,) * 3,
        Way(False, 280),
        Way(True, 1_000),
        "x:1:2",
        tuple(Warned(one, words, NOON) for one in Caution),
        saved,
        needs_approval=False,
    )
    for made in (
        bot_forms.answer_form(form, text="x" * 280, asked=form.warned, refused=words),
        bot_forms.sent_form(Sending("a", "ep-1", words, False, NOON), "Europe/Berlin"),
        bot_forms.lost_form(words, "x" * 280),
        bot_forms.reject_form("a"),
    ):
        hold(made)
        assert len(orjson.dumps(made)) <= MESSAGE_LIMIT
