"""A copy stands in while its own place takes no messages: it follows, and says where its card went."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from services.alert.chat.delivery import DeliveryPipeline
from services.alert.chat.memory import MemoryDestination, MemoryMessage
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.pace import Pace
from services.alert.domain.boards.board import BoardKind
from services.alert.ports import DeliveryReason
from services.runtime.clock import ManualClock
from tests.alert.builders import PRESENCE, at, configuration, notified
from tests.alert.story import BEN, MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration

DOWN = DeliveryReason.refused_credentials
NAMED = PRESENCE.replace("slack, channel: C1}", "slack, channel: C1, fallback: teams}")


class Places:
    """Two chats with a pipeline each: the room, and the place that stands in for it."""

    def __init__(self, told: Story) -> None:
        self.told = told
        self.clock = ManualClock(at(0))
        self.room, self.teams = MemoryDestination("room"), MemoryDestination("teams")
        metrics = DeliveryMetrics(CollectorRegistry())
        self._pipelines = {
            chat.id: DeliveryPipeline(
                chat,
                told.outbox,
                clock=self.clock,
                metrics=metrics,
                posts=Pace(1_000),
                concurrency=20,
            )
            for chat in (self.room, self.teams)
        }

    async def deliver(self, *places: str) -> None:
        """What waits there, until nothing does."""
        for place in places:
            taken = 1
            while taken:
                work = asyncio.ensure_future(self._pipelines[place].round())
                while not work.done():
                    await self.clock.forward(0.01)
                    await asyncio.sleep(0.001)
                taken = work.result()

    async def away(self) -> None:
        """The room takes nothing: what waits goes on."""
        await self.told.outbox.down("room", DOWN)
        await self.deliver("teams")

    async def back(self) -> None:
        """The room takes messages again; both places are served."""
        await self.told.outbox.up("room")
        await self.deliver("room", "teams")


def only(messages: list[MemoryMessage]) -> MemoryMessage:
    (message,) = messages
    return message


def headline(message: MemoryMessage) -> str:
    assert message.board is not None
    return message.board.content.headline


async def waiting_board(told: Story) -> None:
    """Somebody's queue: a card of its own, which grows and ends."""
    await told.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(7)))
    while await told.escalating.fire_due():
        pass
    await told.boards.round()


async def test_a_boards_copy_is_changed_in_its_place(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(NAMED)) as told:
        places = Places(told)
        await waiting_board(told)
        await places.away()
        boards = [one for one in places.teams.cards() if one.board is not None]
        queue = only([one for one in boards if one.board and one.board.kind is BoardKind.queue])
        assert headline(queue).startswith("2 waiting")
        assert queue.board is not None
        await told.boards.press(queue.board.id, "take_next", "", BEN)
        await places.away()
        again = [one for one in places.teams.cards() if one.ref == queue.ref]
        assert headline(only(again)).startswith("1 waiting")
        assert len(places.teams.cards()) == len(boards) + 7


async def test_a_copy_says_where_its_card_lives_once_its_place_is_back(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(NAMED)) as told:
        places = Places(told)
        await told.hear(notified("q", at(0)))
        while await told.escalating.fire_due():
            pass
        await places.away()
        copy = only(places.teams.cards())
        assert copy.card is not None
        assert copy.card.state.live
        await places.back()
        gone = only(places.teams.cards())
        assert gone.ref == copy.ref
        assert gone.card is not None
        assert (gone.card.ended, gone.card.acts) == ("goes on in room", ())
        home = only(places.room.cards())
        assert home.card is not None
        assert home.card.state.live
        # What happens from now on is told in the room alone; and nobody was woken twice.
        await told.episodes.claim(await told.only(), MIA)
        await places.deliver("room", "teams")
        assert only(places.teams.cards()).card == gone.card
        claimed = only(places.room.cards()).card
        assert claimed is not None
        assert claimed.claimed_by == "Mia"
        pages = await told.rows(
            "select destination, reason from alert.outbox where purpose = 'page'"
        )
        assert sorted(pages)[0] == ("room", "handed_on")
        assert len(pages) == 2


async def test_a_boards_copy_says_so_too_and_stands_in_again(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(NAMED)) as told:
        places = Places(told)
        await waiting_board(told)
        await places.away()
        await places.back()
        queues = [
            one for one in places.teams.cards() if one.board and one.board.kind is BoardKind.queue
        ]
        assert headline(only(queues)).startswith("Goes on in room: 2 waiting")
        board = only(queues).board
        assert board is not None
        assert board.content.over
        await told.boards.press(board.id, "take_next", "", BEN)
        await places.away()
        queues = [
            one for one in places.teams.cards() if one.board and one.board.kind is BoardKind.queue
        ]
        assert headline(only(queues)).startswith("1 waiting")


async def test_a_copy_that_nobody_saw_is_not_posted_to_say_that_it_has_gone(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(NAMED)) as told:
        places = Places(told)
        await told.hear(notified("q", at(0)))
        await told.outbox.down("room", DOWN)
        await places.back()
        assert places.teams.cards() == []
        assert len(places.room.cards()) == 1


async def test_what_ended_meanwhile_says_how_and_not_where(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(NAMED)) as told:
        places = Places(told)
        await told.hear(notified("q", at(0)))
        await places.away()
        await told.hear(notified("a", at(1), "air", outbound=True, to="ana", parent="q"))
        await places.back()
        for chat in (places.room, places.teams):
            card = only(chat.cards()).card
            assert card is not None
            assert card.ended == "answered after 1 min"
