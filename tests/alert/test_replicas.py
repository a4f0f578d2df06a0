"""Two replicas on one PostgreSQL that see the same thing at the same instant: each card and page once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.alert.domain.boards.board import BoardKind
from services.alert.ports import Actor, ActResult, Purpose
from services.contracts.configuration import Configuration
from services.contracts.events import Label
from tests.alert.builders import at, configuration, notified, verdict
from tests.alert.interleaving import gate
from tests.alert.story import BEN, MIA, Story, story
from tests.alert.test_catch_up import NIGHT, OFFICE, OPENING
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

LEA = Actor("lea", "slack")
SAME = "0" * 32


@asynccontextmanager
async def replicas(
    url: str, file: Configuration | None = None
) -> AsyncIterator[tuple[Story, Story]]:
    """The same team twice, each with connections of its own."""
    async with story(url, file) as one, story(url, file, fresh=False) as other:
        yield one, other


async def alike(told: Story, many: int, label: Label = Label.conversation) -> None:
    """So many people write much the same."""
    need = 0.9 if label is Label.conversation else 0.05
    judged = verdict(need, label=label, similarity=SAME)
    await told.hear(*(notified(f"s{n}", at(0), f"s{n}", judged=judged) for n in range(many)))


async def a_queue(told: Story) -> None:
    """Mia was pinged five times; more wait."""
    await told.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(8)))
    while await told.escalating.fire_due():
        pass


async def an_opening(told: Story) -> None:
    """A night has gone by."""
    await told.at(NIGHT)
    await told.hear(*(notified(f"q{n}", at(NIGHT), f"p{n}") for n in range(3)))
    await told.sweep()
    await told.at(OPENING)
    while await told.escalating.fire_due():
        pass


async def a_wave(told: Story) -> None:
    """A dozen accounts with one scam."""
    await alike(told, 12, Label.spam)


async def a_group(told: Story) -> None:
    """A dozen customers with one matter: a group, and whether it is an incident."""
    await alike(told, 12)
    while await told.escalating.fire_due():
        pass


KINDS = {
    BoardKind.queue: (a_queue, []),
    BoardKind.catch_up: (an_opening, ["mia"]),
    BoardKind.wave: (a_wave, []),
    BoardKind.group: (a_group, []),
    BoardKind.incident: (a_group, []),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_card_that_two_replicas_would_make_at_once_is_made_and_sent_once(
    kind: BoardKind, postgres: FreshDatabase
) -> None:
    arrange, pinged = KINDS[kind]
    file = configuration(OFFICE) if kind is BoardKind.catch_up else None
    async with replicas(postgres(), file) as (one, other):
        await arrange(one)
        async with gate(one, "boards", f"new.kind = '{kind.value}'") as stands:
            making = asyncio.create_task(one.boards.round())
            await stands.stopped()
            assert await other.boards.round() is False, "it neither waits nor decides"
            await stands.open()
            assert await making
        await asyncio.gather(one.boards.round(), other.boards.round())
        async with gate(one, "outbox", "new.state = 'leased' and new.board is not null") as stands:
            first = asyncio.create_task(one.deliver())
            await stands.stopped()
            second = asyncio.create_task(other.deliver())
            # It takes what is left, which may be nothing; or stands at the gate with it.
            both_stopped = asyncio.create_task(stands.stopped(2))
            await asyncio.wait({second, both_stopped}, return_when=asyncio.FIRST_COMPLETED)
            both_stopped.cancel()
            await stands.open()
            await asyncio.gather(first, second)
        await asyncio.gather(one.deliver(), other.deliver())
        sent = [
            each
            for each in (*one.seen, *other.seen)
            if each.board is not None and each.board.kind is kind
        ]
        assert [each.purpose for each in sent].count(Purpose.card) == 1
        pages = [each.person.id for each in sent if each.purpose is Purpose.page and each.person]
        assert pages == pinged
        found = await one.rows(f"select count(*) from alert.boards where kind = '{kind.value}'")
        assert found == [(1,)]


async def fired(told: Story) -> None:
    """All that is due, by one replica."""
    while await told.escalating.fire_due():
        pass


async def test_a_group_of_an_incident_is_paged_once_though_two_replicas_fire_two_of_it_at_once(
    postgres: FreshDatabase,
) -> None:
    async with replicas(postgres()) as (one, other):
        await one.boards.declare_incident("Wi-Fi down", LEA)
        await alike(one, 2)
        async with gate(one, "incident_pages") as stands:
            both = [asyncio.create_task(fired(each)) for each in (one, other)]
            await stands.stopped(2)
            await stands.open()
            await asyncio.gather(*both)
        assert await one.rows("select person, step from alert.paged") == [("mia", 0)]
        assert [*await one.deliver(), *await other.deliver()] == ["mia"]
        timers = await one.rows("select step from alert.timers order by episode")
        assert timers == [(1,), (1,)], "the clocks of both go on"


async def test_nobody_is_pinged_a_sixth_time_though_two_replicas_count_at_once(
    postgres: FreshDatabase,
) -> None:
    async with replicas(postgres()) as (one, other):
        await one.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(4)))
        await fired(one)
        await one.hear(*(notified(f"r{n}", at(0), f"r{n}") for n in range(2)))
        async with gate(one, "paged") as stands:
            both = [asyncio.create_task(fired(each)) for each in (one, other)]
            await stands.stopped(2)
            await stands.open()
            await asyncio.gather(*both)
        assert await one.rows("select count(*) from alert.paged") == [(5,)]
        assert await one.rows("select person, count(*) from alert.queued group by 1") == [
            ("mia", 1)
        ]


async def test_a_press_on_a_wave_stands_though_another_replica_finds_that_it_is_over(
    postgres: FreshDatabase,
) -> None:
    async with replicas(postgres()) as (one, other):
        spam = verdict(0.05, label=Label.spam, similarity=SAME)
        person = verdict(0.9, similarity=SAME)
        await one.hear(
            *(notified(f"s{n}", at(0), f"s{n}", judged=spam) for n in range(12)),
            *(notified(f"c{n}", at(0), f"c{n}", judged=person) for n in range(3)),
        )
        await one.keep()
        (board,) = one.shown(BoardKind.wave)
        assert (await one.boards.press(board.id, "label_all", "", MIA)).result is ActResult.done
        async with gate(one, "waves", "new.state = 'labelling'") as stands:
            confirming = asyncio.create_task(one.boards.press(board.id, "confirm", "", MIA))
            await stands.stopped()
            (relabelled,) = await other.rows(
                "select item_id from alert.items where author_id = 's0'"
            )
            await other.episodes.relabel_item(relabelled[0], BEN, Label.conversation)
            keeping = asyncio.create_task(other.boards.round())
            await stands.stopped(2)
            await stands.open()
            assert (await confirming).result is ActResult.done
            await keeping
        for _ in range(3):
            await one.boards.round()
        assert await one.rows("select state from alert.waves") == [("labelled",)]
        labels = await one.rows("select count(*) from alert.relabels where to_label = 'spam'")
        assert labels == [(3,)]
