"""Who looks like the brand and is not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.classify.domain.impersonation import Identity, edits, resembles
from services.contracts.events import Author, Urgency
from tests.classify.building import notification, verdict_on

BRAND = (
    Identity("x", "42", "SkyLink", "Skylink Air"),
    Identity("mastodon", "9", None, "Skylink Air"),
)


@pytest.mark.parametrize(
    ("handle", "name"),
    [
        ("Sky1ink", None),
        ("ЅkyLіnk", None),
        ("sky_link_", None),
        ("skyiink", None),
        ("SkyLinkHelp", None),
        ("support_skylink", None),
        ("skylnik", None),
        ("nice_person", "Skylink  Air"),
        ("nice_person", "Ѕkylink Аir"),
        ("skylinkair", None),
    ],
)
def test_a_look_alike_is_recognised(handle: str, name: str | None) -> None:
    found = resembles("x", "666", handle, name, BRAND)
    assert found is not None
    assert found.account_id == "42"


@pytest.mark.parametrize(
    ("handle", "name"),
    [
        ("anna", "Anna"),
        ("skyler", "Skyler Link"),
        ("skylinkfan1999", "I fly Skylink Air"),
        ("blink", None),
        (None, None),
        ("", ""),
    ],
)
def test_others_are_left_alone(handle: str | None, name: str | None) -> None:
    assert resembles("x", "666", handle, name, BRAND) is None


def test_the_brand_itself_is_no_impersonator() -> None:
    assert resembles("x", "42", "SkyLink", "Skylink Air", BRAND) is None


def test_a_verdict_names_the_account_and_says_what_is_alike() -> None:
    fake = notification("DM me for a refund", author=Author(id="666", handle="Sky1ink"))
    verdict = verdict_on(fake, identities=BRAND)
    assert verdict.impersonates == "42"
    assert any("looks like @SkyLink" in reason.says for reason in verdict.reasons)


def test_an_impostor_who_answers_somebody_is_urgent_and_other_overheard_talk_waits_for_nobody() -> (
    None
):
    said: dict[str, Any] = {"in_reply_to": "x:42:7", "overheard": True, "addressed": False}
    author = Author(id="666", handle="Sky1ink")
    fake = verdict_on(
        notification("Send us your card number?", author=author, **said), identities=BRAND
    )
    assert (fake.impersonates, fake.urgency) == ("42", Urgency.high)
    other = verdict_on(
        notification("Did you get your refund? Please tell me!", **said), identities=BRAND
    )
    assert other.impersonates is None
    assert other.needs_answer < 0.1
    assert other.urgency is Urgency.low


def test_edits_count_a_swap_as_one_and_give_up_beyond_the_limit() -> None:
    assert edits("skylnik", "skylink", 1) == 1
    assert edits("abc", "abc", 0) == 0
    assert edits("abcd", "wxyz", 2) is None
    assert edits("a", "abcd", 2) is None


BRANDS = (
    Identity("x", "1", "NorvaAir", "Norva Air"),
    Identity("x", "2", "Brio", "Brio Bank"),
    Identity("x", "3", "Air", "Air"),
    Identity("mastodon", "4", "norvaair@social.example", "Norva Air"),
)


@cache
def cases() -> dict[str, list[tuple[str | None, str | None]]]:
    file = Path(__file__).parent / "data" / "impersonation.yaml"
    read = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {kind: [(handle, name) for handle, name in pairs] for kind, pairs in read.items()}


def called(kind: str) -> list[tuple[str | None, str | None]]:
    """Those of this kind that are called impostors."""
    return [pair for pair in cases()[kind] if resembles("x", "666", *pair, BRANDS)]


def test_nearly_every_labelled_impostor_is_recognised_and_nearly_nobody_else() -> None:
    found, wrong = called("impostors"), called("others")
    missed = [pair for pair in cases()["impostors"] if pair not in found]
    assert len(found) >= 0.95 * len(cases()["impostors"]), missed
    assert len(found) >= 0.95 * (len(found) + len(wrong)), wrong


def test_another_account_of_the_brand_is_no_impostor_of_it() -> None:
    assert resembles("x", "3", "Air", "Norva Air", BRANDS) is None
    assert resembles("mastodon", "4", "norvaair@social.example", "Norva Air", BRANDS) is None
    assert resembles("mastodon", "5", "norvaair@evil.example", None, BRANDS) is not None
