"""Draws the local chat and the console's pages as people see them, for a look with one's own eyes.

    python -m tests.browser.render_cards FOLDER

Serves the local chat and the console with sample episodes, and photographs them with Chromium at phone and
desktop width, light and dark. Needs Chromium (Debian: apt-get install chromium).
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from playwright.async_api import Browser, async_playwright
from pydantic import SecretStr

from deploy.local.chat.app import ChatSettings
from deploy.local.chat.app import create_app as create_chat
from deploy.local.chat.workspace import Member
from deploy.local.ports import random_free_port
from deploy.local.serving import StreamServer
from services.alert.chat.links import Links
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.console.app import create_app
from services.alert.domain.boards.board import Board
from services.alert.domain.card import Card, CardAct, CardState
from services.alert.ports import Actor, ActResult, PersonRef, Pressed
from tests.alert.chat_builders import SECRET, MemoryEpisodes, card, configuration, line, row
from tests.browser.sample_boards import boards

NOW = datetime.now(UTC)
LONG = (
    "The parcel was to arrive on Monday, then on Tuesday, and today nobody answers the phone. " * 25
)
HOSTILE = (
    "<!channel> <https://evil.example|Your bank> *bold* [x](https://evil.example) <b>hi</b> &amp;"
)


def samples() -> list[Card]:
    """One of each kind."""
    due = NOW + timedelta(minutes=14)
    return [
        card(episode_id="open", due_at=due),
        card(
            episode_id="claimed",
            state=CardState.claimed,
            claimed_by="Mia",
            acts=(CardAct.answer, CardAct.no_reply_needed, CardAct.not_for_us),
            who="Łukasz (@lukasz)",
            platform="x",
            due_at=due,
            urgent=True,
            words="My flight AB123 is cancelled and I stand at the gate with two children.",
            why="Asks for help now; urgent: travels today",
        ),
        card(
            episode_id="sensitive",
            sensitive=("self_harm",),
            words=None,
            masked="sensitive: self harm",
            headline="14 min · Instagram · Jo · sensitive",
            platform="instagram",
            who="Jo (@jo)",
            public=False,
            due_at=due,
            urgent=True,
            checklist=("Answer as a human, at once", "Offer the helpline", "Call the lead"),
            why="Says something that worries us; its own route",
        ),
        card(episode_id="long", words=LONG, due_at=due, stale=True, who="A very long name " * 20),
        card(
            episode_id="arabic",
            who="ليلى (@layla)",
            words="مرحبا، لم يصل طلبي رقم 4711 بعد. متى يصل؟ 🙏",
            due_at=NOW - timedelta(minutes=3),
            why="A question that waits for an answer",
        ),
        card(episode_id="hostile", who=HOSTILE, words=HOSTILE, why=HOSTILE, due_at=due),
        card(
            episode_id="answered",
            state=CardState.answered,
            ended="answered by Mia after 4 min",
            acts=(),
        ),
        card(
            episode_id="closed", state=CardState.closed, ended="do not feed, closed by Bo", acts=()
        ),
    ]


class Shown:
    """Boards that are shown; nobody presses them."""

    async def press(self, board_id: str, act: str, target: str, by: Actor) -> Pressed:
        """Nothing happens."""
        return Pressed(ActResult.already)

    async def board(self, board_id: str) -> Board | None:
        """The sample of that id."""
        return next((one for one in boards(configuration()) if one.id == board_id), None)


@contextlib.contextmanager
def running(server: uvicorn.Server) -> Iterator[None]:
    """Serve in a thread."""
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass
class Shot:
    """A page to photograph."""

    name: str
    url: str
    cookies: dict[str, str]
    click: str | None = None


async def photograph(browser: Browser, shot: Shot, folder: Path) -> None:
    """At phone width in the dark, at phone and desktop width in the light."""
    for width, height, scheme in ((390, 844, "light"), (390, 844, "dark"), (1280, 900, "light")):
        context: Any = await browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            device_scale_factor=1,
        )
        for name, value in shot.cookies.items():
            await context.add_cookies([{"name": name, "value": value, "url": shot.url}])
        page = await context.new_page()
        await page.goto(shot.url)
        await page.wait_for_timeout(500)
        if shot.click:
            await page.click(shot.click)
        path = folder / f"{shot.name}-{width}-{scheme}.png"
        await page.screenshot(path=path, full_page=True)
        await context.close()
        print(path)


async def main(folder: Path) -> None:
    """Serve, post, photograph."""
    folder.mkdir(parents=True, exist_ok=True)
    chat_port, alert_port = random_free_port(), random_free_port()
    settings = ChatSettings(
        members=[Member("U0MIA1", "Mia", "mia")],
        channels={"C0HELP1": "help"},
        signing_secret=SecretStr(SECRET),
        base_url=f"http://127.0.0.1:{chat_port}",
        console_url=f"http://127.0.0.1:{alert_port}/",
    )
    episodes = MemoryEpisodes(*samples())
    for one in samples():
        if one.state.live:
            episodes.rows.append(
                row(
                    episode_id=one.episode_id,
                    who=one.who,
                    words=one.words,
                    platform=one.platform,
                    due_at=one.due_at,
                    claimed_by=one.claimed_by,
                    urgent=one.urgent,
                    sensitive=one.sensitive,
                )
            )
    file = configuration()
    links = Links(f"http://127.0.0.1:{alert_port}", SecretStr(SECRET))

    async def send(_person: str, _url: str) -> None: ...

    console = create_app(
        episodes=episodes,
        configuration=lambda: file,
        links=links,
        send_sign_in=send,
        boards=Shown(),
    )
    alert = uvicorn.Config(console, host="127.0.0.1", port=alert_port, log_level="warning")
    with running(StreamServer(create_chat(settings), chat_port)), running(uvicorn.Server(alert)):
        client = SlackClient(SecretStr("xoxb-any"), f"{settings.base_url}/api/")
        slack = SlackDestination("help", "C0HELP1", client, links)
        for number, one in enumerate(samples()):
            ref = await slack.post(one, f"d{number}")
            if one.episode_id == "open":
                await slack.thread(ref, line(), one, "t1")
                await slack.page(PersonRef("mia", "Mia", "U0MIA1"), one, ref, "p1")
        for one_board in boards(file):
            await slack.post(one_board, f"d-{one_board.id}")
        await slack.close()
        mia = {"presence_session": links.session("mia")}
        shots = [
            Shot("chat", f"{settings.base_url}/#C0HELP1", {}),
            Shot("list", f"{links.public_url}/", mia),
            Shot("episode", links.episode("open"), mia, "summary >> nth=0"),
            Shot("who-are-you", links.episode("open"), {}),
            Shot("sensitive", links.episode("sensitive"), mia),
            Shot("board", links.board("b-1"), mia),
            Shot("sign-in", f"{links.public_url}/sign-in", {}),
        ]
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"]
            )
            for shot in shots:
                await photograph(browser, shot, folder)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "cards")))
