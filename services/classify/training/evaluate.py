"""`presence evaluate`: how good a classifier is on labelled text, beside the trivial rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.classify.bare import as_notification
from services.classify.classifier import Classifier
from services.classify.domain.verdict import likeliest
from services.classify.engines.port import LABELS
from services.classify.training.corpus import NOT_SPAM, Row
from services.classify.training.measures import (
    accuracy,
    calibration_error,
    grouped,
    macro_f1,
    per_class,
)
from services.contracts.events import Author, Label, Notification, Verdict

_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class Judged:
    """A row and what was said of it."""

    row: Row
    verdict: Verdict

    @property
    def likeliest(self) -> Label:
        """The label of the highest score, before costs and overrides."""
        return likeliest(self.verdict.scores)

    def as_json(self) -> dict[str, Any]:
        """A line of `--predictions`."""
        verdict = self.verdict
        return {
            **self.row.model_dump(mode="json", exclude_defaults=True, exclude={"text"}),
            "text": self.row.text,
            "predicted": self.likeliest.value,
            "served": verdict.label.value,
            "scores": {label.value: score for label, score in verdict.scores.items()},
            "needs_answer": verdict.needs_answer,
            "urgency": verdict.urgency.value,
            "sensitive": sorted(verdict.sensitive),
            "language": verdict.language,
            "held": verdict.held,
            "reasons": [reason.says for reason in verdict.reasons],
        }


def notification_of(row: Row) -> Notification:
    """The row as the service would see it."""
    author = Author(**row.author.model_dump(exclude_none=True))
    return as_notification(
        row.text,
        kinds=row.kinds,
        addressed=row.addressed,
        private=row.private,
        title=row.title,
        author=author,
    )


def judge_rows(rows: Sequence[Row], classifier: Classifier) -> Iterator[Judged]:
    """Judge all rows as the service does, a batch at a time."""
    for start in range(0, len(rows), _AT_A_TIME):
        some = rows[start : start + _AT_A_TIME]
        verdicts = classifier.judge([notification_of(row) for row in some])
        yield from (Judged(row, verdict) for row, verdict in zip(some, verdicts, strict=True))


def report(judged: Sequence[Judged], rules: Sequence[Judged], threshold: float) -> dict[str, Any]:
    """Every figure. `threshold` is that of needs_answer.

    All are of the likeliest label, `predicted` in the predictions; `served` has those of the label that the
    service gives after the costs, `served` in the predictions.
    """
    kept = [i for i, one in enumerate(judged) if one.row.label != NOT_SPAM]
    ours = [judged[i] for i in kept]
    theirs = [rules[i] for i in kept]
    scores = np.array([[one.verdict.scores[label] for label in LABELS] for one in ours])
    truth = [str(one.row.label) for one in ours]
    served = [one.verdict.label.value for one in ours]
    return {
        "rows": len(judged),
        **_figures(ours),
        "ece": calibration_error(scores.reshape(-1, len(LABELS)), truth),
        "by_source": _by([one.row.source for one in ours], ours, theirs),
        "by_language": _by([one.row.lang or one.verdict.language for one in ours], ours, theirs),
        "rules": _figures(theirs),
        "served": {
            "macro_f1": macro_f1(per_class(truth, served)),
            "accuracy": accuracy(truth, served),
            "per_class": _dumped(per_class(truth, served)),
            "by_source": _served_by([one.row.source for one in ours], truth, served),
            "by_language": _served_by(
                [one.row.lang or one.verdict.language for one in ours], truth, served
            ),
            "addressed_conversations": _addressed(ours),
        },
        "not_spam_called_spam": _share(
            [one.likeliest is Label.spam for one in judged if one.row.label == NOT_SPAM]
        ),
        "needs_answer": _needs(judged, threshold),
        "sensitive": _sensitive(judged),
    }


def _figures(judged: Sequence[Judged]) -> dict[str, Any]:
    truth = [str(one.row.label) for one in judged]
    said = [one.likeliest.value for one in judged]
    figures = per_class(truth, said)
    return {
        "macro_f1": macro_f1(figures),
        "accuracy": accuracy(truth, said),
        "per_class": _dumped(figures),
    }


def _dumped(figures: dict[str, Any]) -> dict[str, Any]:
    return {label: one.model_dump() for label, one in figures.items()}


def _by(keys: Sequence[str], ours: Sequence[Judged], rules: Sequence[Judged]) -> dict[str, Any]:
    return {
        key: {
            "rows": len(places),
            **_figures([ours[i] for i in places]),
            "rules_accuracy": _figures([rules[i] for i in places])["accuracy"],
        }
        for key, places in grouped(keys).items()
    }


def _served_by(
    keys: Sequence[str], truth: Sequence[str], served: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Recall as served, by label."""
    found = {}
    for key, places in grouped(keys).items():
        of = per_class([truth[i] for i in places], [served[i] for i in places])
        found[key] = {label: one.recall for label, one in of.items() if one.rows}
    return found


def _addressed(judged: Sequence[Judged]) -> dict[str, int]:
    """Of conversations that are addressed to the brand: how many are held, and how many dropped unseen."""
    there = [
        one for one in judged if one.row.addressed and one.row.label == Label.conversation.value
    ]
    away = [one.verdict.held for one in there if one.verdict.label is not Label.conversation]
    return {"rows": len(there), "held": sum(away), "dropped": len(away) - sum(away)}


def _needs(judged: Sequence[Judged], threshold: float) -> dict[str, float] | None:
    asked = [one for one in judged if one.row.needs_answer is not None]
    if not asked:
        return None
    waits = [one.verdict.needs_answer >= threshold for one in asked if one.row.needs_answer]
    idle = [one.verdict.needs_answer >= threshold for one in asked if not one.row.needs_answer]
    return {"rows": len(asked), "recall": _share(waits) or 0.0, "false_alarms": _share(idle) or 0.0}


def _sensitive(judged: Sequence[Judged]) -> dict[str, Any]:
    said = [one for one in judged if one.row.sensitive is not None]
    flagged = [one for one in said if one.row.sensitive]
    clean = [one for one in said if not one.row.sensitive]
    found: dict[str, list[bool]] = {}
    for one in flagged:
        for flag in one.row.sensitive or ():
            found.setdefault(flag.value, []).append(flag in one.verdict.sensitive)
    return {
        "rows": len(said),
        "recall": {flag: _share(hits) for flag, hits in sorted(found.items())},
        "any_recall": _share([bool(one.verdict.sensitive) for one in flagged]),
        "false_alarms": _share([bool(one.verdict.sensitive) for one in clean]),
        "flagged_of_all": _share([bool(one.verdict.sensitive) for one in judged]),
    }


def _share(found: Sequence[bool]) -> float | None:
    return round(sum(found) / len(found), 4) if found else None
