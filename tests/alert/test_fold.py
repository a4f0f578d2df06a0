"""Episodes as a fold: what opens them, what ends them, and that no order of arrival matters."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert.domain.fold import Close, Episode, Mute, fold
from services.alert.domain.items import Item, Trace, overlaid
from services.alert.domain.matching import Stored, match
from services.alert.domain.threads import components, conversations, counterparts
from services.contracts.events import CloseReason, Label, Sensitive
from tests.alert.builders import ACCOUNT, answer, at, chatter, iid, question, relabel


def close(anchor: str, minutes: float, reason: CloseReason = CloseReason.no_reply_needed) -> Close:
    return Close(f"close-{minutes}", "mia", at(minutes), reason, iid(anchor))


def reasons(episodes: tuple[Episode, ...]) -> list[str]:
    return [one.ending.reason.value if one.ending else "open" for one in episodes]


def test_a_question_opens_an_episode_and_the_brands_reply_answers_it() -> None:
    (one,) = fold([question("q", 0), answer("a", 4, parent=iid("q"))])
    assert one.opened_at == at(0)
    assert one.wall_seconds == 240
    assert one.round == 1
    assert not one.skewed


def test_thanks_after_the_answer_opens_nothing() -> None:
    items = [question("q", 0), answer("a", 4), chatter("thanks", 5)]
    assert reasons(fold(items)) == ["answered"]


def test_a_second_question_before_the_answer_joins_and_one_after_it_opens_the_next_round() -> None:
    items = [question("q1", 0), question("q2", 1), answer("a", 4), question("q3", 9)]
    first, second = fold(items)
    assert first.openers == (iid("q1"), iid("q2"))
    assert (second.round, second.opened_at, second.ending) == (2, at(9), None)


def test_a_machines_reply_answers_nobody() -> None:
    assert reasons(fold([question("q", 0), answer("a", 1, automated=True)])) == ["open"]


def test_a_sensitive_item_opens_whatever_its_label_says() -> None:
    spam = question("q", 0, label=Label.spam, sensitive=frozenset({Sensitive.self_harm}))
    assert reasons(fold([spam])) == ["open"]


def test_a_reply_comes_after_what_it_answers_even_when_clocks_disagree() -> None:
    (one,) = fold([question("q", 10), answer("a", 8, parent=iid("q"))])
    assert one.wall_seconds == 0
    assert one.skewed


def test_an_edit_never_reopens() -> None:
    before = [question("q", 0), answer("a", 4)]
    edited = [
        replace(before[0], shown=replace(before[0].shown, text="And another thing")),
        before[1],
    ]
    assert fold(before) == fold(edited)


def test_a_question_that_its_author_deleted_unanswered_is_withdrawn() -> None:
    (one,) = fold([replace(question("q", 0), deleted_at=at(3))])
    assert one.ending is not None
    assert (one.ending.reason, one.ending.at) == (CloseReason.withdrawn, at(3))


def test_an_episode_is_not_withdrawn_while_one_of_its_questions_stands() -> None:
    items = [replace(question("q1", 0), deleted_at=at(3)), question("q2", 1)]
    assert reasons(fold(items)) == ["open"]


def test_a_question_deleted_after_its_answer_stays_answered() -> None:
    items = [replace(question("q", 0), deleted_at=at(9)), answer("a", 4)]
    assert reasons(fold(items)) == ["answered"]


def test_a_deleted_sole_answer_reopens_as_a_new_episode_never_from_the_original_start() -> None:
    first, second = fold([question("q", 0), replace(answer("a", 4), deleted_at=at(6))])
    assert first.wall_seconds == 240
    assert second.reopened
    assert (second.round, second.opened_at, second.ending) == (2, at(6), None)


def test_a_deleted_answer_beside_another_one_reopens_nothing() -> None:
    items = [question("q", 0), replace(answer("a", 4), deleted_at=at(6)), answer("b", 5)]
    assert reasons(fold(items)) == ["answered"]


def test_the_last_of_two_answers_deleted_reopens() -> None:
    items = [
        question("q", 0),
        replace(answer("a", 4), deleted_at=at(6)),
        replace(answer("b", 5), deleted_at=at(7)),
    ]
    assert [one.opened_at for one in fold(items)] == [at(0), at(7)]


def test_a_deleted_answer_to_a_deleted_question_reopens_nothing() -> None:
    items = [replace(question("q", 0), deleted_at=at(5)), replace(answer("a", 4), deleted_at=at(6))]
    assert reasons(fold(items)) == ["answered"]


def test_a_person_closes_what_they_saw_and_the_next_question_opens_again() -> None:
    items = [question("q1", 0), question("q2", 20)]
    assert reasons(fold(items, [close("q1", 5)])) == ["no_reply_needed", "open"]


def test_an_answer_found_before_the_closing_is_the_end() -> None:
    items = [question("q", 0), answer("a", 2), chatter("c", 3)]
    assert reasons(fold(items, [close("c", 5)])) == ["answered"]


def test_do_not_feed_mutes_the_thread_unless_it_turns_sensitive() -> None:
    mute = Mute(at(5), at(5) + timedelta(days=7))
    loud = question("q3", 8, sensitive=frozenset({Sensitive.threat}))
    assert fold([question("q2", 7)], mutes=[mute]) == ()
    assert reasons(fold([question("q2", 7), loud], mutes=[mute])) == ["open"]


def test_an_item_relabelled_as_spam_ends_its_episode_and_counts_no_round() -> None:
    spam = question("q", 0, relabel=relabel(Label.spam, 3, "q"))
    first, second = fold([spam, question("q2", 10)])
    assert first.ending is not None
    assert (first.ending.reason, first.ending.by) == (CloseReason.relabelled, "mia")
    assert second.round == 1


def test_spam_relabelled_as_a_conversation_opens_with_the_clock_backdated() -> None:
    item = question("q", 0, opens=False, label=Label.spam, held=True)
    (one,) = fold([replace(item, relabel=relabel(Label.conversation, 30))])
    assert one.opened_at == at(0)


def test_replies_in_a_circle_are_read_all_the_same() -> None:
    items = [question("a", 0, parent=iid("b")), question("b", 1, parent=iid("a"))]
    assert [one.opened_at for one in fold(items)] == [at(0)]


def test_forty_people_under_one_post_are_forty_conversations() -> None:
    post = answer("post", 0, to=None)
    asked = [question(f"q{n}", n, f"p{n}", parent=iid("post"), root=iid("post")) for n in range(40)]
    found = conversations({item.id: item for item in [post, *asked]})
    assert len(found) == 40
    assert len({conversation.thread for conversation in found}) == 1


def test_a_guessed_root_and_the_real_one_meet_once_an_item_links_them() -> None:
    root = question("r", 0)
    reply = question("a", 1, parent=iid("r"), root=iid("r"))
    guess = question("b", 2, "bea", parent=iid("a"), root=iid("a"))
    threads = components([guess, reply, root])
    assert threads[iid("r")] == threads[iid("b")]


def test_direct_messages_of_one_person_are_one_conversation_per_account() -> None:
    items = [question("m1", 0, private=True), answer("m2", 3, private=True)]
    items.append(question("m3", 4, "bob", private=True))
    found = conversations({item.id: item for item in items})
    assert sorted(len(one) for one in found.values()) == [1, 2]


def test_an_outbound_reply_without_a_counterpart_belongs_to_its_parents_author() -> None:
    asked = question("q", 0, "zoe")
    reply = answer("a", 1, to=None, parent=asked.id)
    more = answer("b", 2, to=None, parent=reply.id)
    items = {item.id: item for item in (asked, reply, more)}
    assert counterparts(reply, items) == {"zoe"}
    assert counterparts(more, items) == {"zoe"}
    assert counterparts(reply, {}) == frozenset()


def test_an_outbound_reply_belongs_to_everybody_it_addresses_but_never_to_the_brand() -> None:
    reply = answer("a", 1, to="ana", mentions=("bob", ACCOUNT))
    assert counterparts(reply, {}) == {"ana", "bob"}


PEOPLE = ("ana", "bob")


@st.composite
def stories(draw: st.DrawFn) -> list[Item]:
    """A thread or two, with replies, guesses of roots, skewed clocks, deletions and relabels."""
    items: list[Item] = []
    for n in range(draw(st.integers(1, 9))):
        minutes = draw(st.integers(0, 12))
        earlier = [item.id for item in items]
        parent = draw(st.sampled_from([None, *earlier, iid("unknown")]))
        changes = {
            "parent": parent,
            "root": draw(st.sampled_from([parent, iid("root"), iid(f"i{n}")])),
            "deleted_at": draw(st.sampled_from([None, None, at(minutes + 2)])),
        }
        kind = draw(st.sampled_from(["question", "question", "chatter", "answer"]))
        who = draw(st.sampled_from(PEOPLE))
        if kind == "answer":
            to = draw(st.sampled_from([None, *PEOPLE]))
            items.append(answer(f"i{n}", minutes, to, **changes))
        elif kind == "chatter":
            items.append(chatter(f"i{n}", minutes, who, **changes))
        else:
            said = draw(st.sampled_from([None, None, Label.spam, Label.conversation]))
            judged = relabel(said, minutes + 1, f"i{n}") if said else None
            items.append(question(f"i{n}", minutes, who, relabel=judged, **changes))
    return items


def outcome(items: list[Item]) -> set[tuple[str, tuple[Episode, ...]]]:
    found = conversations({item.id: item for item in items})
    return {(conversation.counterpart, fold(held)) for conversation, held in found.items()}


@given(stories(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_any_order_and_repetition_of_items_gives_the_same_episodes(
    items: list[Item], rng: random.Random
) -> None:
    shuffled = items + rng.choices(items, k=3)
    rng.shuffle(shuffled)
    assert outcome(shuffled) == outcome(items)


@given(stories())
@settings(max_examples=150, deadline=None)
def test_every_question_is_in_exactly_one_first_telling_and_seconds_are_never_negative(
    items: list[Item],
) -> None:
    for _, episodes in outcome(items):
        told = [opener for one in episodes if not one.reopened for opener in one.openers]
        assert len(told) == len(set(told))
        assert all((one.wall_seconds or 0) >= 0 for one in episodes)
        assert [one.ending is None for one in episodes].count(True) <= 1
    asked = {item.id for item in items if item.needs_answer}
    assert asked == {
        opener for _, episodes in outcome(items) for one in episodes for opener in one.openers
    }


@given(stories(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_refolding_at_every_arrival_ends_where_one_fold_at_the_end_does(
    items: list[Item], rng: random.Random
) -> None:
    """The surrogate ids differ with the order; which episodes are live, and when, does not."""
    rng.shuffle(items)
    stored: dict[str, tuple[Stored, Episode]] = {}
    known: list[Item] = []
    numbers = iter(range(1_000))
    for item in items:
        known.append(item)
        for conversation, held in conversations({one.id: one for one in known}).items():
            episodes = fold(held)
            mine = [
                one
                for one, was in stored.values()
                if was.inbound and one.anchors & _touches(held, conversation.counterpart)
            ]
            matched = match(episodes, mine)
            for retired in matched.retired:
                del stored[retired]
            for episode, kept in matched.kept:
                number = stored[kept][0].number if kept else next(numbers)
                name = kept or f"e{number}"
                stored[name] = (Stored(name, number, episode.anchors, episode.key), episode)
    once = sorted((episode for _, told in outcome(items) for episode in told), key=repr)
    assert sorted((episode for _, episode in stored.values()), key=repr) == once


def _touches(held: list[Item], counterpart: str) -> frozenset[str]:
    mine = {item.id for item in held if not item.inbound or item.author_id == counterpart}
    return frozenset(mine | {f"{item}:deleted" for item in mine})


@given(st.permutations([Trace(deleted_at=at(9)), Trace(deleted_at=at(4)), Trace()]))
def test_traces_join_in_any_order(traces: list[Trace]) -> None:
    joined = Trace()
    for trace in traces:
        joined = joined.joined(trace)
    assert joined == Trace(deleted_at=at(4))
    assert joined.joined(joined) == joined


def test_a_deleted_items_words_are_gone_and_that_it_existed_remains() -> None:
    item = question("q", 0)
    gone = overlaid(
        replace(item, shown=replace(item.shown, text="secret", name="Ana")), Trace(None, at(1))
    )
    assert (gone.shown.text, gone.shown.name, gone.deleted_at) == ("", "Ana", at(1))


def test_a_merge_retires_the_newer_card_and_a_split_opens_a_new_episode() -> None:
    (together,) = fold([question("q1", 0), question("q2", 5)])
    older = Stored("old", 1, frozenset({iid("q2")}), iid("q2"))
    newer = Stored("new", 2, frozenset({iid("q1")}), iid("q1"))
    merged = match([together], [newer, older])
    assert merged.kept == ((together, "old"),)
    assert merged.retired == ("new",)
    split = fold([question("q1", 0), answer("a", 2), question("q2", 5)])
    one = Stored("one", 1, together.anchors, iid("q1"))
    assert [kept for _, kept in match(split, [one]).kept] == ["one", None]


def test_an_answer_elsewhere_that_a_person_linked_is_not_taken_back_by_another_ones_deletion() -> (
    None
):
    items = [
        question("q1", 0),
        replace(answer("a", 2), deleted_at=at(20)),
        question("q2", 5),
    ]
    linked = Close("c", "mia", at(9), CloseReason.answered, iid("q2"), iid("dm"), at(8))
    assert reasons(fold(items, [linked])) == ["answered", "answered"]


def test_what_a_person_called_a_conversation_opens_in_a_muted_thread() -> None:
    mute = Mute(at(5), at(5) + timedelta(days=7))
    said = question("q", 7, opens=False, relabel=relabel(Label.conversation, 9))
    assert reasons(fold([said], mutes=[mute])) == ["open"]


def test_a_retired_episode_has_the_one_that_holds_its_questions_for_an_heir() -> None:
    (together,) = fold([question("q1", 0), question("q2", 5)])
    older = Stored("old", 1, frozenset({iid("q1")}), iid("q1"))
    newer = Stored("new", 2, frozenset({iid("q2")}), iid("q2"))
    assert match([together], [older, newer]).heirs == (("new", "old"),)
    assert match([], [older]).heirs == ()
