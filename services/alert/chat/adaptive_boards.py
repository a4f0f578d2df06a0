"""A board as an Adaptive Card 1.5, by the parts and under the limits of `adaptive_card`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.alert.chat.adaptive_card import (
    LINE_LIMIT,
    MESSAGE_LIMIT,
    Element,
    Message,
    content_of,
    encode,
    mention_of,
    message_of,
    open_url,
    rich,
    row,
    summary_of,
    text_run,
)
from services.alert.chat.links import Links
from services.alert.chat.text import clean, clip, clock_time, joined_line, one_line
from services.alert.domain.boards.board import Board, BoardAct, BoardLine
from services.alert.ports import PersonRef

WORDS_LIMIT = 500
SECTION_LINES = 12


def _acts(board: Board, acts: Sequence[BoardAct], links: Links) -> list[Element]:
    found: list[Element] = []
    for act in acts:
        url = links.board(board.id, act=act.name, target=act.target)
        found += open_url(clip(act.label, 40), url, **({"style": "positive"} if act.first else {}))
    return found


def _line(board: Board, line: BoardLine, links: Links, words: int, *, acts: bool) -> list[Element]:
    drawn = [row(joined_line(line.text))]
    if line.words is not None and words:
        said = clip(clean(line.words), words) or "(no text)"
        drawn.append(
            {"type": "Container", "style": "emphasis", "items": [rich(text_run(said))]},
        )
    buttons = _acts(board, line.acts, links) if acts else []
    buttons += open_url("Open", line.url)
    if buttons:
        drawn.append({"type": "ActionSet", "actions": buttons})
    return drawn


def _board(board: Board, links: Links, now: datetime, words: int, lines: int) -> Message:
    content = board.content
    mark = "🔺 " if content.urgent else ""
    head = text_run(
        clip(f"{mark}{clean(content.headline)}", LINE_LIMIT), weight="Bolder", size="Medium"
    )
    body: list[Element] = [rich(head)]
    for part in content.sections:
        body += [row(one_line(part.title), weight="Bolder")] if part.title else []
        for line in part.lines[:lines]:
            body += _line(board, line, links, words, acts=True)
        if len(part.lines) > lines:
            body.append(row(f"… and {len(part.lines) - lines} more"))
    if content.note:
        body.append(row(content.note, isSubtle=True))
    as_of = f"As of {clock_time(now, content.zone)}."
    body.append(row(as_of if content.over else f"{as_of} This card is not updated.", isSubtle=True))
    said = summary_of(content.headline)
    return message_of(said, content_of(body, _acts(board, content.acts, links), said))


def board_message(board: Board, links: Links, now: datetime) -> Message:
    """The board, under the size limit for any input: the words give way first, then the last lines."""
    words, lines = WORDS_LIMIT, SECTION_LINES
    message = _board(board, links, now, words, lines)
    while len(encode(message)) > MESSAGE_LIMIT and lines:
        words, lines = (words // 2, lines) if words > 50 else (0, lines // 2)
        message = _board(board, links, now, words, lines)
    return message


def page_message(person: PersonRef, board: Board, links: Links) -> Message:
    """A mention of a person for a board."""
    said = summary_of(board.content.headline)
    body: list[Element] = [row(clean(board.content.headline), weight="Bolder")]
    actions = _acts(board, board.content.acts, links) or open_url("Open", links.board(board.id))
    content = content_of(body, actions, said)
    mention_of(person, content, "for you")
    return message_of(said, content)
