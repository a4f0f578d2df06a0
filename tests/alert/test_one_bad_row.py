"""One episode that cannot be handled stands in nobody else's way."""

from __future__ import annotations

import pytest

from services.alert.ports import Purpose
from tests.alert.builders import PRESENCE, at, configuration, notified
from tests.alert.story import story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


async def test_a_step_that_fails_is_told_and_put_off_and_the_others_page(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("bad", at(0), "ana"), notified("good", at(0), "bob"))
        await told.rows(
            "update alert.episodes set policy = policy - 'steps' where 'x:4001:bad' = any(openers)"
            " returning id"
        )
        assert await told.sweep() == ["mia"]
        assert await told.rows("select due_at from alert.timers where due_at = '2026-03-02 09:01Z'")
        assert await told.rows("select act from alert.audit where act = 'step_failed'")


async def test_a_rota_that_left_the_file_reaches_nobody_and_the_next_step_comes_at_once(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q", at(0)))
        told.file = configuration(PRESENCE.replace("social", "press"))
        assert await told.sweep() == ["lea"]
        (said,) = [one.text for one in told.of(Purpose.told)]
        assert said is not None
        assert said.startswith("Nobody could be reached")
