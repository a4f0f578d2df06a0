"""What the team corrects is believed: of the item, of nearly the same text, of its author; and how far."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.classify.classifier import Classifier
from services.classify.domain.lessons import Lessons, learn
from services.classify.domain.similarity import signatures
from services.classify.domain.text import read
from services.classify.engines.stub import StubEngine
from services.classify.teaching import Memory
from services.contracts.configuration import Costs, Learning
from services.contracts.events import (
    Author,
    Corrected,
    Correction,
    Label,
    Notification,
    Sensitive,
    Verdict,
)
from tests.classify.building import NOW, notification, reader

PITCH = "Our agency grows any page to ten thousand real fans within one week, just write us"
COMPLAINT = "My suitcase stayed in Frankfurt and nobody at the counter knows where it is"


def correction(
    corrected: str,
    to: Label = Label.spam,
    *,
    item: str = "x:42:9",
    by: str = "mia",
    minutes: float = 0,
    author: str = "77",
    **about: Any,
) -> Correction:
    return Correction(
        item_id=item,
        from_label=Label.conversation,
        to_label=to,
        by=by,
        at=NOW + timedelta(minutes=minutes),
        about=Corrected(
            platform="x", author=author, similarity=signatures([read(corrected)])[0], **about
        ),
    )


def taught(*corrections: Correction, per_hour: int = 60, remember: int = 5_000) -> Lessons:
    return learn(corrections, remember=remember, trusted_per_hour=per_hour)


def judged(
    item: Notification | str, lessons: Lessons, engine: Label = Label.conversation
) -> Verdict:
    asked = notification(item) if isinstance(item, str) else item
    classifier = Classifier(reader(), StubEngine(engine), Costs(), lessons=lambda: lessons)
    return classifier.judge([asked])[0]


def test_a_correction_holds_for_the_item_itself_even_over_a_flag() -> None:
    lessons = taught(correction("", item="x:42:1"))
    verdict = judged("I will sue you, see you in court", lessons)
    assert verdict.label is Label.spam
    assert Sensitive.legal in verdict.sensitive
    assert verdict.reasons[0].layer == "correction"
    assert "mia" in verdict.reasons[0].says


@pytest.mark.parametrize(
    "variant",
    [
        PITCH,
        "@acme " + PITCH.upper() + " 🔥🔥 https://bit.ly/x9",
        PITCH.replace("ten thousand", "twenty thousand"),
        PITCH.replace("o", "о"),
    ],
)
def test_nearly_the_same_text_is_judged_alike_and_says_why(variant: str) -> None:
    assert judged(variant, Lessons()).label is Label.conversation
    verdict = judged(variant, taught(correction(PITCH)))
    assert verdict.label is Label.spam
    assert verdict.needs_answer < 0.1
    assert verdict.reasons[0].says == "mia called nearly the same text spam"
    assert sum(verdict.scores.values()) == pytest.approx(1.0)


def test_another_text_is_judged_as_ever() -> None:
    assert judged(COMPLAINT, taught(correction(PITCH))) == judged(COMPLAINT, Lessons())


def test_what_was_made_a_conversation_waits_for_an_answer_next_time() -> None:
    lessons = taught(correction(COMPLAINT, Label.conversation))
    verdict = judged(COMPLAINT + "!!", lessons, Label.spam)
    assert verdict.label is Label.conversation
    assert verdict.needs_answer >= 0.8


def test_addressed_near_duplicates_of_spam_are_held_and_never_dropped() -> None:
    verdict = judged(notification(PITCH, addressed=True), taught(correction(PITCH)))
    assert verdict.label is Label.spam
    assert verdict.held


@pytest.mark.parametrize(
    "spared",
    [
        notification("hi all", native="2"),
        notification(PITCH, native="2", private=True),
        notification(PITCH, native="2", author=Author(id="5", known=True)),
        notification(PITCH + ", I want to die", native="2"),
    ],
    ids=["too short", "private", "known", "sensitive"],
)
def test_nobody_who_may_be_a_person_is_dropped_for_a_likeness(spared: Notification) -> None:
    lessons = taught(correction(PITCH), correction("hi all", item="x:42:8"))
    assert judged(spared, lessons).label is Label.conversation


def test_the_nearest_word_counts_and_the_last_one_of_the_same_text() -> None:
    first = correction(PITCH, Label.spam, minutes=0)
    later = correction(PITCH, Label.conversation, item="x:42:10", minutes=5, by="lea")
    for lessons in (taught(first, later), taught(later, first)):
        assert judged(notification(PITCH, native="2"), lessons).label is Label.conversation


def test_an_author_who_spammed_twice_weighs_and_one_talked_to_is_known() -> None:
    text = "Have a look at this if you like"
    once = taught(correction("one thing is this", item="x:42:a", author="7"))
    twice = taught(
        correction("one thing is this", item="x:42:a", author="7"),
        correction("quite another matter", item="x:42:b", author="7"),
    )
    talked = taught(
        correction("quite another matter", Label.conversation, item="x:42:b", author="7")
    )
    plain = judged(text, Lessons()).scores
    assert judged(text, once).scores == plain
    assert judged(text, twice).scores[Label.spam] > plain[Label.spam]
    assert judged(text, talked).scores[Label.conversation] > plain[Label.conversation]
    assert any("2 messages" in reason.says for reason in judged(text, twice).reasons)


def test_sensitive_items_teach_nothing_but_their_own_label() -> None:
    lessons = taught(correction(PITCH, item="x:42:1", sensitive=True))
    assert judged(PITCH, lessons).label is Label.spam
    assert judged(notification(PITCH, native="2"), lessons).label is Label.conversation
    assert lessons.authors == {}


WORDS = (
    "suitcase", "refund", "voucher", "counter", "gate", "boarding", "website", "password", "parcel",
    "invoice", "coupon", "delivery", "jacket", "battery", "charger", "cable", "contract",
    "tariff", "router", "engine",
)  # fmt: skip


def sentence(n: int) -> str:
    chosen = random.Random(n)
    return " ".join(chosen.choices(WORDS, k=12))


def test_a_flood_from_one_person_is_counted_but_not_trusted() -> None:
    flood = [
        correction(sentence(n), item=f"x:42:f{n}", by="eve", minutes=n / 60, author=f"a{n}")
        for n in range(40)
    ]
    lessons = taught(*flood, per_hour=10)
    assert lessons.untrusted == 30
    assert len(lessons.alike) == 10
    assert len(lessons.items) == 40, "each still holds for its own item"
    other = correction(PITCH, by="mia", minutes=1)
    assert judged(notification(PITCH, native="2"), taught(*flood, other, per_hour=10)).label is (
        Label.spam
    ), "a colleague is trusted all the same"
    next_day = correction(PITCH, by="eve", minutes=60 * 24)
    assert taught(*flood, next_day, per_hour=10).untrusted == 30


def test_three_hundred_versions_of_one_text_are_one_lesson_and_no_flood() -> None:
    wave = [
        correction(f"{PITCH} {n} 🔥 https://bit.ly/{n}", item=f"x:42:w{n}", minutes=n / 600)
        for n in range(300)
    ]
    assert taught(*wave, per_hour=2).untrusted == 0


@given(st.permutations(range(24)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_reading_changes_nothing(order: list[int]) -> None:
    said = [
        correction(sentence(n % 7), item=f"x:42:{n}", by=f"p{n % 2}", minutes=n % 5)
        for n in range(24)
    ]
    one, other = taught(*said, per_hour=3), taught(*(said[n] for n in order), per_hour=3)
    assert one.alike == other.alike
    assert one.items == other.items
    assert one.authors == other.authors


def test_the_newest_are_kept_and_words_are_not() -> None:
    memory = Memory(Learning(remember=100, trusted_per_hour=10_000))
    for n in range(450):
        item = f"x:42:{n}"
        memory.take(item, correction(sentence(n), item=item, minutes=n, text="their words"))
    lessons = memory.lessons()
    assert set(lessons.items) == {f"x:42:{n}" for n in range(350, 450)}
    assert "their words" not in repr(memory._last)


def test_a_correction_taken_back_teaches_nothing_any_more() -> None:
    memory = Memory(Learning())
    said = correction(PITCH)
    memory.take(said.item_id, said)
    assert judged(notification(PITCH, native="2"), memory.lessons()).label is Label.spam
    memory.take(said.item_id, said.model_copy(update={"retracted": True}))
    assert memory.lessons().items == {}
    memory.take(said.item_id, said)
    memory.take(said.item_id, None)
    assert judged(notification(PITCH, native="2"), memory.lessons()).label is Label.conversation


def test_a_signature_of_another_recipe_is_passed_over() -> None:
    about = Corrected(platform="x", author="1", similarity="a3f09b77c1d2e401")
    old = correction(PITCH).model_copy(update={"about": about})
    assert judged(notification(PITCH, native="2"), taught(old)).label is Label.conversation
