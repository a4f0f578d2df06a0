"""`presence train`: from labelled text to a model directory with its card."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from services.classify.domain.structure import COLUMNS
from services.classify.engines.cascade import Encoder
from services.classify.engines.flag_heads import FLAGS
from services.classify.engines.model_file import CARD, FORMAT, WEIGHTS, load
from services.classify.engines.port import LABELS
from services.classify.reader import Reader
from services.classify.training.corpus import Row, UnusableData, pairs
from services.classify.training.fit import OURS, Example, Learned, Recipe, fit, prepare
from services.classify.training.flags import FlagRecipe, learn_flags
from services.classify.training.remembering import RememberingEncoder
from services.classify.training.unseen import Tell, Unseen, measure_unseen

_CALIBRATED_WITHOUT_SOURCES = 1.5
"""The temperature where there are too few sources to leave one out."""


def train(
    rows: Sequence[Row],
    reader: Reader,
    encoder: Encoder,
    *,
    to: Path,
    name: str,
    encoder_sha256: str,
    recipe: Recipe,
    licences: Mapping[str, str],
    on: date,
    tell: Tell,
    flag_rows: Sequence[Row] = (),
) -> dict[str, Any]:
    """Write weights and card to `to`, and return the card. The same rows and recipe give the same bytes.

    Raises UnusableData, MissingExtra.
    """
    tell("reading and embedding")
    encoder = RememberingEncoder(encoder)
    examples = prepare(rows, reader, encoder, recipe)
    _check(examples)
    unseen = _unseen(rows, examples, reader, encoder, recipe, tell)
    tell("all sources")
    learned = fit(examples, recipe)
    content = learned.weights.to_bytes()
    card = _card(rows, learned, recipe, licences, content, unseen)
    card |= {"name": name, "date": on.isoformat(), "encoder": encoder_sha256}
    tell("sensitive flags")
    flags = learn_flags([*rows, *flag_rows], reader, encoder, FlagRecipe(seed=recipe.seed))
    to.mkdir(parents=True, exist_ok=True)
    (to / WEIGHTS).write_bytes(content)
    if flags is not None:
        (to / FLAGS).write_bytes(flags[0])
        card["flags"] = flags[1]
    (to / CARD).write_bytes(orjson.dumps(card, option=orjson.OPT_INDENT_2))
    load(to)
    return card


def _check(examples: Sequence[Example]) -> None:
    there = {example.label for example in examples}
    missing = [label.value for i, label in enumerate(LABELS) if i not in there]
    if missing:
        raise UnusableData(f"there is no trainable row labelled {', '.join(missing)}")


def _unseen(
    rows: Sequence[Row],
    examples: Sequence[Example],
    reader: Reader,
    encoder: Encoder,
    recipe: Recipe,
    tell: Tell,
) -> Unseen | None:
    """None where leaving one source out would leave a label without text."""
    sources = {one.source for one in examples if not one.source.startswith(OURS)}
    if not sources:
        return None
    for source in sources:
        left = {example.label for example in examples if example.source != source}
        if len(left) < len(LABELS):
            return None
    return measure_unseen(rows, examples, reader, encoder, recipe, tell)


def _card(
    rows: Sequence[Row],
    learned: Learned,
    recipe: Recipe,
    licences: Mapping[str, str],
    content: bytes,
    unseen: Unseen | None,
) -> dict[str, Any]:
    trained = pairs([row for row in rows if row.trainable])
    sure = unseen.sureness() if unseen else 2.0
    measured = sorted({row.source for row in rows if not row.trainable})
    return {
        "format": FORMAT,
        "sha256": hashlib.sha256(content).hexdigest(),
        "labels": [label.value for label in LABELS],
        "structure": list(COLUMNS),
        "languages": list(learned.languages),
        "temperature": unseen.temperature(sure) if unseen else _CALIBRATED_WITHOUT_SOURCES,
        "lean": recipe.lean,
        "sure": sure,
        "recipe": asdict(recipe),
        "data": _data(trained, recipe, licences),
        "measured_only": measured,
        "unseen_sources": unseen.figures(sure) if unseen else None,
    }


def _data(
    trained: Counter[tuple[str, str]], recipe: Recipe, licences: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What was learned from, by source and label; what we wrote is one entry a label."""
    found = [
        {
            "source": source,
            "label": label,
            "rows": count,
            "used": min(count, recipe.at_most),
            "licence": licences.get(source, "not given"),
        }
        for (source, label), count in sorted(trained.items())
        if not source.startswith(OURS)
    ]
    own: Counter[str] = Counter()
    for (source, label), count in trained.items():
        if source.startswith(OURS):
            own[label] += count
    return found + [
        {
            "source": "written by us",
            "label": label,
            "rows": count,
            "used": count,
            "licence": "Apache-2.0",
        }
        for label, count in sorted(own.items())
    ]
