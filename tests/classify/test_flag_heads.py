"""Sensitive flags by meaning: what the lists miss is read in the whole, and little else is raised."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from services.classify.classifier import Classifier
from services.classify.domain.sensitive import READS_LIKE, flags_of
from services.classify.domain.text import read
from services.classify.engines.cascade import CascadeEngine
from services.classify.engines.flag_heads import FLAGS
from services.classify.engines.model_file import UnusableModel
from services.classify.engines.port import FlagEngine
from services.classify.engines.sentence import Embedded
from services.classify.model import BUILT_IN, load_engine
from services.classify.training.corpus import Row, load
from services.classify.training.evaluate import Judged, judge_rows
from services.classify.training.flags import FlagRecipe, learn_flags
from services.classify.training.written import flagged
from services.contracts.configuration import Costs
from services.contracts.events import Kind, Label, Sensitive
from tests.classify.building import notification, reader, reading, shipped, verdict_on

FRESH = Path(__file__).parent / "data" / "flags_fresh.jsonl"
MODELS = Path(str(files("services.classify.engines"))) / "models"
UNLISTED = "a trava da cadeirinha do carro abre sozinha em movimento"
"""Dangerous, in words that no list holds."""


@cache
def fresh() -> tuple[Judged, ...]:
    return tuple(judge_rows(load([FRESH]), Classifier(reader(), shipped(), Costs())))


def test_what_is_put_in_a_new_way_is_found_three_times_in_four() -> None:
    asked = [one for one in fresh() if one.row.sensitive]
    found = [one for one in asked if one.row.sensitive <= one.verdict.sensitive]  # type: ignore[operator]
    by_lists = [one for one in asked if one.row.sensitive & reading(one.row.text).flags]  # type: ignore[operator]
    assert len(asked) >= 200
    assert len(by_lists) <= 0.5 * len(asked)
    assert len(found) >= 0.72 * len(asked)
    for flag in Sensitive:
        own = [one for one in asked if flag in (one.row.sensitive or ())]
        assert sum(flag in one.verdict.sensitive for one in own) >= 0.5 * len(own), flag


def test_few_of_the_hard_ones_that_mean_nothing_are_raised() -> None:
    hard = [one for one in fresh() if not one.row.sensitive]
    assert len(hard) >= 150
    raised = [one.row.text for one in hard if one.verdict.sensitive]
    assert len(raised) <= 0.1 * len(hard), raised


def test_a_handle_before_a_text_hides_no_flag() -> None:
    rows = [row for row in load([FRESH]) if row.sensitive][::4]
    bare = [one.verdict.sensitive for one in fresh() if one.row.sensitive][::4]
    spoken = [row.model_copy(update={"text": f"@acme {row.text}"}) for row in rows]
    found = [
        one.verdict.sensitive
        for one in judge_rows(spoken, Classifier(reader(), shipped(), Costs()))
    ]
    kept = sum(bool(one & other) for one, other in zip(bare, found, strict=True))
    assert kept >= 0.9 * sum(map(bool, bare))


def test_nothing_that_trains_the_flags_stands_in_the_measuring_set_in_other_words() -> None:
    def shingles(text: str) -> frozenset[str]:
        letters = " ".join(read(text).words)
        return frozenset(letters[i : i + 4] for i in range(max(len(letters) - 3, 1)))

    trained = [(row.lang, shingles(row.text)) for row in flagged()]
    for row in load([FRESH]):
        assert not row.trainable
        own = shingles(row.text)
        near = [
            1
            for lang, other in trained
            if lang == row.lang and len(own & other) >= 0.6 * len(own | other)
        ]
        assert len(own) < 12 or not near, row.text


def test_the_part_that_trains_holds_sixty_of_every_flag_in_many_languages() -> None:
    rows = flagged()
    for flag in Sensitive:
        own = [row for row in rows if flag in (row.sensitive or ())]
        assert len(own) >= 60, flag
        assert len({row.lang for row in own}) >= 12, flag
    assert sum(not row.sensitive for row in rows) >= 400


def test_a_card_says_what_it_reads_like_where_no_list_names_the_words() -> None:
    assert not reading(UNLISTED).flags
    verdict = verdict_on(UNLISTED)
    assert Sensitive.safety in verdict.sensitive
    assert READS_LIKE[Sensitive.safety] in [one.says for one in verdict.reasons]


def test_without_the_embedding_the_lists_alone_decide() -> None:
    linear = load_engine(None, name="linear")
    for text in (UNLISTED, "I want to kill myself"):
        assert verdict_on(text, linear).sensitive == reading(text).flags


def test_what_is_embedded_for_its_flags_is_scored_by_it_and_nothing_else_changes() -> None:
    engine = shipped()
    assert isinstance(engine, FlagEngine)
    texts = [reading(row.text) for row in load([FRESH])[:40]]
    plain, whole = engine.score(texts), load_engine(None, name="embedding").score(texts)
    for addressed in (True, False):
        looked = engine.look(texts, [addressed] * len(texts)).scores
        either = np.isclose(looked, plain, atol=1e-4) | np.isclose(looked, whole, atol=1e-4)
        assert either.all()
    assert not np.allclose(looked, plain, atol=1e-4)
    closely = engine.look(texts, [True] * len(texts)).flags
    assert all(a <= b for a, b in zip(engine.look(texts, [False] * 40).flags, closely, strict=True))
    assert [engine.look([one], [True]).flags[0] for one in texts] == list(closely)


def test_a_headline_raises_nothing_by_its_meaning_alone() -> None:
    meant = frozenset({Sensitive.safety})
    text = reading("Council opens the new bridge")
    item = notification(text.text.raw)
    assert flags_of(item, text, Label.news, meant) == frozenset()
    assert flags_of(item, text, Label.conversation, meant) == meant
    article = notification(text.text.raw, kinds=frozenset({Kind.article}))
    assert flags_of(article, text, Label.conversation, meant) == frozenset()
    private = notification(text.text.raw, private=True, kinds=frozenset({Kind.direct}))
    assert flags_of(private, text, Label.news, meant) == meant


def test_damaged_heads_are_refused_with_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MODELS / BUILT_IN, folder)
    (folder / FLAGS).write_bytes(b"x" + (folder / FLAGS).read_bytes())
    with pytest.raises(UnusableModel, match="not the file that the card describes"):
        CascadeEngine.load(folder)
    (folder / FLAGS).unlink()
    with pytest.raises(UnusableModel, match="cannot be read"):
        CascadeEngine.load(folder)


class Hashed:
    """An encoder that knows nothing: the same words give the same numbers."""

    def encode(self, texts: Sequence[str]) -> Embedded:
        rows = [
            np.random.default_rng(crc32(text.encode())).normal(scale=1 / 22, size=512)
            for text in texts
        ]
        return Embedded(np.array(rows, dtype=np.float32), np.ones(len(rows), dtype=np.float32))


def test_learning_the_flags_is_decided_by_rows_and_seed() -> None:
    small = FlagRecipe(bits=10, enough=100)
    said = flagged()[::12]
    ordinary = [
        Row(text=f"parcel number {i} is late", label=Label.conversation, source=f"shop-{i % 2}")
        for i in range(240)
    ]
    rows = [*said, *ordinary]
    one = learn_flags(rows, reader(), Hashed(), small)
    assert one is not None
    assert one == learn_flags(rows, reader(), Hashed(), small)
    assert one[1]["flags"] == [flag.value for flag in Sensitive]
    assert sum(one[1]["rows"].values()) == sum(bool(row.sensitive) for row in said)
    assert learn_flags(said, reader(), Hashed(), small) is None
    assert learn_flags(ordinary, reader(), Hashed(), small) is None
