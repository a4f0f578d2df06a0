"""Until when a platform takes an answer, as the card warns of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.alert.domain.answering import ways
from services.alert.domain.items import Item
from services.contracts.configuration import FacebookAccount

SAID = datetime(2026, 11, 20, 12, tzinfo=UTC)


def page(**settings: object) -> FacebookAccount:
    given = {"access_token": "TOKEN", **settings}
    return FacebookAccount.model_validate(
        {"platform": "facebook", "id": "1010", "brand": "air", "settings": given}
    )


def said(*, private: bool) -> Item:
    return Item(
        id="facebook:1010:m1", platform="facebook", account_id="1010", brand="air", inbound=True,
        author_id="501", counterpart_id="501", source_time=SAID, received_at=SAID,
        classified_at=SAID, private=private,
    )  # fmt: skip


@pytest.mark.parametrize(("human_agent", "days"), [(False, 1), (True, 7)])
def test_a_message_can_be_answered_for_as_long_as_meta_lets_this_app(
    *, human_agent: bool, days: int
) -> None:
    (way,) = ways(page(human_agent=human_agent), said(private=True), SAID + timedelta(hours=3))
    assert way.closes_at == SAID + timedelta(hours=3, days=days), "from the person's last message"


def test_a_private_answer_to_a_comment_has_seven_days_whatever_the_app_may() -> None:
    for account in (page(), page(human_agent=True)):
        public, private = ways(account, said(private=False), None)
        assert (public.closes_at, private.closes_at) == (None, SAID + timedelta(days=7))
