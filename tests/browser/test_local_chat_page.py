"""The local chat's page in Chromium, at the width of a desk and of a phone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydantic import SecretStr
from slack_sdk import WebClient

from deploy.local.chat.app import ChatSettings, create_app
from deploy.local.chat.workspace import Member
from tests.integration.test_local_chat import CHANNEL, MIA, MODAL, SECRET, TOKEN, Application
from tests.serving import serve

pytestmark = pytest.mark.browser
SIZES = {"desk": (1280, 860), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


class Desk:
    """A running chat with its application behind it."""

    def __init__(self, url: str, application: Application) -> None:
        self.url, self.application = url, application
        self.client = WebClient(token=TOKEN, base_url=f"{url}/api/")

    def card(self, who: str, words: str, **more: Any) -> str:
        """A card as alert posts it; its `ts`."""
        sent = self.client.chat_postMessage(
            channel=more.get("channel", CHANNEL),
            text=f"14 min · X · {who} · {words}"[:90],
            blocks=open_card(who, words, more.get("title", f"X · {who}")),
        )
        return str(sent["ts"])

    def end(self, ts: str, how: str, who: str) -> None:
        """The card's episode has ended."""
        line = [plain(f"✓ {how}"), plain(f"X · {who}")]
        blocks = [{"type": "context", "elements": line}]
        self.client.chat_update(channel=CHANNEL, ts=ts, text=f"{how} · X · {who}", blocks=blocks)


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def open_card(who: str, words: str, title: str) -> list[dict[str, Any]]:
    said = {"type": "rich_text_quote", "elements": [{"type": "text", "text": words}]}
    facts = plain("Nobody has it yet · Answer by 14:32 · PUBLIC on X as @auroraair")
    acts = [
        ("claim", "Claim", "primary"),
        ("no_reply_needed", "No reply needed", ""),
        ("not_for_us", "Not for us", ""),
    ]
    buttons: list[dict[str, Any]] = [
        {
            "type": "button",
            "action_id": f"presence:{act}",
            "text": plain(label),
            "value": f"episode of {who}",
            **({"style": style} if style else {}),
        }
        for act, label, style in acts
    ]
    link = {"type": "button", "action_id": "presence:open", "text": plain("Open on X")}
    buttons.append({**link, "url": "https://x.example/status/1"})
    return [
        {"type": "header", "text": plain(title)},
        {"type": "context", "elements": [facts]},
        {"type": "rich_text", "elements": [said]},
        {"type": "context", "elements": [plain("Why: asks a question · mentions us · waits")]},
        {"type": "actions", "elements": buttons},
    ]


@pytest.fixture
def desk() -> Iterator[Desk]:
    application = Application()
    settings = ChatSettings(
        members=[MIA, Member("U0INES", "Inés Robledo", "ines", "America/Bogota")],
        channels={CHANNEL: "care", "C0PRIVATE": "care-private"},
        signing_secret=SecretStr(SECRET),
        console_url="http://127.0.0.1:8003/",
    )
    with ExitStack() as stack:
        where = stack.enter_context(serve(application.asgi))
        settings.interactions_url = f"{where}/slack/interactions"
        settings.base_url = stack.enter_context(serve(create_app(settings)))
        yield Desk(settings.base_url, application)


@pytest.fixture(params=SIZES)
def page(browser: Browser, desk: Desk, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = SIZES[request.param]
    scheme: Literal["dark", "light"] = "dark" if os.environ.get("SCREENSHOT_DARK") else "light"
    opened = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console", lambda said: complaints.append(said.text) if said.type == "error" else None
    )
    opened.goto(desk.url)
    expect(opened.locator("#title")).to_have_text("# care")
    yield opened
    keep(opened, f"{request.node.originalname}-{request.param}-{scheme}")
    opened.close()
    assert complaints == []


def keep(page: Page, name: str) -> None:
    """A picture to look at, where SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side."""
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return bool(wide <= 0)


def test_cards_appear_change_and_close_while_one_looks(page: Page, desk: Desk) -> None:
    first = desk.card(
        "Priya Nair (@priya_travels)", "my suitcase did not arrive in Oslo. Who do I talk to?"
    )
    desk.card("سلمى القاضي (@salma_q)", "تأخرت رحلتي ساعتين وسأفوّت الرحلة التالية. ماذا أفعل؟")
    desk.card("Haruka (@haruka_k)", "オンラインチェックインでエラーが出て先に進めません。")
    expect(page.locator("#messages article.live")).to_have_count(3)
    expect(page.locator("#open")).to_have_text("3")
    desk.end(first, "Answered by Mia after 4 min", "Priya Nair (@priya_travels)")
    expect(page.locator("#messages article.ended")).to_contain_text("Answered by Mia")
    expect(page.locator("#latest")).to_contain_text("Answered by Mia after 4 min")
    expect(page.locator("#open")).to_have_text("2")
    expect(page.locator("#answered")).to_have_text("1")
    page.get_by_role("button", name="Open only").click()
    expect(page.locator("#messages article")).to_have_count(2)
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator("#messages article")).to_have_count(3)
    assert fits(page)


def test_a_pressed_button_reaches_the_application_as_the_chosen_person(
    page: Page, desk: Desk
) -> None:
    desk.card("Omar Bishara (@omar_b)", "there is a typo in my name on the ticket")
    page.get_by_label("You are").select_option("Inés Robledo")
    page.get_by_role("button", name="Claim").click()
    expect(page.get_by_role("button", name="Claim")).to_be_enabled()
    assert desk.application.payload()["user"]["id"] == "U0INES"
    assert desk.application.payload()["actions"][0]["action_id"] == "presence:claim"


def test_a_modal_asks_says_what_is_wrong_and_closes(page: Page, desk: Desk) -> None:
    desk.card("Gus (@running_late)", "lol the boarding music is still stuck in my head")
    page.get_by_role("button", name="No reply needed").click()
    expect(page.get_by_role("button", name="No reply needed")).to_be_enabled()
    desk.client.views_open(trigger_id=desk.application.payload()["trigger_id"], view=MODAL)
    desk.application.answers = [
        {"response_action": "errors", "errors": {"why": "Say a little more."}}
    ]
    page.get_by_label("Why?").fill("chatter")
    page.get_by_role("button", name="Close it").click()
    expect(page.get_by_text("Say a little more.")).to_be_visible()
    keep(page, "modal")
    page.get_by_role("button", name="Close it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_what_was_typed_stays_when_a_modal_is_changed(page: Page, desk: Desk) -> None:
    desk.card("Gus (@running_late)", "where is my bag?")
    page.get_by_role("button", name="No reply needed").click()
    expect(page.get_by_role("button", name="No reply needed")).to_be_enabled()
    trigger = desk.application.payload()["trigger_id"]
    switch = {"type": "button", "action_id": "presence:switch", "text": plain("In private")}
    asked = {**MODAL, "blocks": [*MODAL["blocks"], {"type": "actions", "elements": [switch]}]}
    view = desk.client.views_open(trigger_id=trigger, view=asked)["view"]["id"]
    page.get_by_label("Why?").fill("half a sen")
    page.get_by_role("button", name="In private").click()
    other = {**asked, "title": plain("Answer in private")}
    desk.client.views_update(view_id=view, view=other)
    expect(page.get_by_role("heading", name="Answer in private")).to_be_visible()
    expect(page.get_by_label("Why?")).to_have_value("half a sen")
    values = desk.application.payload()["view"]["state"]["values"]
    assert "half a sen" in str(values)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_page_to_a_person_stands_in_their_direct_messages(page: Page, desk: Desk) -> None:
    who = "Elena Petrova (@elena_gold)"
    desk.card(who, "the lounge in Bergen is locked")
    desk.card(who, "the lounge in Bergen is locked", channel=MIA.id)
    expect(page.locator("#escalated")).to_have_text("0")
    page.wait_for_timeout(2_100)
    desk.card(who, "the lounge in Bergen is locked", channel="U0INES")
    expect(page.locator("#escalated")).to_have_text("1")
    direct = page.get_by_role("button", name="@ Mia Halvorsen")
    expect(direct).to_contain_text("1")
    direct.click()
    expect(page.locator("#messages article")).to_have_count(1)
    assert fits(page)


def test_everything_that_mrkdwn_can_say_is_shown_and_nothing_of_it_is_markup(
    page: Page, desk: Desk
) -> None:
    words = (
        "*bold* _italic_ ~gone~ `code` <https://example.org|a link> <@U0MIA> <#C0CARE> :warning:\n"
        "&gt; a quote &amp; more\n```two\nlines```\n&lt;img src=x onerror=alert(1)&gt; a_snake_case 2*3*4"
    )
    section: dict[str, Any] = {"type": "section", "text": {"type": "mrkdwn", "text": words}}
    fields = [
        {"type": "mrkdwn", "text": f"*{name}*\n{name.lower()}"} for name in ("Who", "Where", "When")
    ]
    blocks: list[dict[str, Any]] = [
        section,
        {"type": "divider"},
        {"type": "section", "fields": fields},
    ]
    confirm = {name: plain(name) for name in ("title", "text", "confirm", "deny")}
    danger = {
        "type": "button",
        "action_id": "x",
        "style": "danger",
        "text": plain("Erase"),
        "confirm": confirm,
    }
    blocks.append({"type": "actions", "elements": [danger]})
    sent = desk.client.chat_postMessage(channel=CHANNEL, text="everything", blocks=blocks)
    desk.client.chat_postMessage(channel=CHANNEL, text="beneath it", thread_ts=sent["ts"])
    card = page.locator("#messages > article")
    for tag, shown in (
        ("strong", "bold"),
        ("em", "italic"),
        ("s", "gone"),
        ("code", "code"),
        ("pre", "lines"),
    ):
        expect(card.locator(tag).first).to_contain_text(shown)
    expect(card.get_by_role("link", name="a link")).to_have_attribute("href", "https://example.org")
    expect(card.get_by_text("@Mia Halvorsen")).to_be_visible()
    expect(card).to_contain_text("<img src=x onerror=alert(1)> a_snake_case 2*3*4")
    expect(card.locator("img")).to_have_count(0)
    expect(card.locator(".thread article")).to_contain_text("beneath it")
    page.get_by_role("button", name="Erase").click()
    keep(page, "confirm")
    page.get_by_role("button", name="deny").click()
    assert desk.application.came == []
