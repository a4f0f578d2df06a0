"""What was found in a thread that was read again: an impostor is a matter of ours, other talk is not."""

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
    ("found", "opens"),
    [
        ({"impersonates": "109348@social.example", "label": Label.spam}, True),
        ({"needs_answer": 0.99}, False),
        ({"sensitive": frozenset({Sensitive.legal})}, False),
    ],
)
def test_only_an_impostor_opens_an_episode(found: dict[str, Any], opens: bool) -> None:
    item = item_from(overheard(**found), 0.4)
    assert item.opens is opens
    assert item.needs_answer is opens


def test_it_is_known_whom_the_impostor_answers() -> None:
    item = item_from(overheard(impersonates="109348@social.example"), 0.4)
    assert item.parent == "mastodon:109348%40social.example:113004"
    assert item.mentions == ("991",)
