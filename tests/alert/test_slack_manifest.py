"""The app manifest asks for what alert uses, and for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from services.alert.console.slack_requests import INTERACTIONS_PATH

ROOT = Path(__file__).parent.parent.parent
# Scope by method: Slack's method reference.
SCOPES = {
    "auth.test": set(),
    "chat.postMessage": {"chat:write"},
    "chat.postEphemeral": {"chat:write"},
    "chat.update": {"chat:write"},
    "conversations.open": {"im:write"},
    "conversations.history": {"channels:history", "groups:history", "im:history"},
    "conversations.replies": {"channels:history", "groups:history", "im:history"},
    "views.open": set(),
}


def _manifest() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "deploy/slack/manifest.yaml").read_text())
    return read


def test_the_scopes_are_those_of_the_methods_that_are_called() -> None:
    source = "".join(
        (ROOT / "services/alert/chat" / name).read_text()
        for name in ("slack.py", "slack_client.py")
    )
    called = {method for method in SCOPES if f'"{method}"' in source}
    assert called == set(SCOPES)
    wanted = set[str]().union(*(SCOPES[method] for method in called))
    assert set(_manifest()["oauth_config"]["scopes"]["bot"]) == wanted


def test_presses_go_to_the_path_that_is_served() -> None:
    url = _manifest()["settings"]["interactivity"]["request_url"]
    assert url == f"https://presence.example.com{INTERACTIONS_PATH}"
