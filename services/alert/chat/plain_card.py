"""A card as plain text, for places of which we know no more than that they show text.

No words of a private or sensitive item stand here, whoever reads the place: what leaves through a third
service is out of our hands. Outside text cannot ping anybody or become markup: `@`, brackets and
backticks that chats read as commands are held apart by a zero-width space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from services.alert.chat import card_words
from services.alert.chat.links import Links
from services.alert.chat.text import clean, clip, disarm, web_address
from services.alert.domain.boards.board import Board
from services.alert.domain.card import Card, CardLine
from services.alert.ports import PersonRef, Shown

WORDS_LIMIT, LINE_LIMIT = 600, 300
BOARD_LINES = 10
_ZERO_WIDTH_SPACE = "\u200b"
_COMMANDS = re.compile(r"([@<`*_~]|\](?=\())")


@dataclass(frozen=True, slots=True)
class PlainCard:
    """A title for the lock screen, and what stands below."""

    title: str
    body: str


def harmless(text: str, limit: int = LINE_LIMIT) -> str:
    """Outside text that no chat takes for a mention, a link's label or formatting."""
    shown = disarm(clip(clean(text), limit))
    return _COMMANDS.sub(rf"\1{_ZERO_WIDTH_SPACE}", shown)


def secret(card: Card) -> bool:
    """Whether its words stay out, also where the place itself is trusted."""
    return card.words is None or not card.public or bool(card.sensitive)


def card_text(card: Card, links: Links) -> PlainCard:
    """The live card; or only what became of it."""
    if not card.state.live:
        return follow_up(card)
    hidden = "Words hidden here. Open it to read them."
    facts = [
        harmless(card_words.title(card)),
        card_words.due(card),
        harmless(card_words.where_to_answer(card)),
        hidden if secret(card) else f"“{harmless(card.words or '', WORDS_LIMIT)}”",
        f"⏳ {card_words.STALE}" if card.stale else None,
        f"Claim, answer or close it: {links.episode(card.episode_id)}",
        _original(card),
    ]
    return _plain(card.headline, facts)


def follow_up(card: Card) -> PlainCard:
    """Claimed, released, answered, closed: what was posted cannot be changed."""
    said = card_words.holder(card) if card.state.live else card_words.ended(card)
    return _plain(f"{said} · {card_words.title(card)}", [_original(card)])


def line_text(line: CardLine, card: Card, links: Links) -> PlainCard:
    """A later message of the same person."""
    said = None if secret(card) or line.words is None else harmless(line.words, WORDS_LIMIT)
    open_it = f"Open: {links.episode(card.episode_id)}"
    return _plain(card_words.wrote_again(line, card), [f"“{said}”" if said else None, open_it])


def board_text(board: Board, links: Links) -> PlainCard:
    """The board's lines without the words that they quote; its buttons are on its page."""
    lines = [one for part in board.content.sections for one in part.lines]
    shown = [harmless(one.text) for one in lines[:BOARD_LINES]]
    more = f"… and {len(lines) - BOARD_LINES} more" if len(lines) > BOARD_LINES else None
    return _plain(board.content.headline, [*shown, more, f"Open: {links.board(board.id)}"])


def page_text(person: PersonRef, shown: Shown, links: Links, *, alone: bool) -> PlainCard:
    """Wakes a person. `alone`: nobody else receives it, so that its link knows whom it was made for."""
    who = person.id if alone else None
    if isinstance(shown, Board):
        return _plain(shown.content.headline, [f"Open: {links.board(shown.id, who)}"])
    facts = [card_words.due(shown), f"Open: {links.episode(shown.episode_id, who)}"]
    return _plain(shown.headline, facts)


def sign_in_text(url: str) -> PlainCard:
    """A personal link."""
    says = "Sign in to Presence with this link. It is yours alone; it ends in 15 minutes."
    return PlainCard("Sign in to Presence", f"{says}\n{url}")


def stage(shown: Shown) -> str:
    """What was said last of it, so that a repeated update says nothing twice."""
    if isinstance(shown, Board):
        return "over" if shown.content.over else "live"
    return f"{shown.state.value}:{shown.claimed_by or ''}"[:200]


def _original(card: Card) -> str | None:
    address = web_address(card.permalink)
    return f"The original: {address}" if address else None


def _plain(title: str, facts: Iterable[str | None]) -> PlainCard:
    return PlainCard(harmless(title, 150), "\n".join(fact for fact in facts if fact))
