"""The pages: who sees what, that only a POST acts, and as whom."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from psycopg import OperationalError
from pydantic import SecretStr

from services.alert.chat.links import Links
from services.alert.console.app import create_app
from services.alert.domain.card import CardAct, CardState
from services.contracts.events import CloseReason, Label
from services.runtime.clock import ManualClock
from tests.alert.chat_builders import NOON, SECRET, MemoryEpisodes, card, configuration, row

PUBLIC = "https://presence.example"
API_TOKEN = "a token for scripts"


@dataclass
class Site:
    """The console and one browser."""

    browser: httpx.AsyncClient
    links: Links
    episodes: MemoryEpisodes
    clock: ManualClock
    sent: list[tuple[str, str]] = field(default_factory=list)
    """Sign-in links: (person, address)."""

    def sign_in(self, person: str) -> None:
        """As if this browser had used a sign-in link."""
        self.browser.cookies.set("presence_session", self.links.session(person))

    async def form(self, path: str, **fields: str) -> httpx.Response:
        """Open the page and send its form."""
        page = await self.browser.get(path)
        hidden = re.search(r'name="form" value="([^"]+)"', page.text)
        assert hidden, page.text
        return await self.browser.post(path, data={"form": hidden[1], **fields})


def _path(url: str) -> str:
    return url.split("example", 1)[1] if "example" in url else url


async def _open(public: str, client: str = "203.0.113.9") -> AsyncIterator[Site]:
    clock = ManualClock(NOON)
    links = Links(public, SecretStr(SECRET), clock)
    episodes = MemoryEpisodes(card())
    sent: list[tuple[str, str]] = []

    async def send_sign_in(person_id: str, url: str) -> None:
        sent.append((person_id, url))

    file = configuration()
    app = create_app(
        episodes=episodes,
        configuration=lambda: file,
        links=links,
        send_sign_in=send_sign_in,
        api_token=SecretStr(API_TOKEN),
        clock=clock,
    )
    transport = httpx.ASGITransport(app, client=(client, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url=public) as browser:
        yield Site(browser, links, episodes, clock, sent)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Presence at a public address, seen from outside."""
    async for one in _open(PUBLIC):
        yield one


@pytest.fixture
async def local() -> AsyncIterator[Site]:
    """Presence on this machine, seen from this machine."""
    async for one in _open("http://localhost:8003", "127.0.0.1"):
        yield one


# The list.


async def test_the_list_is_for_those_who_are_signed_in(site: Site) -> None:
    site.episodes.rows.append(row())
    turned_away = await site.browser.get("/")
    assert (turned_away.status_code, turned_away.headers["location"]) == (303, "/sign-in")
    site.sign_in("mia")
    page = await site.browser.get("/")
    assert page.status_code == 200
    assert "Ana (@ana)" in page.text
    assert "My order never arrived" in page.text


async def test_on_this_machine_alone_the_list_is_open(local: Site) -> None:
    assert (await local.browser.get("/")).status_code == 200


async def test_a_page_elsewhere_that_points_its_name_here_sees_nothing(local: Site) -> None:
    rebound = await local.browser.get("/", headers={"host": "evil.example"})
    assert rebound.status_code == 303


async def test_a_loopback_address_opens_nothing_to_another_machine() -> None:
    async for site in _open("http://localhost:8003", "192.0.2.7"):
        assert (await site.browser.get("/")).status_code == 303


async def test_somebody_who_left_the_team_is_signed_out(site: Site) -> None:
    site.sign_in("gone")
    assert (await site.browser.get("/")).status_code == 303


async def test_sensitive_and_masked_words_are_not_listed(site: Site) -> None:
    site.sign_in("mia")
    site.episodes.rows += [
        row(episode_id="a", words="I want to die", sensitive=("self_harm",)),
        row(episode_id="b", words=None),
    ]
    page = (await site.browser.get("/")).text
    assert "I want to die" not in page
    assert page.count("Words hidden here") == 2
    assert "Sensitive: self harm" in page


async def test_a_person_sees_the_brands_they_answer_for(site: Site) -> None:
    site.sign_in("kim")
    site.episodes.rows += [
        row(who="Ana"),
        row(episode_id="b", who="Ben", brand="sea", brand_id="sea"),
    ]
    page = (await site.browser.get("/")).text
    assert "Ben" in page
    assert "Ana" not in page


async def test_an_empty_list_says_that_nobody_waits(site: Site) -> None:
    site.sign_in("mia")
    assert "Nobody waits" in (await site.browser.get("/")).text


async def test_hostile_text_stays_text_on_every_page(site: Site) -> None:
    site.sign_in("mia")
    hostile = '<script>alert(1)</script>" onload="x'
    site.episodes.rows.append(row(who=hostile, words=hostile))
    site.episodes.cards["ep-1"] = card(
        who=hostile, words=hostile, why=hostile, permalink="javascript:alert(1)"
    )
    token = site.links.episode_token("ep-1")
    for path in ("/", f"/a/{token}"):
        page = (await site.browser.get(path)).text
        assert "<script>alert" not in page
        assert 'onload="x' not in page
        assert "javascript:" not in page


@pytest.mark.parametrize("path", ["/sign-in", "/a/nonsense", "/static/console.css"])
async def test_pages_load_nothing_from_elsewhere_and_are_not_kept(site: Site, path: str) -> None:
    page = await site.browser.get(path)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["x-content-type-options"] == "nosniff"
    if not path.startswith("/static"):
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(r'(src|href)="(https?:)?//', page.text)


# The page behind a link.


async def test_looking_at_a_link_changes_nothing_and_signs_nobody_in(site: Site) -> None:
    token = site.links.episode_token("ep-1", "mia", CardAct.claim)
    for _ in range(3):
        page = await site.browser.get(f"/a/{token}")
        assert page.status_code == 200
        assert "My order never arrived" in page.text
    assert site.episodes.acts == []
    assert "presence_session" not in site.browser.cookies


async def test_the_person_of_the_session_claims(site: Site) -> None:
    site.sign_in("bo")
    answer = await site.form(f"/a/{site.links.episode_token('ep-1')}", act="claim")
    assert answer.status_code == 303
    assert site.episodes.acts == [("ep-1", "bo", "link", "claim")]
    page = (await site.browser.get(answer.headers["location"])).text
    assert "Done." in page
    assert "Bo has it" in page


async def test_a_link_that_only_mia_received_acts_as_mia_and_signs_her_in(site: Site) -> None:
    await site.form(f"/a/{site.links.episode_token('ep-1', 'mia')}", act="claim")
    assert site.episodes.acts == [("ep-1", "mia", "link", "claim")]
    assert (await site.browser.get("/")).status_code == 200


async def test_a_forwarded_link_does_not_act_as_its_first_receiver(site: Site) -> None:
    site.sign_in("bo")
    await site.form(f"/a/{site.links.episode_token('ep-1', 'mia')}", act="claim")
    assert site.episodes.acts == [("ep-1", "bo", "link", "claim")]


async def test_nobody_acts_through_a_channels_link_without_saying_who_they_are(site: Site) -> None:
    path = f"/a/{site.links.episode_token('ep-1', act=CardAct.claim)}"
    page = await site.browser.get(path)
    assert "Who are you?" in page.text
    answer = await site.form(path, act="claim")
    assert answer.status_code == 403
    assert site.episodes.acts == []


async def test_a_form_from_another_page_does_not_act(site: Site) -> None:
    site.sign_in("bo")
    path = f"/a/{site.links.episode_token('ep-1')}"
    assert (await site.browser.post(path, data={"act": "claim"})).status_code == 403
    await site.browser.get(path)
    others = {"act": "claim", "form": site.links.form("the nonce of another browser")}
    assert (await site.browser.post(path, data=others)).status_code == 403
    page = await site.browser.get(path)
    hidden = re.search(r'name="form" value="([^"]+)"', page.text)
    assert hidden
    elsewhere = await site.browser.post(
        path,
        data={"act": "claim", "form": hidden[1]},
        headers={"origin": "https://evil.example"},
    )
    assert elsewhere.status_code == 403
    assert site.episodes.acts == []


async def test_no_reply_needed_takes_one_of_its_reasons(site: Site) -> None:
    site.sign_in("mia")
    path = f"/a/{site.links.episode_token('ep-1')}"
    bad = await site.form(path, act="no_reply_needed", reason="answered")
    assert bad.status_code == 400
    await site.form(path, act="no_reply_needed", reason="do_not_feed")
    assert site.episodes.acts == [("ep-1", "mia", "link", CloseReason.do_not_feed)]


async def test_not_for_us_asks_why_where_the_core_wants_to_know(site: Site) -> None:
    site.sign_in("mia")
    site.episodes.cards["ep-1"] = card(words=None, masked="private message")
    path = f"/a/{site.links.episode_token('ep-1', act=CardAct.not_for_us)}"
    asked = await site.form(path, act="not_for_us", label="spam")
    assert asked.status_code == 422
    assert 'aria-invalid="true"' in asked.text
    await site.form(path, act="not_for_us", label="spam", why="a known scam")
    assert site.episodes.acts == [("ep-1", "mia", "link", (Label.spam, "a known scam"))]


async def test_an_act_on_what_somebody_else_has_says_so(site: Site) -> None:
    site.sign_in("mia")
    site.episodes.cards["ep-1"] = card(state=CardState.claimed, claimed_by="Bo")
    answer = await site.form(f"/a/{site.links.episode_token('ep-1')}", act="claim")
    page = await site.browser.get(answer.headers["location"])
    assert "Bo has it already." in page.text


async def test_an_old_a_changed_and_an_orphaned_link_say_what_to_do(site: Site) -> None:
    token = site.links.episode_token("ep-1")
    assert (await site.browser.get(f"/a/{token}x")).status_code == 404
    assert (await site.browser.get(f"/a/{site.links.episode_token('gone')}")).status_code == 404
    await site.clock.forward(8 * 24 * 3_600)
    old = await site.browser.get(f"/a/{token}")
    assert old.status_code == 410
    assert "This link has ended" in old.text


async def test_a_link_shows_private_words_only_to_who_is_known(site: Site) -> None:
    await site.browser.get(f"/a/{site.links.episode_token('ep-1')}")
    await site.browser.get(f"/a/{site.links.episode_token('ep-1', 'bo')}")
    site.sign_in("mia")
    await site.browser.get(f"/a/{site.links.episode_token('ep-1')}")
    assert site.episodes.readers == [None, "bo", "mia"]


async def test_a_database_that_is_away_is_said_and_nothing_was_done(site: Site) -> None:
    async def away(*_: object) -> None:
        raise OperationalError("the server went away")

    site.sign_in("mia")
    site.episodes.card = away  # type: ignore[method-assign,assignment]
    page = await site.browser.get(f"/a/{site.links.episode_token('ep-1')}")
    assert page.status_code == 503
    assert "Nothing was done: try again in a minute." in page.text
    site.episodes.open = away  # type: ignore[method-assign,assignment]
    assert (await site.browser.get("/api/v1/episodes")).status_code == 503


async def test_who_is_not_known_can_sign_in_on_an_ended_episodes_page_too(site: Site) -> None:
    site.episodes.cards["ep-1"] = card(state=CardState.answered, acts=(CardAct.note,))
    page = await site.browser.get(f"/a/{site.links.episode_token('ep-1')}")
    assert "Who are you?" in page.text


# Signing in.


async def test_a_sign_in_link_goes_to_the_person_alone_and_works_once(site: Site) -> None:
    path = f"/a/{site.links.episode_token('ep-1')}"
    page = await site.browser.get(path)
    hidden = re.search(r'name="form" value="([^"]+)"', page.text)
    assert hidden
    answer = await site.browser.post(f"{path}/sign-in", data={"form": hidden[1], "person": "mia"})
    assert "/sign-in/" not in answer.text
    [(person, url)] = site.sent
    assert person == "mia"

    looked = await site.browser.get(_path(url))
    assert "Go on as Mia" in looked.text
    assert "presence_session" not in site.browser.cookies
    used = await site.form(_path(url))
    assert (used.status_code, used.headers["location"]) == (303, path)
    assert "presence_session" in site.browser.cookies
    assert (await site.browser.get(_path(url))).status_code == 410


async def test_asking_for_a_link_says_the_same_to_everybody(site: Site) -> None:
    known = await site.form("/sign-in", who="Mia")
    unknown = await site.form("/sign-in", who="Mallory")
    assert known.text == unknown.text
    assert [person for person, _ in site.sent] == ["mia"]


async def test_nobodys_phone_can_be_made_to_ring(site: Site) -> None:
    for _ in range(5):
        await site.form("/sign-in", who="mia@air.example")
    assert len(site.sent) == 1
    await site.clock.forward(31)
    await site.form("/sign-in", who="mia")
    assert len(site.sent) == 2


async def test_a_sign_in_link_leads_nowhere_else(site: Site) -> None:
    url = site.links.sign_in("mia", then="//evil.example/")
    assert (await site.form(_path(url))).headers["location"] == "/"


async def test_the_session_cookie_is_for_this_site_only(site: Site) -> None:
    answer = await site.form(_path(site.links.sign_in("mia")))
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part in cookie


async def test_signing_out_ends_the_session_in_this_browser(site: Site) -> None:
    await site.form(_path(site.links.sign_in("mia")))
    assert "You are signed in as Mia" in (await site.browser.get("/sign-in")).text
    page = await site.browser.get("/sign-in")
    hidden = re.search(r'name="form" value="([^"]+)"', page.text)
    assert hidden
    assert (await site.browser.post("/sign-out")).status_code == 403
    assert (await site.browser.get("/")).status_code == 200
    await site.browser.post("/sign-out", data={"form": hidden[1]})
    assert (await site.browser.get("/")).status_code == 303


# The API.


async def test_the_api_wants_a_session_or_the_token(site: Site) -> None:
    site.episodes.rows.append(row())
    path = "/api/v1/episodes"
    assert (await site.browser.get(path)).status_code == 401
    wrong = await site.browser.get(path, headers={"authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    answer = await site.browser.get(path, headers={"authorization": f"Bearer {API_TOKEN}"})
    assert answer.status_code == 200
    [episode] = answer.json()["episodes"]
    assert (episode["id"], episode["overdue"]) == ("ep-1", False)


async def test_the_api_describes_itself(site: Site) -> None:
    described = (await site.browser.get("/api/v1/openapi.json")).json()
    assert list(described["paths"]) == ["/api/v1/episodes"]
