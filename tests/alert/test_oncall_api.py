"""The rota over HTTP: who may read it, who may change it, calendars for those with the address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from icalendar import Calendar
from pydantic import SecretStr

from services.alert.chat.links import Links
from services.alert.console.app import create_app
from services.alert.domain.rota_changes import in_effect
from services.alert.store.in_force import changes_of
from services.alert.store.overrides import PostgresRoster
from services.runtime.clock import ManualClock
from tests.alert.builders import at, configuration
from tests.alert.chat_builders import SECRET, MemoryEpisodes, card
from tests.alert.story import Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

PUBLIC = "https://presence.example"
TOKEN = "a token for scripts"
OVERRIDES = "/api/v1/oncall/overrides"


@dataclass
class Site:
    """The console and one browser."""

    browser: httpx.AsyncClient
    links: Links
    told: Story

    def sign_in(self, person: str) -> None:
        """As if this browser had used a sign-in link."""
        self.browser.cookies.set("presence_session", self.links.session(person))

    async def set(self, **facts: Any) -> httpx.Response:
        """Ben takes over for two hours."""
        body = {
            "rota": "social",
            "person": "ben",
            "from": at(0).isoformat(),
            "to": at(120).isoformat(),
        }
        return await self.browser.post(OVERRIDES, json={**body, **facts})


@asynccontextmanager
async def site(postgres: FreshDatabase) -> AsyncIterator[Site]:
    """Presence at a public address, seen from outside."""
    async with story(postgres()) as told:
        held = [told.file]
        links = Links(PUBLIC, SecretStr(SECRET), ManualClock(at(0)))
        app = create_app(
            episodes=MemoryEpisodes(card()),
            configuration=lambda: held[0],
            links=links,
            api_token=SecretStr(TOKEN),
            roster=PostgresRoster(told.pool, configuration),
            clock=ManualClock(at(0)),
        )
        transport = httpx.ASGITransport(app, client=("203.0.113.9", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as browser:
            yield Site(browser, links, told)


async def test_a_signed_in_person_sees_and_changes_who_is_on_call(postgres: FreshDatabase) -> None:
    async with site(postgres) as one:
        assert (await one.browser.get("/api/v1/oncall/now")).status_code == 401
        assert (await one.set()).status_code == 401
        one.sign_in("ben")
        looked = await one.set(only_look=True)
        assert looked.status_code == 200
        assert looked.json()["shifted"][0]["after"] == "ben"
        assert (await one.set()).json()["result"] == "done"
        (row,) = (await one.browser.get("/api/v1/oncall/now")).json()["rotas"]
        assert row["says"] == "Ben until 12:00, set at run time by Ben"
        (listed,) = (await one.browser.get(OVERRIDES)).json()["overrides"]
        gone = await one.browser.delete(f"{OVERRIDES}/{listed['id']}")
        assert gone.status_code == 200
        assert (await one.browser.get(OVERRIDES)).json() == {"overrides": []}
        assert (await one.browser.delete(f"{OVERRIDES}/{listed['id']}")).status_code == 404


async def test_gaps_and_nonsense_are_answered_with_what_is_wrong(postgres: FreshDatabase) -> None:
    async with site(postgres) as one:
        one.browser.headers["authorization"] = f"Bearer {TOKEN}"
        both = {"kind": "time_off", "rota": None}
        assert (await one.set(**both)).status_code == 200
        gap = await one.set(**both, person="mia")
        assert (gap.status_code, gap.json()["gaps"][0]["rota"]) == (409, "social")
        assert (await one.set(**both, person="mia", accept_gaps=True)).status_code == 200
        assert (await one.set(person="zoe")).status_code == 422
        assert (await one.set(back_from=at(0).isoformat())).status_code == 422
        assert (await one.set(**{"from": "2026-03-02T10:00:00"})).status_code == 422


async def test_another_sites_page_changes_nothing(postgres: FreshDatabase) -> None:
    async with site(postgres) as one:
        one.sign_in("lea")
        one.browser.headers["origin"] = "https://evil.example"
        assert (await one.set()).status_code == 401


async def test_a_calendars_address_is_its_key(postgres: FreshDatabase) -> None:
    async with site(postgres) as one:
        one.sign_in("mia")
        given = (await one.browser.get("/api/v1/oncall/calendars")).json()
        one.browser.cookies.clear()
        for address, summary in (
            (given["mine"], "On call: social"),
            (given["rotas"]["social"], "social: Mia"),
        ):
            answer = await one.browser.get(address)
            assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
            summaries = {str(e["summary"]) for e in Calendar.from_ical(answer.text).walk("VEVENT")}
            assert summary in summaries
        assert (await one.browser.get(given["mine"].replace(".ics", "x.ics"))).status_code == 404
        unlisted = one.links.calendar(person="somebody-who-left")
        assert (await one.browser.get(unlisted)).status_code == 404
        session = one.links.session("mia")
        assert (await one.browser.get(f"/calendars/{session}.ics")).status_code == 404


async def test_the_week_is_the_configuration_in_effect(postgres: FreshDatabase) -> None:
    async with site(postgres) as one:
        one.sign_in("ben")
        await one.set()
        async with one.told.pool.connection() as connection:
            held = in_effect(configuration(), await changes_of(connection))
        assert held.rotas[0].overrides[-1].end - at(0) == timedelta(hours=2)
        week = (await one.browser.get("/api/v1/oncall/week?days=8")).json()
        assert [row["person"] for row in week["shifts"]] == ["mia", "ben"]
        assert (await one.browser.get("/api/v1/oncall/week?rota=night")).status_code == 404
