"""What people wrote leaves the store after its time; that they wrote it stays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.alert.store.texts import Texts
from tests.alert.builders import Action, at, notified
from tests.alert.story import MIA, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


async def test_words_go_after_their_retention_and_the_figures_stay(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("old", at(0), "ana", text="SECRET"))
        await told.hear(notified("old", at(1), "ana", action=Action.edited, text="SECRET two"))
        await told.doings.note(await told.only(), MIA, "SECRET note", "n1")
        await told.hear(notified("a", at(4), outbound=True, to="ana", parent="old"))
        ended = await told.ended()
        day = 24 * 60
        await told.at(401 * day)
        await told.hear(notified("new", at(401 * day), "bob", text="FRESH"))
        assert await Texts(told.pool).forget(timedelta(days=400)) == 2
        tables = ("items", "traces", "lines", "answers", "promises")
        left = [await told.rows(f"select t.*::text from alert.{one} t") for one in tables]
        assert "SECRET" not in repr(left)
        assert "FRESH" in repr(left)
        assert ended[0] in await told.ended()
        assert await Texts(told.pool).forget(timedelta(days=400)) == 0
