"""The pipeline, told as stories with a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from services.alert.chat.delivery import DeliveryPipeline
from services.alert.chat.memory import MemoryDestination
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.pace import Breaker, Pace
from services.alert.domain.card import Card
from services.alert.ports import Delivery, DeliveryReason, MessageRef, Purpose
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient
from tests.alert.chat_builders import NOON, MemoryOutbox, card, delivery

TIMEOUT = Transient(DeliveryReason.timeout, "no answer")
DOWN = Transient(DeliveryReason.unavailable, "500")


class Story:
    """A destination, an outbox, a pipeline between them, and time."""

    def __init__(self, per_second: float = 1_000) -> None:
        self.clock = ManualClock(NOON)
        self.outbox = MemoryOutbox(self.clock)
        self.chat = MemoryDestination()
        self.registry = CollectorRegistry()
        self.pipeline = DeliveryPipeline(
            self.chat,
            self.outbox,
            clock=self.clock,
            metrics=DeliveryMetrics(self.registry),
            posts=Pace(per_second),
            updates=Pace(1_000),
        )

    async def rounds(self, count: int = 1, apart: float = 0.0) -> None:
        """So many rounds, the clock moved before each but the first."""
        for number in range(count):
            if number and apart:
                await self.clock.forward(apart)
            work = asyncio.ensure_future(self.pipeline.round())
            while not work.done():
                await self.clock.forward(0.01)
            work.result()

    def counted(self, result: str, reason: str = "none") -> float | None:
        """`presence_deliveries_total`."""
        labels = {"destination": "memory", "result": result, "reason": reason}
        return self.registry.get_sample_value("presence_deliveries_total", labels)


@pytest.fixture
def story() -> Story:
    """A story in which nothing is rate limited."""
    return Story()


async def test_every_purpose_is_delivered_and_counted(story: Story) -> None:
    ref = MessageRef("memory", "77")
    story.outbox.put(
        delivery(),
        delivery(Purpose.thread, card_ref=ref, episode_id="ep-2"),
        delivery(Purpose.page, episode_id="ep-3"),
        delivery(Purpose.told, episode_id="ep-4"),
    )
    await story.rounds()
    assert {one.purpose for one in story.chat.messages} == set(Purpose)
    assert {row.state for row in story.outbox.rows} == {"sent"}
    assert story.counted("sent") == 4


async def test_an_update_changes_the_posted_card(story: Story) -> None:
    ref = await story.chat.post(card(), "d0")
    story.outbox.put(delivery(card=card(version=2, claimed_by="Mia"), card_ref=ref))
    await story.rounds()
    assert [one.card and one.card.claimed_by for one in story.chat.messages] == ["Mia"]


async def test_a_later_message_goes_beneath_the_card_of_the_same_round(story: Story) -> None:
    story.outbox.put(delivery(), delivery(Purpose.thread))
    await story.rounds()
    posted, beneath = story.chat.messages
    assert beneath.beneath == posted.ref.id


async def test_no_page_goes_out_once_somebody_answered(story: Story) -> None:
    story.outbox.put(delivery(Purpose.page))
    story.outbox.ended.add("ep-1")
    await story.rounds()
    assert story.chat.messages == []
    assert story.counted("cancelled", "no_longer_due") == 1


async def test_an_answer_during_the_wait_for_the_pace_still_stops_the_page() -> None:
    story = Story(per_second=0.1)
    story.outbox.put(delivery(Purpose.page, id="a"), delivery(Purpose.page, id="b"))
    work = asyncio.ensure_future(story.pipeline.round())
    await story.clock.forward(1)
    assert len(story.chat.messages) == 1
    story.outbox.ended.add("ep-1")
    await story.clock.forward(20)
    await work
    assert len(story.chat.messages) == 1


async def test_a_lost_answer_is_found_and_not_sent_twice(story: Story) -> None:
    story.chat.lost_answers.append(TIMEOUT)
    story.outbox.put(delivery(Purpose.page))
    await story.rounds(2, apart=60)
    assert len(story.chat.messages) == 1
    assert story.outbox.row("d-page-1").state == "sent"
    assert story.counted("found") == 1


async def test_a_card_that_was_found_again_is_brought_up_to_date(story: Story) -> None:
    story.chat.lost_answers.append(TIMEOUT)
    story.outbox.put(delivery(card=card(version=1)))
    await story.rounds()
    row = story.outbox.row("d-card-1")
    row.delivery = delivery(card=card(version=2), attempt=1, ambiguous=True)
    await story.rounds(2, apart=60)
    assert [one.card and one.card.version for one in story.chat.messages] == [2]


async def test_a_message_that_cannot_be_looked_for_is_rather_sent_twice(story: Story) -> None:
    story.chat.failures.append(Permanent(DeliveryReason.refused_credentials, "missing_scope"))
    story.outbox.put(delivery(Purpose.told, ambiguous=True))
    await story.rounds()
    assert len(story.chat.messages) == 1


async def test_a_failure_is_tried_again_later_and_later(story: Story) -> None:
    story.chat.failures.extend([DOWN, DOWN])
    story.outbox.put(delivery())
    await story.rounds()
    row = story.outbox.row("d-card-1")
    first = row.due - story.clock.now()
    assert timedelta(seconds=0.4) < first <= timedelta(seconds=1)
    await story.rounds(2, apart=5)
    assert story.counted("retried", "unavailable") == 2
    await story.rounds(2, apart=5)
    assert story.outbox.row("d-card-1").state == "sent"


async def test_a_retry_after_holds_everything_for_as_long_as_was_asked(story: Story) -> None:
    story.chat.failures.append(Transient(DeliveryReason.rate_limited, "429", retry_after=30))
    story.outbox.put(delivery(Purpose.told, id="a"), delivery(Purpose.told, id="b"))
    await story.rounds()
    assert story.chat.messages == []
    assert [row.reasons for row in story.outbox.rows] == [[DeliveryReason.rate_limited]] * 2
    seconds = story.registry.get_sample_value(
        "presence_delivery_rate_limited_seconds_total", {"destination": "memory"}
    )
    assert seconds == 30
    await story.clock.forward(29)
    await story.rounds()
    assert story.chat.messages == []
    await story.clock.forward(2)
    await story.rounds()
    assert len(story.chat.messages) == 2


async def test_what_the_chat_refuses_for_good_is_given_up_with_its_reason(story: Story) -> None:
    story.chat.failures.append(Permanent(DeliveryReason.not_found, "channel_not_found"))
    story.outbox.put(delivery())
    await story.rounds()
    row = story.outbox.row("d-card-1")
    assert (row.state, row.reasons) == ("given_up", [DeliveryReason.not_found])
    assert story.counted("gave_up", "not_found") == 1


async def test_refused_credentials_lose_nothing_and_are_not_asked_again_at_once(
    story: Story,
) -> None:
    story.chat.failures.append(Permanent(DeliveryReason.refused_credentials, "invalid_auth"))
    story.outbox.put(delivery(id="a", episode_id="a"))
    await story.rounds()
    story.outbox.put(delivery(id="b", episode_id="b"))
    await story.rounds()
    assert [row.state for row in story.outbox.rows] == ["waiting", "waiting"]
    await story.rounds(3, apart=61)
    assert [row.state for row in story.outbox.rows] == ["sent", "sent"]


async def test_while_the_credentials_are_refused_what_waits_goes_to_the_fallback_again_and_again(
    story: Story,
) -> None:
    story.chat.failures.extend([Permanent(DeliveryReason.refused_credentials, "invalid_auth")] * 2)
    story.outbox.put(delivery())
    running = asyncio.ensure_future(story.pipeline.run())
    await story.clock.forward(50)
    assert set(story.outbox.told) == {"down: refused_credentials"}
    assert len(story.outbox.told) > 10
    for _ in range(200):
        await story.clock.forward(1)
    assert story.outbox.told[-1] == "up"
    assert story.outbox.told.count("up") == 1
    story.pipeline.stop()
    await story.clock.forward(1)
    await asyncio.wait_for(running, 1)


async def test_a_chat_that_asks_to_wait_is_no_chat_that_is_down(story: Story) -> None:
    limited = Transient(DeliveryReason.rate_limited, "429", retry_after=30)
    story.chat.failures.extend([limited] * 8)
    story.outbox.put(delivery())
    running = asyncio.ensure_future(story.pipeline.run())
    for _ in range(300):
        await story.clock.forward(1)
    assert story.outbox.told == ["up"]
    story.pipeline.stop()
    await story.clock.forward(1)
    await asyncio.wait_for(running, 1)


async def test_a_page_that_is_too_late_is_given_up(story: Story) -> None:
    story.outbox.put(delivery(Purpose.page))
    story.chat.failures.append(DOWN)
    await story.rounds()
    await story.clock.forward(16 * 60)
    await story.rounds()
    row = story.outbox.row("d-page-1")
    assert (row.state, row.reasons[-1]) == ("given_up", DeliveryReason.expired)
    assert story.chat.messages == []


async def test_posts_keep_the_pace_of_the_channel() -> None:
    story = Story(per_second=1)
    story.outbox.put(*(delivery(id=f"d{n}", episode_id=f"ep-{n}") for n in range(4)))
    work = asyncio.ensure_future(story.pipeline.round())
    await story.clock.forward(1.5)
    assert len(story.chat.messages) == 2
    await story.clock.forward(3)
    await work
    assert len(story.chat.messages) == 4


async def test_a_destination_takes_only_its_own_rows(story: Story) -> None:
    story.outbox.put(delivery(destination="another"))
    await story.rounds()
    assert story.chat.messages == []


async def test_running_ends_after_what_is_in_hand(story: Story) -> None:
    running = asyncio.ensure_future(story.pipeline.run())
    await story.clock.forward(1)
    story.outbox.put(delivery())
    story.pipeline.wake()
    await story.clock.forward(0.01)
    assert len(story.chat.messages) == 1
    story.pipeline.stop()
    await story.clock.forward(0.01)
    await asyncio.wait_for(running, 1)


async def test_a_cancelled_pipeline_records_what_it_has_sent(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, post = asyncio.Event(), asyncio.Event(), story.chat.post

    async def slow(shown: Card, delivery_id: str) -> MessageRef:
        begun.set()
        await go_on.wait()
        return await post(shown, delivery_id)

    monkeypatch.setattr(story.chat, "post", slow)
    story.outbox.put(delivery())
    running = asyncio.ensure_future(story.pipeline.run())
    await begun.wait()
    running.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert story.outbox.row("d-card-1").state == "sent"


async def test_a_database_that_restarts_does_not_end_the_pipeline(story: Story) -> None:
    take, failures = story.outbox.take, [OSError("the database is away")] * 3

    async def failing(limit: int, destination: str | None = None) -> list[Delivery]:
        if failures:
            raise failures.pop()
        return await take(limit, destination)

    story.outbox.take = failing  # type: ignore[method-assign]
    story.outbox.put(delivery())
    running = asyncio.ensure_future(story.pipeline.run())
    await story.clock.forward(30)
    assert len(story.chat.messages) == 1
    story.pipeline.stop()
    await story.clock.forward(0.01)
    await asyncio.wait_for(running, 1)


def test_the_breaker_opens_after_failures_in_a_row_and_tries_with_one() -> None:
    breaker = Breaker(threshold=3, rest=5, longest=60)
    opened = [breaker.failed(0, DeliveryReason.timeout) for _ in range(3)]
    assert opened == [False, False, True]
    assert breaker.wait(1) == 4
    assert breaker.trying
    assert breaker.failed(6, DeliveryReason.timeout)
    assert breaker.wait(6) == 10
    breaker.succeeded()
    assert not breaker.failed(20, DeliveryReason.timeout)


def test_a_failure_that_was_under_way_when_the_breaker_opened_counts_once() -> None:
    breaker = Breaker(threshold=1, rest=5)
    assert breaker.failed(0, DeliveryReason.unavailable)
    assert not breaker.failed(1, DeliveryReason.unavailable)
    assert breaker.wait(0) == 5


def test_a_pace_is_kept_per_key() -> None:
    pace = Pace(2)
    assert [pace.reserve("a", 0), pace.reserve("a", 0), pace.reserve("b", 0)] == [0, 0.5, 0]
    assert pace.reserve("a", 10) == 0


class Elsewhere(ManualClock):
    """The outbox's clock: as ours is moved, and so many minutes away from it."""

    def __init__(self, ours: ManualClock, minutes: int) -> None:
        super().__init__(NOON)
        self._ours, self._away = ours, timedelta(minutes=minutes)

    def now(self) -> datetime:
        return self._ours.now() - self._away


@pytest.mark.parametrize("minutes", [20, -20])
async def test_a_clock_that_is_wrong_gives_no_page_up_and_tries_again_in_time(minutes: int) -> None:
    story = Story()
    story.outbox = MemoryOutbox(Elsewhere(story.clock, minutes))
    story.pipeline = DeliveryPipeline(
        story.chat,
        story.outbox,
        clock=story.clock,
        metrics=DeliveryMetrics(CollectorRegistry()),
        posts=Pace(1_000),
    )
    story.outbox.put(delivery(Purpose.page))
    story.chat.failures.append(TIMEOUT)
    await story.rounds(2, apart=5)
    assert len(story.chat.pages()) == 1
    assert [row.state for row in story.outbox.rows] == ["sent"]
