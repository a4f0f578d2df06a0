"""A card as Slack's Block Kit.

Outside text stands only in `plain_text` objects and in `text` elements of rich text, which Slack shows
as they are: nothing a stranger writes can ping a channel, forge a link's label or format a card. All
`mrkdwn` here is our own. Limits: Slack's Block Kit reference; lengths are counted in UTF-16 units.
"""

from __future__ import annotations

import re
from typing import Any

from services.alert.chat import card_words
from services.alert.chat.text import clean, clip, disarm, one_line, web_address
from services.alert.domain.card import Card, CardAct, CardLine, LineAct, StatusKind

Block = dict[str, Any]

HEADER_LIMIT = 150
SECTION_LIMIT = 3_000
CONTEXT_LIMIT = 2_000
BUTTON_TEXT_LIMIT = 75
VALUE_LIMIT = 2_000
URL_LIMIT = 3_000
TEXT_LIMIT = 300
"""Of the `text` field: a lock screen shows less, Slack advises to stay under 4,000."""
WORDS_LIMIT = 1_500
"""Longer words are read on the platform."""
CHECKLIST_STEPS = 20

ACTION_PREFIX = "presence:"
MENU_ACTION = f"{ACTION_PREFIX}more"
MENU_SEPARATOR = "|"
MENU_LIMIT = 5
OPTION_LIMIT = 150
MEMBER_ID = re.compile(r"[UW][A-Z0-9]{2,20}")
OPEN_ACTION = f"{ACTION_PREFIX}open"


def escape(text: str, limit: int) -> str:
    """Slack's three entities, cut so that the escaped text is within the limit and no entity is halved."""
    size = limit
    while True:
        escaped = clip(text, size).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        over = len(escaped.encode("utf-16-le")) // 2 - limit
        if over <= 0:
            return escaped
        # An entity has at most five units where the character had one.
        size -= max(1, over // 5)


def notification_text(line: str) -> str:
    """For the `text` field, which is all that a phone's notification shows."""
    return escape(clean(line), TEXT_LIMIT) or "New conversation"


def plain(text: str, limit: int) -> Block:
    """Text that is shown as it is. Emoji names stay letters, so that a name can't paint a card."""
    return {"type": "plain_text", "text": escape(text, limit) or "—", "emoji": False}


def section(text: str) -> Block:
    """A paragraph, shown as it is."""
    return {"type": "section", "text": plain(text, SECTION_LIMIT)}


def context(*texts: str) -> Block:
    """Small print, shown as it is."""
    return {"type": "context", "elements": [plain(text, CONTEXT_LIMIT) for text in texts[:10]]}


def quote(words: str, limit: int = WORDS_LIMIT) -> Block:
    """A person's words, literally, with a bar on their side."""
    shown = disarm(clip(clean(words, lines=True), limit)) or "(no text)"
    inside = {"type": "rich_text_quote", "elements": [{"type": "text", "text": shown}]}
    return {"type": "rich_text", "elements": [inside]}


def _button(act: CardAct, episode_id: str) -> Block:
    button: Block = {
        "type": "button",
        "action_id": f"{ACTION_PREFIX}{act.value}",
        "text": {"type": "plain_text", "text": card_words.ACT_LABELS[act], "emoji": False},
        "value": episode_id[:VALUE_LIMIT],
    }
    if act in (CardAct.claim, CardAct.answer):
        button["style"] = "primary"
    return button


def line_button(act: LineAct, ref: str) -> Block:
    """A button about an answer or a promise. Its action carries the id: a message may hold several."""
    button: Block = {
        "type": "button",
        "action_id": f"{ACTION_PREFIX}{act.value}",
        "text": {"type": "plain_text", "text": card_words.LINE_ACT_LABELS[act], "emoji": False},
        "value": ref[:VALUE_LIMIT],
    }
    if act in (LineAct.undo, LineAct.reject):
        button["style"] = "danger"
    elif act is LineAct.approve:
        button["style"] = "primary"
    return button


def _menu(card: Card) -> list[Block]:
    """What is done less often: one small menu."""
    asked = [
        (card_words.ACT_LABELS[act], f"{act.value}{MENU_SEPARATOR}{card.episode_id}")
        for act in card.acts
        if act not in card_words.LINKED
    ]
    if not card.state.live:
        asked += [
            (card_words.LINE_ACT_LABELS[LineAct.kept], f"{LineAct.kept.value}{MENU_SEPARATOR}{ref}")
            for ref in _promises(card)
        ]
    options = [
        {"text": plain(text, BUTTON_TEXT_LIMIT), "value": value[:OPTION_LIMIT]}
        for text, value in asked[:MENU_LIMIT]
    ]
    return [{"type": "overflow", "action_id": MENU_ACTION, "options": options}] if options else []


def _promises(card: Card) -> list[str]:
    return [one.ref for one in card.status if one.kind is StatusKind.promised and one.ref][:1]


def link_buttons(label: str, url: str | None) -> list[Block]:
    """A button that opens the address; none where it is no plain web address."""
    address = web_address(url)
    if address is None or len(address) > URL_LIMIT:
        return []
    text = plain(label, BUTTON_TEXT_LIMIT)
    return [{"type": "button", "action_id": OPEN_ACTION, "text": text, "url": address}]


def _actions(card: Card) -> list[Block]:
    buttons = [_button(act, card.episode_id) for act in card.acts if act in card_words.LINKED]
    waiting = [one.ref for one in card.status if one.kind is StatusKind.pending and one.ref]
    buttons += [line_button(LineAct.undo, ref) for ref in waiting[:1]]
    buttons += [line_button(LineAct.kept, ref) for ref in _promises(card)]
    buttons += _menu(card)
    buttons += link_buttons(f"Open on {card_words.platform(card)}", card.permalink)
    return [{"type": "actions", "elements": buttons}] if buttons else []


def _checklist(card: Card) -> list[Block]:
    if not card.checklist:
        return []
    steps = [f"☐ {one_line(step)}" for step in card.checklist[:CHECKLIST_STEPS]]
    return [section("\n".join(["Checklist", *steps]))]


def _open_card(card: Card) -> list[Block]:
    facts = [card_words.holder(card), card_words.due(card), card_words.where_to_answer(card)]
    said = section(card_words.hidden(card)) if card.words is None else quote(card.words)
    stale = [context(f"⏳ {card_words.STALE}")] if card.stale else []
    return [
        {"type": "header", "text": plain(card_words.title(card), HEADER_LIMIT)},
        context(" · ".join(fact for fact in facts if fact)),
        said,
        context(f"Why: {one_line(card.why)}"),
        *_checklist(card),
        *stale,
        *_going_on(card),
        *_actions(card),
    ]


def _going_on(card: Card) -> list[Block]:
    said = card_words.going_on(card)
    return [context(*said)] if said else []


def _ended_card(card: Card) -> list[Block]:
    line = context(f"✓ {card_words.ended(card)}", card_words.title(card))
    address = web_address(card.permalink)
    if address is not None and len(address) < URL_LIMIT:
        escaped = address.replace("&", "&amp;")
        line["elements"].append({"type": "mrkdwn", "text": f"<{escaped}|Original>"})
    menu = _menu(card)
    return [line, *_going_on(card), *([{"type": "actions", "elements": menu}] if menu else [])]


def card_blocks(card: Card) -> list[Block]:
    """The card: whole while somebody waits, one line once it has ended."""
    return _open_card(card) if card.state.live else _ended_card(card)


def card_text(card: Card) -> str:
    """The `text` of the card's message: its headline, or how it ended."""
    line = (
        card.headline if card.state.live else f"{card_words.ended(card)} · {card_words.title(card)}"
    )
    return notification_text(line)


def line_blocks(line: CardLine, card: Card) -> list[Block]:
    """A later message beneath the card, or a line of ours with what it asks."""
    blocks = [context(card_words.wrote_again(line, card))]
    if line.mention and MEMBER_ID.fullmatch(line.mention):
        called = {"type": "rich_text_section", "elements": [_member(line.mention)]}
        blocks.append({"type": "rich_text", "elements": [called]})
    if line.words is not None:
        blocks.append(quote(line.words))
    elif line.says is None or line.says.endswith(":"):
        blocks.append(section(card_words.hidden(card)))
    buttons = [line_button(act, line.about) for act in line.asks] if line.about else []
    buttons += link_buttons("Open it", line.url)
    return [*blocks, {"type": "actions", "elements": buttons}] if buttons else blocks


def _member(member: str) -> Block:
    return {"type": "user", "user_id": member}


def line_text(line: CardLine, card: Card) -> str:
    """The `text` of a thread message."""
    said = f": {clean(line.words)}" if line.words is not None else ""
    return notification_text(f"{card_words.wrote_again(line, card).removesuffix(':')}{said}")


def page_blocks(card: Card, card_url: str | None, personal_url: str | None) -> list[Block]:
    """A direct message to the person on call: the headline, what can be done, and the way to the card."""
    offered = [act for act in card.acts if act in (CardAct.claim, CardAct.answer)]
    buttons = [_button(act, card.episode_id) for act in offered]
    buttons += link_buttons("See the card", card_url)
    for button in link_buttons("Open without Slack", personal_url):
        buttons.append({**button, "action_id": f"{OPEN_ACTION}_personal"})
    facts = [card_words.due(card), card_words.where_to_answer(card)]
    actions = [{"type": "actions", "elements": buttons}] if buttons else []
    return [
        section(clean(card.headline)),
        context(" · ".join(fact for fact in facts if fact)),
        *actions,
    ]
