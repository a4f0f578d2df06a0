"""What the engineers are told: notices of sources and services, and what the auditor finds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.alert.domain.boards.audit import Finding, Found, audit
from services.alert.domain.boards.board import Board, BoardKind
from services.alert.domain.boards.troubles import post_of
from services.alert.ports import ActResult, DeliveryReason, Purpose
from services.alert.store.boards.troubles import Troubles
from services.contracts.events import Notice, NoticeKind
from tests.alert.builders import ACCOUNT, PRESENCE, at, configuration, notified
from tests.alert.story import EVA, MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

OPS = PRESENCE.replace(
    "\ndestinations:", "\nengineers: ops\ndestinations:\n  - {id: ops, kind: slack, channel: C9}"
)


def notice(kind: NoticeKind, minutes: float, says: str = "mastodon: no answer") -> Notice:
    return Notice(
        kind=kind, service="ingest", source="x", account_id=ACCOUNT, says=says, at=at(minutes)
    )


async def note(told: Story, *notices: Notice) -> list[str]:
    for one in notices:
        await Troubles(told.pool).note(one)
    return await told.keep()


def cards(told: Story, kind: BoardKind = BoardKind.notice) -> list[Board]:
    return told.shown(kind)


async def test_a_trouble_is_told_once_where_engineers_are_and_its_recovery_too(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(OPS)) as told:
        down = notice(NoticeKind.source_down, 0)
        assert await note(told, down, down) == []
        (board,) = cards(told)
        assert board.content.headline == "x @air source down · since 10:00"
        await note(told, notice(NoticeKind.source_down, 3))
        assert "2 times, last at 10:03" in repr(cards(told)[0].content)
        await told.at(12)
        await note(told, notice(NoticeKind.caught_up, 12))
        (board,) = cards(told)
        assert board.content.headline == "Recovered after 12 min: x @air source down"
        assert [one.text for one in told.of(Purpose.told)] == [board.content.headline]
        assert {one.destination for one in told.seen} == {"ops"}


async def test_what_only_a_person_mends_wakes_the_engineers_and_ends_when_one_has_seen_to_it(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(OPS)) as told:
        assert await note(told, notice(NoticeKind.token, 0, "x: the token ends")) == ["eva"]
        (board,) = cards(told)
        press = told.boards.press
        assert (await press(board.id, "seen_to", "", MIA)).result is ActResult.refused
        assert (await press(board.id, "seen_to", "", EVA)).result is ActResult.done
        await told.deliver()
        (board,) = cards(told)
        assert board.content.headline == "Seen to by Eva: x @air credentials"
        assert await told.rows("select who, act from alert.audit where act like 'notice%'") == [
            ("eva", "notice_seen_to")
        ]


async def test_without_a_destination_of_their_own_engineers_are_written_to_directly(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        assert await note(told, notice(NoticeKind.source_down, 0)) == ["eva"]
        assert await note(told, notice(NoticeKind.caught_up, 4)) == ["eva"]
        assert {one.purpose for one in told.seen} == {Purpose.page}
        await told.at(90)
        assert await told.keep() == []
        assert cards(told)[0].content.headline.startswith("Recovered after 4 min")


async def test_a_source_that_flaps_is_one_card_which_grows_silent(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(OPS)) as told:
        for number in range(6):
            await told.at(2 * number)
            await note(told, notice(NoticeKind.source_down, 2 * number))
            await note(told, notice(NoticeKind.source_up, 2 * number + 1))
        assert len(cards(told)) == 1
        assert len(told.of(Purpose.told)) == 3


async def test_a_silent_webhook_has_recovered_when_something_comes(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(OPS)) as told:
        await note(told, notice(NoticeKind.silence, 0))
        await told.at(5)
        await told.keep()
        assert not cards(told)[0].content.over
        await told.hear(notified("q", at(5)))
        await told.keep()
        assert cards(told)[0].content.over


async def test_an_old_notice_that_is_read_again_begins_nothing(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(OPS)) as told:
        down, up = notice(NoticeKind.source_down, 0), notice(NoticeKind.caught_up, 1)
        await note(told, down, up, down, up)
        assert await told.rows("select times, ended_by from alert.troubles") == [(1, "caught_up")]


async def test_an_open_episode_without_a_timer_is_found_mended_and_told(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(OPS), audited=True) as told:
        await told.hear(notified("q", at(0)))
        await told.rows("delete from alert.timers returning 1")
        await told.at(2)
        assert await told.keep() == ["eva"]
        (board,) = cards(told, BoardKind.audit)
        assert board.content.headline == "Auditor: no timer · since 10:02"
        assert told.value("presence_audit_findings", finding="no_timer") == 1
        await told.at(3)
        assert await told.sweep() == ["mia"]
        (board,) = cards(told, BoardKind.audit)
        assert board.content.headline == "Auditor: nothing is wrong any more"
        assert told.value("presence_audit_findings", finding="no_timer") == 0


async def test_what_lay_there_through_an_outage_is_worked_off_before_anybody_hears_of_it(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(OPS), audited=True) as told:
        await told.hear(notified("q", at(0)))
        await told.at(60)
        await told.keep()
        assert cards(told, BoardKind.audit) == []
        await told.at(63)
        await told.keep()
        (board,) = cards(told, BoardKind.audit)
        assert "timer overdue" in board.content.headline


async def test_a_destination_that_takes_nothing_is_told_to_engineers_through_another(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(OPS), audited=True) as told:
        await told.hear(notified("q", at(0)))
        (card,) = await told.outbox.take(1, "room")
        later = at(0) + timedelta(hours=1)
        await told.outbox.failed(
            card, DeliveryReason.refused_credentials, retry_at=later, ambiguous=False
        )
        await told.at(6)
        await told.rows("delete from alert.announcements returning 1")
        await told.sweep()
        (board,) = cards(told, BoardKind.audit)
        assert board.key.destination == "ops"
        (line,) = board.content.sections[0].lines
        assert line.text.startswith("room takes no messages (refused_credentials): 1 wait")


def test_while_their_own_destination_is_down_engineers_hear_through_another() -> None:
    post = post_of(configuration(OPS), frozenset({"ops"}))
    assert post is not None
    assert (post.destination, post.channel, post.people) == ("room", False, ("eva",))


def test_a_count_that_grows_by_the_second_does_not_send_the_card_anew() -> None:
    file = configuration(OPS)
    post = post_of(file)

    def shown(count: int) -> object:
        found = [Found(Finding.inbox_overdue, count)]
        return audit(found, [], post, file, at(0))[0].content

    assert shown(120) == shown(199)
    assert shown(199) != shown(200)
