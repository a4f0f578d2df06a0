"""A team that lives in Teams: a story's database, our bot, and whoever plays Microsoft.

What people see is what the other side was sent; what they press goes to our bot as a signed request over
its real route. Nothing reaches into either side.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.alert.chat.delivery import DeliveryPipeline
from services.alert.chat.links import Links
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.pace import Pace
from services.alert.chat.teams_bot import TeamsBotDestination
from services.alert.chat.teams_connector import Connector
from services.alert.chat.teams_interactions import TeamsInteractions
from services.alert.chat.teams_tokens import BotTokens
from services.alert.console.app import create_app
from services.contracts.configuration import Configuration
from services.runtime.clock import ManualClock
from tests.alert.builders import PRESENCE, at, configuration
from tests.alert.chat_builders import SECRET
from tests.alert.chat_servers import serving_app
from tests.alert.story import Story, story
from tests.alert.teams_server import APP, CHANNEL, PASSWORD, TENANT, TeamsBotServer

SAFE = "19:safe@thread.tacv2"
PUBLIC_URL = "https://presence.example"
TEAM = ("mia", "ben", "lea", "tom", "eva")


def team() -> Configuration:
    """The stories' team, in Teams."""
    text = PRESENCE
    for number, name in enumerate(TEAM, start=1):
        text = text.replace(f"slack: U{number}", f"teams: {name}@air.example")
    for channel, where in (("C1", CHANNEL), ("C2", SAFE)):
        bot = f'kind: teams_bot, channel: "{where}", app_id: {APP}, tenant: {TENANT}'
        text = text.replace(f"kind: slack, channel: {channel}", bot)
    return configuration(text)


def object_id(name: str) -> str:
    """The Entra object id of one of the team."""
    return f"aad-{name}"


def members() -> list[dict[str, str]]:
    """The team as Teams tells it."""
    return [
        {
            "id": f"29:{name}",
            "name": name.title(),
            "aadObjectId": object_id(name),
            "userPrincipalName": f"{name}@air.example",
        }
        for name in TEAM
    ]


def content_of(message: dict[str, Any]) -> dict[str, Any]:
    """The Adaptive Card in a message."""
    found: dict[str, Any] = message["attachments"][0]["content"]
    return found


def text_of(shown: Any) -> str:
    """All that a person reads in it, in order."""
    return " ".join(_texts(shown))


def _texts(shown: Any) -> Iterator[str]:
    if isinstance(shown, dict):
        yield from (
            str(shown[key]) for key in ("text", "title", "label", "value") if shown.get(key)
        )
        inner: Iterable[Any] = [one for key, one in shown.items() if key != "data"]
    else:
        inner = shown if isinstance(shown, list) else ()
    for one in inner:
        yield from _texts(one)


def buttons(message: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What can be pressed below the card."""
    return {one["title"]: one for one in content_of(message).get("actions", ())}


class StoryClock(ManualClock):
    """Moved by the story; who waits a moment for the pace of a destination really waits."""

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)


@dataclass
class Room:
    """The channel, and the people in it."""

    told: Story
    server: TeamsBotServer
    destination: TeamsBotDestination
    pipelines: list[DeliveryPipeline]
    clock: ManualClock
    http: httpx.AsyncClient
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Activities that came, in order."""

    async def at(self, minutes: float) -> None:
        """Move the database's clock and ours."""
        await self.told.at(minutes)
        await self.clock.forward((at(minutes) - self.clock.now()).total_seconds())

    async def settle(self) -> None:
        """Fire what is due; every effect goes out through the delivery pipeline."""
        await self.told.outgoing.round()
        await self.told.reminders.round()
        while await self.told.escalating.fire_due():
            pass
        await self.told.boards.round()
        for pipeline in self.pipelines:
            while await pipeline.round():
                pass

    async def receive(self, activity: dict[str, Any]) -> httpx.Response:
        """An activity comes from Microsoft, signed as theirs are."""
        self.asked.append(activity)
        now = self.clock.now().timestamp()
        token = self.server.token(now, serviceurl=activity["serviceUrl"])
        headers = {"authorization": f"Bearer {token}"}
        return await self.http.post("/teams/messages", json=activity, headers=headers)

    async def _invoke(
        self, who: str, name: str, value: dict[str, Any], where: str = CHANNEL
    ) -> dict[str, Any]:
        conversation = {"id": where, "tenantId": TENANT}
        activity = self.server.activity(
            who=object_id(who), name=name, value=value, conversation=conversation
        )
        answer = await self.receive(activity)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    async def press(self, who: str, button: dict[str, Any], where: str = CHANNEL) -> str:
        """A button that acts at once; what the presser is told."""
        assert button["type"] == "Action.Execute", button
        answer = await self._invoke(who, "adaptiveCard/action", {"action": button}, where)
        assert answer["type"] == "application/vnd.microsoft.activity.message"
        return str(answer["value"])

    async def open(self, who: str, button: dict[str, Any]) -> dict[str, Any]:
        """A button that opens a form: the form."""
        assert button["data"]["msteams"] == {"type": "task/fetch"}
        answer = await self._invoke(who, "task/fetch", {"data": button["data"]})
        task: dict[str, Any] = answer["task"]
        return task

    async def send(
        self, who: str, task: dict[str, Any], title: str, **typed: str
    ) -> dict[str, Any]:
        """Fill the form in and press one of its buttons: what comes in its place."""
        form = task["value"]["card"]["content"]
        (button,) = [one for one in form["actions"] if one["title"] == title]
        return await self.submit(who, {**button["data"], **typed})

    async def submit(self, who: str, data: dict[str, Any]) -> dict[str, Any]:
        """A form is sent: what comes in its place."""
        answer = await self._invoke(who, "task/submit", {"data": data})
        after: dict[str, Any] = answer["task"]
        return after

    def posts(self, conversation: str = CHANNEL) -> list[dict[str, Any]]:
        """What was posted into a channel by itself, as it stands now."""
        return [
            message
            for (where, activity), message in self.server.messages.items()
            if where == f"{conversation};messageid={activity}"
        ]

    def beneath(self) -> list[str]:
        """What stands beneath the cards, as text."""
        return [
            text_of(content_of(message))
            for (where, activity), message in self.server.messages.items()
            if where.startswith(CHANNEL) and not where.endswith(f"={activity}")
        ]

    def card(self) -> dict[str, Any]:
        """The one card in the channel."""
        (message,) = self.posts()
        return message

    def paged(self, who: str) -> list[str]:
        """The direct messages that somebody got, as their phone shows them."""
        return [
            str(message["summary"])
            for (where, _), message in self.server.messages.items()
            if where == f"a:29:{who}"
        ]


@asynccontextmanager
async def teams_room(url: str, service_url: str | None = None) -> AsyncIterator[Room]:
    """A fresh team. `service_url`: where messages go, if not to the server that hands out tokens."""
    server, clock = TeamsBotServer(members()), StoryClock(at(0))
    async with serving_app(server.app()) as address, story(url, team()) as told:
        server.base_url = address
        links = Links(PUBLIC_URL, SecretStr(SECRET), clock)
        connector = Connector(
            app_id=APP,
            password=SecretStr(PASSWORD),
            tenant=TENANT,
            service_url=service_url or f"{address}/teams/",
            login_url=f"{address}/login",
            clock=clock,
        )
        places = [
            TeamsBotDestination(name, channel, connector, links, clock)
            for name, channel in (("room", CHANNEL), ("safe", SAFE))
        ]
        interactions = TeamsInteractions(
            told.episodes,
            lambda: told.file,
            places,
            clock,
            told.boards,
            told.answers,
            told.doings,
            links,
        )
        tokens = BotTokens(f"{address}/openid", {APP}, clock, ("127.0.0.1", "localhost"))
        app = create_app(
            episodes=told.episodes,
            configuration=lambda: told.file,
            links=links,
            clock=clock,
            teams=interactions,
            teams_tokens=(tokens,),
        )
        metrics = DeliveryMetrics(CollectorRegistry())
        pipelines = [
            DeliveryPipeline(one, told.outbox, clock=clock, metrics=metrics, posts=Pace(1_000))
            for one in places
        ]
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as http:
            yield Room(told, server, places[0], pipelines, clock, http)
        await connector.close()


def as_json(shown: Any) -> str:
    """For a look at what must not be in it."""
    return json.dumps(shown, ensure_ascii=False)
