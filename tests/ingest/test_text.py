"""Texts and times, from what platforms send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.native import instant
from services.ingest.domain.text import TEXT_LIMIT, clean, from_html, web_links


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<p>5 &lt; 6 &amp; 7</p>", "5 < 6 & 7"),
        ("<p>hi<script>alert(1)</script><style>p{}</style></p>", "hi"),
        ('<a href="javascript:alert(1)">click</a>', "click"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_html_becomes_what_a_person_reads(html: str, text: str) -> None:
    assert from_html(html)[0] == text


def test_only_web_links_become_links() -> None:
    links = [
        "https://a.example/x",
        "javascript:alert(1)",
        "ftp://a",
        "",
        None,
        "https://a.example/x",
        "http://[",
    ]
    assert web_links(links) == ("https://a.example/x",)


def test_what_postgresql_cannot_store_is_gone_and_what_is_too_long_is_cut() -> None:
    assert clean("a\x00b ") == "ab"
    assert len(clean("x" * (TEXT_LIMIT + 5))) == TEXT_LIMIT


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_markup_is_read(markup: str) -> None:
    text, _ = from_html(markup)
    assert "\x00" not in text


NINE = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1795251600, NINE),
        (1795251600000, NINE),
        ("1795251600000", NINE),
        ("Sat Nov 21 09:00:00 +0000 2026", NINE),
        ("Sat Nov 21 10:00:00 +0100 2026", NINE),
        ("2026-11-21T10:00:00+01:00", NINE),
        ("2026-11-21T09:00:00Z", NINE),
        ("2026-11-21T09:00:00", None),
        ("yesterday", None),
        (True, None),
        (10**30, None),
        ([], None),
    ],
)
def test_times_are_read_in_every_platforms_notation(value: Any, moment: datetime | None) -> None:
    assert instant(value) == moment
