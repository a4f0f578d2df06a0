"""Fast-forward stories on a real PostgreSQL: what a team would see, minute by minute."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from services.alert.chat.slack_home import home_of
from services.alert.console.rows import open_episodes
from services.alert.domain.boards.board import BoardKind
from services.alert.domain.card import CardState
from services.alert.ports import ActResult, DeliveryReason, MessageRef, Purpose
from services.contracts.events import ClassifiedNotification, CloseReason, Correction, Kind, Reason
from tests.alert.builders import (
    ACCOUNT,
    PRESENCE,
    Action,
    Label,
    Origin,
    Sensitive,
    Urgency,
    at,
    configuration,
    iid,
    notified,
    verdict,
)
from tests.alert.story import BEN, EVA, MIA, TOM, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


def reply(
    native: str, minutes: float, to: str = "ana", **changes: object
) -> ClassifiedNotification:
    return notified(native, at(minutes), outbound=True, to=to, text="We are on it", **changes)  # type: ignore[arg-type]


async def test_a_question_posts_a_card_and_pages_who_is_on_call(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        assert await told.sweep() == ["mia"]
        (card,) = [delivery.card for delivery in told.posted()]
        assert card is not None
        assert card.headline == "15 min left · X · Ana @ana · My flight was cancelled, what now?"
        assert await told.sweep() == []


async def test_steps_follow_each_other_until_the_fallback_and_never_end(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        paged = {}
        for minute in (0, 5, 11.25, 15, 30, 60, 120):
            await told.at(minute)
            paged[minute] = await told.sweep()
        assert paged == {
            0: ["mia"],
            5: [],
            11.25: ["ben"],
            15: ["lea"],
            30: ["lea"],
            60: ["lea"],
            120: ["lea"],
        }
        assert told.of(Purpose.told)[0].text is not None
        assert len(await told.rows("select * from alert.timers")) == 1


async def test_the_brands_own_reply_stops_the_clock_and_updates_that_card(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        await told.at(5)
        await told.hear(reply("a", 4, parent="q"))
        assert await told.sweep() == []
        last = told.of(Purpose.card)[-1]
        assert last.card is not None
        assert last.card_ref is not None
        assert (last.card.state, last.card.ended) == (
            CardState.answered,
            "answered after 4 min",
        )
        await told.at(120)
        assert await told.sweep() == []
        assert await told.rows("select wall_seconds from alert.episodes") == [(240.0,)]


async def test_a_claim_is_a_lease_that_stops_pages_until_it_runs_out(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        await told.at(2)
        episode = await told.only()
        assert await told.episodes.claim(episode, MIA) is ActResult.done
        assert await told.episodes.claim(episode, MIA) is ActResult.already
        assert await told.episodes.claim(episode, BEN) is ActResult.taken
        await told.at(15)
        assert await told.sweep() == []
        assert told.of(Purpose.card)[-1].card.claimed_by == "Mia"  # type: ignore[union-attr]
        await told.at(22)
        assert await told.sweep() == ["ben"]
        assert await told.states() == ["open"]
        acts = await told.rows(
            "select who, act from alert.audit where episode is not null order by id"
        )
        assert acts == [("mia", "claim"), ("system", "released")]


async def test_an_answer_after_a_claim_is_credited_to_who_had_claimed_it(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        await told.at(2)
        await told.episodes.claim(await told.only(), MIA)
        await told.at(5)
        await told.hear(reply("a", 4, parent="q"))
        await told.deliver()
        assert told.of(Purpose.card)[-1].card.ended == "answered by Mia after 4 min"  # type: ignore[union-attr]


async def test_a_page_that_waits_is_not_sent_once_the_answer_is_stored(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.escalating.fire_due()
        taken = await told.outbox.take(10)
        (page,) = [delivery for delivery in taken if delivery.purpose is Purpose.page]
        assert await told.outbox.still_due(page)
        await told.hear(reply("a", 1, parent="q"))
        assert not await told.outbox.still_due(page)


async def test_a_question_and_its_answer_in_one_batch_page_nobody_and_leave_one_card(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.at(3)
        await told.hear(reply("a", 2, parent="q"), notified("q", at(0)))
        assert await told.sweep() == []
        assert [one.card and one.card.state for one in told.posted()] == [CardState.answered]


async def test_history_is_listed_and_neither_carded_nor_paged(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.at(60)
        await told.hear(notified("q", at(0)))
        assert await told.sweep() == []
        assert told.posted() == []
        assert [row.state for row in await told.episodes.open()] == ["digest"]
        assert len(told.of(Purpose.told)) == 1
        await told.hear(notified("q2", at(59), root="q"), notified("q3", at(59.5), root="q"))
        assert await told.sweep() == ["mia"]
        assert len(told.posted()) == 1


async def test_the_silent_seeding_of_a_source_shows_nothing(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), origin=Origin.backfill, may_page=False))
        assert await told.sweep() == []
        assert told.seen == []


async def test_a_replay_that_may_not_page_posts_its_card(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), origin=Origin.replay, may_page=False))
        assert await told.sweep() == []
        assert len(told.posted()) == 1


async def test_backfilled_questions_wait_for_the_brands_backfilled_answers(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), origin=Origin.backfill))
        assert await told.sweep() == []
        await told.at(2.1)
        assert await told.sweep() == ["mia"]


async def test_nobody_on_call_is_told_and_the_next_step_comes_at_once(
    postgres: FreshDatabase,
) -> None:
    later = configuration(PRESENCE.replace("2026-02-16", "2027-02-16"))
    async with story(postgres(), later) as told:
        await told.hear(notified("q", at(0)))
        assert await told.sweep() == ["lea"]
        assert "Nobody could be reached" in (told.of(Purpose.told)[0].text or "")
        assert told.value("presence_escalations_total", step="0", reason="nobody") == 1


async def test_quiet_start_posts_cards_and_pages_only_what_is_sensitive(
    postgres: FreshDatabase,
) -> None:
    quiet = configuration(PRESENCE.replace("quiet_start: 0s", "quiet_start: 7d"))
    async with story(postgres(), quiet) as told:
        await told.hear(notified("q", at(0)))
        assert await told.sweep() == []
        assert len(told.posted()) == 1
        hurt = verdict(sensitive=frozenset({Sensitive.self_harm}))
        await told.hear(notified("s", at(0), "sam", judged=hurt))
        assert await told.sweep() == ["lea"]


async def test_sensitive_items_take_their_own_route_and_their_words_stay_private(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        hurt = verdict(0.1, label=Label.spam, sensitive=frozenset({Sensitive.self_harm}))
        await told.hear(notified("s", at(0), judged=hurt, text="SECRET"))
        assert await told.sweep() == ["lea"]
        (posted,) = told.posted()
        assert posted.destination == "safe"
        assert posted.card is not None
        assert posted.card.checklist == ("Call the crisis line",)
        assert "SECRET" not in posted.card.headline


async def test_an_episode_that_turns_sensitive_is_masked_where_it_stands_and_moves(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q", text="WORDS"))
        await told.sweep()
        await told.at(3)
        threat = verdict(sensitive=frozenset({Sensitive.threat}))
        await told.hear(notified("q2", at(3), root="q", judged=threat, text="WORDS"))
        assert await told.sweep() == ["lea"]
        assert [one.destination for one in told.posted()] == ["room", "safe"]
        shared = [one.card for one in told.of(Purpose.card) if one.destination == "room"][-1]
        assert shared is not None
        assert "WORDS" not in repr(shared)


async def test_a_rise_in_urgency_pings_anew_and_a_further_message_only_threads(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"))
        await told.sweep()
        await told.at(3)
        await told.hear(notified("q2", at(3), root="q", text="Hello?"))
        assert await told.sweep() == []
        assert [one.line and one.line.words for one in told.of(Purpose.thread)] == ["Hello?"]
        await told.at(10.5)
        urgent = verdict(urgency=Urgency.high)
        await told.hear(notified("q3", at(10.5), root="q", judged=urgent))
        assert await told.sweep() == ["mia"]


async def test_forty_people_under_one_post_are_forty_episodes_and_one_answer_leaves_39(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(
            notified("post", at(0), outbound=True, root="post"),
            *(notified(f"q{n}", at(1), f"p{n}", root="post", parent="post") for n in range(40)),
        )
        assert (await told.states()).count("open") == 40
        await told.hear(reply("a", 2, "p7", parent="q7", root="post"))
        assert (await told.states()).count("open") == 39
        await told.hear(notified("b", at(3), outbound=True, parent="q8", root="post", platform="x"))
        assert (await told.states()).count("open") == 38
        threads = await told.rows("select count(distinct thread) from alert.items")
        assert threads == [(1,)]


async def test_a_person_gets_at_most_five_pings_in_ten_minutes(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(12)))
        assert await told.sweep() == ["mia"] * 5
        assert len([one for one in told.posted() if one.card]) == 12
        (queue,) = told.shown(BoardKind.queue)
        assert queue.content.headline == "7 waiting, oldest 0 min: take next · Mia"


async def test_sensitive_pings_neither_stop_at_five_nor_use_the_allowance_up(
    postgres: FreshDatabase,
) -> None:
    one_person = configuration(
        PRESENCE.replace(
            '{at: "0%", targets: [{person: lea}]}', '{at: "0%", targets: [{person: mia}]}'
        )
    )
    async with story(postgres(), one_person) as told:
        hurt = verdict(sensitive=frozenset({Sensitive.self_harm}))
        await told.hear(*(notified(f"s{n}", at(0), f"s{n}", judged=hurt) for n in range(7)))
        assert await told.sweep() == ["mia"] * 7
        await told.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(6)))
        assert await told.sweep() == ["mia"] * 5


async def test_relabelled_as_a_conversation_it_pages_at_once_from_its_source_time(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        spam = verdict(0.9, label=Label.spam, held=True)
        await told.hear(notified("q", at(0), judged=spam, addressed=True))
        assert await told.sweep() == []
        await told.at(40)
        done = await told.episodes.relabel_item(iid("q"), MIA, Label.conversation)
        assert done is ActResult.done
        assert await told.sweep() == ["mia"]
        assert await told.rows("select opened_at from alert.episodes") == [(at(0),)]
        sent = await told.rows("select topic, key from alert.announcements order by id")
        assert ("presence.corrections", iid("q")) in sent


async def test_not_for_us_ends_the_episode_and_asks_a_reason_where_they_wrote_to_us(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), addressed=True))
        episode = await told.only()
        assert await told.episodes.relabel(episode, MIA, Label.spam) is ActResult.reason_needed
        assert await told.states() == ["open"]
        done = await told.episodes.relabel(episode, MIA, Label.spam, "a known bot")
        assert done is ActResult.done
        assert await told.states() == ["relabelled"]
        assert (
            told.value("presence_corrections_total", **{"from": "conversation", "to": "spam"}) == 1
        )
        assert told.value("presence_episodes_closed_total", reason="relabelled") == 1


async def test_a_correction_carries_what_may_be_learned_and_no_word_that_must_stay(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        signed = verdict(similarity="a3f09b77c1d2e4015be07c44f1a9d302", language="en")
        hurt = verdict(sensitive=frozenset({Sensitive.medical}))
        await told.hear(
            notified("public", at(0), "ana", judged=signed, text="Follow me for crypto"),
            notified("direct", at(0), "ben", judged=signed, private=True),
            notified("hurt", at(0), "cem", judged=hurt),
        )
        for native in ("public", "direct", "hurt"):
            await told.episodes.relabel_item(iid(native), MIA, Label.spam, "a known bot")
        sent = {
            correction.item_id: correction.about
            for (payload,) in await told.rows(
                "select payload from alert.announcements where topic = 'presence.corrections'"
            )
            for correction in [Correction.model_validate_json(bytes(payload))]
        }
        public = sent[iid("public")]
        assert public is not None
        assert public.similarity == "a3f09b77c1d2e4015be07c44f1a9d302"
        assert (public.author, public.language) == ("ana", "en")
        assert public.text == "Follow me for crypto"
        for native in ("direct", "hurt"):
            about = sent[iid(native)]
            assert about is not None
            assert about.text is None
            assert (about.private, about.sensitive) == (native == "direct", native == "hurt")
        await told.hear(notified("public", at(5), "ana", action=Action.deleted))
        last = await told.rows("select key, payload from alert.announcements order by id desc")
        assert last[0][0] == iid("public")
        assert b"crypto" not in bytes(last[0][1])


async def test_closing_asks_for_no_correction_and_a_new_question_opens_the_next_episode(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"))
        await told.sweep()
        closed = await told.episodes.close(await told.only(), MIA, CloseReason.no_reply_needed)
        assert closed is ActResult.done
        topics = await told.rows("select distinct topic from alert.announcements")
        assert topics == [("presence.episodes",)]
        await told.at(20)
        await told.hear(notified("q2", at(20), root="q"))
        assert await told.states() == ["closed", "open"]
        assert await told.sweep() == ["mia"]


async def test_do_not_feed_mutes_the_thread_for_seven_days(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"))
        await told.episodes.close(await told.only(), MIA, CloseReason.do_not_feed)
        await told.at(20)
        await told.hear(notified("q2", at(20), "bob", root="q"))
        assert await told.states() == ["closed"]
        week = 7 * 24 * 60 + 1
        await told.at(week)
        await told.hear(notified("q3", at(week), "bob", root="q"))
        assert await told.states() == ["closed", "open"]


async def test_do_not_feed_on_a_direct_message_mutes_that_person_and_nobody_else(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), "troll", private=True))
        await told.episodes.close(await told.only(), MIA, CloseReason.do_not_feed)
        await told.at(60)
        await told.hear(notified("q2", at(60), "troll", private=True))
        assert await told.states() == ["closed"]
        await told.hear(notified("q3", at(60), "ana", private=True))
        assert await told.states() == ["closed", "open"]


async def test_taking_do_not_feed_back_opens_what_others_asked_in_the_thread_meanwhile(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), "troll", root="r"))
        episode = await told.only()
        await told.episodes.close(episode, MIA, CloseReason.do_not_feed)
        await told.at(5)
        await told.hear(notified("q2", at(5), "ana", root="r"))
        assert await told.states() == ["closed"]
        await told.at(6)
        await told.doings.reopen(episode, MIA)
        assert await told.states() == ["open", "open"]
        assert await told.sweep() == ["mia", "mia"]


async def test_only_listed_responders_may_act_and_a_trainee_may_claim(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        episode = await told.only()
        assert await told.episodes.claim(episode, EVA) is ActResult.refused
        closing = told.episodes.close(episode, TOM, CloseReason.no_reply_needed)
        assert await closing is ActResult.refused
        assert await told.episodes.claim(episode, TOM) is ActResult.done
        unknown = "00000000-0000-0000-0000-000000000000"
        assert await told.episodes.claim(unknown, MIA) is ActResult.unknown
        assert await told.episodes.claim("'; drop table", MIA) is ActResult.unknown


async def test_a_deletion_withdraws_and_takes_the_words_from_card_and_store(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), text="SECRET"))
        await told.sweep()
        await told.hear(notified("q", at(1), action=Action.deleted))
        await told.deliver()
        assert await told.states() == ["withdrawn"]
        assert "SECRET" not in repr(told.of(Purpose.card)[-1].card)
        kept = await told.rows("select text from alert.items")
        kept += await told.rows("select payload from alert.inbox")
        assert "SECRET" not in repr(kept)


async def test_a_deletion_before_its_creation_leaves_no_words_and_no_open_episode(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(1), action=Action.deleted))
        await told.hear(notified("q", at(0), text="SECRET"))
        assert await told.states() == ["withdrawn"]
        assert "SECRET" not in repr(await told.rows("select text from alert.items"))


async def test_a_deleted_sole_answer_reopens_and_pages(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)), reply("a", 4, parent="q"))
        await told.at(5)
        await told.hear(
            notified("a", at(5), outbound=True, to="ana", action=Action.deleted, parent="q")
        )
        assert await told.sweep() == ["mia"]
        assert await told.states() == ["answered", "open"]
        assert "deleted" in (told.posted()[-1].card.why)  # type: ignore[union-attr]


async def test_an_edit_changes_the_card_and_reopens_nothing(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        await told.hear(notified("q", at(1), action=Action.edited, text="Solved, sorry"))
        assert await told.sweep() == []
        assert told.of(Purpose.card)[-1].card.words == "Solved, sorry"  # type: ignore[union-attr]
        await told.hear(reply("a", 2, parent="q"))
        await told.hear(notified("q", at(3), action=Action.edited, version="3", text="But now?"))
        assert await told.states() == ["answered"]


async def test_a_poison_event_is_put_aside_and_its_neighbours_are_folded(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        bad = notified("bad", at(0), "z\x00")  # PostgreSQL keeps no NUL in an id
        events = [notified(f"q{n}", at(0), f"p{n}") for n in range(9)]
        await told.hear(*events[:4], bad, *events[4:])
        assert len(await told.states()) == 9
        (poison,) = await told.inbox.poison()
        assert poison.event.event_id == bad.notification.event_id
        await told.inbox.dead_lettered([poison.id])
        assert await told.inbox.poison() == []


async def test_an_effect_that_its_destination_refuses_goes_to_another_one(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        (card,) = await told.outbox.take(1)
        await told.outbox.failed(card, DeliveryReason.not_found, retry_at=None, ambiguous=False)
        await told.deliver()
        assert told.posted()[0].destination == "safe"
        assert any("takes no messages" in (one.text or "") for one in told.of(Purpose.told))


async def test_a_lease_that_ran_out_is_taken_again_as_ambiguous(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        (card,) = await told.outbox.take(10)
        assert not card.ambiguous
        assert await told.outbox.take(10) == []
        await told.at(2)
        (again,) = await told.outbox.take(10)
        assert (again.id, again.attempt, again.ambiguous) == (card.id, 2, True)


async def test_a_card_that_changed_while_it_was_sent_is_sent_again(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        (card,) = await told.outbox.take(10)
        await told.episodes.claim(await told.only(), MIA)
        assert await told.outbox.take(10) == []
        await told.outbox.sent(card, MessageRef("C1", "ts"))
        (update,) = await told.outbox.take(10)
        assert update.card_ref == MessageRef("C1", "ts")
        assert update.card is not None
        assert update.card.state is CardState.claimed


async def test_the_segments_of_a_response_add_up(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        asked = notified("q", at(0), received_at=at(0.5))
        await told.at(1)
        await told.hear(asked)
        await told.sweep()
        await told.at(3)
        await told.episodes.claim(await told.only(), MIA)
        await told.at(7)
        await told.receive([reply("a", 6, parent="q")])
        done = await told.folding.round()
        for record in done.ended:
            told.metrics.ended(record)
        parts = [
            told.value("presence_response_segment_seconds_sum", segment=segment)
            for segment in ("detect", "classify", "page", "claim", "reply")
        ]
        assert parts == pytest.approx([30, 0.1, 29.9, 120, 180])
        assert told.value("presence_sla_total", platform="x", result="met") == 1
        labels = {"platform": "x", "priority": "normal", "hours": "wall"}
        assert told.value("presence_first_response_seconds_sum", **labels) == 360


async def test_the_audit_record_is_appended_to_and_never_changed(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.episodes.claim(await told.only(), MIA)
        with pytest.raises(Exception, match="never changed"):
            await told.rows("delete from alert.audit returning 1")


def tangle() -> list[ClassifiedNotification]:
    """Guessed roots, replies to many, deletions, edits, direct messages, skewed clocks."""
    return [
        notified("post", at(0), outbound=True, root="post"),
        notified("q1", at(1), "ana", root="post", parent="post"),
        notified("q2", at(2), "bob", root="q1", parent="q1"),
        notified("a1", at(3), outbound=True, root="q2", parent="q2", mentions=("ana", ACCOUNT)),
        notified("thx", at(4), "bob", root="a1", parent="a1", judged=verdict(0.1)),
        notified("q3", at(5), "ana", root="post", parent="a1"),
        notified("a2", at(4.5), outbound=True, to="ana", root="post", parent="q3"),
        notified("a2", at(8), outbound=True, to="ana", root="post", action=Action.deleted),
        notified("a3", at(9), outbound=True, root="a2", parent="a2"),
        notified("q4", at(10), "cleo", root="q4"),
        notified("q4", at(11), "cleo", root="q4", action=Action.edited, text="Please!"),
        notified("q5", at(12), "cleo", root="q4", parent="q4"),
        notified("q4", at(13), "cleo", root="q4", action=Action.deleted),
        notified("dm1", at(2), "dan", private=True, platform="facebook"),
        notified("dm2", at(6), outbound=True, to="dan", private=True, platform="facebook"),
        notified("dm3", at(9), "dan", private=True, platform="facebook"),
        notified(
            "bot",
            at(10),
            outbound=True,
            to="dan",
            private=True,
            platform="facebook",
            automated=True,
        ),
    ]


async def told_in(told: Story, events: list[ClassifiedNotification], rng: random.Random) -> None:
    await told.at(14)
    left = list(events)
    while left:
        size = rng.randint(1, 6)
        batch, left = left[:size], left[size:]
        await told.hear(*batch)
        if rng.random() < 0.5:
            await told.sweep()
    await told.sweep()


async def test_random_orders_of_the_same_events_thrice_end_in_the_same_episodes(
    postgres: FreshDatabase,
) -> None:
    events = tangle()
    async with story(postgres()) as told:
        await told_in(told, events, random.Random(0))
        once = await told.ended()
        assert len(once) == 7
        tables = "inbox threads nodes items traces relabels members conversations episodes timers"
        tables += " paged outbox cards announcements"
        clear = "truncate " + ", ".join(f"alert.{one}" for one in tables.split()) + " cascade"
        for seed in random.sample(range(1_000_000), 15):  # others in each run
            async with told.pool.connection() as connection:
                await connection.execute(clear)
            told.seen.clear()
            rng = random.Random(seed)
            shuffled = events * 3
            rng.shuffle(shuffled)
            await told_in(told, shuffled, rng)
            assert await told.ended() == once, f"seed {seed}"
            living = await told.rows(
                "select count(*) from alert.cards c join alert.episodes e on e.id = c.episode"
                " where e.state <> 'merged'"
            )
            assert living == [(len(once),)], f"seed {seed}"
            posted = [delivery.episode_id for delivery in told.posted()]
            assert len(posted) == len(set(posted)), f"seed {seed}"


WORDS = "My flight was cancelled"


async def _kept(told: Story) -> str:
    """Everything that the database holds, but the inbox of what is not folded yet."""
    tables = await told.rows(
        "select table_name from information_schema.tables"
        " where table_schema = 'alert' and table_type = 'BASE TABLE'"
    )
    found = [await told.rows(f"select t::text from alert.{name} t") for (name,) in tables]
    kept = repr(found)
    # Bytes are shown in hex.
    return kept + bytes.fromhex("".join(re.findall(r"\\\\x((?:[0-9a-f]{2})+)", kept))).decode(
        errors="replace"
    )


@pytest.mark.parametrize("deleted_first", [False, True])
async def test_a_deleted_question_pages_nobody_and_leaves_no_words(
    postgres: FreshDatabase, deleted_first: bool
) -> None:
    question = notified("q", at(0))
    deletion = notified("q", at(1), action=Action.deleted, text="")
    async with story(postgres()) as told:
        await told.hear(*((deletion, question) if deleted_first else (question, deletion)))
        assert await told.sweep() == []
        await told.at(200)
        assert await told.sweep() == []
        assert "withdrawn" in repr(await told.ended()) or deleted_first
        assert WORDS not in await _kept(told)


async def test_a_deletion_takes_the_words_off_the_card_and_out_of_edits_and_stops_paging(
    postgres: FreshDatabase,
) -> None:
    judged = verdict(reasons=(Reason(layer="text", name="question", says=f"asks: {WORDS}?"),))
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), judged=judged))
        assert WORDS in await _kept(told), "else nothing here proves anything"
        assert await told.sweep() == ["mia"]
        await told.at(2)
        edit = notified("q", at(2), action=Action.edited, text=f"{WORDS} AGAIN")
        await told.hear(edit)
        await told.sweep()
        await told.at(3)
        await told.hear(notified("q", at(3), action=Action.deleted, text=""))
        await told.at(200)
        assert await told.sweep() == []
        card = told.of(Purpose.card)[-1].card
        assert card is not None
        assert card.words == "(deleted by its author)"
        assert WORDS not in repr(card)
        assert WORDS not in await _kept(told)


async def test_of_two_questions_one_deleted_the_other_is_still_paged(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(
            notified("q1", at(0), root="r"), notified("q2", at(1), root="r", text="And?")
        )
        await told.hear(notified("q1", at(2), root="r", action=Action.deleted, text=""))
        assert await told.sweep() == ["mia"]
        card = told.of(Purpose.card)[-1].card
        assert card is not None
        assert card.words == "And?"
        assert [line.words for line in card.thread] == ["(deleted by its author)"]


async def test_a_rise_pings_though_the_same_person_was_paged_minutes_ago(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"))
        assert await told.sweep() == ["mia"]
        await told.at(3)
        urgent = verdict(urgency=Urgency.high)
        await told.hear(notified("q2", at(3), root="q", judged=urgent))
        assert await told.sweep() == ["mia"]
        assert await told.sweep() == []


async def test_what_turns_sensitive_while_somebody_has_it_wakes_its_own_route_and_who_has_it(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"))
        await told.sweep()
        await told.episodes.claim(await told.only(), MIA)
        await told.at(3)
        threat = verdict(sensitive=frozenset({Sensitive.threat}))
        await told.hear(notified("q2", at(3), root="q", judged=threat))
        assert sorted(await told.sweep()) == ["lea", "mia"]
        assert await told.states() == ["claimed"]
        page = told.of(Purpose.page)[-1].card
        assert page is not None
        assert page.headline.startswith("Now sensitive · ")
        await told.at(19)
        assert await told.sweep() == []
        await told.at(21)
        await told.sweep()
        assert await told.states() == ["open"]


async def test_a_claim_just_after_a_rise_does_not_take_its_ping_away(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"))
        await told.sweep()
        await told.at(3)
        threat = verdict(sensitive=frozenset({Sensitive.threat}))
        await told.hear(notified("q2", at(3), root="q", judged=threat))
        await told.episodes.claim(await told.only(), BEN)
        assert sorted(await told.sweep()) == ["ben", "lea"]


@pytest.mark.parametrize("changes", [{"origin": Origin.replay, "may_page": False}, {}])
async def test_a_claim_that_runs_out_wakes_nobody_for_history_or_a_replay(
    postgres: FreshDatabase, changes: dict[str, object]
) -> None:
    async with story(postgres()) as told:
        await told.at(300)
        moment = at(300) if changes else at(0)
        await told.hear(notified("q", moment, **changes))  # type: ignore[arg-type]
        await told.sweep()
        await told.episodes.claim(await told.only(), MIA)
        assert await told.states() == ["claimed"]
        await told.at(321)
        assert await told.sweep() == []
        assert await told.states() == ["open"]
        assert await told.rows("select * from alert.timers") == []


async def test_an_older_first_message_that_comes_late_brings_the_next_step_forward(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.at(8)
        await told.hear(notified("q2", at(8), root="r"))
        assert await told.sweep() == ["mia"]
        await told.at(10)
        late = notified("q1", at(0), root="r", received_at=at(10))
        await told.hear(late)
        await told.at(12)
        assert await told.sweep() == ["ben"]


async def test_a_claim_on_the_newer_of_two_cards_holds_when_they_turn_out_to_be_one(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q1", at(0), root="r1"))
        await told.hear(notified("q2", at(0), root="r2"))
        await told.sweep()
        (newer,) = await told.rows(
            "select id::text from alert.episodes order by number desc limit 1"
        )
        await told.episodes.claim(newer[0], BEN)
        await told.hear(notified("link", at(1), root="r1", parent="r2", judged=verdict(0.1)))
        assert await told.states() == ["claimed", "merged"]
        rows = await told.rows("select claimed_by from alert.episodes order by number limit 1")
        assert rows == [("ben",)]
        await told.at(12)
        assert await told.sweep() == []


async def test_private_words_are_for_who_answers_for_the_brand_and_for_nobody_without_a_name(
    postgres: FreshDatabase,
) -> None:
    text = PRESENCE.replace(
        "  - {id: air, name: Air,", "  - {id: sea, name: Sea}\n  - {id: air, name: Air,"
    )
    text = text.replace("name: Ben, roles", "name: Ben, brands: [sea], roles")
    async with story(postgres(), configuration(text)) as told:
        await told.hear(notified("q", at(0), private=True, text="SECRET"))
        episode = await told.only()
        for reader in (None, "eva", "ben", "gone"):
            card = await told.episodes.card(episode, reader)
            assert card is not None
            assert "SECRET" not in repr(card), reader
        for reader in ("mia", "tom"):
            card = await told.episodes.card(episode, reader)
            assert card is not None
            assert card.words == "SECRET"


async def test_a_list_for_a_persons_brands_knows_them_by_their_ids(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        found = await told.episodes.open()
        mia = told.file.person("mia")
        assert mia is not None
        for brands, many in ((("air",), 1), (("sea",), 0), ((), 1)):
            theirs = mia.model_copy(update={"brands": brands})
            assert len(open_episodes(found, theirs, at(0)).episodes) == many
            assert len(home_of(theirs, (), (), found).waiting) == many


async def test_the_pipelines_figure_leaves_out_what_waited_for_a_person_and_what_is_not_live(
    postgres: FreshDatabase,
) -> None:
    def carded(told: Story) -> float:
        return told.value("presence_pipeline_seconds_count", platform="x")

    async with story(postgres()) as told:
        held = verdict(label=Label.spam, held=True)
        await told.hear(notified("spam", at(0), "bob", judged=held))
        await told.at(14)
        await told.episodes.relabel_item(iid("spam"), MIA, Label.conversation)
        await told.hear(notified("old", at(13), "cat", origin=Origin.backfill))
        await told.sweep()
        assert len(told.posted()) == 2
        assert carded(told) == 0
        await told.hear(notified("q", at(14)))
        await told.sweep()
        assert carded(told) == 1


async def test_what_a_new_source_brought_silently_is_in_no_figure(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        seeding: dict[str, Any] = {"origin": Origin.backfill, "may_page": False}
        await told.at(600)
        await told.hear(notified("q", at(0), **seeding))
        await told.hear(reply("a", 300, parent="q", **seeding))
        assert await told.states() == ["answered"]
        name = "presence_first_response_seconds_count"
        assert told.value(name, platform="x", priority="normal", hours="wall") == 0
        assert told.value("presence_episodes_closed_total", reason="answered") == 0


@pytest.mark.parametrize("kind", [Kind.reaction, Kind.repost, Kind.follow])
async def test_a_like_or_a_repost_of_ours_answers_nobody(
    postgres: FreshDatabase, kind: Kind
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        liked = reply("like", 2, parent="q")
        gesture = liked.notification.model_copy(update={"kinds": frozenset({kind}), "text": ""})
        await told.hear(liked.model_copy(update={"notification": gesture}))
        assert await told.states() == ["open"]
        await told.hear(reply("a", 4, parent="q"))
        assert await told.states() == ["answered"]
        assert [row[-2] for row in await told.ended()] == [240.0]


async def test_a_like_of_theirs_is_no_message_beneath_the_card(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"))
        await told.sweep()
        liked = notified("like", at(1), root="q", parent="q", text="")
        gesture = liked.notification.model_copy(update={"kinds": frozenset({Kind.reaction})})
        await told.hear(liked.model_copy(update={"notification": gesture, "verdict": None}))
        await told.sweep()
        assert told.of(Purpose.thread) == []


async def test_who_waits_is_listed_before_what_a_new_source_brought(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.at(600)
        seeding: dict[str, Any] = {"origin": Origin.backfill, "may_page": False}
        await told.hear(*[notified(f"old{n}", at(n), f"p{n}", **seeding) for n in range(5)])
        await told.hear(notified("late", at(0), "cat"))
        await told.hear(notified("q", at(600), "ana"))
        assert [row.state for row in await told.episodes.open(3)] == ["open", "digest", "silent"]
        mia = told.file.person("mia")
        assert mia is not None
        waiting = home_of(mia, (), (), await told.episodes.open()).waiting
        assert [row.who for row in waiting] == ["Ana @ana", "Cat @cat"]


async def test_a_card_that_says_its_state_may_be_stale_says_so_until_it_is_read_again(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0), root="q"))
        await told.escalating.fire_due(stale=True)
        assert await told.deliver() == ["mia"]
        assert told.card().stale
        await told.at(1)
        await told.hear(notified("q2", at(1), root="q"))
        await told.deliver()
        assert not told.card().stale


async def test_a_second_round_tells_its_channels_again(postgres: FreshDatabase) -> None:
    text = PRESENCE.replace(
        '      - {at: "75%", targets: [{rota: social, who: next}]}\n',
        '      - {at: "75%", targets: [{channel: room}]}\n',
    )
    async with story(postgres(), configuration(text)) as told:
        await told.hear(notified("q", at(0)))
        episode = await told.only()
        await told.at(11.25)
        await told.sweep()
        await told.sweep()
        await told.at(13.5)
        await told.sweep()
        first = len(told.of(Purpose.told))
        assert first == 1
        await told.episodes.close(episode, MIA, CloseReason.no_reply_needed)
        await told.doings.reopen(episode, MIA)
        await told.sweep()
        await told.at(16)
        await told.sweep()
        assert len(told.of(Purpose.told)) == 2
