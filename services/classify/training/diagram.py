"""`python -m services.classify.training.diagram CARD OUT.svg`: a card's reliability diagram.

Each bar is a tenth of the scores: how often the likeliest label is right where the classifier says that
it is so sure. On the diagonal it is as right as it claims; the paler a bar, the fewer texts stand behind it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

_SIZE = 360
_LEFT, _BOTTOM, _TOP = 56, 48, 34


def svg(bins: Sequence[Mapping[str, float]], title: str) -> str:
    """The diagram of `measures.reliability`."""
    width, height = _LEFT + _SIZE + 20, _TOP + _SIZE + _BOTTOM
    floor = _TOP + _SIZE

    def x(value: float) -> float:
        return round(_LEFT + value * _SIZE, 1)

    def y(value: float) -> float:
        return round(floor - value * _SIZE, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="20" font-size="13">{title}</text>',
    ]
    for tenth in range(0, 11, 2):
        at = tenth / 10
        parts.append(
            f'<path d="M{x(0)} {y(at)}H{x(1)}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 8}" y="{y(at) + 4}" text-anchor="end">{tenth * 10} %</text>'
            f'<text x="{x(at)}" y="{floor + 18}" text-anchor="middle">{tenth * 10} %</text>'
        )
    for one in bins:
        left = min(int(one["said"] * 10), 9) / 10
        shade = round(0.25 + 0.75 * min(one["share"] / 0.2, 1.0), 2)
        parts.append(
            f'<rect x="{x(left) + 2}" y="{y(one["true"])}" width="{_SIZE / 10 - 4}" '
            f'height="{round(one["true"] * _SIZE, 1)}" fill="#2563eb" fill-opacity="{shade}">'
            f"<title>says {one['said']:.0%}, right {one['true']:.0%}, {one['share']:.0%} of all</title>"
            f'</rect><circle cx="{x(one["said"])}" cy="{y(one["true"])}" r="3" fill="#111"/>'
        )
    parts += [
        f'<path d="M{x(0)} {y(0)}L{x(1)} {y(1)}" stroke="#111" stroke-dasharray="4 3"/>',
        f'<path d="M{x(0)} {y(1)}V{y(0)}H{x(1)}" stroke="#111" fill="none"/>',
        f'<text x="{_LEFT + _SIZE / 2}" y="{floor + 38}" text-anchor="middle">'
        "how sure it says it is</text>",
        f'<text transform="translate(14 {_TOP + _SIZE / 2}) rotate(-90)" text-anchor="middle">'
        "how often it is right</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def of_card(card: Path) -> str:
    """The diagram of a model's card, on sources that it had not seen."""
    read = orjson.loads(card.read_bytes())
    unseen = read["unseen_sources"]
    return svg(unseen["reliability"], f"{read['name']} on unseen sources, ECE {unseen['ece']:.3f}")


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(of_card(Path(sys.argv[1])), encoding="utf-8")
