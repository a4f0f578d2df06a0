"""A place to practise beside a real team: two databases, one Slack, and alert's part between them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
from pydantic import SecretStr

from services.alert.chat.links import PracticeLinks
from services.alert.chat.practice.destination import open_practice
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.slack_interactions import SlackInteractions
from services.alert.domain.practice.script import Cue, script
from services.alert.practice.database import open_pool, prepare
from services.alert.practice.practice import Practice
from services.alert.practice.presses import PractisedSlack
from services.alert.practice.runs import Plan, Run, Runs
from services.alert.rounds import cancel
from services.contracts.configuration import Configuration
from services.contracts.events import ClassifiedNotification
from services.runtime.clock import SystemClock
from services.runtime.postgres import Pool
from tests.alert.builders import PRESENCE, configuration
from tests.alert.chat_builders import SECRET
from tests.alert.chat_servers import TOKEN, SlackServer, serving
from tests.alert.story import Story, story
from tests.alert.teams_server import PASSWORD

TRAINING = "C0TRAIN"
PRACTICE = f"""
answering: {{undo_for: 1s}}
practice:
  destinations:
    - {{id: training, kind: slack, channel: {TRAINING}, posts_per_second: 500, updates_per_second: 500,
       base_url: "$SLACK"}}
  time_limit: 1h
"""
TOM = "U4"
"""A trainee."""


@dataclass
class Ground:
    """Both worlds, and what Slack saw of them."""

    real: Story
    real_url: str
    url: str
    server: SlackServer
    pool: Pool
    runs: Runs
    practice: Practice
    presses: PractisedSlack
    file: Configuration
    _ts: itertools.count[int] = field(default_factory=itertools.count)

    async def begin(self, *events: ClassifiedNotification, **plan: Any) -> Run:
        """A run for Tom, everything at once."""
        cues = tuple(
            Cue(timedelta(0), one.event, one.senior)
            for one in script(events, speed=1000, within=timedelta(hours=1))
        )
        facts: dict[str, Any] = {
            "people": ("tom",),
            "destination": "training",
            "source": "a test",
            "speed": 1.0,
            "limit": timedelta(hours=1),
            "cues": cues,
        }
        number = await self.runs.begin(Plan(**{**facts, **plan}))
        run = await self.runs.get(number)
        assert run is not None
        return run

    async def later(self, span: timedelta) -> None:
        """The practice's own clock is moved."""
        async with self.pool.connection() as connection:
            await connection.execute(
                "create or replace function practice.now() returns timestamptz language sql stable"
                f" as $$ select clock_timestamp() + interval '{span.total_seconds()} s' $$"
            )

    async def ended(self) -> Run:
        """The last run, once it is over."""

        async def over() -> Run | None:
            run = await self.runs.get()
            return run if run is not None and run.over else None

        run: Run = await self.seen(over)
        return run

    async def seen(self, what: Callable[[], Any | Awaitable[Any]], seconds: float = 10.0) -> Any:
        """Wait until `what` is so; what it said."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            found = what()
            found = await found if isinstance(found, Awaitable) else found
            if found:
                return found
            assert asyncio.get_running_loop().time() < until, self.texts()
            await asyncio.sleep(0.02)

    def messages(self) -> list[dict[str, Any]]:
        """What stands in the practice's channel."""
        return [one for one in self.server.all_messages() if one["channel"] == TRAINING]

    def cards(self) -> list[dict[str, Any]]:
        """Its cards."""
        return [one for one in self.messages() if "thread_ts" not in one and one.get("blocks")]

    def texts(self) -> list[str]:
        """First lines and what stands in threads."""
        return [one["text"] for one in self.messages()]

    def said(self) -> str:
        """Everything in the channel, as one text."""
        return json.dumps(self.messages(), ensure_ascii=False)

    def card_of(self, words: str) -> dict[str, Any]:
        """The card that quotes these words."""
        return next(one for one in self.cards() if words in json.dumps(one, ensure_ascii=False))

    async def press(self, card: dict[str, Any], act: str, member: str = TOM) -> Any:
        """Somebody presses what stands on a card, or in its menu, as Slack tells it."""
        return await self.presses.handle(self.pressed(card, act, member))

    def pressed(self, card: dict[str, Any], act: str, member: str = TOM) -> dict[str, Any]:
        """The payload of that."""
        return {
            "type": "block_actions",
            "user": {"id": member},
            "trigger_id": "1.2.3",
            "container": {"type": "message", "channel_id": card["channel"]},
            "channel": {"id": card["channel"]},
            "actions": [{**action_of(card, act), "action_ts": f"{next(self._ts)}"}],
        }

    async def submit(self, member: str = TOM, **values: str) -> Any:
        """The form that was opened last is sent; a choice by its value, a text as it is."""
        view = self.server.views[-1]["view"]
        payload = {
            "type": "view_submission",
            "user": {"id": member},
            "view": {"id": "V1", **view, "state": {"values": _filled(view, values)}},
        }
        return await self.presses.handle(payload)


def action_of(card: dict[str, Any], act: str) -> dict[str, Any]:
    """The button of a message, or the choice in its menu, by the act's name."""
    for block in card["blocks"]:
        for element in block.get("elements", ()):
            name = str(element.get("action_id", ""))
            if name.partition(":")[2] == act:
                return {"action_id": name, "value": element["value"]}
            for option in element.get("options", ()):
                if str(option["value"]).startswith(f"{act}|"):
                    return {"action_id": name, "selected_option": {"value": option["value"]}}
    raise AssertionError(f"no {act} in {card['text']}")


def _filled(view: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for block in view["blocks"]:
        if block["type"] != "input":
            continue
        element = block["element"]
        name, kind = element["action_id"], element["type"]
        if kind == "plain_text_input":
            found[block["block_id"]] = {name: {"type": kind, "value": values.get("text")}}
        elif kind == "checkboxes":
            chosen = [{"value": values["beyond"]}] if "beyond" in values else []
            found[block["block_id"]] = {name: {"type": kind, "selected_options": chosen}}
        else:
            option = {"value": values.get("choice")}
            found[block["block_id"]] = {name: {"type": kind, "selected_option": option}}
    return found


async def fingerprint(url: str) -> dict[str, str]:
    """Every table of a database, alert's and ingest's, by a hash of its rows."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        tables = await (
            await connection.execute(
                "select table_schema, table_name from information_schema.tables"
                " where table_schema in ('alert', 'ingest', 'practice') order by 1, 2"
            )
        ).fetchall()
        found = {}
        for schema, table in tables:
            query = f"select md5(string_agg(t::text, '|' order by t::text)) from {schema}.{table} t"
            row = await (await connection.execute(query.encode())).fetchone()
            found[f"{schema}.{table}"] = str(row and row[0])
    return found


def practice_of(file: Configuration, url: str) -> Practice:
    """A replica's part in it."""
    clock = SystemClock()
    links = PracticeLinks("https://presence.example", SecretStr(SECRET), clock)
    channels = open_practice(
        file.practice,
        secret=lambda name: SecretStr(PASSWORD if "TEAMS" in name else TOKEN),
        links=links,
        clock=clock,
    )
    return Practice(url, lambda: file, channels, links, clock, pace=0.03)


@asynccontextmanager
async def ground(
    real_url: str, url: str, *, presence: str = PRESENCE + PRACTICE, at_work: bool = True
) -> AsyncIterator[Ground]:
    """A team that is at work in `real_url` and practises in `url`; `at_work`: alert runs here."""
    server = SlackServer()
    async with serving("/api/{method}", server.handle) as address, story(real_url) as real:
        file = configuration(presence.replace("$SLACK", f"{address}/api/"))
        real.file = file
        pool = open_pool(url)
        await pool.open()
        await prepare(pool, real_url)
        clock, token = SystemClock(), SecretStr(TOKEN)
        practice = practice_of(file, url)
        room = SlackDestination("room", "C1", SlackClient(token, f"{address}/api/"))
        normal = SlackInteractions(
            real.episodes,
            lambda: file,
            [room],
            clock,
            boards=real.boards,
            answers=real.answers,
            doings=real.doings,
        )
        presses = PractisedSlack(practice, normal)
        worker = asyncio.create_task(practice.run() if at_work else asyncio.sleep(0))
        try:
            yield Ground(real, real_url, url, server, pool, Runs(pool), practice, presses, file)
        finally:
            await cancel([worker])
            await practice.close()
            await room.close()
            await pool.close()
