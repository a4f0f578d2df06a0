"""The app's Home tab: who is on call, my shifts, what I have claimed, and everybody who waits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alert.chat import card_words
from services.alert.chat.slack_blocks import (
    ACTION_PREFIX,
    Block,
    context,
    plain,
    section,
)
from services.alert.chat.text import clip, clock_time, one_line
from services.alert.domain.card import CardAct
from services.alert.domain.response_time import span_in_words
from services.alert.domain.rota_words import time_of
from services.alert.ports import EpisodeRow
from services.alert.roster import OnCallRow, ShiftRow
from services.contracts.configuration import Person

HOME_CALLBACK = "presence_home"
MOST_BLOCKS = 100
MOST_MINE, MOST_OPEN, MOST_ROTAS, MOST_SHIFTS = 10, 25, 10, 3
LINE_LIMIT = 280
STEP = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Home:
    """What a person sees there."""

    person: Person
    on_call: tuple[OnCallRow, ...]
    shifts: tuple[ShiftRow, ...]
    mine: tuple[EpisodeRow, ...]
    waiting: tuple[EpisodeRow, ...]
    """Everybody's open episodes, the most pressing first; those of `mine` are not among them."""


def home_of(
    person: Person,
    on_call: Sequence[OnCallRow],
    shifts: Sequence[ShiftRow],
    rows: Sequence[EpisodeRow],
) -> Home:
    """What of it all is for this person."""
    theirs = [
        row for row in rows if row.waits and (not person.brands or row.brand_id in person.brands)
    ]
    mine = [row for row in theirs if row.holder == person.id]
    waiting = [row for row in theirs if row.holder != person.id]
    return Home(person, tuple(on_call), tuple(shifts), tuple(mine), tuple(waiting))


def home_view(home: Home) -> Block:
    """As Slack's `home` view. It says no age, so that it changes only when something happened."""
    zone = home.person.zone
    blocks: list[Block] = [_title("On call now")]
    blocks += [
        section(f"{row.rota}: {one_line(row.says)}") for row in home.on_call[:MOST_ROTAS]
    ] or [section("There is no rota in presence.yaml yet.")]
    blocks.append(context(_shifts(home, zone)))
    blocks.append({"type": "divider"})
    if home.mine:
        blocks.append(_title(f"Yours: {len(home.mine)}"))
        for row in home.mine[:MOST_MINE]:
            blocks += _row(row, zone, claimable=False)
        blocks += _left(len(home.mine) - MOST_MINE)
        blocks.append({"type": "divider"})
    blocks.append(_title(f"Waiting: {len(home.waiting)}" if home.waiting else "Nobody waits"))
    for row in home.waiting[:MOST_OPEN]:
        blocks += _row(row, zone, claimable=row.holder is None)
    blocks += _left(len(home.waiting) - MOST_OPEN)
    return {
        "type": "home",
        "callback_id": HOME_CALLBACK,
        # No channel: what is said about a press here goes to the person's direct messages.
        "private_metadata": json.dumps({"c": ""}),
        "blocks": blocks[:MOST_BLOCKS],
    }


def not_listed_view(member: str) -> Block:
    """For somebody whom presence.yaml does not know."""
    text = f"You are not listed in presence.yaml: ask your lead to add you with slack: {member}"
    return {
        "type": "home",
        "callback_id": HOME_CALLBACK,
        "private_metadata": json.dumps({"c": ""}),
        "blocks": [section(text)],
    }


def open_line(row: EpisodeRow, now: datetime | None, zone: str) -> str:
    """An open episode in a line. With `now` it says how late it is; without, when it is due."""
    marks = "⚠ " if row.sensitive else "🔺 " if row.urgent else ""
    parts = []
    if row.due_at is not None:
        late = now is not None and now - row.due_at >= STEP
        if late and now is not None:
            parts.append(f"overdue for {span_in_words(now - row.due_at)}")
        else:
            parts.append(f"due {clock_time(row.due_at, zone)}")
    parts.append(card_words.platform_named(row.platform))
    parts.append(clip(one_line(row.who), card_words.WHO_LIMIT))
    if row.claimed_by:
        parts.append(f"{one_line(row.claimed_by)} has it")
    if row.sensitive:
        parts.append("sensitive")
    else:
        parts.append("private" if row.words is None else clip(one_line(row.words), 140))
    parts[0] = f"{marks}{parts[0]}"
    return clip(" · ".join(parts), LINE_LIMIT)


def _title(text: str) -> Block:
    return {"type": "header", "text": plain(text, 150)}


def _row(row: EpisodeRow, zone: str, *, claimable: bool) -> list[Block]:
    acts = [CardAct.claim, CardAct.answer] if claimable else [CardAct.answer]
    buttons = []
    for act in acts:
        button: Block = {
            "type": "button",
            "action_id": f"{ACTION_PREFIX}{act.value}",
            "text": plain(card_words.ACT_LABELS[act], 75),
            "value": row.episode_id,
        }
        if act is CardAct.claim:
            button["style"] = "primary"
        buttons.append(button)
    return [
        section(open_line(row, None, zone)),
        {"type": "actions", "block_id": f"e:{row.episode_id}"[:255], "elements": buttons},
    ]


def _left(count: int) -> list[Block]:
    return [context(f"… and {count} more: the list of Presence has them all")] if count > 0 else []


def _shifts(home: Home, zone: str) -> str:
    if not home.shifts:
        return "You are not on call in the next three weeks."
    # One that has begun is told by its end alone: its beginning would be "now" anew every minute.
    begun = {row.rota for row in home.on_call if row.person == home.person.id}
    found = []
    for one in home.shifts[:MOST_SHIFTS]:
        if one.rota in begun:
            begun.remove(one.rota)
            found.append(f"now until {time_of(one.end, zone)} ({one.rota})")
        else:
            end = time_of(one.end, zone, beside=one.begin)
            found.append(f"{time_of(one.begin, zone)} to {end} ({one.rota})")
    return f"Your shifts: {'; '.join(found)}. Times in {zone}."
