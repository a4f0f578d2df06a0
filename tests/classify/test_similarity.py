"""The signature: what a sender changes to look new does not change it; who says something else is far."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.classify.classifier import Classifier
from services.classify.domain.similarity import (
    NEAR,
    SAME,
    distance,
    distances,
    packed,
    signatures,
    weight,
)
from services.classify.domain.text import read
from services.contracts.configuration import Costs
from services.contracts.events import Author, Label
from tests.classify.building import notification, reader, shipped
from tests.classify.variants import COMPLAINT, SCAMS, variants

STRANGERS = 40
"""Texts that have nothing to do with each other differ by about 64 bits of 128, hardly ever by so few."""


def signed(*texts: str) -> list[str]:
    found = signatures([read(text) for text in texts])
    assert None not in found
    return [one for one in found if one]


def groups(all_signed: Sequence[str]) -> list[set[int]]:
    """As alert groups: who is near a member belongs to the group."""
    table = packed(all_signed)
    left, found = set(range(len(all_signed))), []
    while left:
        group, reach = set[int](), {left.pop()}
        while reach:
            one = reach.pop()
            group.add(one)
            near = set(np.flatnonzero(distances(all_signed[one], table) <= NEAR).tolist())
            reach |= near & left
            left -= near
        found.append(group)
    return found


@pytest.mark.parametrize("scam", sorted(SCAMS))
def test_500_variants_of_one_scam_from_300_authors_are_one_group(scam: str) -> None:
    assert len(groups(signed(*variants(SCAMS[scam], 500)))) == 1


def test_the_same_true_complaint_of_300_people_is_a_group_and_nobody_is_taken_for_spam() -> None:
    classifier = Classifier(reader(), shipped(), Costs())
    items = [
        notification(text, native=str(n), author=Author(id=f"{n}", handle=f"person{n}"))
        for n, text in enumerate(variants(COMPLAINT, 300, mutated=False))
    ]
    verdicts = classifier.judge(items)
    assert {verdict.label for verdict in verdicts} == {Label.conversation}
    assert all(verdict.needs_answer >= 0.5 for verdict in verdicts)
    assert len(groups([verdict.similarity or "" for verdict in verdicts])) == 1


@pytest.mark.parametrize(
    "changed",
    [
        "@bob Congratulations! You won a $950 gift card, claim it at http://other.top/x right now",
        "Congratulations! You won a $100 gift card, claim it at https://bit.ly/a right now 🎉🎉🔥",
        "CONGRATULATIONS!!! YOU WON A $100 GIFT CARD, CLAIM IT AT https://bit.ly/a RIGHT NOW",
        "Congratulations! You  won a $100 g i f t  c a r d, claim it at https://bit.ly/a right now",
        "Соngrаtulаtiоns! Yоu wоn а $100 gift саrd, сlаim it аt https://bit.ly/a right nоw",
        "Con\u200bgratulations! You w\u2060on a $100 gift card, claim it at https://bit.ly/a right now",
        "Ｃｏｎｇｒａｔｕｌａｔｉｏｎｓ! You won a $100 gift card, claim it at https://bit.ly/a right now",
        "Congratulationssss! Youuu won a $100 gift card, claim it at https://bit.ly/a right nooow",
        "Congrátulations! You won a $100 gift card; claim it at https://bit.ly/a — right now.",
    ],
)
def test_handles_links_emoji_numbers_spacing_and_look_alikes_change_nothing(changed: str) -> None:
    plain = "Congratulations! You won a $100 gift card, claim it at https://bit.ly/a right now"
    one, other = signed(plain, changed)
    assert one == other


@pytest.mark.parametrize(
    ("text", "with_other_words", "stranger"),
    [
        (
            "注文した荷物がまだ届かないのですが、いつ届きますか？",
            "注文した荷物がまだ届かないんですが、いつ届きますか",
            "アプリにログインできません。パスワードを変更したいです。",
        ),
        (
            "ออเดอร์ของฉันยังไม่มาถึงเลย เมื่อไหร่จะได้ของ",
            "ออเดอร์ของฉันยังไม่มาถึง เมื่อไหร่จะได้ของคะ",
            "แอปเข้าสู่ระบบไม่ได้ ช่วยเปลี่ยนรหัสผ่านให้หน่อย",
        ),
        (
            "我的快递到现在还没有收到请问什么时候能到",
            "我的快递到现在还没收到，请问什么时候能送到",
            "你们的应用程序无法登录密码也改不了怎么办",
        ),
        (
            "주문한 상품이 아직 도착하지 않았어요 언제 오나요",
            "주문한 상품이 아직도 도착하지 않았어요. 언제 오나요?",
            "앱에 로그인이 안 됩니다 비밀번호를 바꾸고 싶어요",
        ),
    ],
)
def test_languages_without_spaces_are_told_apart_too(
    text: str, with_other_words: str, stranger: str
) -> None:
    one, other, third = signed(text, with_other_words, stranger)
    assert distance(one, other) <= NEAR
    assert distance(one, third) > STRANGERS


def test_different_matters_in_the_same_manner_are_no_group() -> None:
    texts = (
        "How do I get a refund for my cancelled flight?",
        "How do I change the address of my delivery?",
        "My parcel has not arrived yet, where is it?",
        "The app keeps logging me out, can you help me?",
        "Someone charged my card twice yesterday, please call me",
    )
    assert len(groups(signed(*texts))) == len(texts)
    table = packed(signed(*texts))
    for n, one in enumerate(signed(*texts)):
        assert sorted(distances(one, table).tolist())[1] > SAME, texts[n]


def test_what_has_no_letters_has_no_signature() -> None:
    assert signatures([read("🙂🙂"), read("hi"), read(""), read("4711 https://a.de/x")]) == [
        None,
        *signed("hi"),
        None,
        None,
    ]
    assert signatures([]) == []
    assert signatures([read("")]) == [None]


def test_a_word_weighs_little_and_a_written_syllable_twice() -> None:
    assert weight(read("ok 4711")) == 2
    assert weight(read("届かない")) == 8


@given(st.lists(st.text(max_size=60), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_signature_is_its_texts_alone_whatever_stands_beside_it(texts: list[str]) -> None:
    together = signatures([read(text) for text in texts])
    alone = [signatures([read(text)])[0] for text in texts]
    assert together == alone


def test_a_signature_means_the_same_tomorrow_and_elsewhere() -> None:
    """Corrections carry signatures over releases: a change of the recipe is a change of this line."""
    assert signed("Where is my parcel?") == ["d6cb75f0b43d55e3840ea07a2bcddd2e"]


def test_the_variants_are_variants() -> None:
    drawn = variants(SCAMS["en"], 500)
    assert len(set(drawn)) > 490
    assert random.Random(1).sample(drawn, 5) == random.Random(1).sample(
        variants(SCAMS["en"], 500), 5
    )
