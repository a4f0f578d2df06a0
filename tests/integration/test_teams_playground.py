"""Our Teams bot against a Teams that we did not write: Microsoft's playground, in Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from services.alert.chat.adaptive_card import told_message
from services.alert.ports import DeliveryReason
from services.contracts.events import OutcomeState
from services.runtime.errors import Permanent
from tests.alert.builders import at, iid, notified
from tests.alert.chat_builders import card, line, person
from tests.alert.teams_room import TEAM, Room, content_of, object_id, teams_room
from tests.browser.teams_sheets import RENDERER
from tests.conftest import FreshDatabase
from tests.integration.teams_playground import PERSONAL, Playground, gate, playground

pytestmark = pytest.mark.integration
expect.set_options(timeout=30_000)  # a busy machine draws slowly
HOSTILE = "<at>Mia</at> [Your bank](https://evil.example) **bold** <b>hi</b> \u202egnp.exe"


@pytest.fixture(scope="module")
def microsoft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with playground(tmp_path_factory.mktemp("playground")) as running:
        yield running


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """A page; what nobody could reach anyway (fonts of Microsoft's network) is not asked for."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail("Chromium is missing: apt-get install chromium", pytrace=False)
        pytest.skip("no Chromium here: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        context = await browser.new_context(viewport={"width": 1_280, "height": 1_000})
        page = await context.new_page()
        await page.route(lambda url: "127.0.0.1" not in url and "localhost" not in url, _offline)
        yield page
        await browser.close()


async def _offline(route: Any) -> None:
    await route.abort()


async def keep(page: Page, name: str) -> None:
    """A picture to look at, where SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"playground-{name}.png")


async def filled(page: Page, form: dict[str, Any], press: str, text: str) -> dict[str, Any]:
    """A dialog drawn by Microsoft's renderer, filled in and sent: the data that it sends."""
    await page.set_content("<body></body>")
    await page.add_script_tag(content=RENDERER.read_text())
    await page.evaluate(
        """form => {
          const card = new AdaptiveCards.AdaptiveCard();
          card.onExecuteAction = action => { window.sent = action.data };
          card.parse(form);
          document.body.append(card.render());
        }""",
        form,
    )
    await page.get_by_role("textbox").fill(text)
    await page.get_by_role("button", name=press, exact=True).click()
    sent: dict[str, Any] = await page.evaluate("window.sent || {}")
    assert sent, "the renderer refused to send it"
    return sent


async def test_a_card_lives_in_the_playground_from_the_greeting_to_the_answer(
    microsoft: Playground, postgres: FreshDatabase
) -> None:
    async with (
        teams_room(postgres(), microsoft.connector) as room,
        gate(room, microsoft.bot_port),
        chromium() as page,
    ):
        await page.goto(microsoft.url)
        greeting = page.get_by_text("Cards of people who wait appear here by themselves.")
        await expect(greeting.first).to_be_visible()
        await expect(page.get_by_text(PERSONAL)).to_be_visible()
        assert {"installationUpdate", "conversationUpdate"} <= {one["type"] for one in room.asked}
        await page.get_by_text("care", exact=True).first.click()
        await room.told.hear(notified("q", at(0), text=HOSTILE))
        await room.settle()
        shown = page.locator(".ac-adaptiveCard").filter(has_text="Ana")
        await expect(shown).to_contain_text("Nobody has it yet")
        await expect(shown).to_contain_text("PUBLIC on X as @air")
        # A stranger's words are letters: no link, no mention, nothing bold.
        await expect(shown).to_contain_text("[Your bank](https://evil.example) **bold** <b>hi</b>")
        assert await shown.locator("a, b, strong").count() == 0
        await keep(page, "open")
        await room.at(2)
        await shown.get_by_role("button", name="Claim").click()
        await expect(page.get_by_text("It is yours")).to_be_visible()
        await room.settle()
        await expect(shown).to_contain_text("Mia has it")
        await expect(shown.get_by_role("button", name="Claim")).to_have_count(0)
        await keep(page, "claimed")

        (button,) = await answer_buttons(room)
        form = (await room.open("mia", button))["value"]["card"]["content"]
        dialog = await page.context.new_page()
        data = await filled(dialog, form, "Send", "We are on it")
        after = await room.submit("mia", data)
        assert "We are on it" in str(after)
        await room.settle()
        await expect(shown).to_contain_text("Mia's answer goes out at")
        await room.at(2 + 11 / 60)
        await room.settle()
        (reply,) = await room.told.replies()
        await room.told.tell(reply, OutcomeState.posted, posted_item_id=iid("a"))
        await room.told.hear(notified("a", at(3), outbound=True, to="ana", parent="q"))
        await room.settle()
        await expect(shown).to_contain_text("Answered by Mia after 3 min")
        await keep(page, "answered")


async def answer_buttons(room: Room) -> list[dict[str, Any]]:
    """The Answer button of the one open card, as it was sent."""
    taken = await room.told.episodes.card(await room.told.only())
    assert taken is not None
    actions = content_of(room.destination.drawn(taken))["actions"]
    return [one for one in actions if one["title"] == "Answer"]


async def test_the_connectors_own_answers_are_understood(
    microsoft: Playground, postgres: FreshDatabase
) -> None:
    async with teams_room(postgres(), microsoft.connector) as room:
        bot, connector = room.destination, room.destination.connector
        called = {name for name in TEAM for one in await connector.members(bot.channel)
                  if one.is_called(f"{name}@air.example") and one.is_called(object_id(name))}  # fmt: skip
        assert called == set(TEAM)
        ref = await bot.post(card(), "d1")
        assert ref.channel == f"{bot.channel};messageid={ref.id}"
        assert await bot.update(ref, card(claimed_by="Mia")) == ref
        beneath = await bot.thread(ref, line(), card(), "d2")
        assert beneath.channel == ref.channel
        again = await bot.update(replace(ref, id="1"), card())
        assert again.id not in (ref.id, "1")  # gone: posted anew
        with pytest.raises(Permanent) as failed:
            await connector.send("19:gone@thread.tacv2", told_message("hi"))
        assert failed.value.reason is DeliveryReason.not_found
        paged = await bot.page(person("ben@air.example"), card(), ref, "d3")
        assert paged.channel != ref.channel
        await bot.tell("Nobody is on call.", "d4")
