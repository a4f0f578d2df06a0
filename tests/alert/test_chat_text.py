"""Outside text: cleaned and cut so that it stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alert.chat.text import (
    breakable,
    clean,
    clip,
    one_line,
    time_of_day,
    units,
    web_address,
)
from services.alert.domain import cards
from tests.alert.chat_builders import NOON


@given(st.text(max_size=200), st.integers(1, 50))
def test_a_cut_text_is_within_its_limit(text: str, limit: int) -> None:
    assert units(clip(text, limit)) <= limit


def test_a_text_is_cut_between_characters_not_inside_an_emoji() -> None:
    family = "👩‍👩‍👧"
    assert clip(f"a{family}{family}", 10) == f"a{family}…"
    assert clip("🇩🇪🇫🇷🇪🇸", 6) == "🇩🇪…"


def test_line_breaks_controls_and_direction_overrides_do_not_pass() -> None:
    assert clean("a\r\nb\x00\u202ec\u2066") == "a b c"
    assert clean(" a \n b ", lines=True) == "a\nb"


def test_a_tower_of_marks_is_cut_down_and_real_scripts_are_kept() -> None:
    assert clean("Z" + "\u0310" * 50) == "Z" + "\u0310" * 4
    assert clean("क्षि ที่ é") == "क्षि ที่ é"


def test_a_right_to_left_name_is_isolated_from_the_line_around_it() -> None:
    assert one_line("ليلى") == "\u2068ليلى\u2069"
    assert one_line("ليلى (@layla)") == "\u2068ليلى \u2066(@layla)\u2069\u2069"
    assert one_line("Ana (@ana)") == "Ana (@ana)"
    assert clip(one_line("ليلى" * 50), 20).endswith("\u2069")


@given(st.text("ليلى (@ana) \U0001f1e9", max_size=60), st.integers(1, 60))
def test_what_was_isolated_stays_isolated_when_cut(text: str, limit: int) -> None:
    cut = clip(one_line(text), limit)
    assert units(cut) <= limit
    assert cut.count("\u2068") + cut.count("\u2066") == cut.count("\u2069")


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("Europe/Berlin", "13:00 (Mon 2 Mar, Berlin)"), ("Asia/Tokyo", "21:00 (Mon 2 Mar, Tokyo)")],
)
def test_a_due_time_is_a_time_on_the_wall(zone: str, shown: str) -> None:
    assert time_of_day(NOON, zone) == shown


def test_only_plain_web_addresses_pass() -> None:
    assert web_address("https://a.example/x|y>") == "https://a.example/x%7Cy%3E"
    assert web_address("ftp://a.example") is None
    assert web_address("https://[bad") is None


def test_a_headline_keeps_families_and_persian_words_together() -> None:
    family, persian = "👩\u200d👩\u200d👧", "می\u200cخواهم"
    assert cards.one_line(f"{family} {persian}\u200d") == f"{family} {persian}"
    assert cards.one_line("\u200d\u200c") == ""
    assert cards.cut(family, 3) == "👩…"


@pytest.mark.parametrize(
    ("word", "breaks"),
    [
        ("https://shop.example/" + "a1b2c3d4e5" * 4, 3),
        ("ok " * 40, 0),
        ("é" * 61, 3),
        ("e\u0301" * 61, 3),
        ("注文した荷物がまだ届きません" * 5, 0),
        ("ฉันยังไม่ได้รับพัสดุของฉัน" * 3, 0),
        ("👩‍👩‍👧‍👦" * 40, 0),
        ("ｗ" * 40, 0),
    ],
)
def test_only_words_too_long_for_a_phone_may_be_broken_and_never_within_a_letter(
    word: str, breaks: int
) -> None:
    shown = breakable(word)
    assert shown.replace("\u200b", "") == word
    assert shown.count("\u200b") == breaks
    assert "\u200b\u0301" not in shown
