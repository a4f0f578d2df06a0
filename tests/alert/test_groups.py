"""Groups: who writes much the same, whatever order they come in; every customer keeps their own clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert.domain.groups import (
    LETTERS,
    NEAR,
    Signed,
    bands,
    comparable,
    components,
    distance,
    letters,
    worth_keeping,
)
from services.alert.domain.items import Shown
from services.alert.ports import Purpose
from services.classify.domain.similarity import NEAR as CLASSIFY_NEAR
from services.classify.domain.similarity import signatures
from services.classify.domain.text import read
from services.contracts.events import ClassifiedNotification
from tests.alert.builders import Label, Sensitive, at, notified, question, verdict
from tests.alert.story import Story, story
from tests.classify.variants import COMPLAINT, SCAMS, variants
from tests.conftest import FreshDatabase


def flipped(base: int, bits: Sequence[int]) -> str:
    for bit in bits:
        base ^= 1 << bit
    return f"{base:032x}"


near_and_far = st.lists(
    st.builds(
        flipped,
        st.sampled_from([0, (1 << 128) - 1, 0xFF << 60]),
        st.lists(st.integers(0, 127), max_size=30, unique=True),
    ),
    min_size=1,
    max_size=12,
)


def partition(batches: Sequence[Sequence[Signed]]) -> set[frozenset[str]]:
    """As the store keeps it: batch by batch, with what is known and what was merged."""
    group_of: dict[str, int | None] = {}
    known: dict[str, str] = {}
    made = 0
    for fresh in batches:
        before = [Signed(one, sign, group_of[one]) for one, sign in known.items()]
        known |= {one.item_id: one.similarity for one in fresh}
        group_of |= {one.item_id: None for one in fresh}
        for found in components(fresh, before):
            if found.groups:
                into = found.groups[0]
            else:
                made += 1
                into = made
            for item, group in list(group_of.items()):
                if item in found.items or (group is not None and group in found.groups):
                    group_of[item] = into
    groups: dict[object, set[str]] = {}
    for item, group in group_of.items():
        groups.setdefault(item if group is None else group, set()).add(item)
    return {frozenset(one) for one in groups.values()}


@settings(max_examples=60)
@given(near_and_far, st.randoms(use_true_random=False), st.integers(1, 5))
def test_in_any_order_and_any_batches_the_groups_are_the_same(
    signs: list[str], random: object, size: int
) -> None:
    signed = [Signed(f"i{place}", one) for place, one in enumerate(signs)]
    shuffled = signed[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    batches = [shuffled[at : at + size] for at in range(0, len(shuffled), size)]
    assert partition(batches) == partition([signed])


@settings(max_examples=60)
@given(near_and_far)
def test_who_is_near_a_member_is_in_its_group_and_who_is_near_nobody_is_alone(
    signs: list[str],
) -> None:
    groups = partition([[Signed(f"i{place}", one) for place, one in enumerate(signs)]])
    home = {item: group for group in groups for item in group}
    for one, sign in enumerate(signs):
        close = [
            other
            for other, theirs in enumerate(signs)
            if other != one and distance(sign, theirs) <= NEAR
        ]
        assert all(home[f"i{one}"] == home[f"i{other}"] for other in close)
        assert close or home[f"i{one}"] == {f"i{one}"}


@settings(max_examples=30)
@given(near_and_far)
def test_of_copies_one_is_kept_and_each_text_is_near_one_that_is(signs: list[str]) -> None:
    signed = [Signed(f"i{place}", one) for place, one in enumerate([*signs, *signs])]
    kept = worth_keeping(signed, [])
    assert len(kept) <= len(set(signs))
    assert all(
        any(distance(one.similarity, other.similarity) <= 4 for other in kept) for one in signed
    )


def test_a_signature_has_a_band_for_each_of_its_bytes() -> None:
    assert bands("00ff" * 8) == [place * 256 + (255 if place % 2 else 0) for place in range(16)]
    assert NEAR == CLASSIFY_NEAR


@pytest.mark.parametrize(
    ("text", "many"), [("ok @air https://air.example/abcdef", 2), ("私の荷物は", 10), ("", 0)]
)
def test_only_letters_are_compared(text: str, many: int) -> None:
    assert letters(text) == many


def test_what_is_sensitive_short_or_ours_is_in_no_group() -> None:
    said: dict[str, Any] = {"similarity": "0" * 32, "shown": Shown(text="x" * LETTERS)}
    assert comparable(question("q", 0, **said))
    assert not comparable(question("q", 0, **said, sensitive=frozenset({Sensitive.threat})))
    assert not comparable(question("q", 0, **said, inbound=False))
    assert not comparable(question("q", 0, **{**said, "shown": Shown(text="thanks")}))
    assert not comparable(question("q", 0, **{**said, "similarity": "of another recipe"}))


def said(
    texts: Sequence[str], minute: float = 0, **changes: object
) -> list[ClassifiedNotification]:
    """These texts, each by somebody else, as classify signs them."""
    signs = signatures([read(text) for text in texts])
    label = changes.pop("label", Label.conversation)
    need = changes.pop("need", 0.9)
    prefix = changes.pop("prefix", "t")
    return [
        notified(
            f"{prefix}{place}",
            at(minute),
            f"{prefix}{place}",
            text=text,
            judged=verdict(need, label=label, similarity=sign),  # type: ignore[arg-type]
            **changes,  # type: ignore[arg-type]
        )
        for place, (text, sign) in enumerate(zip(texts, signs, strict=True))
    ]


async def sizes(told: Story) -> list[int]:
    rows = await told.rows(
        "select count(*) from alert.alike group by group_id order by count(*) desc"
    )
    return [row[0] for row in rows]


@pytest.mark.integration
async def test_300_same_complaints_are_one_group_of_300_episodes_with_clocks_of_their_own(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        others = said(["Do you fly to Lisbon on Sundays in May?"], prefix="o")
        await told.hear(*said(variants(COMPLAINT, 300)), *others)
        assert await sizes(told) == [300]
        assert await told.rows("select people from alert.groups where merged_into is null") == [
            (300,)
        ]
        assert await told.states() == ["open"] * 301
        assert await told.rows("select count(*) from alert.relabels") == [(0,)]
        assert (await told.rows("select count(*) from alert.signatures"))[0][0] <= 301
        await told.deliver()
        why = [one.card.why for one in told.posted() if one.card]
        assert sum(one.endswith("; one of 300 like it") for one in why) == 300


@pytest.mark.integration
@pytest.mark.parametrize("scam", sorted(SCAMS)[:2])
async def test_500_variants_of_one_scam_from_300_authors_are_one_group_in_any_order(
    postgres: FreshDatabase, scam: str
) -> None:
    async with story(postgres()) as told:
        events = said(variants(SCAMS[scam], 500), label=Label.spam, need=0.05)
        for place in range(0, 500, 90):
            await told.hear(*reversed(events[place : place + 90]))
        assert await sizes(told) == [500]


@pytest.mark.integration
async def test_groups_that_turn_out_to_be_one_are_one_and_the_cards_say_how_many(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        far, between, other = flipped(0, range(40)), flipped(0, range(20)), "0" * 32

        async def hear(*signs: tuple[str, str]) -> None:
            await told.hear(
                *(notified(who, at(0), who, judged=verdict(similarity=s)) for who, s in signs)
            )

        await hear(("a", far), ("b", far))
        await hear(("c", other), ("d", other))
        assert await sizes(told) == [2, 2]
        await told.deliver()
        assert not any("like it" in one.card.why for one in told.of(Purpose.card) if one.card)
        await hear(("e", between))
        assert await sizes(told) == [5]
        await told.deliver()
        last = {one.episode_id: one.card for one in told.of(Purpose.card)}
        assert all(one and one.why.endswith("; one of 5 like it") for one in last.values())
        assert len(last) == 5


@pytest.mark.integration
async def test_who_came_hours_ago_draws_nobody_in_and_another_brand_is_another_matter(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("a", at(0), "a", judged=verdict(similarity="0" * 32)))
        await told.at(6 * 60 + 1)
        await told.hear(notified("b", at(361), "b", judged=verdict(similarity="0" * 32)))
        assert await sizes(told) == []
        await told.grouping.forget()
        assert await told.rows("select item_id from alert.signatures") == [("x:4001:b",)]
