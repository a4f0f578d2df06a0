"""The whole of Presence for a test: real Kafka, PostgreSQL and services, a strict Slack twin."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg
from psycopg.rows import dict_row
from pydantic import SecretStr
from rich.console import Console

from deploy.local import ports
from deploy.local.chat.app import ChatSettings, create_app, people_and_channels
from deploy.local.chat.workspace import Message
from deploy.local.demo import accounting
from deploy.local.errors import StackError
from deploy.local.serving import StreamServer
from deploy.local.system import LocalSystem
from services.runtime import configuration
from tests.pipeline.platforms import META_SECRET, X_SECRET, Payload

CONFIG = Path(__file__).with_name("presence.yaml")
CARE = "C0CARE"
SECRETS = {
    "PRESENCE_X_CONSUMER_SECRET": X_SECRET,
    "PRESENCE_META_APP_SECRET": META_SECRET,
    "PRESENCE_META_VERIFY_TOKEN": "verify",
    "PRESENCE_SLACK_BOT_TOKEN": "xoxb-pipeline",
    "PRESENCE_SLACK_SIGNING_SECRET": "signing-secret-of-the-pipeline",
}


class Whole:
    """Starts everything once; tests of one module share it and use ids of their own."""

    def __init__(self, data_dir: Path) -> None:
        self._chat_port = ports.random_free_port()
        self.chat_url = f"http://127.0.0.1:{self._chat_port}"
        self._config = data_dir / "presence.yaml"
        data_dir.mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            Template(CONFIG.read_text(encoding="utf-8")).substitute(CHAT_URL=self.chat_url),
            encoding="utf-8",
        )
        self._log = (data_dir / "services.log").open("w", encoding="utf-8")
        free = {
            f"PRESENCE_{name}_PORT": str(ports.random_free_port())
            for name in ("INGEST", "CLASSIFY", "ALERT")
        }
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("PRESENCE_")
        }
        self.system = LocalSystem(
            data_dir,
            config=self._config,
            environment={**kept, **SECRETS, **free},
            console=Console(file=self._log, width=200),
            durable=False,
        )
        self.log = Path(self._log.name)
        self.http = httpx.Client(timeout=20.0)
        self.database: psycopg.Connection[dict[str, Any]] | None = None
        self._chat: StreamServer | None = None

    def __enter__(self) -> Self:
        try:
            return self._started()
        except BaseException:
            self._stop()
            raise

    def _started(self) -> Self:
        self.system.start()
        members, channels = people_and_channels(configuration.load(self._config).configuration)
        app = create_app(
            ChatSettings(
                members=members,
                channels=channels,
                signing_secret=SecretStr(SECRETS["PRESENCE_SLACK_SIGNING_SECRET"]),
                token=SecretStr(SECRETS["PRESENCE_SLACK_BOT_TOKEN"]),
                base_url=self.chat_url,
                interactions_url=f"{self.system.stack.url('alert')}/slack/interactions",
            )
        )
        self.workspace = app.state.workspace
        self._chat = StreamServer(app, self._chat_port)
        self._thread = threading.Thread(target=self._chat.run, daemon=True)
        self._thread.start()
        self.system.wait_ready(90)
        self.database = psycopg.connect(
            self.system.stack.postgres.url, autocommit=True, row_factory=dict_row
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.database is not None:
            self.database.close()
        if self._chat is not None:
            self._chat.should_exit = True
            self._thread.join(5)
        self.system.stop()
        self.http.close()
        self._log.close()

    # What a platform does.

    def send(self, *payloads: Payload) -> None:
        """Each once, as a platform would: again after a 503 or a lost connection."""
        for payload in payloads:
            self._send(payload)

    def _send(self, payload: Payload) -> None:
        address = f"{self.system.stack.url('ingest')}/webhooks/{payload.source}"
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            try:
                answer = self.http.post(address, content=payload.body, headers=payload.headers)
            except httpx.TransportError:
                time.sleep(0.2)
                continue
            if answer.status_code == 503:
                time.sleep(float(answer.headers["retry-after"]))
                continue
            assert answer.status_code in (200, 202), answer.text
            return
        raise AssertionError("the intake did not take it within 30 s")

    # What a person in the team does.

    def press(self, act: str, card: Message, person: str = "U0MIA") -> None:
        """Press a button of a card in chat; the press is signed and sent by the chat."""
        block, element = next(
            (block, element)
            for block in card["blocks"]
            for element in block.get("elements", ())
            if element.get("action_id") == f"presence:{act}"
        )
        answer = self.http.post(
            f"{self.chat_url}/_page/press",
            json={
                "person": person,
                "channel": card["channel"],
                "ts": card["ts"],
                "block_id": block.get("block_id", ""),
                "action_id": element["action_id"],
            },
        )
        assert answer.status_code == 200, answer.text

    # What can be seen.

    def settle(self, within: float = 60.0) -> None:
        """Until nothing is under way."""
        assert accounting.wait_until_settled(self.system.stack, within=within), self.tail()

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of a query on the one database."""
        assert self.database is not None
        return self.database.execute(statement, values).fetchall()

    def episodes(self, author: str) -> list[dict[str, Any]]:
        """The episodes of one person, oldest first."""
        return self.rows(
            "select e.*, c.counterpart from alert.episodes e"
            " join alert.conversations c on c.id = e.conversation"
            " where c.counterpart = %s and e.state <> 'merged' order by e.opened_at, e.number",
            author,
        )

    def cards(self, episode: object) -> list[Message]:
        """The cards of an episode in the channel: what is posted at its top, not in threads."""
        places = self.rows("select message from alert.cards where episode = %s", episode)
        own = {place["message"] for place in places}
        return [one for one in self.channel() if one["ts"] in own]

    def channel(self) -> list[Message]:
        """Everything at the top of the team's channel."""
        return [one for one in self.workspace.in_channel(CARE) if "thread_ts" not in one]

    def pages(self) -> list[Message]:
        """Direct messages to people."""
        return [one for one in self.workspace.messages.values() if one["channel"] != CARE]

    def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        """The condition's first true value."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError(f"it did not come about within {seconds:.0f} s\n{self.tail()}")

    def kill(self, service: str) -> None:
        """kill -9; the supervisor starts it again."""
        os.kill(self.system.supervisor.pid(service), signal.SIGKILL)

    @contextmanager
    def kept_down(self, service: str) -> Iterator[None]:
        """Dead for as long as the block runs: killed again whenever the supervisor has started it."""
        over = threading.Event()

        def keep_killing() -> None:
            while not over.wait(0.05):
                with suppress(ProcessLookupError, StackError):
                    self.kill(service)

        thread = threading.Thread(target=keep_killing, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def ready(self) -> None:
        """Until all three are ready again."""
        self.system.wait_ready(60)

    def tail(self, lines: int = 40) -> str:
        """The last lines of the services' logs."""
        self._log.flush()
        return "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-lines:])


def top_level_by_episode(messages: Sequence[Message]) -> dict[str, int]:
    """How many cards in chat carry the buttons or the mark of each episode."""
    found: dict[str, int] = {}
    for message in messages:
        for block in message.get("blocks", ()):
            for element in block.get("elements", ()):
                if str(element.get("action_id", "")) == "presence:claim":
                    found[element["value"]] = found.get(element["value"], 0) + 1
    return found
