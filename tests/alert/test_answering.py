"""Answers that are written in Presence: stories on a real PostgreSQL, from the form to the outcome."""

from __future__ import annotations

import pytest

from services.alert.acting import AnswerForm, Done, Written
from services.alert.domain.answering import Caution
from services.alert.domain.card import CardState, LineAct, StatusKind
from services.alert.ports import Actor, ActResult, Purpose
from services.contracts.events import OutcomeState
from tests.alert.builders import at, iid, notified
from tests.alert.story import BEN, EVA, MIA, TOM, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


async def written(
    told: Story, by: Actor = MIA, text: str = "We are on it", **changes: object
) -> Written:
    """What somebody sends from the form that they open now."""
    private = changes.pop("private", None)
    form = await told.answers.form(await told.only(), by, private=private)  # type: ignore[arg-type]
    assert isinstance(form, AnswerForm)
    facts = {
        "request": f"form-{by.person_id}",
        "episode_id": form.card.episode_id,
        "text": text,
        "private": form.way.private,
        "seen": form.seen,
        "accepted": frozenset(one.key for one in form.warned),
    }
    return Written(**{**facts, **changes})  # type: ignore[arg-type]


async def sent(told: Story, by: Actor = MIA, **changes: object) -> Done:
    """Somebody writes and sends."""
    return await told.answers.send(await written(told, by, **changes), by)  # type: ignore[arg-type]


async def test_an_answer_goes_out_after_ten_seconds_and_its_outcome_stands_in_the_thread(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        await told.at(2)
        done = await sent(told)
        assert done.result is ActResult.done
        assert done.sending is not None
        assert await told.sweep() == []
        assert await told.replies() == []
        assert [one.kind for one in told.card().status] == [StatusKind.pending]
        assert told.card().claimed_by == "Mia"
        await told.at(2 + 10 / 60)
        await told.sweep()
        (reply,) = await told.replies()
        assert reply.reply_id == done.sending.answer_id
        assert (reply.item_id, reply.text, reply.private) == (iid("q"), "We are on it", False)
        assert (reply.author, reply.seen_until) == ("mia", iid("q"))
        assert (reply.expires_at - at(2 + 10 / 60)).total_seconds() == 600
        keys = await told.rows(
            "select key from alert.announcements where topic = 'presence.replies'"
        )
        assert keys == [("x:4001:ana",)]
        await told.at(3)
        assert await told.tell(
            reply,
            OutcomeState.posted,
            permalink="https://x.example/1",
            posted_item_id=iid("a"),
        )
        assert not await told.tell(reply, OutcomeState.posted, posted_item_id=iid("a"))
        await told.sweep()
        assert told.lines() == ["Mia answered in public: We are on it"]
        assert told.card().state is CardState.claimed
        await told.hear(notified("a", at(3), outbound=True, to="ana", parent="q"))
        await told.sweep()
        assert told.card().ended == "answered by Mia after 3 min"


@pytest.mark.parametrize("echo_first", [True, False])
async def test_the_credit_is_the_writers_whichever_comes_first_the_echo_or_the_outcome(
    postgres: FreshDatabase, echo_first: bool
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.episodes.claim(await told.only(), BEN)
        await sent(told)
        await told.at(1)
        await told.sweep()
        (reply,) = await told.replies()
        echo = notified("a", at(1), outbound=True, to="ana", parent="q")
        if echo_first:
            await told.hear(echo)
        await told.tell(reply, OutcomeState.posted, posted_item_id=iid("a"))
        if not echo_first:
            await told.hear(echo)
        await told.sweep()
        assert told.card().ended == "answered by Mia after 1 min"
        assert await told.rows("select reason, ended_by from alert.episodes") == [
            ("answered", "mia")
        ]


async def test_undone_within_its_time_nothing_goes_out_and_the_text_comes_back(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        done = await sent(told)
        assert done.sending is not None
        undone = await told.answers.undo(done.sending.answer_id, BEN)
        assert (undone.result, undone.sending and undone.sending.text) == (
            ActResult.done,
            "We are on it",
        )
        await told.at(5)
        await told.sweep()
        assert await told.replies() == []
        assert told.card().status == ()
        again = await told.answers.undo(done.sending.answer_id, MIA)
        assert again.result is ActResult.already


async def test_an_undo_that_comes_late_asks_ingest_to_take_it_back(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        done = await sent(told)
        await told.at(1)
        await told.sweep()
        late = await told.answers.undo(done.sending.answer_id, MIA)  # type: ignore[union-attr]
        assert late.result is ActResult.already
        assert [(one.reply_id, one.cancelled) for one in await told.replies()] == [
            (done.sending.answer_id, None),  # type: ignore[union-attr]
            (done.sending.answer_id, True),  # type: ignore[union-attr]
        ]


async def test_a_form_that_is_sent_twice_is_one_answer(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        once = await written(told)
        first = await told.answers.send(once, MIA)
        second = await told.answers.send(once, MIA)
        assert (first.result, second.result) == (ActResult.done, ActResult.already)
        assert first.sending == second.sending
        await told.at(1)
        await told.sweep()
        await told.sweep()
        assert len(await told.replies()) == 1


async def test_a_trainees_answer_waits_for_a_second_person_who_may_edit_it(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        done = await sent(told, TOM, text="We is on it")
        assert done.sending is not None
        answer = done.sending.answer_id
        assert done.sending.send_at is None
        await told.at(1)
        await told.sweep()
        asked = told.of(Purpose.thread)[-1].line
        assert asked is not None
        assert asked.asks == (LineAct.approve, LineAct.edit, LineAct.reject)
        assert (await told.answers.approve(answer, TOM)).result is ActResult.refused
        assert (await told.answers.approve(answer, EVA)).result is ActResult.refused
        form = await told.answers.review(answer, MIA)
        assert isinstance(form, AnswerForm)
        assert form.text == "We is on it"
        edited = Written("f2", form.card.episode_id, "We are on it", False, form.seen)
        assert (await told.answers.approve(answer, MIA, edited)).result is ActResult.done
        assert (await told.answers.approve(answer, BEN)).result is ActResult.already
        await told.at(2)
        await told.sweep()
        (reply,) = await told.replies()
        assert (reply.text, reply.author) == ("We are on it", "tom")
        last = told.of(Purpose.thread)[-1].line
        assert last is not None
        assert last.asks == ()
        acts = await told.rows("select who, act from alert.audit where act <> 'send' order by id")
        assert acts == [("tom", "answer"), ("mia", "approve")]


async def test_a_rejected_answer_is_told_to_its_writer(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        done = await sent(told, TOM, text="No.")
        await told.answers.reject(done.sending.answer_id, MIA, "Too curt")  # type: ignore[union-attr]
        await told.at(1)
        await told.sweep()
        assert await told.replies() == []
        assert told.lines()[-1] == "Mia did not send Tom's answer: Too curt"


async def test_who_may_not_answer_opens_no_form(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        form = await told.answers.form(await told.only(), EVA)
        assert isinstance(form, Done)
        assert form.result is ActResult.refused


async def test_the_form_says_who_else_is_writing_until_they_leave(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        episode = await told.only()
        await told.answers.form(episode, BEN)
        form = await told.answers.form(episode, MIA)
        assert isinstance(form, AnswerForm)
        assert [(one.caution, one.about) for one in form.warned] == [
            (Caution.someone_writing, "Ben")
        ]
        await told.answers.leave(episode, BEN)
        form = await told.answers.form(episode, MIA)
        assert isinstance(form, AnswerForm)
        assert form.warned == ()


async def test_cautions_are_asked_once_and_a_new_one_again(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"))
        first = await written(told, text="Call +49 30 1234567")
        asked = await told.answers.send(first, MIA)
        assert asked.result is ActResult.cautioned
        assert [one.caution for one in asked.warned] == [Caution.personal_data]
        await told.hear(notified("q2", at(0.5), root="q", text="Hello?"))
        seen = frozenset(one.key for one in asked.warned)
        again = Written(
            first.request, first.episode_id, first.text, False, first.seen, accepted=seen
        )
        more = await told.answers.send(again, MIA)
        assert [one.caution for one in more.warned] == [
            Caution.personal_data,
            Caution.newer_messages,
        ]
        both = frozenset(one.key for one in more.warned)
        last = Written(
            first.request, first.episode_id, first.text, False, first.seen, accepted=both
        )
        assert (await told.answers.send(last, MIA)).result is ActResult.done


async def test_the_same_text_over_and_over_draws_a_warning(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        for n in range(6):
            await told.hear(notified(f"q{n}", at(0), f"p{n}"))
            (row,) = await told.episodes.open()
            form = await told.answers.form(row.episode_id, MIA)
            assert isinstance(form, AnswerForm)
            done = await told.answers.send(
                Written(f"f{n}", row.episode_id, "Please wait.", False, form.seen), MIA
            )
            await told.hear(notified(f"a{n}", at(0), outbound=True, to=f"p{n}", parent=f"q{n}"))
        assert done.result is ActResult.cautioned
        assert [one.caution for one in done.warned] == [Caution.repeated]


async def test_a_text_that_the_platform_will_refuse_is_refused_at_once(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        done = await sent(told, text="x" * 281)
        assert (done.result, done.says) == (
            ActResult.impossible,
            "Too long: 281 of 280 characters.",
        )
        assert (await sent(told, text=" \x00 ")).says == "Write something first."


async def test_what_the_platform_refused_is_told_with_its_words_and_the_episode_stays_open(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        await sent(told)
        await told.at(1)
        await told.sweep()
        (reply,) = await told.replies()
        await told.tell(reply, OutcomeState.rate_limited, until=at(3))
        await told.sweep()
        assert [(one.kind, one.at) for one in told.card().status] == [(StatusKind.limited, at(3))]
        await told.tell(reply, OutcomeState.refused, says="Duplicate content")
        await told.tell(reply, OutcomeState.rate_limited, until=at(4))
        await told.sweep()
        assert told.lines() == ["Mia's answer was not posted: Duplicate content. We are on it"]
        line = told.of(Purpose.thread)[-1].line
        assert line is not None
        assert line.mention == "U1"
        assert [one.kind for one in told.card().status] == [StatusKind.refused]
        await told.at(30)
        assert await told.sweep() != []


async def test_an_unknown_outcome_asks_a_person_who_found_it_there(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        done = await sent(told)
        await told.at(1)
        await told.sweep()
        (reply,) = await told.replies()
        await told.tell(reply, OutcomeState.unknown, says="the confirmation was lost")
        await told.sweep()
        line = told.of(Purpose.thread)[-1].line
        assert line is not None
        assert line.asks == (LineAct.it_is_there, LineAct.send_again)
        await told.at(4)
        answer = done.sending.answer_id  # type: ignore[union-attr]
        assert (await told.answers.settle(answer, BEN, there=True)).result is ActResult.done
        assert (await told.answers.settle(answer, MIA, there=False)).result is ActResult.already
        await told.sweep()
        assert told.card().ended == "answered by Mia after 1 min"
        assert len(await told.replies()) == 1


async def test_an_unknown_answer_is_sent_again_with_an_id_of_its_own(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        done = await sent(told)
        await told.at(1)
        await told.sweep()
        (reply,) = await told.replies()
        await told.tell(reply, OutcomeState.unknown)
        answer = done.sending.answer_id  # type: ignore[union-attr]
        assert (await told.answers.settle(answer, BEN, there=False)).result is ActResult.done
        assert (await told.answers.settle(answer, BEN, there=False)).result is ActResult.already
        await told.at(2)
        await told.sweep()
        first, second = await told.replies()
        assert first.reply_id != second.reply_id
        assert first.text == second.text
        await told.tell(reply, OutcomeState.posted, posted_item_id=iid("a"))
        await told.sweep()
        assert "look whether the answer stands twice" in told.lines()[-1]


async def test_an_answer_of_which_nobody_tells_anything_is_for_a_person_to_look_after(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        await sent(told)
        await told.at(1)
        await told.sweep()
        await told.at(22)
        await told.sweep()
        assert "Nobody can tell whether Mia's answer arrived" in told.lines()[-1]


async def test_who_answers_over_there_meanwhile_stops_the_one_that_waits(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        await sent(told)
        await told.hear(notified("a", at(0.1), outbound=True, to="ana", parent="q"))
        await told.at(1)
        await told.sweep()
        assert await told.replies() == []
        assert "Mia's answer was not sent" in told.lines()[-1]


async def test_a_private_answer_from_the_card_ends_the_public_question(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        done = await sent(told, private=True, text="Your code is 4711")
        assert done.result is ActResult.done
        await told.at(1)
        await told.sweep()
        (reply,) = await told.replies()
        assert reply.private
        await told.tell(reply, OutcomeState.posted, posted_item_id=iid("dm"))
        await told.sweep()
        assert told.card().ended == "answered by Mia after 1 min"
        # The room is shared: what was said in private is not shown there.
        assert told.lines() == ["Mia answered in private:"]


async def test_no_reply_is_sent_after_a_crash_between_its_row_and_kafka_but_the_one(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await sent(told)
        await told.at(1)
        for _ in range(3):
            await told.outgoing.round()
        assert len(await told.replies()) == 1
