"""What ingest loads before it knows what is configured."""

from __future__ import annotations

import subprocess
import sys

CLIENTS = ("feedparser", "aioimaplib", "aiosmtplib", "twitter_text", "pkg_resources", "oauthlib")


def test_no_platforms_client_is_loaded_before_an_account_asks_for_it() -> None:
    program = "import services.ingest.app, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {name for name in loaded if name.partition(".")[0] in CLIENTS}
