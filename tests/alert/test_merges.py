"""Conversations that are merged while somebody acts in one of them."""

from __future__ import annotations

import asyncio

import pytest

from services.alert.ports import ActResult
from services.alert.store.sql import one_of
from tests.alert.builders import at, notified, verdict
from tests.alert.story import BEN, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


async def test_an_act_that_waited_for_a_merge_is_done_where_the_episode_is_now(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q1", at(0), root="r1"), notified("q2", at(0), root="r2"))
        (newer,) = await told.rows(
            "select id::text, conversation from alert.episodes order by number desc limit 1"
        )
        async with told.pool.connection() as other, other.transaction():
            await other.execute("select id from alert.conversations order by id for update")
            claiming = asyncio.create_task(told.episodes.claim(newer[0], BEN))
            await asyncio.sleep(0.2)
            assert not claiming.done()
            await other.execute(
                "update alert.conversations set merged_into = (select min(id) from alert.conversations)"
                " where id = %s",
                (newer[1],),
            )
            await other.execute(
                "update alert.episodes set conversation = (select min(id) from alert.conversations)"
            )
        assert await claiming is ActResult.done


async def test_a_timer_is_not_fired_under_the_lock_of_a_conversation_that_is_no_more(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        await told.hear(notified("q1", at(0), root="r1"), notified("q2", at(0), root="r2"))
        before = await told.rows("select id from alert.conversations order by id")
        await told.hear(notified("link", at(1), root="r1", parent="r2", judged=verdict(0.1)))
        async with told.pool.connection() as connection:
            locked = [
                await one_of(connection, "timer_lock", conversation=row[0]) is not None
                for row in before
            ]
        assert locked == [True, False]
