"""A board as an Adaptive Card 1.5, by the parts and under the limits of `adaptive_card`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from services.alert.chat.adaptive_card import (
    LINE_LIMIT,
    ROOM,
    Element,
    Message,
    content_of,
    encode,
    in_sight,
    mention_of,
    message_of,
    open_url,
    quoted,
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


Buttons = Callable[[Board, Sequence[BoardAct], Links], list[Element]]
"""How a board's acts are drawn: as links, or as presses that come back to a bot."""


def linked(board: Board, acts: Sequence[BoardAct], links: Links) -> list[Element]:
    """Buttons that open the board's page."""
    found: list[Element] = []
    for act in acts:
        url = links.board(board.id, act=act.name, target=act.target)
        found += open_url(clip(act.label, 40), url, **({"style": "positive"} if act.first else {}))
    return found


def _line(
    board: Board, line: BoardLine, links: Links, words: int, buttons_of: Buttons
) -> list[Element]:
    drawn = [row(joined_line(line.text))]
    if line.words is not None and words:
        drawn.append(quoted(line.words, words))
    # The one to press is the board's own; nothing in a list stands out against its neighbours.
    acts = [replace(one, first=False) for one in line.acts]
    buttons = [*buttons_of(board, acts, links), *open_url("Open", line.url)]
    if buttons:
        drawn.append({"type": "ActionSet", "actions": in_sight(buttons)})
    return drawn


def _board(
    board: Board, links: Links, now: datetime, words: int, lines: int, buttons_of: Buttons
) -> Message:
    content = board.content
    mark = "🔺 " if content.urgent else ""
    head = text_run(
        clip(f"{mark}{clean(content.headline)}", LINE_LIMIT), weight="Bolder", size="Medium"
    )
    body: list[Element] = [rich(head)]
    for part in content.sections:
        body += (
            [{**row(one_line(part.title), weight="Bolder"), "spacing": "Large"}]
            if part.title
            else []
        )
        for place, line in enumerate(part.lines[:lines]):
            drawn = _line(board, line, links, words, buttons_of)
            # A line with words or buttons is a matter of its own: a rule parts it from the one before.
            if place and len(drawn) > 1:
                drawn[0] |= {"separator": True, "spacing": "Medium"}
            body += drawn
        if len(part.lines) > lines:
            body.append(row(f"… and {len(part.lines) - lines} more"))
    if content.note:
        body.append(row(content.note, isSubtle=True))
    as_of = f"As of {clock_time(now, content.zone)}."
    stays = buttons_of is linked and not content.over
    body.append(row(f"{as_of} This card is not updated." if stays else as_of, isSubtle=True))
    said = summary_of(content.headline)
    return message_of(said, content_of(body, buttons_of(board, content.acts, links), said))


def board_message(
    board: Board, links: Links, now: datetime, buttons_of: Buttons = linked
) -> Message:
    """The board, under the size limit for any input: the words give way first, then the last lines."""
    words, lines = WORDS_LIMIT, SECTION_LINES
    message = _board(board, links, now, words, lines, buttons_of)
    while len(encode(message)) > ROOM and lines:
        words, lines = (words // 2, lines) if words > 50 else (0, lines // 2)
        message = _board(board, links, now, words, lines, buttons_of)
    return message


def page_message(person: PersonRef, board: Board, links: Links) -> Message:
    """A mention of a person for a board."""
    said = summary_of(board.content.headline)
    body: list[Element] = [row(clean(board.content.headline), weight="Bolder")]
    actions = linked(board, board.content.acts, links) or open_url("Open", links.board(board.id))
    content = content_of(body, actions, said)
    mention_of(person, content, "for you")
    return message_of(said, content)
