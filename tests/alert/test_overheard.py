"""What was found in a thread that was read again waits for nobody; an impostor gets a card of its own."""

from __future__ import annotations

from typing import Any

import pytest

from services.alert.domain.items import item_from
from services.contracts import examples
from services.contracts.events import ClassifiedNotification, Label, Notification, Sensitive
from tests.alert.builders import at, verdict


def overheard(**found: Any) -> ClassifiedNotification:
    (case,) = [one for one in examples.of(Notification) if one.case == "overheard-impersonator"]
    said = Notification.model_validate(case.payload)
    return ClassifiedNotification(
        notification=said, verdict=verdict(**found), classified_at=at(60 * 24)
    )


@pytest.mark.parametrize(
    "found",
    [
        {"impersonates": "109348@social.example", "label": Label.spam},
        {"needs_answer": 0.99},
        {"sensitive": frozenset({Sensitive.legal})},
    ],
)
def test_what_was_overheard_opens_no_episode(found: dict[str, Any]) -> None:
    item = item_from(overheard(**found), 0.4)
    assert not item.opens
    assert not item.needs_answer


def test_it_is_known_whom_the_impostor_answers() -> None:
    item = item_from(overheard(impersonates="109348@social.example"), 0.4)
    assert item.parent == "mastodon:109348%40social.example:113004"
    assert item.mentions == ("991",)
