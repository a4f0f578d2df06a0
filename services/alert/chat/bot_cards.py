"""Cards whose buttons come back to our bot: `Action.Execute` acts at once, `task/fetch` opens a form.

The layout, its limits and the rule that outside text stands in TextRuns are `adaptive_card`'s. What a
button carries names an episode and an act, never a person: who presses is in the verified request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.alert.chat import adaptive_boards, card_words
from services.alert.chat.adaptive_card import (
    LINE_LIMIT,
    Element,
    Message,
    content_of,
    fitting_message,
    follow_up_message,
    in_sight,
    line_body,
    line_summary,
    mention_of,
    message_of,
    open_url,
    original,
    row,
    summary_of,
    where_to_answer,
)
from services.alert.chat.links import Links
from services.alert.chat.text import clean, clip, clock_time, joined_line
from services.alert.domain.boards.board import Board, BoardAct
from services.alert.domain.card import Card, CardAct, CardLine, LineAct, StatusKind
from services.alert.ports import MessageRef, PersonRef, Shown

VERB, ABOUT = "presence", "about"
BOARD, TARGET = "board", "target"
AT_ONCE = frozenset({CardAct.claim, CardAct.reopen})
"""These need no form."""


def press(label: str, verb: str, about: str, **look: str) -> Element:
    """A button that acts at once."""
    data = {VERB: verb, ABOUT: about}
    return {"type": "Action.Execute", "title": label, "verb": verb, "data": data, **look}


def ask(label: str, verb: str, about: str, **look: str) -> Element:
    """A button that opens a form, for the presser alone."""
    data = {VERB: verb, ABOUT: about, "msteams": {"type": "task/fetch"}}
    return {"type": "Action.Submit", "title": label, "data": data, **look}


def _act(act: CardAct, card: Card, *, first: bool) -> Element:
    look = {"style": "positive"} if first else {}
    if act not in card_words.LINKED and not first:
        look = {"mode": "secondary"}  # under "…"
    button = press if act in AT_ONCE else ask
    return button(card_words.ACT_LABELS[act], act.value, card.episode_id, **look)


def line_button(act: LineAct, about: str) -> Element:
    """A button about an answer or a promise."""
    button = ask if act in (LineAct.edit, LineAct.reject) else press
    return button(card_words.LINE_ACT_LABELS[act], act.value, about)


def actions(card: Card) -> list[Element]:
    """The card's buttons. What ends in seconds stands first."""
    found: list[Element] = []
    refs = {one.kind: one.ref for one in reversed(card.status) if one.ref}
    if pending := refs.get(StatusKind.pending):
        found.append(line_button(LineAct.undo, pending))
    if promised := refs.get(StatusKind.promised):
        found.append(line_button(LineAct.kept, promised))
    found += [_act(act, card, first=not place) for place, act in enumerate(card.acts)]
    return found + original(card)


def card_message(card: Card, links: Links, now: datetime) -> Message:
    """The card as it is; one that ended is small and keeps what can still be done."""
    if card.state.live:
        return fitting_message(card, actions(card), f"As of {clock_time(now, card.zone)}")
    message = follow_up_message(card, now)
    content = message["attachments"][0]["content"]
    content["body"] += [row(clip(one, LINE_LIMIT)) for one in card_words.going_on(card)]
    content["actions"] = in_sight(actions(card))
    return message


def board_message(board: Board, links: Links, now: datetime) -> Message:
    """The board with buttons that come back."""
    return adaptive_boards.board_message(board, links, now, _pressed)


def _pressed(board: Board, acts: Sequence[BoardAct], _links: Links) -> list[Element]:
    found: list[Element] = []
    for act in acts:
        button = press(clip(act.label, 40), act.name, board.id)
        button["data"] |= {BOARD: board.id, TARGET: act.target}
        found.append({**button, **({"style": "positive"} if act.first else {})})
    return found


def line_message(line: CardLine, card: Card, _links: Links) -> Message:
    """A later message, or a line of ours with what it asks."""
    buttons = [line_button(act, line.about) for act in line.asks if line.about]
    buttons += open_url("Open", line.url)
    summary = line_summary(line, card)
    return message_of(summary, content_of(line_body(line, card), buttons, summary))


def page_message(person: PersonRef, shown: Shown, ref: MessageRef | None, links: Links) -> Message:
    """A direct message: what can be done, where it arrives; its link knows whom it was made for."""
    if isinstance(shown, Board):
        headline, url = shown.content.headline, links.board(shown.id, person.id)
        listed = [line.text for part in shown.content.sections for line in part.lines[:3]]
        facts = [row(joined_line(text)) for text in listed[:5]]
        buttons = _pressed(shown, shown.content.acts, links)
    else:
        headline, url = shown.headline, links.episode(shown.episode_id, person.id)
        due = card_words.due(shown)
        facts = [*([row(due)] if due else []), where_to_answer(shown)]
        offered = [act for act in shown.acts if act in (CardAct.claim, CardAct.answer)]
        buttons = [_act(act, shown, first=not place) for place, act in enumerate(offered)]
    body = [row(clean(headline), weight="Bolder"), *facts]
    buttons += open_url("See the card", ref.url if ref else None)
    buttons += open_url("Open without Teams", url)
    summary = summary_of(headline)
    return message_of(summary, content_of(body, buttons, summary))


def mention_message(person: PersonRef, member: str, shown: Shown, links: Links) -> Message:
    """A mention in the channel, for who cannot be written to directly; its link knows nobody."""
    if isinstance(shown, Board):
        headline, url = shown.content.headline, links.board(shown.id)
    else:
        headline, url = shown.headline, links.episode(shown.episode_id)
    summary = summary_of(headline)
    body = [row(clean(headline), weight="Bolder")]
    content = content_of(body, open_url("Open", url), summary)
    mention_of(PersonRef(person.id, person.name, member), content, "you are on call")
    return message_of(summary, content)


def sign_in_message(url: str) -> Message:
    """A personal link. The notification says no more than what it is."""
    says = "Sign in to Presence with this link. It is yours alone; it ends in 15 minutes."
    return message_of(says, content_of([row(says)], open_url("Sign in", url), says))


def greeting_message(public_url: str, conversation: str, sender: str) -> Message:
    """For who writes to the bot or adds it: what it is for, and what its set-up needs to know."""
    says = "Cards of people who wait appear here by themselves."
    body = [
        row(says),
        row(f"This conversation's id, for presence.yaml: {conversation}", isSubtle=True),
        row(f"Your Entra object id: {sender}", isSubtle=True),
    ]
    return message_of(says, content_of(body, open_url("Who waits now", public_url), says))


def no_dialog_message(pressed: Mapping[str, Any], links: Links) -> Message:
    """For a press that should have opened a form: some clients show no dialogs and send it as a message.

    The link knows nobody: its page finds out who opens it.
    """
    act = next((one for one in CardAct if one == pressed[VERB]), None)
    says = "This app shows no forms: press here to go on in the browser."
    url = links.episode(str(pressed[ABOUT]), act=act)
    return message_of(says, content_of([row(says)], open_url("Open the form", url), says))
