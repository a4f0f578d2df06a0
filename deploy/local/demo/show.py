"""The demo: the whole system, a chat in the browser, and the story sent through the real intake."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console

from deploy.local import ports
from deploy.local.chat.app import people_and_channels
from deploy.local.demo import accounting, progress, replay, team
from deploy.local.demo.accounting import DemoSummary
from deploy.local.demo.colleague import Colleague
from deploy.local.demo.signing import DemoSecrets
from deploy.local.stack import SERVICE_PORTS, LocalStack
from deploy.local.supervisor import Service
from deploy.local.system import LocalSystem
from services.runtime import configuration

CHAT_PORT, MASTODON_PORT = 8010, 8011
SETTLE_WITHIN = 45.0
"""Seconds after the last delivery in which everything must have come through."""


class _Demo:
    """One run: its ports, its secrets, its configuration."""

    def __init__(self, data_dir: Path, console: Console) -> None:
        self.home = data_dir / "demo"
        self.console = console
        self.secrets = DemoSecrets.made()
        taken = frozenset(SERVICE_PORTS.values())
        self.chat_port = ports.pick(CHAT_PORT, taken=taken)
        self.mastodon_port = ports.pick(MASTODON_PORT, taken=taken | {self.chat_port})
        self.chat_url = f"http://{ports.LOOPBACK}:{self.chat_port}"
        self.mastodon_url = f"http://{ports.LOOPBACK}:{self.mastodon_port}"
        self.config = self.home / "presence.demo.yaml"
        self.environment = {**os.environ, **self.secrets.environment()}

    def write_configuration(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        text = team.presence_yaml(self.chat_url, self.mastodon_url, datetime.now(UTC).date())
        self.config.write_text(text, encoding="utf-8")

    def companions(self, stack: LocalStack) -> Sequence[Service]:
        """The chat and the Mastodon server, as children."""
        environment = stack.service_environment()

        def child(name: str, module: str, *arguments: str) -> Service:
            return Service(name, (sys.executable, "-m", module, *arguments), environment)

        return (
            child(
                "chat",
                "deploy.local.chat",
                *("--config", str(self.config), "--port", str(self.chat_port)),
                *("--alert", stack.url("alert")),
                # A second run updates the cards of the first: they have to be there.
                *("--journal", str(self.home / "chat.jsonl")),
            ),
            child("mastodon", "deploy.local.mastodon_server", "--port", str(self.mastodon_port)),
        )

    def system(self) -> LocalSystem:
        return LocalSystem(
            self.home,
            config=self.config,
            environment=self.environment,
            console=self.console,
            companions=self.companions,
        )


def run(data_dir: Path, *, console: Console, once: bool, pace: float) -> DemoSummary | None:
    """Run the demo; with `once` it ends after the replay and returns what came of it.

    Raises StackError where something does not start.
    """
    began = time.monotonic()
    demo = _Demo(data_dir, console)
    demo.write_configuration()
    with demo.system() as system:
        system.wait_ready()
        _welcome(demo, system, time.monotonic() - began)
        before = accounting.snapshot(system.stack)
        summary = _play(demo, system, pace)
        settled = accounting.wait_until_settled(system.stack, within=SETTLE_WITHIN)
        found = accounting.account(system.stack, before, summary, began=began, settled=settled)
        if once:
            return found
        console.print(found.to_table())
        console.print(f"The chat stays open at [link]{demo.chat_url}[/link]. Ctrl-C ends it all.")
        system.supervisor.wait()
    return None


def _play(demo: _Demo, system: LocalSystem, pace: float) -> replay.Summary:
    """The story, and a colleague who answers somebody in it."""
    where = replay.Where(ingest=system.stack.url("ingest"), mastodon=demo.mastodon_url)

    async def play(tell: replay.Progress) -> replay.Summary:
        async with httpx.AsyncClient(timeout=15.0) as client, asyncio.TaskGroup() as tasks:
            answering = tasks.create_task(Colleague(demo.chat_url, client).answer())
            told = await replay.run(where, demo.secrets, pace=pace, progress=tell)
            wrong = await answering
        return replace(told, unexpected=(*told.unexpected, wrong)) if wrong else told

    with progress.bar(demo.console) as tell:
        return asyncio.run(play(tell))


def _welcome(demo: _Demo, system: LocalSystem, seconds: float) -> None:
    file = configuration.load(demo.config).configuration
    members, channels = people_and_channels(file)
    httpx.get(f"{demo.chat_url}/_page/state", timeout=10).raise_for_status()
    demo.console.print(
        f"\n[bold]Presence is up[/] after {seconds:.1f} s: {len(members)} people, "
        f"{len(channels)} channels\n"
        f"  the team's chat   [link]{demo.chat_url}[/link]\n"
        f"  open episodes     [link]{system.stack.url('alert')}[/link]\n"
        f"  metrics           {system.stack.url('alert')}/metrics\n"
    )
