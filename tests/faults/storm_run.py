"""Delivery under a storm and through a chat that fails, on a real PostgreSQL with time moved fast.

    python -m tests.faults.storm_run storm --minutes 60
    python -m tests.faults.storm_run outage

`storm`: 200 episodes a minute, Slack takes one post a second; a threat arrives last and has to be carded
within 10 seconds; nobody is pinged more often than the cap allows.
`outage`: Slack answers 429 for two minutes, then 500s, then `invalid_auth`, then is well again: nothing is
lost, each card's states keep their order, the fallback stood in, and the engineers heard of it elsewhere.

Slack is a server over real HTTP; time is test time. Exit code 1 where something does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from rich.console import Console
from rich.progress import track
from rich.table import Table

from deploy.local.postgres import LocalPostgres
from services.alert.chat.delivery import DeliveryPipeline
from services.alert.chat.memory import MemoryDestination
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.pace import Pace
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.domain.allowance import PINGS, PINGS_WITHIN
from services.alert.domain.boards.board import BoardKind
from services.alert.ports import Delivery, Destination, Purpose
from services.contracts.events import Sensitive
from services.runtime.clock import ManualClock
from tests.alert.builders import MONDAY, PRESENCE, configuration, notified, verdict
from tests.alert.chat_servers import TOKEN, SlackServer, serving, slack_error
from tests.alert.story import MIA, Story, story

TEAM = PRESENCE.replace(
    "  - {id: room, kind: slack, channel: C1}",
    "  - {id: ops, kind: slack, channel: C9}\n"
    "  - {id: room, kind: slack, channel: C1, fallback: teams}",
).replace("\ndestinations:", "\nengineers: ops\ndestinations:")
TEAM = re.sub(r"slack: U(\d)", r"slack: U0TEAM\1", TEAM)
THREAT_WITHIN = 10.0


class Watched:
    """Counts the calls under way, so that time moves only when nothing else does."""

    def __init__(self, inner: Any, world: World) -> None:
        self._inner, self._world = inner, world

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*given: Any, **named: Any) -> Any:
            self._world.under_way += 1
            try:
                return await found(*given, **named)
            finally:
                self._world.under_way -= 1

        return call


class Sent(Watched):
    """The outbox, which notes what arrived and when."""

    async def sent(self, delivery: Delivery, ref: Any) -> None:
        self._world.arrived.append((self._world.now, delivery))
        self._world.under_way += 1
        try:
            await self._inner.sent(delivery, ref)
        finally:
            self._world.under_way -= 1


@dataclass
class World:
    """A team, its database, its chats, and one time for all of them."""

    told: Story
    clock: ManualClock
    slack: SlackServer
    others: dict[str, MemoryDestination]
    under_way: int = 0
    arrived: list[tuple[datetime, Delivery]] = field(default_factory=list)
    pipelines: list[DeliveryPipeline] = field(default_factory=list)
    running: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def elapsed(self) -> float:
        return self.clock.monotonic()

    async def second(self, *, boards: bool = False, seconds: float = 1.0) -> None:
        """A second (or more) goes by: steps fire, and everything that is due is delivered."""
        async with self.told.pool.connection() as connection:
            await connection.execute("update alert.test_clock set at = %s", (self.now,))
        while await self.told.next_ways.fire_due() + await self.told.escalating.fire_due():
            pass
        if boards:
            await self.told.boards.round()
        for _ in range(2):
            await self.clock.forward(seconds / 2)
            await self._settle()

    async def _settle(self) -> None:
        quiet = 0
        while quiet < 12:
            await asyncio.sleep(0 if self.under_way == 0 else 0.0005)
            quiet = quiet + 1 if self.under_way == 0 else 0

    def of(self, purpose: Purpose, destination: str = "room") -> list[tuple[datetime, Delivery]]:
        return [
            one
            for one in self.arrived
            if one[1].purpose is purpose and one[1].destination == destination
        ]


@asynccontextmanager
async def world(
    url: str, answer: Callable[[World], web.Response | None] = lambda _: None
) -> AsyncIterator[World]:
    """The pipelines run; `answer` is what Slack says instead of its due."""
    slack, clock = SlackServer(), ManualClock(MONDAY)
    made: list[World] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(made[0]) or await slack.handle(request)

    async with serving("/api/{method}", handle) as address, story(url, configuration(TEAM)) as told:
        async with told.pool.connection() as connection:
            await connection.execute("create unlogged table alert.test_clock (at timestamptz)")
            await connection.execute("insert into alert.test_clock values (%s)", (MONDAY,))
            await connection.execute(
                "create or replace function alert.now() returns timestamptz language sql stable"
                " as $$ select at from alert.test_clock $$"
            )
        client = SlackClient(SecretStr(TOKEN), f"{address}/api/")
        others = {name: MemoryDestination(name) for name in ("teams", "ops", "safe")}
        one = World(told, clock, slack, others)
        made.append(one)
        metrics = DeliveryMetrics(CollectorRegistry())
        room: list[Destination] = [SlackDestination("room", "C0ROOM1", client)]
        for destination in (*room, *others.values()):
            pipeline = DeliveryPipeline(
                Watched(destination, one),
                Sent(told.outbox, one),
                clock=clock,
                metrics=metrics,
                posts=Pace(1.0),
                updates=Pace(0.8),
            )
            one.pipelines.append(pipeline)
            one.running.append(asyncio.create_task(pipeline.run()))
        try:
            yield one
        finally:
            for task in one.running:
                task.cancel()
            await asyncio.gather(*one.running, return_exceptions=True)
            await client.close()


@dataclass
class Outcome:
    """Figures, and what does not hold."""

    figures: dict[str, str]
    wrong: list[str]


Steps = Callable[[range], Any]


async def storm(url: str, minutes: float, each_minute: int = 200, steps: Steps = iter) -> Outcome:
    """So many episodes a minute; a threat comes last."""
    async with world(url) as one:
        seconds, heard, began = int(minutes * 60), 0, time.monotonic()
        for second in steps(range(seconds)):
            due = int((second + 1) * each_minute / 60)
            await one.told.hear(*(notified(f"q{n}", one.now, f"p{n}") for n in range(heard, due)))
            heard = due
            await one.second()
        threat_at = one.now
        flags = frozenset({Sensitive.threat})
        judged = verdict(sensitive=flags)
        await one.told.hear(notified("threat", one.now, "mallory", judged=judged))
        (row,) = await one.told.rows(
            "select id from alert.episodes where sensitive <> '{}' limit 1"
        )
        waiting = await one.told.rows(
            "select count(*) from alert.outbox where state = 'pending' and purpose = 'card'"
        )
        for _ in range(30):
            await one.second()
        cards = [at for at, sent in one.arrived if sent.purpose is Purpose.card]
        threat = [
            (at - threat_at).total_seconds()
            for at, sent in one.arrived
            if sent.episode_id == str(row[0]) and sent.purpose is Purpose.card
        ]
        most = _most_pings(one)
        figures = {
            "test time": f"{minutes:g} min, took {time.monotonic() - began:.0f} s",
            "episodes": str(heard),
            "cards delivered": str(len(cards)),
            "cards that waited before the threat": str(waiting[0][0]),
            "threat carded after": f"{min(threat):.1f} s" if threat else "never",
            "most pings to a person in 10 min": str(most),
            "pages": str(sum(sent.purpose is Purpose.page for _, sent in one.arrived)),
        }
        wrong = []
        if not threat or min(threat) > THREAT_WITHIN:
            wrong.append(f"the threat was not carded within {THREAT_WITHIN:g} s")
        if most > PINGS:
            wrong.append(f"somebody was pinged {most} times in 10 minutes")
        return Outcome(figures, wrong)


def _most_pings(one: World) -> int:
    """The most pages that one person got in any ten minutes, sensitive ones apart."""
    of_person: dict[str, list[datetime]] = {}
    for at, sent in one.arrived:
        if sent.purpose is Purpose.page and sent.person and not (sent.card and sent.card.sensitive):
            of_person.setdefault(sent.person.id, []).append(at)
    return max(
        (
            sum(begin <= at < begin + PINGS_WITHIN for at in times)
            for times in of_person.values()
            for begin in times
        ),
        default=0,
    )


async def outage(
    url: str, scale: float = 1.0, episodes: int = 40, steps: Steps = iter, step: int = 1
) -> Outcome:
    """429s, 500s, refused credentials, and well again. `scale` shortens each, `step` is in seconds."""
    limited, failing, refused = 120 * scale, 300 * scale, 480 * scale
    end = int(refused + 300 * max(scale, 0.5))
    met: Counter[str] = Counter()

    def answer(one: World) -> web.Response | None:
        at = one.elapsed
        if at < limited:
            met["429"] += 1
            return slack_error("ratelimited", 429, Retry_After="10").response()
        if at < failing:
            met["500"] += 1
            return web.Response(status=500)
        if at < refused:
            met["invalid_auth"] += 1
            return slack_error("invalid_auth").response()
        return None

    async with world(url, answer) as one:
        claimed: set[str] = set()
        heard = 0
        for second in steps(range(0, end, step)):
            if second < refused and heard < episodes * second / refused:
                await one.told.hear(notified(f"q{heard}", one.now, f"p{heard}"))
                heard += 1
            if second % 20 < step:
                for row in await one.told.episodes.open():
                    if row.episode_id not in claimed and len(claimed) < heard // 2:
                        claimed.add(row.episode_id)
                        await one.told.episodes.claim(row.episode_id, MIA)
            await one.second(boards=second % 5 < step, seconds=step)
        return await _judge(one, met, heard)


async def _judge(one: World, met: Counter[str], heard: int) -> Outcome:
    wrong = []
    states = await one.told.rows(
        "select e.id, e.version, o.state from alert.episodes e left join alert.outbox o on"
        " o.episode = e.id and o.purpose = 'card' and o.destination = 'room'"
    )
    if len(states) != heard or any(state != "sent" for _, _, state in states):
        wrong.append(f"cards that did not reach their place: {Counter(row[2] for row in states)}")
    shown: dict[tuple[str, str], list[int]] = {}
    for _, sent in one.arrived:
        if sent.purpose is Purpose.card and sent.card is not None:
            shown.setdefault((sent.destination, sent.episode_id), []).append(sent.card.version)
    if any(versions != sorted(versions) for versions in shown.values()):
        wrong.append("a card went back to an older state")
    last = {str(row[0]): row[1] for row in states}
    old = [key for key, found in shown.items() if found[-1] != last[key[1]]]
    if old:
        wrong.append(f"{len(old)} cards do not show how things stand")
    ours = {sent.id for _, sent in one.of(Purpose.card) if sent.board is None}
    standing = [
        message["metadata"]["event_payload"]["delivery_id"]
        for message in one.slack.all_messages()
        if message.get("metadata")
    ]
    posted = [delivery for delivery in standing if delivery in ours]
    if len(posted) != heard:
        wrong.append(f"{len(posted)} cards stand in Slack for {heard} episodes")
    stood_in = one.of(Purpose.card, "teams")
    if not stood_in:
        wrong.append("the fallback took nothing")
    notices = {
        sent.destination
        for _, sent in one.arrived
        if sent.board is not None and sent.board.kind is BoardKind.notice
    }
    if notices != {"ops"}:
        wrong.append(f"the engineers were told in {sorted(notices) or 'no place'}")
    open_troubles = await one.told.rows(
        "select source from alert.troubles where kind = 'destination_down' and ended_at is null"
    )
    if open_troubles:
        wrong.append("the recovery was not noted")
    first_by: dict[str, datetime] = {}
    for at, sent in one.arrived:
        if sent.purpose is Purpose.card and sent.episode_id:
            first_by.setdefault(sent.episode_id, at)
    opened = await one.told.rows("select id, opened_recorded_at from alert.episodes")
    waits = [
        (first_by[str(key)] - at) / timedelta(seconds=1)
        for key, at in opened
        if str(key) in first_by
    ]
    figures = {
        "episodes": str(heard),
        "Slack said": ", ".join(f"{name} × {count}" for name, count in met.items()),
        "cards in Slack at the end": str(len(posted)),
        "cards at the fallback": str(len({sent.episode_id for _, sent in stood_in})),
        "engineers told in": ", ".join(sorted(notices)),
        "first card anywhere": f"median {statistics.median(waits):.0f} s, longest {max(waits):.0f} s",
    }
    return Outcome(figures, wrong)


def _show(outcome: Outcome, console: Console) -> int:
    table = Table(show_header=False)
    for name, figure in outcome.figures.items():
        table.add_row(name, figure)
    console.print(table)
    for one in outcome.wrong:
        console.print(f"[red]{one}")
    return 1 if outcome.wrong else 0


def main() -> int:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("storm", "outage"))
    parser.add_argument("--minutes", type=float, default=60)
    given = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        postgres = LocalPostgres(Path(folder), port=None, durable=False)
        postgres.start()
        try:
            url = postgres.create_database("storm")

            def steps(seconds: range) -> Any:
                return track(seconds, description=given.what, console=console)

            storming = given.what == "storm"
            run = storm(url, given.minutes, steps=steps) if storming else outage(url, steps=steps)
            return _show(asyncio.run(run), console)
        finally:
            postgres.stop()


if __name__ == "__main__":
    sys.exit(main())
