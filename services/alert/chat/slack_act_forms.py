"""The short forms of the other acts: when to snooze until, whom to hand over to, what was promised."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.alert.acting import PrivateAnswer
from services.alert.chat import card_words
from services.alert.chat.slack_blocks import Block, plain, section
from services.alert.chat.text import clip, clock_time, one_line
from services.alert.domain.answering import mark
from services.alert.domain.card import Card, CardAct
from services.contracts.configuration import Person

ACT_CALLBACK = "presence_act"
CHOICE, TEXT, BEYOND = "choice", "text", "beyond"
NEXT = "next"
"""Stands for whoever is next in the rota; no person's id has a space or a dot."""
NOTE_LIMIT = 3_000
PROMISE_LIMIT = 300
REJECT = "reject"

LATER: dict[str, str] = {
    "15m": "In 15 minutes",
    "30m": "In 30 minutes",
    "1h": "In an hour",
    "3h": "In 3 hours",
    "today": "Today at 18:00",
    "morning": "Tomorrow at 9:00",
    "noon": "Tomorrow at 12:00",
    "3d": "In 3 days, at 12:00",
    "6d": "In 6 days, at 12:00",
}
_MINUTES = {"15m": 15, "30m": 30, "1h": 60, "3h": 180}
_DAYS = {"today": (0, 18), "morning": (1, 9), "noon": (1, 12), "3d": (3, 12), "6d": (6, 12)}


def later(choice: str, now: datetime, zone: str) -> datetime:
    """The instant that a choice means for somebody in this zone. Raises KeyError for another word."""
    if choice in _MINUTES:
        return now + timedelta(minutes=_MINUTES[choice])
    days, hour = _DAYS[choice]
    local = now.astimezone(ZoneInfo(zone)) + timedelta(days=days)
    return local.replace(hour=hour, minute=0, second=0, microsecond=0, fold=0)


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was sent."""

    act: str
    """A CardAct, or REJECT."""
    about: str
    """The episode's id; for REJECT the answer's."""
    channel: str
    request: str
    choice: str | None
    text: str
    beyond: bool


def act_view(
    act: CardAct,
    card: Card,
    channel: str,
    *,
    now: datetime,
    zone: str,
    people: Sequence[Person] = (),
    private_answers: Sequence[PrivateAnswer] = (),
) -> Block:
    """The form of this act."""
    about = section(clip(card_words.title(card), 300))
    match act:
        case CardAct.snooze:
            choice = _select("Until when?", _times(now, zone, 6))
            return _view(
                act, card.episode_id, channel, "Snooze", "Snooze", [about, choice, _beyond(card)]
            )
        case CardAct.hand_over:
            whom = {NEXT: "Whoever is next in the rota"}
            whom |= {one.id: one.name for one in people[:99]}
            form = [about, _select("To whom?", whom.items())]
            return _view(act, card.episode_id, channel, "Hand over", "Hand over", form)
        case CardAct.note:
            form = [about, _text("Only the team reads it", NOTE_LIMIT)]
            return _view(act, card.episode_id, channel, "Note for the team", "Note it", form)
        case CardAct.promise:
            form = [
                about,
                _text("What was promised to them?", PROMISE_LIMIT, multiline=False),
                _select("By when?", _times(now, zone, 99)),
            ]
            return _view(act, card.episode_id, channel, "Note a promise", "Note it", form)
        case CardAct.answered_in_private:
            found = [(mark(one.item_id), _said(one, zone)) for one in private_answers[:10]]
            form = [about, _radio("Which private message answered it?", found)]
            return _view(act, card.episode_id, channel, "Answered in private", "It counts", form)
        case _:
            raise ValueError(f"{act.value} has no form")


def reject_view(answer_id: str, channel: str) -> Block:
    """Why a trainee's answer is not sent."""
    form = [_text("Why? They read it in the thread", 500, optional=True)]
    return _view(REJECT, answer_id, channel, "Do not send it", "Do not send it", form)


def read(view: dict[str, Any]) -> Filled:
    """What was filled in. Raises ValueError, KeyError or TypeError for what is not ours."""
    kept = json.loads(view["private_metadata"])
    values = view["state"]["values"]
    chosen = values.get(CHOICE, {}).get(CHOICE, {}).get("selected_option")
    text = values.get(TEXT, {}).get(TEXT, {}).get("value")
    beyond = values.get(BEYOND, {}).get(BEYOND, {}).get("selected_options")
    return Filled(
        act=str(kept["a"]),
        about=str(kept["e"]),
        channel=str(kept["c"]),
        request=str(kept["r"]),
        choice=str(chosen["value"]) if chosen else None,
        text=str(text or ""),
        beyond=bool(beyond),
    )


def _view(
    act: str, about: str, channel: str, title: str, submit: str, blocks: list[Block]
) -> Block:
    kept = {"a": str(act), "e": about, "c": channel, "r": secrets.token_hex(12)}
    return {
        "type": "modal",
        "callback_id": ACT_CALLBACK,
        "private_metadata": json.dumps(kept),
        "title": plain(title, 24),
        "submit": plain(submit, 24),
        "close": plain("Cancel", 24),
        "blocks": blocks,
    }


def _times(now: datetime, zone: str, most: int) -> list[tuple[str, str]]:
    kept = [(key, text) for key, text in LATER.items() if later(key, now, zone) > now]
    return kept[:most]


def _said(one: PrivateAnswer, zone: str) -> str:
    return clip(f"{clock_time(one.at, zone)} {one_line(one.text)}", 70)


def _options(choices: Iterable[tuple[str, str]]) -> list[Block]:
    return [{"text": plain(one_line(text), 75), "value": value[:150]} for value, text in choices]


def _select(label: str, choices: Iterable[tuple[str, str]]) -> Block:
    return {
        "type": "input",
        "block_id": CHOICE,
        "label": plain(label, 200),
        "element": {"type": "static_select", "action_id": CHOICE, "options": _options(choices)},
    }


def _radio(label: str, choices: Iterable[tuple[str, str]]) -> Block:
    element = {"type": "radio_buttons", "action_id": CHOICE, "options": _options(choices)}
    return {"type": "input", "block_id": CHOICE, "label": plain(label, 200), "element": element}


def _text(label: str, most: int, *, optional: bool = False, multiline: bool = True) -> Block:
    return {
        "type": "input",
        "block_id": TEXT,
        "optional": optional,
        "label": plain(label, 200),
        "element": {
            "type": "plain_text_input",
            "action_id": TEXT,
            "multiline": multiline,
            "max_length": most,
        },
    }


def _beyond(card: Card) -> Block:
    due = card_words.due(card) or "No due time"
    option = {"text": plain("Also past the due time", 75), "value": BEYOND}
    return {
        "type": "input",
        "block_id": BEYOND,
        "optional": True,
        "label": plain(clip(due, 200), 200),
        "element": {"type": "checkboxes", "action_id": BEYOND, "options": [option]},
    }
