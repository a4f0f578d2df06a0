"""Destinations that come, change and go with the team's file while alert runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.alert.chat.links import Links
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.deliveries import Deliveries
from services.alert.ports import Purpose
from services.alert.team_file import destination_secrets
from services.contracts.configuration import Configuration
from services.runtime.clock import SystemClock
from services.runtime.errors import WrongConfiguration
from tests.alert.builders import PRESENCE, at, configuration, notified
from tests.alert.chat_builders import SECRET
from tests.alert.chat_servers import TOKEN, SlackServer, serving
from tests.alert.story import Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

ROOM = "  - {id: room, kind: slack, channel: C1}\n"
SAFE = "  - {id: safe, kind: slack, channel: C2, shared: false}\n"
TEAMS = "  - {id: teams, kind: teams_workflow}\n"


def placed(slack: SlackServer, *rooms: tuple[str, str]) -> Configuration:
    """A team whose cards go to the first of these Slack channels."""
    lines = "".join(
        f"  - {{id: {room}, kind: slack, channel: {channel}, base_url: '{slack.base_url}',"
        " posts_per_second: 100}\n"
        for room, channel in rooms
    )
    text = PRESENCE.replace(ROOM + SAFE + TEAMS, lines)
    text = text.replace("[room]", f"[{rooms[0][0]}]").replace("[safe]", f"[{rooms[0][0]}]")
    return configuration(text)


class OfTheStory(SystemClock):
    """Runs, while the story's own time stands."""

    def now(self) -> datetime:
        return at(0)


@asynccontextmanager
async def delivering(
    told: Story, secret: Callable[[str], SecretStr] = lambda _name: SecretStr(TOKEN)
) -> AsyncIterator[Deliveries]:
    clock = OfTheStory()
    deliveries = Deliveries(
        lambda: told.file,
        told.outbox,
        secret=secret,
        links=Links("https://presence.example", SecretStr(SECRET), clock),
        clock=clock,
        metrics=DeliveryMetrics(CollectorRegistry()),
    )
    running = asyncio.create_task(deliveries.run())
    try:
        yield deliveries
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await deliveries.close()


@asynccontextmanager
async def slack_server() -> AsyncIterator[SlackServer]:
    slack = SlackServer()
    async with serving("/api/{method}", slack.handle) as address:
        slack.base_url = f"{address}/api/"
        yield slack


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():
            await asyncio.sleep(0.02)


async def test_a_place_that_the_file_names_anew_is_delivered_to_without_a_restart(
    postgres: FreshDatabase,
) -> None:
    async with (
        slack_server() as slack,
        story(postgres(), placed(slack, ("old", "C1"))) as told,
        delivering(told) as deliveries,
    ):
        told.file = placed(slack, ("new", "C9"), ("old", "C1"))
        await told.hear(notified("q", at(0)))
        await until(lambda: len(slack.messages.get("C9", {})) == 1)
        assert [one.id for one in deliveries.slack] == ["new", "old"]


async def test_cards_of_a_place_that_left_the_file_go_where_cards_go_now(
    postgres: FreshDatabase,
) -> None:
    async with slack_server() as slack, story(postgres(), placed(slack, ("old", "C1"))) as told:
        await told.hear(notified("q", at(0)))
        told.file = placed(slack, ("new", "C9"))
        async with delivering(told):
            await until(lambda: len(slack.messages.get("C9", {})) >= 2)
        texts = [one["text"] for one in slack.messages["C9"].values()]
        assert any("My flight was cancelled" in text for text in texts)
        waiting = await told.rows(
            "select 1 from alert.outbox where destination = 'old' and state = 'pending'"
        )
        assert waiting == []


async def test_pages_of_a_place_that_left_the_file_reach_the_person_by_another_way(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        await told.escalating.fire_due()
        told.file = configuration(
            PRESENCE.replace(ROOM, "  - {id: lobby, kind: slack, channel: C7}\n").replace(
                "[room]", "[lobby]"
            )
        )
        assert await told.outbox.abandon(("lobby", "safe", "teams")) == 2
        assert await told.deliver() == ["mia"]
        assert {one.destination for one in told.of(Purpose.page)} == {"lobby"}
        assert await told.outbox.abandon(("lobby", "safe", "teams")) == 0


async def test_a_place_that_cannot_be_opened_leaves_the_one_that_works(
    postgres: FreshDatabase,
) -> None:
    def secret(name: str) -> SecretStr:
        if name == "PRESENCE_OTHER_TOKEN":
            raise WrongConfiguration(f"{name} is not set")
        return SecretStr(TOKEN)

    async with (
        slack_server() as slack,
        story(postgres(), placed(slack, ("room", "C1"))) as told,
        delivering(told, secret) as deliveries,
    ):
        (before,) = deliveries.slack
        (section,) = told.file.destinations
        other = section.model_copy(update={"bot_token": "PRESENCE_OTHER_TOKEN"})
        told.file = told.file.model_copy(update={"destinations": (other,)})
        await deliveries.follow()
        assert deliveries.slack == [before]
        await told.hear(notified("q", at(0)))
        await until(lambda: len(slack.messages.get("C1", {})) == 1)


def test_a_changed_file_whose_secrets_are_not_here_is_refused_at_its_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRESENCE_SLACK_BOT_TOKEN", "xoxb")
    monkeypatch.setenv("PRESENCE_SLACK_SIGNING_SECRET", "s")
    (problem,) = destination_secrets(configuration())
    assert problem.where == ("destinations", 2, "url")
    assert problem.says.startswith("PRESENCE_TEAMS_WORKFLOW_URL is not set here")
