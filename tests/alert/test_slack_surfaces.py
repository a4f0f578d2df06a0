"""Boards and the Home tab under any input: within Slack's limits, and nobody is pinged."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.alert.chat import slack_boards, slack_home
from services.alert.domain.boards.board import BoardAct, BoardLine, Section
from services.alert.ports import EpisodeRow
from services.alert.roster import OnCallRow
from services.contracts.configuration import Person
from tests.alert.block_kit import hold_as_a_view
from tests.alert.chat_builders import NOON, board
from tests.alert.test_slack_blocks import any_text, hold_slacks_rules

many = st.sampled_from([0, 1, 2, 3, 7, 60])


@settings(max_examples=20)
@example("<!channel>", "x", 300, 300)
@given(any_text, any_text, many, many)
def test_no_text_and_no_number_of_lines_breaks_a_board(
    who: str, words: str, lines: int, acts: int
) -> None:
    presses = tuple(BoardAct(f"act{n}", who, f"x:1:{n}", first=n == 0) for n in range(acts))
    shown = board(
        headline=who,
        sections=(
            Section(words, tuple(BoardLine(who, words, presses[:25], words) for _ in range(lines))),
            Section("", (BoardLine(words, None, presses[:1], "https://social.example/1"),)),
        ),
        acts=presses,
        note=words,
    )
    hold_slacks_rules(slack_boards.board_blocks(shown))
    hold_slacks_rules(slack_boards.page_blocks(shown, "https://social.example/c", words))
    assert slack_boards.board_text(shown)


@settings(max_examples=20)
@example("<@U0MIA1>", "x", 300)
@given(any_text, any_text, many)
def test_no_text_and_no_number_of_episodes_breaks_the_home_tab(
    who: str, words: str, rows: int
) -> None:
    person = Person.model_construct(id="mia", name=who, zone="Europe/Berlin", brands=())
    found = [
        EpisodeRow(
            f"ep-{n}",
            "open",
            who,
            who,
            "air",
            who,
            (words, None)[n % 2],
            NOON,
            (NOON, None)[n % 3 == 0],
            who,
            n % 5 == 0,
            ("threat",) if n % 7 == 0 else (),
            "mia" if n % 4 == 0 else None,
        )
        for n in range(rows)
    ]
    on_call = [
        OnCallRow("social", "UTC", "mia", who, "week", NOON, None, words, None, None, words)
        for _ in range(min(rows, 30))
    ]
    home = slack_home.home_of(person, on_call, (), found)
    for view in (slack_home.home_view(home), slack_home.not_listed_view(who)):
        hold_as_a_view(view)
        assert len(view["blocks"]) <= 100
        ids = [one["block_id"] for one in view["blocks"] if "block_id" in one]
        assert len(ids) == len(set(ids))
        shown = json.dumps(view["blocks"], ensure_ascii=False)
        assert "<!" not in shown
        assert "<@" not in shown
