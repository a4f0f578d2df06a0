"""The forms of a text, its words and its signature."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.classify.domain.cues import Cue
from services.classify.domain.lexicon import Lexicon, WordList
from services.classify.domain.similarity import signatures
from services.classify.domain.structure import COLUMNS
from services.classify.domain.text import HANDLE, LINK, READ_AT_MOST, read
from services.classify.word_lists import built_in
from services.contracts.events import Sensitive
from tests.classify.building import reading


def test_links_handles_digits_and_case_do_not_reach_the_words() -> None:
    text = read("Hey @Acme_Help see https://t.co/AbC1 or acme.com/x, ref 4711")
    assert text.masked == f"hey {HANDLE} see {LINK} or {LINK} ref 0000"
    assert text.handles == ("@acme_help",)
    assert text.links == ("https://t.co/AbC1", "acme.com/x,")


def test_invisible_characters_and_full_width_letters_hide_nothing() -> None:
    hidden = "I want to k\u200bi\u2060ll my\u00adself"
    assert Sensitive.self_harm in reading(hidden).flags
    assert Sensitive.self_harm in reading("ｋｉｌｌ ｍｙｓｅｌｆ").flags


def test_accents_that_people_leave_out_on_a_phone_make_no_difference() -> None:
    assert read("¿Dónde está mi avión?").words == read("donde esta mi avion").words


def test_vowel_signs_stay_with_their_words() -> None:
    assert read("मेरा ऑर्डर नहीं मिला").words == ("मेरा", "ऑर्डर", "नहीं", "मिला")


def test_only_the_first_page_of_a_huge_text_is_read() -> None:
    assert len(read("a " * 100_000).raw) == READ_AT_MOST


def test_patterns_know_endings_gaps_and_substrings() -> None:
    lexicon = Lexicon(
        [
            WordList("en", True, {Cue.complaint: ["cancel*", "lost .. bag", "*ouch"]}),
            WordList("ja", False, {Cue.complaint: ["届かない"]}),
        ]
    )

    def found(text: str) -> list[str]:
        return [hit.words for hit in lexicon.find(read(text))]

    assert found("you CANCELLED it") == ["cancel*"]
    assert found("you lost both of my bag") == ["lost .. bag"]
    assert found("you lost one two three four bag") == []
    assert found("kaouchu") == ["*ouch"]
    assert found("まだ届かないよ") == ["届かない"]


def test_every_list_has_every_cue_and_every_sensitive_flag() -> None:
    lexicon = built_in()
    wanted = {*Cue, *Sensitive}
    assert {"en", "de", "es", "fr", "pt", "ru", "ja", "ar", "hi", "it", "nl"} <= lexicon.languages
    for language in lexicon.languages:
        assert lexicon.meanings(language) == wanted, language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Danke!", "de"),
        ("obrigada", "pt"),
        ("где мой заказ", "ru"),
        ("注文が届かない", "ja"),
        ("وين طلبي", "ar"),
        ("मेरा ऑर्डर", "hi"),
        ("mon colis n'est jamais arrivé", "fr"),
        ("🙂🙂", "und"),
        ("", "und"),
    ],
)
def test_the_language_is_told_even_of_few_words(text: str, language: str) -> None:
    assert reading(text).language == language


def test_the_platforms_hint_is_believed_where_it_is_a_language_we_know() -> None:
    assert reading("ok", hint="pt-BR").language == "pt"
    assert reading("Danke!", hint="qme").language == "de"


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_nothing_that_can_be_written_stops_the_reading(text: str) -> None:
    seen = reading(text)
    assert len(seen.structure.values) == len(COLUMNS)
    assert all(0 <= value <= 6 for value in seen.structure.values)
    assert signatures([seen.text])[0] is None or seen.text.folded


def test_bare_domains_are_links_and_lines_of_dots_are_none() -> None:
    assert read("a.b" * 2_000).links == ()
    assert read("see acme.co.uk/x now").links == ("acme.co.uk/x",)
    assert read("see www.acme.example").links == ("www.acme.example",)
