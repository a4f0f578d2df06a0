"""The team of alert's fault runs: short budgets, and somebody else at every step."""

from __future__ import annotations

from typing import Any

CHANNEL = "C0CARE"
SHARES = (0, 15, 30, 45)
"""Of the answer budget: when the steps are due."""
PHONES, CALLED_AFTER = "phones", 4
"""Seconds after her page, which she never confirms, Mia is called."""

CALLED = {
    "phone": "PRESENCE_MIA_PHONE",
    "notification_rules": {
        "urgent": [{"by": "slack"}, {"by": "phone", "after": f"{CALLED_AFTER}s"}]
    },
}


def configuration(chat: str, budget: float) -> dict[str, Any]:
    """One rota would do; different people at each step, so that none is merged into another."""
    people = ("mia", "jonas", "ines", "fay", "ada")
    threats = [
        {"at": f"{share}%", "targets": [target]}
        for share, target in zip(
            SHARES,
            ({"person": "mia"}, {"person": "jonas"}, {"person": "ines"}, {"channel": "care"}),
            strict=True,
        )
    ]
    common = {"answer_within": f"{budget:.0f}s", "claim_for": f"{budget / 2:.0f}s"}
    lines = [{"at": f"{share}%", "targets": [{"channel": "care"}]} for share in SHARES]
    week = {"every": "weekly", "starts": "2026-01-05", "members": ["mia"]}
    care = {"id": "care", "kind": "slack", "channel": CHANNEL, "base_url": f"{chat}/api/"}
    return {
        "version": 1,
        "brands": [{"id": "air", "name": "Air"}],
        "accounts": [{"id": "4001", "brand": "air", "platform": "x", "quiet_start": "0s"}],
        "people": [
            {"id": one, "name": one.title(), "slack": f"U0{one.upper()}", "zone": "UTC"}
            | (CALLED if one == "mia" else {})
            for one in people
        ],
        "rotas": [{"id": "social", "zone": "UTC", "layers": [{"id": "week", "rotation": week}]}],
        "policies": [
            {"id": "threat", **common, "steps": threats, "fallback": {"person": "fay"}},
            {"id": "plain", **common, "steps": lines},
        ],
        "destinations": [
            {**care, "posts_per_second": 1000, "updates_per_second": 1000},
            {"id": PHONES, "kind": "phone", "posts_per_second": 1000},
        ],
        "routes": [
            {
                "id": "threat",
                "match": {"sensitive": "any"},
                "policy": "threat",
                "destinations": ["care"],
            },
            {"id": "everything", "policy": "plain", "destinations": ["care"]},
        ],
    }
