"""Nothing that asks for an answer starts to be sent after the answer's transaction committed."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from services.alert.ports import Delivery, Purpose
from services.contracts.events import CloseReason
from tests.alert.builders import PRESENCE, Sensitive, at, configuration, notified, verdict
from tests.alert.interleaving import gate
from tests.alert.story import MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration


async def pages_of(told: Story, episodes: int) -> list[Delivery]:
    """So many people ask; their pages are leased and about to be sent."""
    # Sensitive ones: nobody's allowance of pings runs out.
    hurt = verdict(sensitive=frozenset({Sensitive.self_harm}))
    await told.hear(*(notified(f"q{n}", at(0), f"p{n}", judged=hurt) for n in range(episodes)))
    while await told.escalating.fire_due():
        pass
    taken = await told.outbox.take(4 * episodes)
    return [delivery for delivery in taken if delivery.purpose is Purpose.page]


async def test_a_check_waits_for_an_answer_that_is_being_stored_and_then_says_no(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres()) as told:
        (page,) = await pages_of(told, 1)
        async with told.pool.connection() as answering, answering.transaction():
            await answering.execute("select from alert.conversations for update")
            check = asyncio.create_task(told.outbox.still_due(page))
            await asyncio.sleep(0.2)
            assert not check.done()
            await answering.execute("update alert.episodes set state = 'answered'")
        assert await check is False
        assert await told.rows("select sending_at from alert.outbox where purpose = 'page'") == [
            (None,)
        ]


async def test_an_answer_that_is_rolled_back_holds_no_page_back(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        (page,) = await pages_of(told, 1)
        async with told.pool.connection() as answering, answering.transaction(force_rollback=True):
            await answering.execute("select from alert.conversations for update")
            await answering.execute("update alert.episodes set state = 'answered'")
            check = asyncio.create_task(told.outbox.still_due(page))
            await asyncio.sleep(0.1)
        assert await check is True


async def test_an_older_lease_starts_nothing(postgres: FreshDatabase) -> None:
    async with story(postgres()) as told:
        (page,) = await pages_of(told, 1)
        assert not await told.outbox.still_due(replace(page, attempt=page.attempt + 1))


ALOUD = configuration(
    PRESENCE.replace('"100%", targets: [{person: lea}]', '"100%", targets: [{channel: room}]')
)


async def reminded(told: Story) -> Delivery:
    """The channel is about to hear that the time is over."""
    await told.hear(notified("q", at(0)))
    for minutes in (0, 12):
        await told.at(minutes)
        await told.sweep()
    await told.at(15)
    while await told.escalating.fire_due():
        pass
    taken = await told.outbox.take(10)
    (line,) = [one for one in taken if one.purpose is Purpose.told]
    assert (line.text or "").startswith("Still without an answer after 15 min")
    return line


async def test_the_channel_hears_of_no_step_once_somebody_answered(postgres: FreshDatabase) -> None:
    async with story(postgres(), ALOUD) as told:
        line = await reminded(told)
        async with gate(told, "episodes", "new.state = 'answered'") as stands:
            said = notified("a", at(15), outbound=True, to="ana", parent="q")
            answering = asyncio.create_task(told.hear(said))
            await stands.stopped()
            check = asyncio.create_task(told.outbox.still_due(line))
            await stands.stopped(2)
            await stands.open()
            await answering
            assert await check is False
        await told.at(17)  # its lease ran out
        await told.sweep()
        assert told.of(Purpose.told) == []
        states = await told.rows("select state from alert.outbox where purpose = 'told'")
        assert states == [("cancelled",)]


async def test_the_channel_hears_of_a_step_while_nobody_has_it(postgres: FreshDatabase) -> None:
    async with story(postgres(), ALOUD) as told:
        assert await told.outbox.still_due(await reminded(told))


async def test_every_start_comes_before_the_answer_whatever_the_interleaving(
    postgres: FreshDatabase,
) -> None:
    """Both sides take a number under the lock that they hold until they commit: numbers tell the order."""
    async with story(postgres()) as told:
        pages = await pages_of(told, 24)
        assert len(pages) == 24
        asked = dict(
            await told.rows(
                "select e.id::text, c.counterpart from alert.episodes e"
                " join alert.conversations c on c.id = e.conversation"
            )
        )
        async with told.pool.connection() as connection:
            await connection.execute(
                """
                create sequence numbers;
                create table moments (episode uuid, what text, number bigint);
                create function noted() returns trigger language plpgsql as $$ begin
                    if tg_table_name = 'outbox' then
                        insert into moments values (new.episode, 'start', nextval('numbers'));
                    elsif old.state = 'open' and new.state <> 'open' then
                        insert into moments values (new.id, 'end', nextval('numbers'));
                    end if;
                    return new; end $$;
                create trigger starts after update of sending_at on alert.outbox
                    for each row execute function noted();
                create trigger ends after update on alert.episodes
                    for each row execute function noted();
                """
            )
        chance = random.Random(7)

        async def check(page: Delivery) -> bool:
            await asyncio.sleep(chance.random() * 0.1)
            return await told.outbox.still_due(page)

        async def claim(page: Delivery) -> None:
            await told.episodes.claim(page.episode_id, MIA)

        async def close(page: Delivery) -> None:
            await told.episodes.close(page.episode_id, MIA, CloseReason.duplicate)

        async def answer(page: Delivery) -> None:
            who = asked[page.episode_id]
            said = notified(f"a{who}", at(1), outbound=True, to=who, parent=f"q{who[1:]}")
            await told.hear(said)

        async def end(number: int, page: Delivery) -> None:
            await asyncio.sleep(chance.random() * 0.1)
            await (claim, close, answer)[number % 3](page)

        checks = [asyncio.create_task(check(page)) for page in pages]
        await asyncio.gather(*checks, *(end(*numbered) for numbered in enumerate(pages)))
        started = {page.id: task.result() for page, task in zip(pages, checks, strict=True)}
        moments: dict[str, dict[str, list[int]]] = {}
        for episode, what, number in await told.rows(
            "select episode::text, what, number from moments"
        ):
            moments.setdefault(episode, {}).setdefault(what, []).append(number)
        for page in pages:
            seen = moments[page.episode_id]
            assert ("start" in seen) == started[page.id]
            assert max(seen.get("start", [0])) < min(seen["end"])
        assert set(started.values()) == {True, False}
