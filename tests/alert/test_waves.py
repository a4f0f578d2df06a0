"""Waves of spam and groups of customers: labelled by a person in two presses, undone for 30 minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert.domain.boards.board import Board, BoardKind
from services.alert.domain.boards.wave import Counted, is_wave, may_be_labelled
from services.alert.domain.items import Item, Relabel
from services.alert.ports import ActResult, Purpose
from services.classify.classifier import Classifier
from services.contracts.configuration import Costs
from services.contracts.events import Author, ClassifiedNotification, Correction, Sensitive
from tests.alert.builders import Action, Label, at, chatter, notified, verdict
from tests.alert.story import BEN, EVA, MIA, Story, story
from tests.classify.building import reader, shipped
from tests.classify.variants import COMPLAINT, SCAMS, variants
from tests.conftest import FreshDatabase

NEAR = [f"{(1 << place) - 1:032x}" for place in range(0, 120, 6)]
"""A chain: each within six bits of the next."""


def one(
    place: int, label: Label = Label.spam, *, need: float = 0.05, **changes: object
) -> ClassifiedNotification:
    """One of a chain of near-duplicates, each from an account of its own."""
    held = label is Label.spam and bool(changes.get("addressed"))
    judged = verdict(need, label=label, similarity=NEAR[place % len(NEAR)], held=held)
    given = {"text": f"You have won a prize, claim it today {place}", **changes}
    return notified(f"w{place}", at(0), f"w{place}", judged=judged, **given)  # type: ignore[arg-type]


def person(place: int, **changes: object) -> ClassifiedNotification:
    """The same, but classify took it for a person."""
    return one(place, Label.conversation, need=0.9, **changes)


def newest(told: Story, kind: BoardKind = BoardKind.wave) -> Board:
    return told.shown(kind)[-1]


async def press(told: Story, act: str, by: object = MIA) -> ActResult:
    done = await told.boards.press(newest(told).id, act, "", by)  # type: ignore[arg-type]
    await told.keep()
    return done.result


async def labels(told: Story) -> list[str]:
    rows = await told.rows("select item_id from alert.relabels order by item_id")
    return [row[0].rpartition(":")[2] for row in rows]


async def corrections(told: Story) -> list[Correction]:
    rows = await told.rows(
        "select payload from alert.announcements where topic = 'presence.corrections' order by id"
    )
    return [Correction.model_validate_json(bytes(row[0])) for row in rows]


@pytest.mark.integration
async def test_a_wave_is_labelled_after_samples_and_a_second_press_and_undone_corrections_included(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*(one(n) for n in range(8)), person(8), person(9))
        await told.sweep()
        board = newest(told)
        assert board.content.headline == "Wave: 10 look like one spam, 10 accounts · Air"
        assert [act.label for act in board.content.acts] == [
            "Label the other 2 as spam",
            "Not spam",
        ]
        assert await press(told, "confirm") is ActResult.already
        assert await press(told, "label_all") is ActResult.done
        asked = newest(told).content.sections[1]
        assert len(asked.lines) == 2
        assert "2, of which 2 are shown" in asked.title
        assert await labels(told) == []
        assert await press(told, "confirm", BEN) is ActResult.done
        assert await labels(told) == ["w8", "w9"]
        assert await told.states() == ["relabelled"] * 2
        assert [act.name for act in newest(told).content.acts] == ["undo"]
        assert "Undo until" in newest(told).content.note
        await told.at(29)
        assert await press(told, "undo") is ActResult.done
        assert await labels(told) == []
        assert await told.states() == ["open"] * 2
        assert newest(told).content.headline == "Mia took 2 labels back"
        said = await corrections(told)
        assert [(one.item_id, one.retracted) for one in said] == [
            ("x:4001:w8", None),
            ("x:4001:w9", None),
            ("x:4001:w8", True),
            ("x:4001:w9", True),
        ]
        opened = await told.rows("select opened_at, measured from alert.episodes")
        assert opened == [(at(0), False)] * 2
        acts = await told.rows(
            "select act, who from alert.audit where act like '%label' order by id"
        )
        assert acts == [("relabel", "ben")] * 2 + [("unlabel", "mia")] * 2


@pytest.mark.integration
async def test_after_30_minutes_a_label_stays_and_the_wave_is_not_asked_about_again(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*(one(n) for n in range(8)), person(8))
        await told.sweep()
        await press(told, "label_all")
        await press(told, "confirm")
        board = newest(told).id
        await told.at(30)
        undone = await told.boards.press(board, "undo", "", MIA)
        assert undone.result is ActResult.impossible
        await told.keep()
        assert newest(told).content.headline == "1 more labelled as spam by Mia"
        await told.hear(one(12), one(13))
        await told.keep()
        assert len(told.shown(BoardKind.wave)) == 1
        assert await labels(told) == ["w8"]


@pytest.mark.integration
async def test_label_all_leaves_out_who_wrote_to_us_whom_we_know_and_whom_we_answered(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        known = person(12)
        author = Author(id="w12", handle="w12", known=True)
        known = known.model_copy(
            update={"notification": known.notification.model_copy(update={"author": author})}
        )
        await told.hear(notified("before", at(-60), "w13", text="hello there"))
        await told.hear(
            notified("answer", at(-55), outbound=True, to="w13", parent="before", text="hi")
        )
        await told.hear(
            *(one(n) for n in range(8)),
            one(8, addressed=True),
            person(9),
            person(10, addressed=True),
            person(11, private=True),
            known,
            person(13),
        )
        await told.sweep()
        assert "1 of them were written to us and are held back" in repr(newest(told).content)
        await press(told, "label_all")
        assert "Left out: 4 that" in newest(told).content.note
        await press(told, "confirm")
        assert await labels(told) == ["w9"]


@pytest.mark.integration
async def test_no_answers_the_question_and_only_those_who_answer_for_the_brand_may(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*(one(n) for n in range(6)), person(7))
        await told.sweep()
        assert await press(told, "label_all", EVA) is ActResult.refused
        assert await press(told, "label_all") is ActResult.done
        assert await press(told, "cancel") is ActResult.done
        assert newest(told).content.acts[0].name == "label_all"
        assert await press(told, "not_spam") is ActResult.done
        assert newest(told).content.headline.startswith("Not spam, says Mia")
        await told.at(10)
        await told.keep()
        assert len(told.shown(BoardKind.wave)) == 1


@pytest.mark.integration
async def test_a_message_that_a_person_calls_a_conversation_ends_the_wave(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*(one(n) for n in range(6)))
        await told.sweep()
        await told.episodes.relabel_item("x:4001:w3", MIA, Label.conversation)
        await told.keep()
        assert newest(told).content.over


@pytest.mark.integration
async def test_words_that_were_taken_back_leave_the_wave_at_once(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(one(0, text="WORDS to be taken back"), *(one(n) for n in range(1, 7)))
        await told.sweep()
        assert "WORDS" in repr(newest(told))
        await told.hear(notified("w0", at(1), "w0", action=Action.deleted))
        await told.keep()
        assert "WORDS" not in repr(newest(told))
        assert "WORDS" not in repr(await told.rows("select content::text from alert.boards"))


def judged(texts: Sequence[str]) -> list[ClassifiedNotification]:
    """As the shipped classifier finds them, from 300 authors."""
    found = [notified(f"s{n}", at(0), f"a{n % 300}", text=text) for n, text in enumerate(texts)]
    verdicts = Classifier(reader(), shipped(), Costs()).judge([one.notification for one in found])
    return [
        event.model_copy(update={"verdict": one})
        for event, one in zip(found, verdicts, strict=True)
    ]


@pytest.mark.integration
async def test_500_variants_of_a_scam_from_300_authors_share_one_wave(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(*judged(variants(SCAMS["en"], 500)))
        await told.sweep()
        (board,) = told.shown(BoardKind.wave)
        assert board.content.headline == "Wave: 500 look like one spam, 300 accounts · Air"
        assert told.shown(BoardKind.group) == []


@pytest.mark.integration
async def test_300_true_complaints_are_one_group_card_and_no_wave(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(*judged(variants(COMPLAINT, 300, mutated=False)))
        await told.at(1)
        await told.sweep()
        assert told.shown(BoardKind.wave) == []
        (board,) = told.shown(BoardKind.group)
        assert board.content.headline.startswith(
            "300 people, much the same: 300 wait, oldest 1 min"
        )
        assert await told.rows("select distinct label from alert.items") == [("conversation",)]
        assert len([one for one in told.posted() if one.card]) == 300
        done = await told.boards.press(board.id, "take_next", "", BEN)
        assert done.result is ActResult.done
        await told.deliver()
        assert "299 wait, 1 claimed" in newest(told, BoardKind.group).content.headline


@pytest.mark.integration
async def test_a_group_card_ends_when_everybody_was_seen_to(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(*(person(n) for n in range(5)))
        await told.sweep()
        assert newest(told, BoardKind.group).content.headline.startswith("5 people")
        await told.hear(
            *(
                notified(f"r{n}", at(1), outbound=True, to=f"w{n}", parent=f"w{n}", text="Sorry!")
                for n in range(5)
            )
        )
        await told.keep()
        assert newest(told, BoardKind.group).content.headline == (
            "The group was seen to: all 5 people"
        )
        assert len([one for one in told.of(Purpose.card) if one.board]) == 2


@settings(max_examples=60)
@given(*[st.integers(0, 40)] * 4)
def test_without_most_of_it_looking_like_spam_nothing_is_a_wave(
    spam: int, others: int, persons: int, held: int
) -> None:
    counted = Counted(spam + others, spam + others, spam, min(held, spam), persons)
    if is_wave(counted):
        assert spam >= 5
        assert spam > others
        assert persons == 0
    assert not is_wave(replace(counted, spam=0))


ODD = [
    {"addressed": True},
    {"private": True},
    {"sensitive": frozenset({Sensitive.legal})},
    {"known": True},
    {"held": True},
    {"inbound": False},
    {"label": Label.spam},
    {"relabel": Relabel("r", Label.conversation, "mia", at(0), None)},
    {"deleted_at": at(1)},
]


@pytest.mark.parametrize("changed", ODD, ids=lambda one: next(iter(one)))
def test_one_reason_is_enough_to_be_left_out(changed: dict[str, object]) -> None:
    plain: Item = chatter("q", 0)
    assert may_be_labelled(plain, answered=False)
    assert not may_be_labelled(plain, answered=True)
    assert not may_be_labelled(replace(plain, **changed), answered=False)  # type: ignore[arg-type]
