"""The gallery has a picture of every kind, and nothing in it is wider than its screen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from services.alert.chat.slack_act_forms import REJECT
from services.alert.domain.boards.board import BoardKind
from services.alert.domain.card import CardState, StatusKind
from tests.browser import gallery, teams_sheets
from tests.browser.teams_sheets import RENDERER


def chromium() -> str | None:
    """Where it is, if it is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def names(sheet: str) -> set[str]:
    """What is drawn on it."""
    return {name for on, name, _ in gallery.exhibits() if on == sheet}


def test_every_kind_has_a_picture() -> None:
    cards = names("cards")
    assert {one.value for one in CardState} <= cards
    assert {f"status-{one.value}" for one in StatusKind} <= cards
    drawn = {name.rsplit("-b-", 1)[0] for name in names("boards")}
    assert drawn == {one.value for one in BoardKind}, "a new kind: add it to sample_boards.py"
    forms = {name.split("-")[0] for name in names("modals")}
    assert forms == {
        "not_for_us", "no_reply_needed", *(one.value for one in gallery.FORMS),
        "answer", REJECT, "sent", "said",
    }  # fmt: skip
    assert names("home")
    assert {"card", "ended"} <= names("practice")
    assert names("notifications") >= {*cards, *names("boards")}


def test_teams_shows_every_kind_too() -> None:
    shown: dict[str, set[str]] = {}
    for sheet, name, _ in teams_sheets.exhibits():
        shown.setdefault(sheet, set()).add(name)
    assert {f"state-{one.value}" for one in CardState} <= shown["cards"]
    assert {f"status-{one.value}" for one in StatusKind} <= shown["cards"]
    assert {name.rsplit("-b-", 1)[0] for name in shown["boards"]} == {
        one.value for one in BoardKind
    }
    assert {name.split("-")[0] for name in shown["forms"]} == {
        *(one.value for one in teams_sheets.FORMS), "answer", "reject", "sent", "refused", "lost",
    }  # fmt: skip


@pytest.mark.browser
def test_everything_can_be_drawn_and_fits_a_phone(tmp_path: Path) -> None:
    if chromium() is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    if not RENDERER.exists():
        pytest.skip("no renderer of Adaptive Cards here: npm ci in tests/peers")
    made = gallery.gallery(tmp_path)
    drawn = {one.path.stem for one in made}
    assert drawn >= {"cards-phone", "modals-desk"}
    assert drawn >= {f"teams-{sheet}-phone-dark" for sheet in teams_sheets.SHEETS}
    assert [one.path.name for one in made if one.overflows] == []
    # An empty sheet is as high as the screen and all of one colour: PNG makes next to nothing of it.
    assert all(one.path.stat().st_size > 12_000 for one in made)


@pytest.mark.browser
def test_only_our_own_words_pass_through_the_renderers_markdown() -> None:
    if chromium() is None or not RENDERER.exists():
        pytest.skip(
            "no Chromium or no renderer here: apt-get install chromium, npm ci in tests/peers"
        )
    contents = [teams_sheets.content_of(made) for _, _, made in teams_sheets.exhibits()]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page()
        page.add_script_tag(path=RENDERER)
        read = page.evaluate(
            """contents => {
              const read = new Set();
              AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => {
                read.add(text);
                Object.assign(result, { outputHtml: text, didProcess: true });
              };
              for (const content of contents) {
                const card = new AdaptiveCards.AdaptiveCard();
                card.parse(content);
                card.render();
              }
              return [...read];
            }""",
            contents,
        )
        browser.close()
    assert "<at>Mia</at>, you are on call" in read
    outside = [text for text in read if "evil.example" in text or "4711" in text or "🧳" in text]
    assert outside == []
