"""The real classify and alert behind the intake under fault, and a chat: what a repeated record comes to."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from deploy.local import ports
from deploy.local.chat.app import ChatSettings, create_app, people_and_channels
from deploy.local.serving import StreamServer
from services.contracts.configuration import Configuration
from tests.pipeline.whole import CARE, top_level_by_episode

PRESENCE = Path(sys.executable).with_name("presence")
TOKENS = {
    "PRESENCE_SLACK_BOT_TOKEN": "xoxb-faults",
    "PRESENCE_SLACK_SIGNING_SECRET": "signing-secret-of-the-faults",
}
_EFFECTS = """
select
    (select count(*) from alert.inbox) as inbox,
    (select count(*) from alert.inbox where folded_at is null) as unfolded,
    (select count(*) from alert.items) as items,
    (select count(*) from alert.episodes where state <> 'merged') as episodes,
    (select count(*) from (
        select from alert.episodes, unnest(openers) as opener
        where state <> 'merged' group by opener having count(*) > 1
    ) as twice) as opened_twice,
    (select count(*) from alert.outbox where state in ('pending', 'leased')) as undelivered
"""


class Downstream:
    """classify and alert as processes, the chat in this one."""

    def __init__(self, folder: Path, configuration: dict[str, Any]) -> None:
        self._folder = folder
        self._port = ports.random_free_port()
        slack = {"id": "care", "kind": "slack", "channel": CARE, "posts_per_second": 1000}
        chat_url = f"http://127.0.0.1:{self._port}"
        slack |= {"base_url": f"{chat_url}/api/", "updates_per_second": 1000}
        self.configuration = {
            **configuration,
            "people": [{"id": "mia", "name": "Mia", "slack": "U0MIA", "zone": "UTC"}],
            "destinations": [slack],
        }
        members, channels = people_and_channels(Configuration.model_validate(self.configuration))
        self._app = create_app(
            ChatSettings(
                members=members,
                channels=channels,
                signing_secret=SecretStr(TOKENS["PRESENCE_SLACK_SIGNING_SECRET"]),
                token=SecretStr(TOKENS["PRESENCE_SLACK_BOT_TOKEN"]),
                base_url=chat_url,
                interactions_url=f"{chat_url}/nowhere",
            )
        )
        self._chat = StreamServer(self._app, self._port)
        self._thread = threading.Thread(target=self._chat.run, daemon=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._database = ""

    def start(self, environment: dict[str, str]) -> None:
        """Under the same environment as the intake."""
        self._database = environment["PRESENCE_DATABASE_URL"]
        self._thread.start()
        for service in ("classify", "alert"):
            port = {f"PRESENCE_{service.upper()}_PORT": str(ports.random_free_port())}
            with (self._folder / f"{service}.log").open("ab") as log:
                self._processes.append(
                    subprocess.Popen(
                        [PRESENCE, service], env={**environment, **port}, stdout=log, stderr=log
                    )
                )

    def _effects(self) -> dict[str, int]:
        with psycopg.connect(self._database) as connection:
            cursor = connection.execute(_EFFECTS)
            names = [column.name for column in cursor.description or ()]
            return dict(zip(names, cursor.fetchone() or (), strict=True))

    async def settle(self, events: int, within: float = 120.0) -> dict[str, int]:
        """Until every event is folded and every card sent; then what there is of each."""
        give_up = time.monotonic() + within
        while True:
            found = await asyncio.to_thread(self._effects)
            done = found["inbox"] >= events and not found["unfolded"] + found["undelivered"]
            if done or time.monotonic() > give_up:
                break
            await asyncio.sleep(0.5)
        cards = top_level_by_episode(self._app.state.workspace.in_channel(CARE))
        return {
            **found,
            "cards": len(cards),
            "episodes_with_two_cards": sum(count > 1 for count in cards.values()),
        }

    def stop(self) -> None:
        """End both and the chat."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(20)
        self._chat.should_exit = True
        if self._thread.is_alive():
            self._thread.join(5)
