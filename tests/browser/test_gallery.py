"""The gallery has a picture of every kind, and nothing in it is wider than its screen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.alert.chat.slack_act_forms import REJECT
from services.alert.domain.boards.board import BoardKind
from services.alert.domain.card import CardState, StatusKind
from tests.browser import gallery, teams_sheets
from tests.browser.teams_sheets import RENDERER


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
    if shutil.which("chromium") is None and shutil.which("chromium-browser") is None:
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
