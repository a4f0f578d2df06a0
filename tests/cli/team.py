"""A team for the command line's tests: what its platforms and chats answer is the test's to say."""

from __future__ import annotations

from pathlib import Path

PRESENCE = """
version: 1
brands:
  - {{id: air, name: Air}}
accounts:
  - {{platform: x, id: "4001", brand: air, handle: air, settings: {{consumer_secret: X_SECRET,
      access_token: X_TOKEN, api_url: "{slack}/x"}}}}
  - {{platform: facebook, id: "1010", brand: air,
      settings: {{app_secret: META_SECRET, verify_token: META_VERIFY, access_token: META_TOKEN,
        api_url: "{graph}/v23.0"}}}}
  - {{platform: webhook, id: shop, brand: air, settings: {{source: shop, secret: SHOP_SECRET}}}}
people:
  - {{id: mia, name: Mia, slack: U0MIA}}
  - {{id: ben, name: Ben}}
rotas:
  - id: social
    zone: Europe/Berlin
    open_hours: office
    layers:
      - id: week
        rotation: {{every: daily, handoff: "09:00", starts: 2026-11-16, members: [{members}]}}
        restriction:
          - {{days: [monday, tuesday, wednesday, thursday, friday], from: "09:00", to: "17:00"}}
hours:
  - id: office
    zone: Europe/Berlin
    week:
      - {{days: [monday, tuesday, wednesday, thursday, friday], from: "09:00", to: "{closes}"}}
policies:
  - {{id: team, answer_within: 15m, steps: [{{at: "0%", targets: [{{rota: social}}]}}]}}
routes:
  - {{id: all, policy: team, destinations: [care]}}
destinations:
  - {{id: care, kind: slack, channel: C0CARE, bot_token: SLACK_TOKEN, signing_secret: SLACK_SECRET,
      base_url: "{slack}/api/"}}
"""


def write(
    folder: Path,
    *,
    graph: str = "http://localhost:1",
    slack: str = "http://localhost:1",
    members: str = "mia",
    closes: str = "17:00",
) -> Path:
    """presence.yaml of this team."""
    path = folder / "presence.yaml"
    text = PRESENCE.format(graph=graph, slack=slack, members=members, closes=closes)
    path.write_text(text, encoding="utf-8")
    return path
