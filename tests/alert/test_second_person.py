"""A trainee's answer is sent by a second person: on the signed page and in Teams by the rules of Slack."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from services.alert.acting import Written
from services.alert.chat.links import Links
from services.alert.chat.teams_interactions import TeamsInteractions
from services.alert.console.app import create_app
from services.alert.console.visitors import SESSION_COOKIE
from services.runtime.clock import ManualClock
from tests.alert.builders import MONDAY, PRESENCE, at, configuration, notified
from tests.alert.chat_builders import SECRET
from tests.alert.story import TOM, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

TEAM = PRESENCE.replace("slack: U1}", "slack: U1, teams: object-mia}").replace(
    "slack: U4}", "slack: U4, teams: object-tom}"
)
SAVED = """
answering:
  saved: [{id: sorry, name: Sorry, text: "We are sorry."}]
"""


@dataclass
class Review:
    """Tom, a trainee, has written an answer; others look at it."""

    told: Story
    browser: httpx.AsyncClient
    links: Links
    path: str
    teams: TeamsInteractions
    answer_id: str
    _form: dict[str, str] = field(default_factory=dict)

    async def page(self, person: str) -> str:
        """The episode's page, as this person sees it."""
        self.browser.cookies.set(SESSION_COOKIE, self.links.session(person))
        answer = await self.browser.get(self.path)
        found = re.search(r'name="form" value="([^"]+)"', answer.text)
        assert found
        self._form = {"form": found[1]}
        return str(answer.text)

    async def post(self, where: str, **fields: str) -> httpx.Response:
        """A form of the page that was seen last."""
        origin = {"origin": "https://presence.example"}
        data = {**self._form, **fields}
        return await self.browser.post(f"{self.path}/{where}", data=data, headers=origin)

    async def in_teams(self, name: str, data: dict[str, Any], who: str = "object-mia") -> Any:
        """Somebody presses in Teams."""
        value = {"action": {"data": data}} if name == "adaptiveCard/action" else {"data": data}
        return await self.teams.handle(
            {
                "type": "invoke",
                "name": name,
                "from": {"id": "29:x", "aadObjectId": who},
                "conversation": {"id": "19:c"},
                "value": value,
            },
            "app",
        )

    async def sent(self) -> list[tuple[str, str]]:
        """What goes out once the time to undo is over: its author and its text."""
        await self.told.at(2)
        await self.told.sweep()
        return [(one.author, one.text) for one in await self.told.replies()]


@pytest.fixture
async def review(postgres: FreshDatabase) -> AsyncIterator[Review]:
    """Ana has asked; Tom has answered, which waits."""
    async with story(postgres(), configuration(TEAM + SAVED)) as told:
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
        teams = TeamsInteractions(
            told.episodes,
            lambda: told.file,
            [],
            clock,
            told.boards,
            told.answers,
            told.doings,
            links,
        )
        await told.hear(notified("q", at(0)))
        await told.sweep()
        episode = await told.only()
        written = Written("r1", episode, "We rebook you <b>now", private=False, seen="")
        sending = (await told.answers.send(written, TOM)).sending
        assert sending is not None
        path = urlsplit(links.episode(episode)).path
        transport = httpx.ASGITransport(app)
        base = "https://presence.example"
        async with httpx.AsyncClient(transport=transport, base_url=base) as browser:
            yield Review(told, browser, links, path, teams, sending.answer_id)


def hidden(page: str, name: str) -> str:
    return str(re.findall(rf'name="{name}" value="([^"]*)"', page)[-1])


async def test_a_second_person_reads_it_on_the_page_and_sends_it_as_it_is(review: Review) -> None:
    page = await review.page("mia")
    assert "<bdi>Tom</bdi> wrote an answer: you send it" in page
    assert "We rebook you &lt;b&gt;now" in page
    done = await review.post("do", act="approve", ref=review.answer_id)
    assert done.status_code == 303
    assert await review.sent() == [("tom", "We rebook you <b>now")]
    (row,) = await review.told.rows("select author, approved_by from alert.answers")
    assert row == ("tom", "mia")


async def test_the_second_person_edits_it_first_under_the_same_cautions(review: Review) -> None:
    await review.page("mia")
    opened = (await review.post("answer", ref=review.answer_id)).text
    assert "<bdi>Tom</bdi> wrote it." in opened
    assert "We rebook you &lt;b&gt;now</textarea>" in opened
    assert "in private instead" not in opened
    # The answer itself, and its author's claim, are nothing to be careful about.
    assert "on its way" not in opened
    assert "has claimed it" not in opened
    assert "Send Tom's answer" in opened
    names = ("ref", "sent_with", "seen", "private")
    fields = {name: hidden(opened, name) for name in names}
    asked = await review.post("answer", step="send", text="Call 030 1234 567", **fields)
    assert (asked.status_code, "it holds a phone number" in asked.text) == (422, True)
    fields |= {"accepted": hidden(asked.text, "accepted"), "ref": hidden(asked.text, "ref")}
    sent = await review.post("answer", step="send", text="Call 030 1234 567", **fields)
    assert sent.status_code == 303
    assert await review.sent() == [("tom", "Call 030 1234 567")]


async def test_who_wrote_it_takes_it_back_and_never_sends_it(review: Review) -> None:
    page = await review.page("tom")
    assert "wrote an answer: you send it" not in page
    assert "Take your answer back" in page
    await review.post("do", act="approve", ref=review.answer_id)
    refused = await review.post("answer", ref=review.answer_id)
    assert refused.status_code == 409
    assert await review.sent() == []
    await review.post("do", act="undo", ref=review.answer_id)
    assert await review.told.rows("select state from alert.answers") == [("undone",)]


async def test_a_rejection_on_the_page_tells_the_trainee_why(review: Review) -> None:
    await review.page("mia")
    await review.post("do", act="reject", ref=review.answer_id, text="Not our tone.")
    assert await review.sent() == []
    assert "Mia did not send Tom's answer: Not our tone." in review.told.lines()


async def test_in_teams_it_is_approved_edited_and_refused_by_the_same_rules(
    review: Review,
) -> None:
    about = {"presence": "approve", "about": review.answer_id}
    refused = await review.in_teams("adaptiveCard/action", about, "object-tom")
    assert "may" in refused["value"]
    form = await review.in_teams("task/fetch", {**about, "presence": "edit"})
    actions = form["task"]["value"]["card"]["content"]["actions"]
    saved = next(one["data"] for one in actions if one["title"].startswith("Begin with"))
    again = await review.in_teams("task/submit", saved)
    content = again["task"]["value"]["card"]["content"]
    send = next(one["data"] for one in content["actions"] if one["title"] == "Send")
    assert send["answer"] == review.answer_id
    await review.in_teams("task/submit", {**send, "text": "We are sorry, and rebook you."})
    assert await review.sent() == [("tom", "We are sorry, and rebook you.")]
