"""The form in which an answer is written, and what it turns into once it was sent."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from services.alert.acting import AnswerForm, Sending, Written
from services.alert.chat import card_words
from services.alert.chat.slack_blocks import (
    ACTION_PREFIX,
    HEADER_LIMIT,
    Block,
    line_button,
    plain,
    quote,
    section,
)
from services.alert.chat.text import clip, one_line, second_of_day
from services.alert.domain.answering import Warned
from services.alert.domain.card import LineAct

ANSWER_CALLBACK = "presence_answer"
SENT_CALLBACK = "presence_sent"
SWITCH_ACTION = f"{ACTION_PREFIX}switch"
SAVED_ACTION = f"{ACTION_PREFIX}saved"
TEXT_BLOCK = "text"
INPUT_LIMIT = 3_000
"""Slack's own, of an input; a longer answer is written on the episode's page."""
_SAVED_LIMIT = 100
_CAUTIONS = 10


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form remembers between its steps: Slack hands it back with every press."""

    episode_id: str
    channel: str
    private: bool
    seen: str
    request: str = field(default_factory=lambda: secrets.token_hex(12))
    accepted: tuple[str, ...] = ()
    shown: int = 0
    """Rises with every text that is put into the input: Slack keeps what was typed otherwise."""
    answer_id: str | None = None

    def kept(self) -> str:
        """For `private_metadata`: far below its 3,000 characters."""
        facts = {
            "e": self.episode_id,
            "c": self.channel,
            "p": int(self.private),
            "s": self.seen,
            "r": self.request,
            "k": list(self.accepted[:_CAUTIONS]),
            "n": self.shown,
            "a": self.answer_id,
        }
        return json.dumps(facts)


def draft_of(form: AnswerForm, channel: str) -> Draft:
    """A form that was just opened. What it warns of there has been looked at."""
    return Draft(
        form.card.episode_id,
        channel,
        form.way.private,
        form.seen,
        accepted=tuple(one.key for one in form.warned),
        answer_id=form.answer_id,
    )


def read_draft(view: dict[str, Any]) -> Draft:
    """What the form remembers. Raises ValueError, KeyError or TypeError for what is not ours."""
    kept = json.loads(view["private_metadata"])
    return Draft(
        episode_id=str(kept["e"]),
        channel=str(kept["c"]),
        private=bool(kept["p"]),
        seen=str(kept["s"]),
        request=str(kept["r"]),
        accepted=tuple(str(one) for one in kept["k"]),
        shown=int(kept["n"]),
        answer_id=str(kept["a"]) if kept["a"] else None,
    )


def text_of(view: dict[str, Any]) -> str:
    """What stands in the input."""
    for block, elements in view["state"]["values"].items():
        if str(block).startswith(TEXT_BLOCK):
            return str(elements[TEXT_BLOCK].get("value") or "")
    return ""


def written(view: dict[str, Any]) -> tuple[Draft, Written]:
    """What was sent."""
    draft = read_draft(view)
    return draft, Written(
        request=draft.request,
        episode_id=draft.episode_id,
        text=text_of(view),
        private=draft.private,
        seen=draft.seen,
        accepted=frozenset(draft.accepted),
    )


def text_block(draft: Draft) -> str:
    """The input's block: where an error belongs."""
    return f"{TEXT_BLOCK}{draft.shown}"


def answer_view(
    form: AnswerForm,
    draft: Draft,
    *,
    text: str | None = None,
    asked: tuple[Warned, ...] = (),
) -> Block:
    """The form. `text` stands in the input; `asked` are cautions that sending it once more accepts."""
    where = card_words.where_to_answer(replace(form.card, public=not form.way.private))
    if asked:
        draft = replace(draft, accepted=tuple(one.key for one in asked))
    if text is not None:
        draft = replace(draft, shown=draft.shown + 1)
    warnings = [card_words.caution(one, form.card) for one in asked or form.warned]
    blocks: list[Block] = [
        {"type": "header", "text": plain(where, HEADER_LIMIT)},
        section(clip(f"To {card_words.who(form.card)}", 300)),
        *(quote(line.words or "") for line in form.words),
        *(section(f"⚠️ {one}") for one in warnings[:_CAUTIONS]),
        *([section("Send it once more to send it all the same.")] if asked else []),
        *_choices(form),
        _input(form, draft, text),
    ]
    submit = "Ask for approval" if form.needs_approval else "Send again" if asked else "Send"
    return {
        "type": "modal",
        "callback_id": ANSWER_CALLBACK,
        "private_metadata": draft.kept(),
        "notify_on_close": True,
        "title": plain("Answer in private" if form.way.private else "Answer in public", 24),
        "submit": plain(submit, 24),
        "close": plain("Cancel", 24),
        "blocks": blocks,
    }


def _choices(form: AnswerForm) -> list[Block]:
    elements: list[Block] = []
    if form.other is not None and form.answer_id is None:
        label = "Answer in private instead" if form.other.private else "Answer in public instead"
        elements.append({"type": "button", "action_id": SWITCH_ACTION, "text": plain(label, 75)})
    if form.saved:
        options = [
            {"text": plain(one_line(one.name), 75), "value": one.id[:150]}
            for one in form.saved[:_SAVED_LIMIT]
        ]
        elements.append(
            {
                "type": "static_select",
                "action_id": SAVED_ACTION,
                "placeholder": plain("Begin with a saved reply", 150),
                "options": options,
            }
        )
    return [{"type": "actions", "block_id": "choices", "elements": elements}] if elements else []


def _input(form: AnswerForm, draft: Draft, text: str | None) -> Block:
    way, platform = form.way, card_words.platform(form.card)
    usually = "at most" if way.firm else "usually at most"
    element: Block = {
        "type": "plain_text_input",
        "action_id": TEXT_BLOCK,
        "multiline": True,
        "max_length": INPUT_LIMIT,
    }
    if text:
        element["initial_value"] = clip(text, INPUT_LIMIT)  # Slack counts UTF-16 units
    return {
        "type": "input",
        "block_id": text_block(draft),
        "label": plain("Your answer", 100),
        "hint": plain(f"{clip(platform, 40)} takes {usually} {way.limit} characters.", 200),
        "element": element,
    }


def sent_view(sending: Sending, channel: str, zone: str) -> Block:
    """In place of the form: when it goes out, and the way back until then."""
    if sending.send_at is None:
        says, title = (
            "A second person sends it: they are asked in the card's thread.",
            "Not sent yet",
        )
    else:
        at = second_of_day(sending.send_at, zone)
        says, title = (
            f"Goes out at {at}. Until then you can take it back, here or on the card.",
            "On its way",
        )
    undo = {"type": "actions", "elements": [line_button(LineAct.undo, sending.answer_id)]}
    return {
        "type": "modal",
        "callback_id": SENT_CALLBACK,
        "private_metadata": json.dumps({"e": sending.episode_id, "c": channel}),
        "title": plain(title, 24),
        "close": plain("Close", 24),
        "blocks": [section(says), quote(sending.text), undo],
    }


def said_view(title: str, says: str, channel: str, episode_id: str, text: str = "") -> Block:
    """A modal that only says something. `text`: what the person had written, all of it, to be kept."""
    kept = [section("Your text was:"), quote(text, INPUT_LIMIT)] if text else []
    return {
        "type": "modal",
        "callback_id": SENT_CALLBACK,
        "private_metadata": json.dumps({"e": episode_id, "c": channel}),
        "title": plain(title, 24),
        "close": plain("Close", 24),
        "blocks": [section(clip(says, 2_900)), *kept],
    }


def wait_answer(view: dict[str, Any]) -> Block:
    """What a form says while its answer takes longer than Slack waits."""
    draft = read_draft(view)
    says = "This takes a moment. What became of your answer will stand here."
    waits = said_view("One moment", says, draft.channel, draft.episode_id)
    return {"response_action": "update", "view": waits}
