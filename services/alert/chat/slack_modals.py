"""The two questions that a Slack button asks before it acts, and how their answers are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from services.alert.chat import card_words
from services.alert.chat.slack_blocks import Block, plain, section
from services.alert.chat.text import clip
from services.alert.domain.card import Card, CardAct
from services.contracts.events import CloseReason, Label

CLOSE_CALLBACK = "presence_close"
RELABEL_CALLBACK = "presence_relabel"
CHOICE_BLOCK, WHY_BLOCK = "choice", "why"
WHY_LIMIT = 500
WHY_NEEDED = "Say why: they wrote to us directly, or it looks sensitive."

CLOSE_REASONS: dict[CloseReason, str] = {
    CloseReason.no_reply_needed: "No reply needed",
    CloseReason.do_not_feed: "Do not feed (mutes the thread for 7 days)",
    CloseReason.handled_elsewhere: "Handled elsewhere",
    CloseReason.duplicate: "Duplicate",
}

RELABELS: dict[Label, str] = {
    Label.spam: "Spam: a scam, a promotion, a bot",
    Label.news: "News: a headline or broadcast, nobody waits",
}


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody chose in a modal."""

    act: CardAct
    episode_id: str
    channel: str
    """Where the button stood: where to answer."""
    close_reason: CloseReason | None = None
    label: Label | None = None
    why: str | None = None


def _options(choices: dict[Any, str]) -> list[Block]:
    return [
        {"text": {"type": "plain_text", "text": text, "emoji": False}, "value": value.value}
        for value, text in choices.items()
    ]


def _choice(label: str, choices: dict[Any, str]) -> Block:
    options = _options(choices)
    return {
        "type": "input",
        "block_id": CHOICE_BLOCK,
        "label": {"type": "plain_text", "text": label, "emoji": False},
        "element": {
            "type": "radio_buttons",
            "action_id": CHOICE_BLOCK,
            "options": options,
            "initial_option": options[0],
        },
    }


def _why() -> Block:
    return {
        "type": "input",
        "block_id": WHY_BLOCK,
        "optional": True,
        "label": {"type": "plain_text", "text": "Why", "emoji": False},
        "hint": {
            "type": "plain_text",
            "text": "Needed where somebody wrote to us directly or it looks sensitive.",
            "emoji": False,
        },
        "element": {
            "type": "plain_text_input",
            "action_id": WHY_BLOCK,
            "max_length": WHY_LIMIT,
        },
    }


def _view(
    callback: str, title: str, submit: str, card: Card, channel: str, form: list[Block]
) -> Block:
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": json.dumps({"e": card.episode_id, "c": channel}),
        "title": plain(title, 24),
        "submit": plain(submit, 24),
        "close": plain("Cancel", 24),
        "blocks": [section(clip(card_words.title(card), 300)), *form],
    }


def modal(act: CardAct, card: Card, channel: str) -> Block:
    """The question for this act."""
    if act is CardAct.not_for_us:
        form = [_choice("What is it?", RELABELS), _why()]
        return _view(RELABEL_CALLBACK, "Not for us", "Move it", card, channel, form)
    form = [_choice("Why does nobody have to answer?", CLOSE_REASONS)]
    return _view(CLOSE_CALLBACK, "No reply needed", "Close it", card, channel, form)


def read_submission(view: dict[str, Any]) -> Submission:
    """What was chosen. Raises ValueError or KeyError for what is not one of our modals."""
    about = json.loads(view["private_metadata"])
    values = view["state"]["values"]
    chosen = values[CHOICE_BLOCK][CHOICE_BLOCK]["selected_option"]["value"]
    episode_id, channel = str(about["e"]), str(about["c"])
    if view["callback_id"] == CLOSE_CALLBACK:
        reason = CloseReason(chosen)
        if reason not in CLOSE_REASONS:
            raise ValueError(f"{reason} is not offered")
        return Submission(CardAct.no_reply_needed, episode_id, channel, close_reason=reason)
    if view["callback_id"] != RELABEL_CALLBACK:
        raise ValueError("not one of our modals")
    label = Label(chosen)
    if label not in RELABELS:
        raise ValueError(f"{label} is not offered")
    why = str(values.get(WHY_BLOCK, {}).get(WHY_BLOCK, {}).get("value") or "").strip()
    return Submission(
        CardAct.not_for_us, episode_id, channel, label=label, why=why[:WHY_LIMIT] or None
    )


def ask_why() -> dict[str, Any]:
    """The answer to a submission that lacks its reason: the modal stays and says so."""
    return {
        "response_action": "errors",
        "errors": {WHY_BLOCK: WHY_NEEDED},
    }
