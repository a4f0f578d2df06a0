"""`presence evaluate --shadow`: which of two models the team's own judgements speak for.

The team corrects what it sees, and it sees what the serving model shows. So corrections alone would
always speak for the challenger: what the champion got right, nobody corrects. Hence two readings, and
a challenger is called better only by the one that is against it:

- *corrected*: of the disagreements on which a person gave a label that one of the two had said;
- *as seen*: those, and every disagreement where the champion said conversation, a person therefore saw
  the item, had time, and let it stand: counted for the champion.

Disagreements where the champion hid the item and nobody corrected it count for nobody: nobody looked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from math import sqrt
from typing import Any, Final

from services.contracts.events import Comparison, Correction, Label

SETTLED: Final = timedelta(hours=12)
"""So long a person has to correct what they saw."""
_Z: Final = 1.96


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    if not of:
        return 0.0, 1.0
    share, z2 = hits / of, _Z * _Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def latest(comparisons: Iterable[Comparison]) -> dict[str, Comparison]:
    """The last comparison of each item: repetitions count once."""
    found: dict[str, Comparison] = {}
    for one in sorted(comparisons, key=lambda one: one.at):
        found[one.item_id] = one
    return found


def compare(
    comparisons: Iterable[Comparison], corrections: Mapping[str, Correction], now: datetime
) -> dict[str, Any]:
    """Every figure. `corrections` are the last ones by item id; retracted ones count as none."""
    every = latest(comparisons)
    newest = max(every.values(), key=lambda one: one.at, default=None)
    pair = (newest.champion.model, newest.challenger.model) if newest else ("", "")
    kept = [one for one in every.values() if (one.champion.model, one.challenger.model) == pair]
    differing = [one for one in kept if one.champion.label is not one.challenger.label]
    by = Counter((one.champion.label, one.challenger.label) for one in differing)
    tally = Counter(_speaks_for(one, corrections.get(one.item_id), now) for one in differing)
    challenger, champion, let_stand = tally["challenger"], tally["champion"], tally["let stand"]
    corrected = wilson(challenger, challenger + champion)
    as_seen = wilson(challenger, challenger + champion + let_stand)
    return {
        "champion": pair[0],
        "challenger": pair[1],
        "items": len(kept),
        "of_other_models": len(every) - len(kept),
        "agreement": round(1 - len(differing) / len(kept), 4) if kept else None,
        "disagreements": len(differing),
        "by_label": [
            {"champion": one.value, "challenger": other.value, "items": count}
            for (one, other), count in by.most_common()
        ],
        "corrected_towards_challenger": challenger,
        "corrected_towards_champion": champion,
        "neither_was_right": tally["neither"],
        "seen_and_let_stand": let_stand,
        "nobody_looked": tally["unseen"],
        "too_fresh": tally["fresh"],
        "challenger_right": {
            "corrected": _share(challenger, challenger + champion, corrected),
            "as_seen": _share(challenger, challenger + champion + let_stand, as_seen),
        },
        "better": _better(as_seen, corrected),
    }


def _speaks_for(one: Comparison, correction: Correction | None, now: datetime) -> str:
    if correction is not None and not correction.retracted:
        if correction.to_label is one.challenger.label:
            return "challenger"
        return "champion" if correction.to_label is one.champion.label else "neither"
    if now - one.at < SETTLED:
        return "fresh"
    return "let stand" if one.champion.label is Label.conversation else "unseen"


def _share(hits: int, of: int, interval: tuple[float, float]) -> dict[str, Any]:
    low, high = interval
    return {
        "share": round(hits / of, 4) if of else None,
        "of": of,
        "interval": [round(low, 4), round(high, 4)],
    }


def _better(as_seen: tuple[float, float], corrected: tuple[float, float]) -> str:
    """The challenger only by the reading against it; the champion only by the one against *it*."""
    if as_seen[0] > 0.5:
        return "challenger"
    return "champion" if corrected[1] < 0.5 else "unknown"
