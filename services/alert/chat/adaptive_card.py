"""A card as an Adaptive Card 1.5, the highest version that Teams shows everywhere.

Outside text stands only in `TextRun`s, for which the schema promises that Markdown is not supported:
nothing a stranger writes can become a link, a heading or a mention. `TextBlock`s hold our own words.
Source: the Adaptive Cards schema 1.5; Microsoft's limits for webhooks (28 KB a message).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from services.alert.chat import card_words
from services.alert.chat.links import Links
from services.alert.chat.text import (
    breakable,
    clean,
    clip,
    clock_time,
    disarm,
    one_line,
    right_to_left,
    web_address,
)
from services.alert.domain.card import Card, CardLine
from services.alert.ports import PersonRef

Element = dict[str, Any]
Message = dict[str, Any]

MESSAGE_LIMIT = 28 * 1024
"""Bytes of the whole message, as Microsoft says."""
ROOM = 20 * 1024
"""Bytes that we use of them. Others measured refusals from 21,000 on: as base64 that is 28 KB."""
WORDS_LIMIT = 600
"""Longer words are read in the form or on the platform: buttons have to stay in reach of a thumb."""
LINE_WORDS_LIMIT = 1_000
LINE_LIMIT = 400
SUMMARY_LIMIT = 150
URL_LIMIT = 2_000
SHOWN = 6
"""Buttons in a row, as Teams sets the renderer up."""
CHECKLIST_STEPS, STEP_LIMIT = 20, 200


def text_run(text: str, **look: Any) -> Element:
    """Text that is shown as it is. The renderer cuts a word that is longer than a line."""
    return {"type": "TextRun", "text": breakable(disarm(text)) or "—", **look}


def rich(*runs: Element, **look: Any) -> Element:
    """A paragraph of runs."""
    return {"type": "RichTextBlock", "inlines": list(runs), **look}


def row(text: str, **look: Any) -> Element:
    """A line, shown as it is."""
    return rich(text_run(clip(text, LINE_LIMIT), **look), spacing="Small")


def open_url(title: str, url: str | None, **look: Any) -> list[Element]:
    """A button that opens the address; none where it is no plain web address."""
    address = web_address(url)
    if address is None or len(address) > URL_LIMIT:
        return []
    return [{"type": "Action.OpenUrl", "title": title, "url": address, **look}]


def quoted(words: str, limit: int) -> Element:
    """What somebody wrote, set off from what we say, and in the direction of its script."""
    said = clip(clean(words, lines=True), limit) or "(no text)"
    # A run keeps no line breaks everywhere: one block a line.
    lines = [rich(text_run(line), spacing="Small") for line in said.split("\n")[:40] if line]
    direction = {"rtl": True} if right_to_left(said) else {}
    return {"type": "Container", "style": "emphasis", "items": lines, **direction}


def where_to_answer(card: Card, **look: Any) -> Element:
    """PUBLIC or PRIVATE, which nobody may overlook: bold, and in a colour of its own."""
    colour = "Accent" if card.public else "Good"
    return row(card_words.where_to_answer(card), weight="Bolder", color=colour, **look)


def _words(card: Card, limit: int) -> Element:
    if card.words is not None:
        return quoted(card.words, limit)
    hidden = rich(text_run(card_words.hidden(card), italic=True))
    return {"type": "Container", "style": "emphasis", "items": [hidden]}


def linked_actions(card: Card, links: Links) -> list[Element]:
    """Buttons that open the episode's page, which finds out who presses."""
    actions: list[Element] = []
    for act in (one for one in card.acts if one in card_words.LINKED):
        url = links.episode(card.episode_id, act=act)
        look = {"style": "positive"} if not actions else {}
        actions += open_url(card_words.ACT_LABELS[act], url, **look)
    return actions + original(card)


def original(card: Card) -> list[Element]:
    """The button that opens what they wrote, over there."""
    return open_url(f"Open on {_short(card_words.platform(card))}", card.permalink)


def _short(text: str) -> str:
    return clip(disarm(text), 40)


def in_sight(buttons: list[Element]) -> list[Element]:
    """Teams shows six buttons in a row; further ones stand under "…" instead of being dropped."""
    shown = [one for one in buttons if one.get("mode") != "secondary"]
    rest = [one for one in buttons if one.get("mode") == "secondary"]
    return [*shown[:SHOWN], *({**one, "mode": "secondary"} for one in shown[SHOWN:]), *rest]


def content_of(body: list[Element], actions: list[Element], fallback: str) -> Element:
    """The card itself."""
    card: Element = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "fallbackText": fallback,
        "body": body,
        "msteams": {"width": "Full"},
    }
    if actions:
        card["actions"] = in_sight(actions)
    return card


def message_of(summary: str, card: Element) -> Message:
    """The card as a message, with what a notification reads."""
    return {
        "type": "message",
        # Without it a notification reads just "Card".
        "summary": summary,
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": card,
            }
        ],
    }


def summary_of(line: str) -> str:
    """What a phone's notification shows."""
    return clip(disarm(clean(line)), SUMMARY_LIMIT) or "New conversation"


def encode(message: Message) -> bytes:
    """The request's body."""
    return orjson.dumps(message)


def card_message(card: Card, links: Links, now: datetime) -> Message:
    """The card, under the size limit for any input: the words give way first."""
    as_of = f"As of {clock_time(now, card.zone)}. This card is not updated."
    return fitting_message(card, linked_actions(card, links), as_of)


def fitting_message(card: Card, actions: list[Element], footer: str) -> Message:
    """The live card with these buttons, under the size limit for any input."""
    limit = WORDS_LIMIT
    message = _card_message(card, actions, footer, limit)
    while len(encode(message)) > ROOM and limit > 50:
        limit //= 2
        message = _card_message(card, actions, footer, limit)
    return message


def _card_message(card: Card, actions: list[Element], footer: str, words_limit: int) -> Message:
    facts = [card_words.holder(card), card_words.due(card)]
    alarm = {"color": "Attention"} if card.urgent or card.sensitive else {}
    checklist = [
        row(clip(f"☐ {one_line(step)}", STEP_LIMIT)) for step in card.checklist[:CHECKLIST_STEPS]
    ]
    body = [
        rich(
            text_run(
                clip(card_words.title(card), LINE_LIMIT), weight="Bolder", size="Medium", **alarm
            ),
        ),
        *(row(fact) for fact in facts if fact),
        where_to_answer(card),
        _words(card, words_limit),
        row(f"Why: {one_line(card.why)}", isSubtle=True),
        *checklist,
        *([row(f"⏳ {card_words.STALE}", color="Warning")] if card.stale else []),
        *(row(clip(one, LINE_LIMIT)) for one in card_words.going_on(card)),
        row(footer, isSubtle=True),
    ]
    summary = summary_of(card.headline)
    return message_of(summary, content_of(body, actions, summary))


def follow_up_message(card: Card, now: datetime) -> Message:
    """What became of a card that cannot be updated: claimed, released, answered, closed."""
    said = card_words.holder(card) if card.state.live else card_words.ended(card)
    summary = summary_of(f"{said} · {card_words.title(card)}")
    body = [
        rich(text_run(clip(said, LINE_LIMIT), weight="Bolder")),
        row(card_words.title(card)),
        row(f"As of {clock_time(now, card.zone)}", isSubtle=True),
    ]
    return message_of(summary, content_of(body, original(card), summary))


def line_message(line: CardLine, card: Card, links: Links) -> Message:
    """A later message of the same person; Workflows cannot post beneath the card."""
    summary = line_summary(line, card)
    body = line_body(line, card)
    return message_of(summary, content_of(body, linked_actions(card, links), summary))


def line_summary(line: CardLine, card: Card) -> str:
    """A later message on a lock screen: the words matter more than the hour, which the phone shows."""
    heading = (
        card_words.wrote_again(line, card) if line.says else f"{card_words.who_of(line)} again"
    )
    return summary_of(f"{heading}: {clean(line.words)}" if line.words is not None else heading)


def line_body(line: CardLine, card: Card) -> list[Element]:
    """A later message, or a line of ours."""
    body = [row(card_words.wrote_again(line, card), weight="Bolder")]
    if line.words is not None:
        body.append(quoted(line.words, LINE_WORDS_LIMIT))
    elif line.says is None:
        body.append(rich(text_run(card_words.hidden(card), italic=True)))
    return body


def page_message(person: PersonRef, card: Card, links: Links) -> Message:
    """A mention of the person on call. The mark-up of the mention is ours, the name the team's own."""
    summary = summary_of(card.headline)
    body: list[Element] = [row(clean(card.headline), weight="Bolder")]
    if due := card_words.due(card):
        body.append(row(due))
    content = content_of(body, linked_actions(card, links), summary)
    mention_of(person, content, "you are on call")
    return message_of(summary, content)


def mention_of(person: PersonRef, content: Element, says: str) -> None:
    """Put a mention of the person before the card's body."""
    name = clip(one_line(person.name).translate(_NO_MARKUP), 60) or person.id
    mention = f"<at>{name}</at>"
    shown = name if person.chat_id is None else mention
    content["body"].insert(0, {"type": "TextBlock", "text": f"{shown}, {says}", "wrap": True})
    if person.chat_id is not None:
        mentioned = {"id": person.chat_id, "name": name}
        content["msteams"]["entities"] = [
            {"type": "mention", "text": mention, "mentioned": mentioned}
        ]


_NO_MARKUP = dict.fromkeys(map(ord, "<>[]()*_`~#\\"))


def told_message(text: str) -> Message:
    """A plain line to the channel."""
    summary = summary_of(text)
    return message_of(summary, content_of([rich(text_run(clip(clean(text), 1_000)))], [], summary))
