"""What responders feel: who waits, how soon a person is needed, and what is sensitive, per language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from services.classify.training.evaluate import Judged
from services.contracts.events import Sensitive, Urgency

_ENOUGH = 10
"""Rows of a language, and of either kind in it, from which its figures say something."""


class NeedFigures(BaseModel):
    """Of rows that say whether somebody waits."""

    rows: int
    auc: float
    """The chance that of two rows, one waiting and one not, the waiting one scores higher."""
    precision: float
    recall: float
    f1: float


class FlagFigures(BaseModel):
    """Of one sensitive flag among rows that say their flags."""

    asked: int
    found: int
    raised: int
    """Rows without the flag that got it."""


def of_responders(judged: Sequence[Judged], threshold: float) -> dict[str, Any]:
    """All figures of this module, as JSON: `need`, `urgent`, `flags`."""
    need = of_need(judged, threshold)
    return {
        "need": need and {language: one.model_dump() for language, one in need.items()},
        "urgent": of_urgency(judged),
        "flags": {
            flag: {language: one.model_dump() for language, one in of.items()}
            for flag, of in of_flags(judged).items()
        },
    }


def of_urgency(judged: Sequence[Judged]) -> dict[str, float] | None:
    """Of rows that say their urgency: how many of the high ones are, and how many low ones are high."""
    said = [one for one in judged if one.row.urgency is not None]
    if not said:
        return None
    high = [one.verdict.urgency is Urgency.high for one in said if one.row.urgency is Urgency.high]
    low = [one.verdict.urgency is Urgency.high for one in said if one.row.urgency is Urgency.low]
    return {
        "rows": len(said),
        "high_recall": round(sum(high) / len(high), 4) if high else 0.0,
        "low_called_high": round(sum(low) / len(low), 4) if low else 0.0,
    }


def of_need(judged: Sequence[Judged], threshold: float) -> dict[str, NeedFigures] | None:
    """`all` and each language; None where no row says whether somebody waits."""
    said = [one for one in judged if one.row.needs_answer is not None]
    if not said:
        return None
    of: dict[str, list[Judged]] = defaultdict(list)
    for one in said:
        of[one.row.lang or one.verdict.language].append(one)
    figures = {"all": _need(said, threshold)}
    for language, some in sorted(of.items()):
        waiting = sum(bool(one.row.needs_answer) for one in some)
        if min(waiting, len(some) - waiting) >= _ENOUGH:
            figures[language] = _need(some, threshold)
    return figures


def _need(judged: Sequence[Judged], threshold: float) -> NeedFigures:
    waits = [one.verdict.needs_answer for one in judged if one.row.needs_answer]
    idle = [one.verdict.needs_answer for one in judged if not one.row.needs_answer]
    hits = sum(value >= threshold for value in waits)
    said = hits + sum(value >= threshold for value in idle)
    precision = hits / said if said else 0.0
    recall = hits / len(waits) if waits else 0.0
    both = precision + recall
    return NeedFigures(
        rows=len(judged),
        auc=round(ranked(waits, idle), 4),
        precision=round(precision, 4),
        recall=round(recall, 4),
        f1=round(2 * precision * recall / both, 4) if both else 0.0,
    )


def ranked(higher: Iterable[float], lower: Iterable[float]) -> float:
    """ROC-AUC by ranks, ties counting half; 0.5 where either side is empty."""
    values = sorted([(value, 1) for value in higher] + [(value, 0) for value in lower])
    positives = sum(kind for _, kind in values)
    negatives = len(values) - positives
    if not positives or not negatives:
        return 0.5
    ranks, start = 0.0, 0
    while start < len(values):
        end = start
        while end < len(values) and values[end][0] == values[start][0]:
            end += 1
        ranks += sum(kind for _, kind in values[start:end]) * (start + 1 + end) / 2
        start = end
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def of_flags(judged: Sequence[Judged]) -> dict[str, dict[str, FlagFigures]]:
    """Per flag: `all` and each language that has rows of it or alarms without one."""
    table: dict[str, dict[str, FlagFigures]] = {}
    said = [one for one in judged if one.row.sensitive is not None]
    for flag in Sensitive:
        of: dict[str, list[Judged]] = defaultdict(list)
        for one in said:
            of["all"].append(one)
            of[one.row.lang or one.verdict.language].append(one)
        figures = {language: _flag(flag, some) for language, some in of.items()}
        table[flag.value] = {
            language: one
            for language, one in sorted(figures.items())
            if one.asked or one.raised or language == "all"
        }
    return table


def _flag(flag: Sensitive, judged: Sequence[Judged]) -> FlagFigures:
    asked = [flag in one.verdict.sensitive for one in judged if flag in (one.row.sensitive or ())]
    others = [
        flag in one.verdict.sensitive for one in judged if flag not in (one.row.sensitive or ())
    ]
    return FlagFigures(asked=len(asked), found=sum(asked), raised=sum(others))
