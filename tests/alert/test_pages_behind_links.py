"""The pages behind links, as link previews, mail scanners, strangers and hasty fingers meet them.

The real application on a real PostgreSQL. "Changes nothing" is meant literally: every row of every table of
alert is the same before and after.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from services.alert.chat.links import Links
from services.alert.console.app import create_app
from services.alert.console.visitors import SESSION_COOKIE
from services.alert.domain.boards.board import BoardKind
from services.contracts.events import Label
from services.runtime.clock import ManualClock
from tests.alert.builders import MONDAY, PRESENCE, at, configuration, notified, verdict
from tests.alert.chat_builders import SECRET
from tests.alert.story import Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

PUBLIC = "https://presence.example"
TWO_BRANDS = PRESENCE.replace("accounts:\n", "  - {id: sea, name: Sea}\naccounts:\n", 1).replace(
    "people:\n", "people:\n  - {id: sam, name: Sam, roles: [responder], slack: U9, brands: [sea]}\n"
)


@dataclass
class Site:
    """Presence, and a browser in which nobody is known."""

    told: Story
    browser: httpx.AsyncClient
    links: Links
    clock: ManualClock
    sent: list[tuple[str, str]] = field(default_factory=list)

    def i_am(self, person: str) -> None:
        """As after a sign-in."""
        self.browser.cookies.set(SESSION_COOKIE, self.links.session(person), "presence.example")

    def board(self, person: str | None = None) -> str:
        """The path of the held-back card's page."""
        (board,) = self.told.shown(BoardKind.held_back)
        return urlsplit(self.links.board(board.id, person)).path

    async def episode(self, person: str | None = None) -> str:
        """The path of the open episode's page."""
        return urlsplit(self.links.episode(await self.told.only(), person)).path

    async def form(self, path: str) -> str:
        """The hidden field of the page there."""
        page = await self.browser.get(path)
        found = re.search(r'name="form" value="([^"]+)"', page.text)
        assert found, page.text
        return found[1]

    async def press(self, path: str, **fields: str) -> httpx.Response:
        """A button of the page there."""
        data = {"form": await self.form(path.partition("?")[0]), **fields}
        return await self.browser.post(path, data=data, headers={"origin": PUBLIC})

    async def everything(self) -> dict[str, list[str]]:
        """Every row of every table of alert."""
        tables = await self.told.rows(
            "select table_name from information_schema.tables where table_schema = 'alert'"
            " and table_type = 'BASE TABLE' order by 1"
        )
        return {
            name: [
                row[0]
                for row in await self.told.rows(f"select t::text from alert.{name} t order by 1")
            ]
            for (name,) in tables
        }


@pytest.fixture
async def site(postgres: FreshDatabase) -> AsyncIterator[Site]:
    """Ana waits for an answer; what Bo and Cy wrote to us was held back."""
    async with story(postgres(), configuration(TWO_BRANDS)) as told:
        clock = ManualClock(MONDAY)
        links = Links(PUBLIC, SecretStr(SECRET), clock)
        sent: list[tuple[str, str]] = []

        async def send(person: str, url: str) -> None:
            sent.append((person, url))

        app = create_app(
            episodes=told.episodes,
            configuration=lambda: told.file,
            links=links,
            answers=told.answers,
            doings=told.doings,
            send_sign_in=send,
            clock=clock,
            boards=told.boards,
        )
        held = verdict(0.2, label=Label.spam, held=True)
        await told.hear(
            notified("q", at(0)),
            *(notified(one, at(0), one, judged=held, addressed=True) for one in ("bo", "cy")),
        )
        await told.sweep()
        transport = httpx.ASGITransport(app, client=("203.0.113.9", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as browser:
            yield Site(told, browser, links, clock, sent)


@pytest.mark.parametrize("who", [None, "mia"])
async def test_looking_changes_nothing_whoever_looks_and_however(
    site: Site, who: str | None
) -> None:
    if who:
        site.i_am(who)
    token = urlsplit(site.links.sign_in("mia", "/")).path
    personal = [site.board("mia"), await site.episode("mia")]
    paths = ["/", "/sign-in", token, site.board(), await site.episode(), *personal]
    before = await site.everything()
    for path in paths:
        for said in ("", "?said=done", "?act=release_all&target=x&form=1"):
            page = await site.browser.get(f"{path}{said}")
            head = await site.browser.head(f"{path}{said}")
            assert page.status_code == head.status_code, path
            assert head.content == b""
            assert page.status_code in (200, 303)
    for path in (await site.episode(), site.board()):
        for under in ("/answer", "/do", "/sign-in"):
            assert (await site.browser.get(path + under)).status_code in (404, 405)
    assert await site.everything() == before
    assert site.sent == []
    assert SESSION_COOKIE not in {one.name for one in site.browser.cookies.jar if not who}
    # The sign-in link, which a scanner has opened before its owner did, is still good.
    assert (await site.press(token)).status_code == 303
    assert SESSION_COOKIE in {one.name for one in site.browser.cookies.jar}


async def test_a_board_is_pressed_by_who_is_known_and_says_what_became_of_it(site: Site) -> None:
    site.i_am("mia")
    pressed = await site.press(site.board(), act="release_all")
    assert pressed.status_code == 303
    shown = await site.browser.get(pressed.headers["location"])
    assert "2 of 2 released." in shown.text
    assert "Nothing is left to do here." in shown.text
    rows = await site.told.rows("select who, through, act from alert.audit")
    assert ("mia", "link", "relabel") in rows


async def test_a_form_that_is_sent_twice_acts_once(site: Site) -> None:
    site.i_am("mia")
    path = site.board()
    data = {"form": await site.form(path), "act": "release_all", "target": ""}
    for _ in range(2):
        answer = await site.browser.post(path, data=data, headers={"origin": PUBLIC})
        assert answer.status_code == 303
    assert "That is so already" in (await site.browser.get(answer.headers["location"])).text
    assert await site.told.rows("select count(*) from alert.relabels") == [(2,)]
    assert await site.told.rows("select act from alert.audit") == [("relabel",)] * 2


@pytest.mark.parametrize("who", ["sam", "eva", "tom"])
async def test_who_does_not_decide_for_the_brand_presses_nothing(site: Site, who: str) -> None:
    """Somebody of another brand, an engineer, a trainee; also with a link that was made for Mia."""
    site.i_am(who)
    before = await site.everything()
    for path in (site.board(), site.board("mia")):
        refused = await site.press(path, act="release_all")
        page = await site.browser.get(refused.headers["location"])
        assert "You may not do this" in page.text
    assert await site.everything() == before


async def test_a_stranger_is_asked_who_they_are_and_their_press_does_nothing(site: Site) -> None:
    before = await site.everything()
    refused = await site.press(site.board(), act="release_all")
    assert refused.status_code == 403
    assert "Who are you?" in refused.text
    data = {"form": await site.form(site.board()), "person": "mia"}
    sent = await site.browser.post(f"{site.board()}/sign-in", data=data, headers={"origin": PUBLIC})
    assert "Look into your messages" in sent.text
    ((person, url),) = site.sent
    assert person == "mia"
    used = await site.press(urlsplit(url).path)
    assert used.headers["location"].startswith("/b/")
    assert await site.everything() == before


async def test_a_form_from_elsewhere_or_of_another_browser_does_nothing(site: Site) -> None:
    site.i_am("mia")
    path = site.board()
    form = await site.form(path)
    before = await site.everything()
    wrong = [
        ({"form": form, "act": "release_all"}, {"origin": "https://evil.example"}),
        ({"form": form, "act": "release_all"}, {"origin": "null"}),
        ({"form": "", "act": "release_all"}, {"origin": PUBLIC}),
        ({"form": site.links.form("another browser's nonce"), "act": "release_all"}, {}),
    ]
    for data, headers in wrong:
        answer = await site.browser.post(path, data=data, headers=headers)
        assert answer.status_code == 403, data
    await site.clock.forward(13 * 3_600)
    site.i_am("mia")
    late = await site.browser.post(path, data={"form": form, "act": "release_all"})
    assert late.status_code == 403
    assert await site.everything() == before


async def test_a_link_is_good_for_its_own_page_its_own_secret_and_its_own_time(site: Site) -> None:
    site.i_am("mia")
    board, episode = site.board(), await site.episode()
    others = Links(PUBLIC, SecretStr(f"{SECRET}, another one"), site.clock)
    id_ = (await site.told.rows("select id::text from alert.boards"))[0][0]
    foreign = {
        board.replace("/b/", "/a/"): 404,
        episode.replace("/a/", "/b/"): 404,
        urlsplit(others.board(id_)).path: 404,
        board[:-1]: 404,
        urlsplit(site.links.board("no such id")).path: 404,
        urlsplit(site.links.board("00000000-0000-0000-0000-000000000000")).path: 404,
        "/b/x": 404,
        "/b/%00": 404,
        f"/sign-in/{board.rpartition('/')[2]}": 410,
    }
    for path, status in foreign.items():
        assert (await site.browser.get(path)).status_code == status, path
        assert (await site.browser.post(path, data={"act": "release_all"})).status_code in (
            403,
            status,
        )
    personal = site.board("mia")
    await site.clock.forward(timedelta(hours=12, seconds=1).total_seconds())
    assert (await site.browser.get(personal)).status_code == 410
    assert (await site.browser.get(board)).status_code == 200
    await site.clock.forward(timedelta(days=7).total_seconds())
    ended = await site.browser.get(board)
    assert (ended.status_code, "This link has ended" in ended.text) == (410, True)
    assert (await site.browser.post(board, data={"act": "release_all"})).status_code == 410


async def test_an_act_that_the_board_does_not_offer_changes_nothing(site: Site) -> None:
    site.i_am("mia")
    before = await site.everything()
    for act, target in (("", ""), ("drop tables", "x"), ("release", "x:1:gone"), ("confirm", "")):
        answer = await site.press(site.board(), act=act, target=target)
        assert answer.status_code in (303, 400, 409), act
    assert await site.everything() == before


async def test_take_next_leads_to_the_page_of_who_was_taken(site: Site) -> None:
    site.i_am("mia")
    await site.told.hear(*(notified(f"n{n}", at(0), f"n{n}") for n in range(9)))
    await site.told.sweep()
    (queue,) = site.told.shown(BoardKind.queue)
    path = urlsplit(site.links.board(queue.id)).path
    taken = await site.press(path, act="take_next")
    assert taken.headers["location"].startswith("/a/"), "a path: it works under any name"
    page = await site.browser.get(taken.headers["location"])
    assert "Mia has it" in page.text
