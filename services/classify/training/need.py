"""Learns who waits from our own labelled rows: `python -m services.classify.training.need`.

A logistic regression on what the reader measures anyway, beside the rule of words. Spam and news are
learned as rows for which nobody waits, and both sides weigh the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.classify.domain.need import ruled
from services.classify.domain.structure import COLUMNS
from services.classify.need_weights import FILE, FORMAT
from services.classify.reader import Reader
from services.classify.training.corpus import Row, load
from services.classify.training.evaluate import notification_of

STRENGTH: Final = 1.0
"""Inverse of the penalty; 0.05 and 0.3 were tried beside it and ranked worse."""
_DIGITS = 4
_HABITS: Final = frozenset({"handles", "many handles", "begins with a handle"})
"""Whom a text is addressed to is a habit of the platform and of whoever wrote the rows, not a need: where
most rows with a handle happen to ask something, "@air nice sunset" would wait for an answer."""
_REFERENCES: Final = frozenset({"digits", "a long number"})
"""A number is a scam's telephone in our rows and a ticket's in life: it must not take a question's card."""


def own_rows() -> list[Row]:
    """The part of our own set that may train."""
    folder = files("services.classify") / "training" / "own"
    named = sorted(file.name for file in folder.iterdir() if file.name.endswith(".jsonl"))
    return load([Path(str(folder / name)) for name in named])


def learn_need(rows: Sequence[Row], reader: Reader) -> dict[str, Any]:
    """What the weights file holds. The same rows and word lists give the same numbers."""
    from sklearn.linear_model import LogisticRegression

    said = [row for row in rows if row.needs_answer is not None]
    features = np.array([_features(row, reader) for row in said])
    # Constant, so that what is learned weighs them by nothing.
    features[:, [1 + at for at, name in enumerate(COLUMNS) if name in _HABITS | _REFERENCES]] = 0.0
    waits = np.array([bool(row.needs_answer) for row in said])
    model = LogisticRegression(C=STRENGTH, max_iter=5_000, class_weight="balanced").fit(
        features, waits
    )
    rule, *weights = (round(float(one), _DIGITS) for one in model.coef_[0])
    return {
        "format": FORMAT,
        "rows": len(said),
        "columns": list(COLUMNS),
        "bias": round(float(model.intercept_[0]), _DIGITS),
        "rule": rule,
        "weights": weights,
    }


def _features(row: Row, reader: Reader) -> list[float]:
    reading = reader.read(row.text, title=row.title)
    return [ruled(notification_of(row), reading).odds, *reading.structure.values]


def main() -> None:
    """Write the file anew."""
    from services.classify.model import create_reader

    learned = learn_need(own_rows(), create_reader())
    path = Path(str(files("services.classify") / FILE))
    path.write_text(json.dumps(learned, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"learned from {learned['rows']} rows: {path.name}")  # noqa: T201 - what the person asked for


if __name__ == "__main__":
    main()
