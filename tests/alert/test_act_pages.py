"""The acts as forms of the episode's page, on a real PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from services.alert.chat.links import Links
from services.alert.console.app import create_app
from services.alert.console.visitors import SESSION_COOKIE
from services.runtime.clock import ManualClock
from tests.alert.builders import MONDAY, PRESENCE, at, configuration, notified
from tests.alert.chat_builders import SECRET
from tests.alert.story import Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

SAVED = """
answering:
  saved: [{id: sorry, name: Sorry, text: "We are sorry."}]
"""


@dataclass
class Phone:
    """Mia, with the page of Ana's episode open."""

    told: Story
    browser: httpx.AsyncClient
    path: str

    async def page(self) -> str:
        answer: httpx.Response = await self.browser.get(self.path)
        return str(answer.text)

    async def post(self, where: str, page: str, **fields: str) -> httpx.Response:
        """A form of that page is sent, with its hidden fields."""
        found = re.search(r'name="form" value="([^"]+)"', page)
        assert found
        data = {"form": found[1], **fields}
        origin = {"origin": "https://presence.example"}
        return await self.browser.post(f"{self.path}/{where}", data=data, headers=origin)


def hidden(page: str, name: str) -> str:
    """A hidden field's value, in the form that sends."""
    return str(re.findall(rf'name="{name}" value="([^"]*)"', page)[-1])


@pytest.fixture
async def phone(postgres: FreshDatabase) -> AsyncIterator[Phone]:
    """Ana has asked; Mia opens the link."""
    async with story(postgres(), configuration(PRESENCE + SAVED)) as told:
        clock = ManualClock(MONDAY)
        links = Links("https://presence.example", SecretStr(SECRET), clock)
        app = create_app(
            episodes=told.episodes,
            configuration=lambda: told.file,
            links=links,
            answers=told.answers,
            doings=told.doings,
            clock=clock,
        )
        await told.hear(notified("q", at(0)))
        await told.sweep()
        path = urlsplit(links.episode(await told.only())).path
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="https://presence.example"
        ) as browser:
            browser.cookies.set(SESSION_COOKIE, links.session("mia"))
            yield Phone(told, browser, path)


async def test_a_person_answers_on_the_page_and_can_undo_there(phone: Phone) -> None:
    opened = await phone.post("answer", await phone.page())
    assert "<h1>🌐 PUBLIC on X as @air</h1>" in opened.text
    assert "We are sorry." in opened.text
    names = ("sent_with", "seen", "accepted", "private")
    fields = {name: hidden(opened.text, name) for name in names}
    asked = await phone.post("answer", opened.text, step="send", text="Call 030 1234 567", **fields)
    assert asked.status_code == 422
    assert "it holds a phone number" in asked.text
    assert "Call 030 1234 567</textarea>" in asked.text
    fields = {name: hidden(asked.text, name) for name in names}
    sent = await phone.post("answer", asked.text, step="send", text="Call 030 1234 567", **fields)
    assert sent.status_code == 303
    page = await phone.page()
    assert "Mia&#39;s answer goes out at 10:00:10" in page
    ref = re.search(r'name="ref" value="([^"]+)"', page)
    assert ref
    await phone.post("do", page, act="undo", ref=ref[1])
    await phone.told.at(1)
    await phone.told.sweep()
    assert await phone.told.replies() == []


async def test_the_other_way_keeps_what_was_typed_and_changes_the_heading(phone: Phone) -> None:
    opened = await phone.post("answer", await phone.page())
    other = await phone.post("answer", opened.text, step="switch", private="yes", text="Hi <b>")
    assert "<h1>🔒 PRIVATE on X as @air</h1>" in other.text
    assert "Hi &lt;b&gt;</textarea>" in other.text
    long = await phone.post(
        "answer",
        other.text,
        step="send",
        text="x" * 10_001,
        **{name: hidden(other.text, name) for name in ("sent_with", "seen", "private")},
    )
    assert "Too long: 10001 of 10000 characters." in long.text


async def test_the_short_acts_are_forms_too(phone: Phone) -> None:
    page = await phone.page()
    sent_with = hidden(page, "sent_with")
    await phone.post("do", page, act="note", text="Asked the gate", sent_with=sent_with)
    await phone.post("do", page, act="note", text="Asked the gate", sent_with=sent_with)
    late = await phone.post("do", page, act="snooze", choice="3h")
    assert (late.status_code, "past the time" in late.text) == (409, True)
    await phone.post("do", page, act="snooze", choice="3h", beyond="yes")
    await phone.post("do", page, act="promise", choice="1h", text="A refund", sent_with="1")
    await phone.post("do", page, act="hand_over", choice="ben")
    assert (await phone.post("do", page, act="snooze", choice="never")).status_code == 400
    rows = await phone.told.rows("select who, through, act from alert.audit order by id")
    assert rows == [("mia", "link", act) for act in ("note", "snooze", "promise", "hand_over")]


async def test_nothing_is_done_by_a_get_without_a_person_or_from_elsewhere(phone: Phone) -> None:
    page = await phone.page()
    assert (await phone.browser.get(f"{phone.path}/answer")).status_code == 405
    forged = await phone.browser.post(f"{phone.path}/do", data={"act": "reopen", "form": "x"})
    assert forged.status_code == 403
    phone.browser.cookies.delete(SESSION_COOKIE)
    unknown = await phone.post("answer", page)
    assert (unknown.status_code, unknown.headers["location"]) == (303, phone.path)
    assert await phone.told.rows("select * from alert.drafts") == []
