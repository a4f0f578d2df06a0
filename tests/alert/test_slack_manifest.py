"""The app manifest asks for what alert uses, and for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from services.alert.chat.slack_commands import COMMAND
from services.alert.checks import SCOPES as CHECKED
from services.alert.console.slack_requests import COMMANDS_PATH, EVENTS_PATH, INTERACTIONS_PATH

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
    "views.publish": set(),
}
OF_FEATURES = {"commands"}
"""Asked for by a feature of the manifest, not by a method."""


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
    assert set(_manifest()["oauth_config"]["scopes"]["bot"]) == wanted | OF_FEATURES


def test_doctor_looks_for_the_scopes_of_the_manifest() -> None:
    assert set(_manifest()["oauth_config"]["scopes"]["bot"]) == CHECKED


def test_requests_go_to_the_paths_that_are_served() -> None:
    read, host = _manifest(), "https://presence.example.com"
    settings = read["settings"]
    assert settings["interactivity"]["request_url"] == f"{host}{INTERACTIONS_PATH}"
    assert settings["event_subscriptions"]["request_url"] == f"{host}{EVENTS_PATH}"
    (command,) = read["features"]["slash_commands"]
    assert (command["command"], command["url"]) == (COMMAND, f"{host}{COMMANDS_PATH}")


def test_the_home_tab_is_on_and_told_of() -> None:
    read = _manifest()
    assert read["features"]["app_home"]["home_tab_enabled"]
    assert read["settings"]["event_subscriptions"]["bot_events"] == ["app_home_opened"]
