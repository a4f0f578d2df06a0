"""presence.demo.yaml with this run's addresses in it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from string import Template

from deploy.local.demo.cast import Person

TEMPLATE = Path(__file__).parent / "presence.demo.yaml"


def presence_yaml(chat_url: str, mastodon_url: str, today: date) -> str:
    """The team's configuration; `chat_url` and `mastodon_url` without a slash at the end."""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        CHAT_URL=chat_url,
        MASTODON_URL=mastodon_url,
        # Three weeks ago, so that previous, present and next are all there.
        ROTA_STARTS=(today - timedelta(weeks=3)).isoformat(),
        GOLD_1=Person("x", "elena_gold", "Elena Petrova").id,
        GOLD_2=Person("x", "marcus_gold", "Marcus Vale").id,
        GOLD_3=Person("x", "camille_d", "Camille Dufour").id,
    )
