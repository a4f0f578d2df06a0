"""Whatever arrives: a verdict or a dead letter each, never a stop, through the real handler."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.classify.classifier import Classifier
from services.contracts.configuration import Costs
from services.contracts.events import Author
from services.contracts.topics import CLASSIFIED, NOTIFICATIONS
from tests.classify.building import notification, raw, reader, shipped
from tests.classify.test_handlers import Bench

HOSTILE = {
    "empty": "",
    "blank": " \n\t\r ",
    "100 kB of one word": "word " * 20_000,
    "100 kB without a space": "a" * 100_000,
    "100 kB of dots": "." * 100_000,
    "100 kB of opened brackets": "(" * 100_000,
    "a long chain of labels": "a." * 50_000 + "com",
    "many handles": "@a" * 30_000,
    "only emoji": "😀🔥👩‍👩‍👧‍👦🏳️‍🌈🇩🇪" * 20,
    "right to left": "مرحبا \u202eabc\u202c שלום @acme https://x.example/ء",
    "isolates left open": "\u2066\u2067\u2068" * 500 + "where is my parcel?",
    "zero width": "\u200b".join("where is my parcel"),
    "nothing but zero width": "\u200b\u200d\ufeff" * 100,
    "mixed scripts": "аcme ѕupport Где мой parcel 荷物 कहाँ है؟",
    "stacked marks": "Z" + "\u0301" * 5_000 + "algo",
    "control characters": "".join(map(chr, range(32))) + "hello\x7f",
    "private characters of ours": "\ue001\ue002 where is my order \ue001",
    "beyond the plane": "\U000e0001\U0010ffff where is it",
    "halfwidth and fullwidth": "ﾊﾟｽﾜｰﾄﾞ ＡＢＣ１２３！？",
    "Hangul in pieces": "ᄒ" * 3_000 + "ᅡ" * 3_000,
    "one ligature that grows": "ﷺ" * 5_000,
    "digits of all scripts": "١٢٣ १२३ 一二三 ①②③ ½",
    "words of every flag": "suicide bomb fire ambulance lawyer reporter racist data breach underage"
    * 200,
}


@cache
def judged() -> Classifier:
    """Everything as it is served."""
    return Classifier(reader(), shipped(), Costs())


def told(values: Sequence[bytes]) -> Counter[str]:
    """How many records the handler wrote to each topic for these."""
    bench = Bench(judged())
    asyncio.run(bench.handle(*(raw(value, offset=i) for i, value in enumerate(values))))
    return Counter(record.topic for record in bench.producer.records)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_gets_a_verdict(name: str) -> None:
    assert told([notification(HOSTILE[name]).to_bytes()]) == {CLASSIFIED.name: 1}


def test_hostile_texts_in_one_batch_do_not_reach_each_other() -> None:
    values = [
        notification(text, native=str(n)).to_bytes() for n, text in enumerate(HOSTILE.values())
    ]
    assert told(values) == {CLASSIFIED.name: len(HOSTILE)}


@pytest.mark.parametrize(
    "escape", [r"\ud800", r"\udc00", r"\udc00\ud800", r"\ud83d", r"\u0000", r"\ud83d\ude00"]
)
def test_lone_surrogates_and_nulls_are_a_verdict_or_a_dead_letter(escape: str) -> None:
    value = notification("MARK").to_bytes().replace(b"MARK", b"where " + escape.encode())
    good = notification(native="2").to_bytes()
    found = told([value, good])
    assert found[CLASSIFIED.name] + found[NOTIFICATIONS.dlq] == 2
    assert found[CLASSIFIED.name] >= 1


_ANYTHING = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from("\u200b\u200d\u202e\ufeff\u0301\ue001\ue002\x00 @#.://?!。؟"),
    ),
    max_size=120,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_ANYTHING, min_size=1, max_size=9), st.data())
def test_any_text_name_and_handle_gets_a_verdict(texts: list[str], data: st.DataObject) -> None:
    values = [
        notification(
            text,
            native=str(n),
            title=data.draw(st.none() | _ANYTHING),
            author=Author(id="7", handle=data.draw(_ANYTHING), name=data.draw(_ANYTHING)),
        ).to_bytes()
        for n, text in enumerate(texts)
    ]
    assert told(values) == {CLASSIFIED.name: len(texts)}


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_dead_letter_and_no_stop(value: bytes) -> None:
    good = notification().to_bytes()
    assert told([value, good]) == {NOTIFICATIONS.dlq: 1, CLASSIFIED.name: 1}
