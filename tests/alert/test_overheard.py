"""What was found in a thread that was read again waits for nobody; an impostor gets a card of its own."""

from __future__ import annotations

from typing import Any

import pytest

from services.alert.domain.boards.board import BoardKind
from services.alert.domain.items import item_from
from services.contracts import examples
from services.contracts.events import (
    ClassifiedNotification,
    EpisodeChange,
    EpisodeEvent,
    Label,
    Notification,
    Sensitive,
    Urgency,
)
from tests.alert.builders import ACCOUNT, at, iid, notified, verdict
from tests.alert.story import story
from tests.conftest import FreshDatabase


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


@pytest.mark.integration
async def test_an_overheard_impostor_is_a_card_beside_the_victims_and_other_talk_is_none(
    postgres: FreshDatabase,
) -> None:
    alike = verdict(0.03, label=Label.spam, impersonates=ACCOUNT, urgency=Urgency.high)
    async with story(postgres()) as told:
        await told.hear(
            notified("q", at(0)),
            notified("lie", at(1), "fake", parent="q", root="q", judged=alike, overheard=True),
            notified("hm", at(1), "carl", parent="q", root="q", overheard=True),
        )
        await told.sweep()
        (board,) = told.shown(BoardKind.impersonation)
        rows = await told.rows("select openers, urgency from alert.episodes order by number")
        sent = await told.rows(
            "select payload from alert.announcements where topic = 'presence.episodes' order by id"
        )
    assert rows == [([iid("q")], "normal")]
    assert "fake" in str(board.content)
    events = [EpisodeEvent.model_validate_json(payload) for (payload,) in sent]
    opened = [one.items for one in events if one.change is EpisodeChange.opened]
    assert opened == [(iid("q"),)]
