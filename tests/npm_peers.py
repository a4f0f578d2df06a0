"""Parts of other people that come from npm: `npm ci` in tests/peers, done once by whoever needs one first."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PEERS = Path(__file__).parent / "peers"


def node() -> str:
    """Node.js. Without it a test is skipped on a user's machine, and fails in CI."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail("Node.js is missing: install node and npm", pytrace=False)
        pytest.skip("Node.js is missing: install node and npm to test against parts from npm")
    return found


def peer(path: str) -> Path:
    """A file of an installed package, by its path below node_modules."""
    node()
    found = PEERS / "node_modules" / path
    if not found.exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=PEERS, check=True, timeout=240)
    return found
