"""Learns the sensitive flags by meaning: `python -m services.classify.training.flags MODEL DATA…`.

Positives and hard negatives are rows that say which flags they must raise; every other row counts as
ordinary text, unless the word lists raise a flag in it. Half of the ordinary text is learned, the other
half sets the thresholds: so many false alarms per 10,000, every source weighing the same. `presence train`
does this as well; the command adds the heads to a model that stands.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from services.classify.domain.reading import Reading
from services.classify.engines.cascade import Encoder
from services.classify.engines.flag_heads import FLAGS, FlagHeads, read
from services.classify.engines.model_file import CARD
from services.classify.engines.ngrams import count
from services.classify.engines.sentence import Floats, SentenceEncoder
from services.classify.reader import Reader
from services.classify.training.augment import varied
from services.classify.training.corpus import Row, load
from services.classify.training.remembering import RememberingEncoder
from services.classify.training.written import PER_TEMPLATE, flagged, ours
from services.contracts.events import Label, Sensitive

ORDER: Final = tuple(Sensitive)


@dataclass(frozen=True, slots=True)
class FlagRecipe:
    """Everything that decides what comes out, besides the data."""

    seed: int = 1
    bits: int = 15
    """The width of the hash of the cue's n-grams."""
    at_most: int = 1_600
    """So many ordinary rows of one source at most; every other one is held out."""
    enough: int = 1_000
    """With fewer rows of ordinary text held out there is no telling a threshold."""
    false_alarms: float = 30e-4
    """Of ordinary text, for each flag, if every text were embedded."""
    hard_false_alarms: float = 50e-4
    """The same of what we wrote without any flag, spam, news and idioms, by heads that never saw it."""
    asked: float = 0.16
    """The share of ordinary text that the cue lets through."""
    asked_addressed: float = 0.4
    """The same where it is addressed to the brand."""
    cue_strength: float = 10.0
    """Inverse regularisation."""
    head_strength: float = 0.3
    loudness: float = 4.0
    """By which an embedding's numbers are multiplied: small ones would be held back by the penalty."""
    ordinary_weight: float = 0.3
    flagged_weight: float = 3.0


@dataclass(frozen=True, slots=True)
class _Texts:
    readings: list[Reading]
    truth: NDArray[np.bool_]
    weight: NDArray[np.float64]
    vectors: Floats


def learn_flags(
    rows: Sequence[Row], reader: Reader, encoder: Encoder, recipe: FlagRecipe
) -> tuple[bytes, dict[str, Any]] | None:
    """The file's content and the card's entry; None where no row has a flag or too little is ordinary.

    The same rows and recipe give the same bytes. Raises ImportError without scikit-learn.
    """
    dice = random.Random(recipe.seed)
    said = [row for row in rows if row.trainable and row.sensitive is not None]
    ordinary = _ordinary(rows, reader, recipe, dice)
    held = [reading for some in ordinary.values() for reading in some[1::2]]
    missing = set(ORDER) - {flag for row in said for flag in row.sensitive or ()}
    if missing or len(held) < recipe.enough:
        return None
    texts = _learned(said, ordinary, reader, encoder, recipe, dice)
    share = np.concatenate([np.full(len(s[1::2]), 1 / len(s[1::2])) for s in ordinary.values()])
    cue = _cue(texts, recipe)
    passing = _cue_scores(cue, held, recipe.bits)
    ask_from = [_over(passing, share, one) for one in (recipe.asked, recipe.asked_addressed)]
    vector, bias = _heads(texts, recipe)
    logits = encoder.encode([one.text.plain for one in held]).vectors @ vector + bias
    hard = _logits_unseen(texts, 2 * len(said), recipe)
    alike = np.ones(len(hard))
    thresholds = [
        max(
            _over(logits[:, i], share, recipe.false_alarms),
            _over(hard[:, i], alike, recipe.hard_false_alarms),
        )
        for i in range(len(ORDER))
    ]
    heads = FlagHeads(
        cue=cue,
        ask_from=np.array(ask_from, dtype=np.float32),
        vector=vector,
        bias=(bias - np.array(thresholds)).astype(np.float32),
    )
    content = heads.to_bytes()
    return content, _entry(content, said, ordinary, recipe)


def _ordinary(
    rows: Sequence[Row], reader: Reader, recipe: FlagRecipe, dice: random.Random
) -> dict[str, list[Reading]]:
    """Text of which nobody said a flag and in which the lists find none, by source.

    What we wrote of people talking is a source a language: public text is nearly all English, and a
    threshold that met no other language would hold in none.
    """
    talk = {f"written_{Label.conversation}_{row.lang}" for row in rows}
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        ours = row.source.startswith("written_")
        if row.trainable and row.sensitive is None and (not ours or row.source in talk):
            by_source[row.source].append(row)
    found: dict[str, list[Reading]] = {}
    for source, some in sorted(by_source.items()):
        dice.shuffle(some)
        readings = [reader.read(row.text, title=row.title) for row in some[: recipe.at_most]]
        clean = [one for one in readings if not one.flags]
        if len(clean) > 1:
            found[source] = clean
    return found


def _learned(
    said: Sequence[Row],
    ordinary: dict[str, list[Reading]],
    reader: Reader,
    encoder: Encoder,
    recipe: FlagRecipe,
    dice: random.Random,
) -> _Texts:
    """What we wrote twice, as it stands and varied: a handle must not say that nothing is the matter."""
    own = [
        (reader.read(text), row.sensitive or frozenset())
        for row in said
        for text in (row.text, varied(row.text, Label.conversation, dice))
    ]
    readings = [one for one, _ in own]
    truth = [[flag in flags for flag in ORDER] for _, flags in own]
    weight = [0.5] * len(own)
    for some in ordinary.values():
        kept = some[::2]
        readings += kept
        truth += [[False] * len(ORDER)] * len(kept)
        weight += [recipe.ordinary_weight] * len(kept)
    vectors = encoder.encode([one.text.plain for one in readings]).vectors
    return _Texts(readings, np.array(truth), np.array(weight), vectors)


def _cue(texts: _Texts, recipe: FlagRecipe) -> Floats:
    from scipy.sparse import csr_matrix

    found = count([one.text for one in texts.readings], recipe.bits)
    shape = (len(texts.readings), 1 << recipe.bits)
    features = csr_matrix((found.weight[found.row], (found.row, found.bucket)), shape=shape)
    any_flag = np.asarray(texts.truth.any(axis=1))
    weights, _ = _logistic(features, any_flag, texts.weight, recipe.cue_strength, recipe.seed)
    return _half(weights)


def _cue_scores(cue: Floats, readings: Sequence[Reading], bits: int) -> NDArray[np.float64]:
    found = count([one.text for one in readings], bits)
    summed = np.bincount(found.row, weights=cue[found.bucket], minlength=len(readings))
    return np.asarray(summed * found.weight, dtype=np.float64)


def _heads(texts: _Texts, recipe: FlagRecipe) -> tuple[Floats, NDArray[np.float64]]:
    features = texts.vectors * recipe.loudness
    columns, biases = [], []
    for i in range(len(ORDER)):
        truth = texts.truth[:, i]
        weight = texts.weight * np.where(truth, recipe.flagged_weight, 1.0)
        column, bias = _logistic(features, truth, weight, recipe.head_strength, recipe.seed)
        columns.append(column * recipe.loudness)
        biases.append(bias)
    return _half(np.array(columns).T), np.array(biases)


def _logits_unseen(texts: _Texts, own: int, recipe: FlagRecipe) -> Floats:
    """Of our rows without a flag, by heads learned from the other half of our rows; they stand first.

    The ordinary text is mostly English: without this no threshold would have met another language.
    """
    place = np.arange(len(texts.truth))
    found = []
    for half in (0, 1):
        left_out = (place < own) & (place // 2 % 2 == half)
        kept = ~left_out
        readings = [one for one, k in zip(texts.readings, kept.tolist(), strict=True) if k]
        seen = _Texts(readings, texts.truth[kept], texts.weight[kept], texts.vectors[kept])
        vector, bias = _heads(seen, recipe)
        clean = left_out & ~texts.truth.any(axis=1)
        found.append(texts.vectors[clean] @ vector + bias)
    return np.concatenate(found)


def _logistic(
    features: Any, truth: NDArray[np.bool_], weight: NDArray[np.float64], strength: float, seed: int
) -> tuple[NDArray[np.float64], float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=500, random_state=seed)
    model.fit(features, truth, sample_weight=weight)
    return model.coef_[0], float(model.intercept_[0])


def _half(weights: NDArray[np.float64]) -> Floats:
    """Round as the file does, so that what is measured is what is shipped."""
    return weights.astype(np.float16).astype(np.float32)


def _over(scores: NDArray[Any], share: NDArray[np.float64], part: float) -> float:
    """The score that the given part of the rows is over, each weighing its share."""
    order = np.argsort(-scores, kind="stable")
    passed = np.cumsum(share[order]) / share.sum()
    return float(scores[order[min(int(np.searchsorted(passed, part)), len(order) - 1)]])


def _entry(
    content: bytes, said: Sequence[Row], ordinary: dict[str, list[Reading]], recipe: FlagRecipe
) -> dict[str, Any]:
    rows = Counter(flag.value for row in said for flag in row.sensitive or ())
    return {
        "flags": [flag.value for flag in ORDER],
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": dict(sorted(rows.items())),
        "hard_negatives": sum(not row.sensitive for row in said),
        "ordinary": {source: len(some) for source, some in ordinary.items()},
        "hard_false_alarms_per_10_000": round(recipe.hard_false_alarms * 1e4, 1),
        "false_alarms_per_10_000": round(recipe.false_alarms * 1e4, 1),
        "asked_of_ordinary": recipe.asked,
        "asked_of_addressed": recipe.asked_addressed,
    }


def main() -> None:
    """Add the heads to the model directory, which stands first; the rest is labelled data."""
    from services.classify.model import create_reader

    recipe = FlagRecipe()
    directory, *data = (Path(one) for one in sys.argv[1:])
    rows = [*load(data), *ours(PER_TEMPLATE, recipe.seed), *flagged()]
    encoder = RememberingEncoder(SentenceEncoder.load())
    learned = learn_flags(rows, create_reader(), encoder, recipe)
    if learned is None:
        raise SystemExit("too little ordinary text, or no row of some flag")
    content, entry = learned
    read(content, len(entry["flags"]))
    card = orjson.loads((directory / CARD).read_bytes()) | {"flags": entry}
    (directory / FLAGS).write_bytes(content)
    (directory / CARD).write_bytes(orjson.dumps(card, option=orjson.OPT_INDENT_2))
    print(f"{directory}: {entry['rows']}")  # noqa: T201 - what the person asked for


if __name__ == "__main__":
    main()
