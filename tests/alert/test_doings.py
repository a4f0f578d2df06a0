"""Snooze, hand over, note, promise, answered in private, reopen: stories on a real PostgreSQL."""

from __future__ import annotations

import pytest

from services.alert.domain.card import CardAct, CardState, StatusKind
from services.alert.ports import Actor, ActResult, Purpose
from services.contracts.events import CloseReason, Label
from tests.alert.builders import PRESENCE, Action, at, configuration, iid, notified
from tests.alert.story import BEN, EVA, MIA, TOM, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


async def opened(told: Story) -> str:
    """Ana asks, Mia is paged."""
    await told.hear(notified("q", at(0)))
    assert await told.sweep() == ["mia"]
    return await told.only()


async def audited(told: Story) -> list[tuple[str, str]]:
    rows = await told.rows("select who, act from alert.audit order by id")
    return [(row[0], row[1]) for row in rows]


async def test_a_snooze_holds_the_pages_and_the_card_says_until_when(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        done = await told.doings.snooze(episode, MIA, at(14))
        assert done.result is ActResult.done
        assert (await told.doings.snooze(episode, MIA, at(14))).result is ActResult.already
        await told.at(12)
        assert await told.sweep() == []
        (status,) = told.card().status
        assert (status.kind, status.at, status.beyond_due) == (StatusKind.snoozed, at(14), False)
        await told.at(14)
        assert await told.sweep() == ["ben"]
        assert told.card().status == ()
        assert await audited(told) == [("mia", "snooze")]


async def test_a_snooze_past_the_due_time_is_only_taken_from_who_says_so(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        asked = await told.doings.snooze(episode, MIA, at(60))
        assert asked.result is ActResult.cautioned
        assert (
            await told.doings.snooze(episode, MIA, at(60), beyond=True)
        ).result is ActResult.done
        await told.at(59)
        assert await told.sweep() == []
        assert told.card().status[0].beyond_due
        await told.at(61)
        assert await told.sweep() == ["ben"]


async def test_what_is_claimed_and_snoozed_stays_claimed_until_then(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        await told.episodes.claim(episode, MIA)
        await told.doings.snooze(episode, MIA, at(60), beyond=True)
        await told.at(40)
        assert await told.sweep() == []
        assert await told.states() == ["claimed"]
        await told.at(60)
        assert await told.sweep() == ["ben"]


async def test_a_hand_over_pages_the_other_who_has_it_for_ten_minutes(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        await told.episodes.claim(episode, MIA)
        assert (await told.doings.hand_over(episode, MIA, "ben")).result is ActResult.done
        assert (await told.doings.hand_over(episode, MIA, "ben")).result is ActResult.already
        assert await told.sweep() == ["ben"]
        page = told.of(Purpose.page)[-1].card
        assert page is not None
        assert page.headline.startswith("Mia hands over · ")
        assert len(page.headline) <= 90
        assert told.card().claimed_by == "Ben"
        assert told.lines() == ["Mia handed over to Ben."]
        await told.at(9)
        assert await told.sweep() == []
        await told.at(10)
        assert await told.sweep() == ["ben"]  # he did not answer, and the next step is his
        await told.at(15)
        assert await told.sweep() == ["lea"]


async def test_without_a_name_it_goes_to_whoever_is_next_in_the_rota(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        assert (await told.doings.hand_over(episode, MIA, None)).result is ActResult.done
        assert await told.sweep() == ["ben"]
        refused = await told.doings.hand_over(episode, MIA, "eva")
        assert refused.result is ActResult.impossible


async def test_a_hand_over_that_was_answered_first_wakes_nobody(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        await told.doings.hand_over(episode, MIA, "ben")
        await told.hear(notified("a", at(0.1), outbound=True, to="ana", parent="q"))
        assert await told.sweep() == []


async def test_a_note_stands_in_the_thread_and_in_the_audit_record(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        for _ in range(2):
            await told.doings.note(episode, TOM, "Asked the gate", "f1")
        await told.sweep()
        assert told.lines() == ["Note by Tom: Asked the gate"]
        assert await audited(told) == [("tom", "note")]
        assert (await told.doings.note(episode, EVA, "x", "f2")).result is ActResult.refused


async def test_a_promise_pages_who_made_it_when_it_is_due_though_the_matter_has_ended(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        done = await told.doings.promise(episode, MIA, "Refund is out", at(120), "f1")
        assert done.result is ActResult.done
        again = await told.doings.promise(episode, MIA, "Refund is out", at(120), "f1")
        assert again.result is ActResult.already
        await told.hear(notified("a", at(1), outbound=True, to="ana", parent="q"))
        await told.sweep()
        assert [one.says for one in told.card().status] == ["Refund is out"]
        await told.at(119)
        assert await told.sweep() == []
        await told.at(120)
        before = told.value("presence_pages_total", destination="room")
        assert await told.sweep() == ["mia"]
        assert told.value("presence_pages_total", destination="room") == before + 1
        page = told.of(Purpose.page)[-1].card
        assert page is not None
        assert page.headline.startswith("Promise due: Refund is out · ")
        assert told.lines() == ["Mia's promise is due: Refund is out"]
        assert await told.sweep() == []
        promise = told.card().status[0].ref
        assert promise is not None
        assert (await told.doings.keep(promise, BEN)).result is ActResult.done
        assert (await told.doings.keep(promise, BEN)).result is ActResult.already
        await told.sweep()
        assert told.card().status == ()


async def test_a_promise_that_was_kept_pages_nobody(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        await told.doings.promise(episode, MIA, "Refund is out", at(5), "f1")
        (row,) = await told.rows("select id from alert.promises")
        await told.doings.keep(str(row[0]), MIA)
        await told.at(6)
        assert await told.sweep() == []


async def test_a_private_answer_to_a_public_question_counts_when_a_person_says_so(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        await told.at(5)
        await told.hear(
            notified("dm", at(4), outbound=True, to="ana", private=True, text="Here is your code")
        )
        assert await told.states() == ["open"]
        (found,) = await told.doings.private_answers(episode, BEN)
        assert (found.item_id, found.text) == (iid("dm"), "Here is your code")
        nothing = await told.doings.answered_in_private(episode, BEN, iid("q"))
        assert nothing.result is ActResult.impossible
        done = await told.doings.answered_in_private(episode, BEN, iid("dm"))
        assert done.result is ActResult.done
        assert (
            await told.doings.answered_in_private(episode, BEN, iid("dm"))
        ).result is ActResult.already
        await told.at(30)
        assert await told.sweep() == []
        assert told.card().ended == "answered by Ben after 4 min"
        assert await told.rows("select wall_seconds, ended_item from alert.episodes") == [
            (240.0, iid("dm"))
        ]


async def test_what_a_person_closed_can_be_reopened_and_pages_again(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        await told.episodes.close(episode, MIA, CloseReason.do_not_feed)
        await told.sweep()
        assert CardAct.reopen in told.card().acts
        await told.at(12)
        assert (await told.doings.reopen(episode, BEN)).result is ActResult.done
        assert (await told.doings.reopen(episode, BEN)).result is ActResult.already
        assert await told.sweep() == ["mia"]
        assert told.card().state is CardState.open
        assert told.card().due_at == at(15)
        await told.hear(notified("q9", at(13), "bob", root="q", parent="q"))
        assert await told.states() == ["open", "open"]  # its thread is not muted any more
        assert await audited(told) == [("mia", "close"), ("ben", "reopen")]


async def test_not_for_us_is_taken_back_as_a_relabel_of_its_own(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        await told.episodes.relabel(episode, MIA, Label.news)
        await told.at(1)
        assert (await told.doings.reopen(episode, BEN)).result is ActResult.done
        assert await told.states() == ["open"]


async def test_an_answer_on_the_platform_cannot_be_taken_back_here(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        await told.hear(notified("a", at(1), outbound=True, to="ana", parent="q"))
        assert (await told.doings.reopen(episode, BEN)).result is ActResult.impossible
        await told.sweep()
        assert CardAct.reopen not in told.card().acts


async def test_a_deleted_messages_line_beneath_the_card_loses_its_words(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await opened(told)
        await told.hear(notified("q2", at(1), root="q", parent="q", text="My number is 12"))
        await told.sweep()
        posted = told.of(Purpose.thread)[-1]
        assert posted.line is not None
        assert posted.line.words == "My number is 12"
        await told.hear(notified("q2", at(2), action=Action.deleted))
        await told.sweep()
        changed = told.of(Purpose.thread)[-1]
        assert changed.line_ref is not None
        assert changed.line is not None
        assert changed.line.words == "(deleted by its author)"
        assert len(told.of(Purpose.thread)) == 2


async def test_a_promise_whose_makers_shift_has_ended_pages_who_is_on_call(
    postgres: FreshDatabase,
) -> None:
    shift_end = 7 * 24 * 60 - 60
    async with story(postgres()) as told:
        await told.at(shift_end - 5)
        await told.hear(notified("q", at(shift_end - 5)))
        episode = await told.only()
        await told.doings.promise(episode, MIA, "Refund is out", at(shift_end + 30), "f1")
        await told.hear(notified("a", at(shift_end - 4), outbound=True, to="ana", parent="q"))
        await told.sweep()
        await told.at(shift_end)
        assert await told.sweep() == ["ben"], "the handoff's card"
        await told.at(shift_end + 30)
        assert await told.sweep() == ["ben"]
        page = told.of(Purpose.page)[-1].card
        assert page is not None
        assert page.headline.startswith("Mia's promise due: Refund is out · ")


async def test_a_promise_of_somebody_whom_no_chat_reaches_any_more_is_not_due_in_silence(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        episode = await opened(told)
        lea = Actor("lea", "slack")
        await told.doings.promise(episode, lea, "Refund is out", at(30), "f1")
        await told.hear(notified("a", at(1), outbound=True, to="ana", parent="q"))
        await told.sweep()
        told.file = configuration(PRESENCE.replace(", slack: U3", ""))
        await told.at(30)
        assert await told.sweep() == ["mia"]
