"""The Slack emulator (npm `emulate`): the Web API as people who are not us understood it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

TOKEN = "xoxb-presence-test"
PEERS = Path(__file__).parent.parent / "peers"


@dataclass
class Peer:
    """A Slack, and who and what is in it."""

    base_url: str
    channel: str
    member: str


def _node() -> str:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail("Node.js is missing: install node and npm", pytrace=False)
        pytest.skip("Node.js is missing: install node and npm to run the Slack emulator")
    if not (PEERS / "node_modules/emulate/package.json").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=PEERS, check=True, timeout=120)
    return node


@contextmanager
def emulating() -> Iterator[str]:
    """The emulator's Web API, while it runs."""
    process = subprocess.Popen(
        [_node(), "slack.mjs"],
        cwd=PEERS,
        env={**os.environ, "SLACK_TOKEN": TOKEN},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        url = json.loads(process.stdout.readline())["url"]
        yield f"{url.replace('localhost', '127.0.0.1')}/api/"
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@cache
def _client() -> httpx.Client:
    # One for all: to make one takes longer than a call.
    return httpx.Client(headers={"authorization": f"Bearer {TOKEN}"})


def call(base_url: str, method: str, **fields: str) -> Any:
    """A call of its Web API, as a form."""
    return _client().post(f"{base_url}{method}", data=fields).json()


def peer_at(address: str) -> Peer:
    """The channel and the member that every test has there."""
    channels = call(address, "conversations.list")["channels"]
    users = call(address, "users.list")["members"]
    channel = next(one["id"] for one in channels if one["name"] == "general")
    return Peer(address, channel, next(one["id"] for one in users if one["name"] == "mia"))
