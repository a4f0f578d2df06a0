"""A look-alike that answers our customer is an urgent card beside the customer's own."""

from __future__ import annotations

import pytest

from services.alert.domain.boards.board import Board, BoardKind
from services.alert.ports import ActResult
from services.contracts.events import ClassifiedNotification
from tests.alert.builders import ACCOUNT, Action, Label, at, notified, verdict
from tests.alert.story import EVA, MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


def fake(native: str, minutes: float) -> ClassifiedNotification:
    """The look-alike's reply to our customer."""
    judged = verdict(0.1, label=Label.spam, impersonates=ACCOUNT)
    return notified(
        native,
        at(minutes),
        "a1r_help",
        root="q",
        parent="q",
        judged=judged,
        text="Send your card number",
    )


def only(told: Story) -> Board:
    (board,) = told.shown(BoardKind.impersonation)
    return board


async def test_an_impostor_is_carded_at_once_where_the_victims_card_is_and_pings(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"))
        await told.sweep()
        await told.at(1)
        await told.hear(fake("f", 1))
        assert await told.sweep() == ["mia"]
        board = only(told)
        assert board.content.headline == "Impostor A1R_Help @a1r_help answers Ana"
        assert (board.content.urgent, board.key.destination) == (True, "room")
        assert board.content.sections[0].lines[0].words == "Send your card number"
        assert "looks like @air" in board.content.sections[1].lines[0].text
        await told.hear(fake("g", 1.5))
        assert await told.sweep() == []
        assert len(only(told).content.subjects) == 2


async def test_a_report_ends_the_card_and_what_it_writes_next_makes_another(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"), fake("f", 0))
        await told.sweep()
        board = only(told)
        assert (await told.boards.press(board.id, "reported", "", EVA)).result is ActResult.refused
        assert (await told.boards.press(board.id, "reported", "", MIA)).result is ActResult.done
        await told.deliver()
        assert only(told).content.headline == "Reported to the platform by Mia"
        await told.at(5)
        await told.hear(fake("g", 5))
        await told.sweep()
        assert [one.content.over for one in told.shown(BoardKind.impersonation)] == [True, False]


async def test_who_is_no_impostor_is_not_shown_again(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"), fake("f", 0))
        await told.sweep()
        await told.boards.press(only(told).id, "not_impostor", "", MIA)
        await told.hear(fake("g", 1))
        await told.sweep()
        assert only(told).content.headline == "Not an impostor, says Mia"


async def test_a_look_alike_that_answers_nobody_of_ours_or_takes_it_back_is_no_card(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        judged = verdict(0.1, label=Label.spam, impersonates=ACCOUNT)
        await told.hear(notified("alone", at(0), "a1r_help", judged=judged))
        await told.sweep()
        assert told.shown(BoardKind.impersonation) == []
        await told.hear(notified("q", at(0), root="q"), fake("f", 0))
        await told.sweep()
        await told.hear(notified("f", at(1), "a1r_help", action=Action.deleted))
        await told.sweep()
        assert only(told).content.headline == "Taken back by its author"
        assert "card number" not in repr(await told.rows("select content::text from alert.boards"))
