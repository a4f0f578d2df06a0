"""`python -m deploy.local.chat --config presence.yaml --port 8010 --alert http://127.0.0.1:8003`.

PRESENCE_SLACK_SIGNING_SECRET signs the presses; with PRESENCE_SLACK_BOT_TOKEN set, callers must bring it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from pydantic import SecretStr

from deploy.local.chat.app import ChatSettings, create_app, people_and_channels
from deploy.local.ports import LOOPBACK
from deploy.local.serving import StreamServer
from services.runtime import configuration
from services.runtime.errors import WrongConfiguration


def main(arguments: list[str] | None = None) -> None:
    """Serve the chat on this machine until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.chat")
    parser.add_argument(
        "--config", type=Path, required=True, help="presence.yaml: its people and channels"
    )
    parser.add_argument("--port", type=int, default=8010)
    parser.add_argument(
        "--alert", default="http://127.0.0.1:8003", help="address of the alert service"
    )
    parser.add_argument(
        "--journal", type=Path, help="a file that keeps the messages over a restart"
    )
    chosen = parser.parse_args(arguments)
    secret = os.environ.get("PRESENCE_SLACK_SIGNING_SECRET")
    if not secret:
        sys.exit("set PRESENCE_SLACK_SIGNING_SECRET, as alert has it")
    try:
        members, channels = people_and_channels(configuration.load(chosen.config).configuration)
    except WrongConfiguration as error:
        sys.exit(str(error))
    token = os.environ.get("PRESENCE_SLACK_BOT_TOKEN")
    settings = ChatSettings(
        members=members,
        channels=channels,
        signing_secret=SecretStr(secret),
        token=SecretStr(token) if token else None,
        base_url=f"http://{LOOPBACK}:{chosen.port}",
        interactions_url=f"{chosen.alert}/slack/interactions",
        console_url=f"{chosen.alert}/",
        journal=chosen.journal,
    )
    StreamServer(create_app(settings), chosen.port).run()


if __name__ == "__main__":
    main()
