"""A board as Slack's Block Kit, by the parts and under the limits of `slack_blocks`.

Outside text stands only where Slack shows text as it is; see docs/decisions/0071.
"""

from __future__ import annotations

from services.alert.chat.slack_blocks import (
    ACTION_PREFIX,
    BUTTON_TEXT_LIMIT,
    HEADER_LIMIT,
    OPEN_ACTION,
    VALUE_LIMIT,
    Block,
    context,
    link_buttons,
    notification_text,
    plain,
    quote,
    section,
)
from services.alert.chat.text import clean, clip, joined_line, one_line
from services.alert.domain.boards.board import Board, BoardAct, BoardLine, Section

BOARD_PREFIX = f"{ACTION_PREFIX}board:"
"""An action id is this, the act's name and the button's place: Slack wants them unique in a block."""
MOST_BLOCKS = 50
_FOOT = 3
"""Blocks kept for the line that counts the rest, the buttons and the small print."""
LINE_LIMIT, WORDS_LIMIT = 300, 500


def press_value(board_id: str, target: str) -> str:
    """What a button carries."""
    return f"{board_id}|{target}"


def read_press(action_id: str, value: str) -> tuple[str, str, str] | None:
    """The act, the board and the target of a press; None where it is no board's button."""
    if not action_id.startswith(BOARD_PREFIX):
        return None
    act = action_id.removeprefix(BOARD_PREFIX).partition(":")[0]
    board_id, _, target = value.partition("|")
    return act, board_id, target


def _buttons(board: Board, acts: tuple[BoardAct, ...]) -> list[Block]:
    found: list[Block] = []
    for place, act in enumerate(acts[:20]):
        value = press_value(board.id, act.target)
        if len(value) > VALUE_LIMIT:
            continue  # an id that no platform gives; the others can be pressed
        button: Block = {
            "type": "button",
            "action_id": f"{BOARD_PREFIX}{act.name}:{place}",
            "text": plain(act.label, BUTTON_TEXT_LIMIT),
            "value": value,
        }
        if act.first:
            button["style"] = "primary"
        found.append(button)
    return found


def _line(board: Board, line: BoardLine) -> list[Block]:
    buttons = _buttons(board, line.acts) + link_buttons("Open", line.url)
    head = section(clip(joined_line(line.text), LINE_LIMIT))
    said = [] if line.words is None else [quote(clip(clean(line.words, lines=True), WORDS_LIMIT))]
    if len(buttons) == 1:
        head["accessory"] = buttons[0]
        return [head, *said]
    return [head, *said, *_actions(buttons)]


def _actions(buttons: list[Block]) -> list[Block]:
    return [{"type": "actions", "elements": buttons}] if buttons else []


def _section(board: Board, part: Section, room: int) -> tuple[list[Block], int]:
    """The section in at most `room` blocks, and how many of its lines found none."""
    title = context(one_line(part.title)) if part.title else None
    drawn: list[Block] = [title] if title and room > 0 else []
    for place, line in enumerate(part.lines):
        blocks = _line(board, line)
        if len(drawn) + len(blocks) > room:
            # A title without a line says nothing.
            return drawn if place else [], len(part.lines) - place
        drawn += blocks
    return drawn, 0


def board_blocks(board: Board) -> list[Block]:
    """The board: whole while something is to be done, one line once it is over."""
    content = board.content
    if content.over:
        return [context(f"✓ {content.headline}")]
    mark = "🔺 " if content.urgent else ""
    blocks: list[Block] = [
        {"type": "header", "text": plain(f"{mark}{content.headline}", HEADER_LIMIT)}
    ]
    left = 0
    for part in content.sections:
        drawn, rest = _section(board, part, MOST_BLOCKS - _FOOT - len(blocks))
        blocks += drawn
        left += rest
    if left:
        blocks.append(context(f"… and {left} more"))
    blocks += _actions(_buttons(board, content.acts))
    if content.note:
        blocks.append(context(content.note))
    return blocks


def board_text(board: Board) -> str:
    """The `text` of the board's message."""
    return notification_text(board.content.headline)


def page_blocks(board: Board, board_url: str | None, personal_url: str | None) -> list[Block]:
    """A direct message about a board: the headline, what can be done to all of it, the way to it."""
    buttons = _buttons(board, board.content.acts)
    buttons += link_buttons("See the card", board_url)
    for button in link_buttons("Open without Slack", personal_url):
        buttons.append({**button, "action_id": f"{OPEN_ACTION}_personal"})
    lines = [joined_line(line.text) for part in board.content.sections for line in part.lines[:3]]
    facts = [context(*[clip(line, LINE_LIMIT) for line in lines[:5]])] if lines else []
    return [section(clean(board.content.headline)), *facts, *_actions(buttons)]
