"""What is looked up at once or remembered is what the plain rule says, text by text."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from services.classify.domain import lexicon
from services.classify.domain.cues import Hit
from services.classify.domain.patterns import continued
from services.classify.domain.text import (
    _APOSTROPHES,
    _TYPED_ALIKE,
    Text,
    fold,
    is_unspaced,
    read,
)
from services.classify.languages import TABLE, LanguageDetector
from services.classify.word_lists import built_in
from tests.classify.test_own_set import REGRESSION


@cache
def texts() -> list[Text]:
    """Every third of our own set, and some of them run together."""
    lines = [line for file in REGRESSION for line in file.read_bytes().splitlines()]
    written = [orjson.loads(line)["text"] for line in lines[::3]]
    mixed = [f"{one} {other}" for one, other in zip(written[::5], written[::-7], strict=False)]
    return [read(text) for text in (*written, *mixed, "", "😀", "a" * 5_000)]


def test_word_lists_find_what_trying_every_pattern_finds() -> None:
    words = built_in()
    found = [hit for text in texts() for hit in words.find(text)]

    assert len(found) > 1_000
    assert found == [hit for text in texts() for hit in _by_trying_every_pattern(words, text)]


def _by_trying_every_pattern(words: lexicon.Lexicon, text: Text) -> Iterator[Hit]:
    for index, word in enumerate(text.words):
        begun = list(words._exact.get(word, ()))
        for size in range(1, len(word) + 1):
            begun += words._prefixes.get(word[:size], ())
        for pattern in begun:
            followed = continued(pattern.rest, text.words, index + 1)
            if followed is not None:
                yield pattern.hit._replace(found=" ".join((word, *followed)))
    if is_unspaced(text.folded):
        padded = f" {text.folded} "
        known = words._arabic if lexicon._ARABIC.search(text.folded) else words._unspaced
        for one in known._all:
            if one.start in padded and (one.rest is None or one.rest.search(padded)):
                yield one.hit


def test_languages_of_a_batch_are_told_by_the_longest_ngram_that_ends_at_each_byte() -> None:
    written = [" ".join(text.words).encode()[:240] for text in texts()]
    with (files("services.classify") / TABLE).open("rb") as opened, np.load(opened) as file:
        letters, lengths = file["letters"].tobytes(), file["lengths"].astype(int)
        starts = np.cumsum(lengths) - lengths
        features = {
            letters[start : start + length]: int(feature)
            for start, length, feature in zip(starts, lengths, file["features"], strict=True)
        }
    owner, feature = LanguageDetector()._longest(written)
    told = Counter(zip(owner.tolist(), feature.tolist(), strict=True))

    plain: Counter[tuple[int, int]] = Counter()
    for place, text in enumerate(written):
        for end in range(1, len(text) + 1):
            runs = (text[end - size : end] for size in (5, 4, 3, 2) if size <= end)
            longest = next((features[run] for run in runs if run in features), 0)
            if longest:
                plain[place, longest] += 1
    assert told == plain


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_folding_word_by_word_is_folding_the_whole(text: str) -> None:
    plain = text.casefold().translate(_APOSTROPHES)
    kept = [
        c
        for c in unicodedata.normalize("NFD", plain)
        if not (c < "\u0900" and unicodedata.combining(c))
    ]
    whole = unicodedata.normalize("NFC", "".join(kept))
    assert fold(text) == (whole if plain.isascii() else whole.translate(_TYPED_ALIKE))
