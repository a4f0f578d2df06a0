"""A destination that stays down: its fallback stands in, the engineers hear of it, nothing is lost."""

from __future__ import annotations

import pytest

from services.alert.chat.pace import Breaker
from services.alert.domain.boards.board import BoardKind
from services.alert.domain.contact_ways import ways_to
from services.alert.ports import DeliveryReason, Purpose
from services.alert.store.standing_in import fallbacks
from services.runtime.errors import WrongConfiguration
from tests.alert.builders import PRESENCE, at, configuration, notified
from tests.alert.story import MIA, Story, story
from tests.conftest import FreshDatabase

DOWN = DeliveryReason.refused_credentials
NAMED = PRESENCE.replace(
    "  - {id: room, kind: slack, channel: C1}",
    "  - {id: ops, kind: slack, channel: C9}\n"
    "  - {id: room, kind: slack, channel: C1, fallback: teams}",
).replace("\ndestinations:", "\nengineers: ops\ndestinations:")
TEAMS = NAMED.replace("slack: U1}", "slack: U1, teams: mia@air.example}")


async def handed(told: Story, destination: str) -> list[tuple[str, str, str]]:
    rows = await told.rows(
        f"select purpose, state, target from alert.outbox where destination = '{destination}'"
        " order by purpose, target"
    )
    return [(row[0], row[1], row[2]) for row in rows]


def test_the_named_fallback_comes_first_and_the_engineers_own_last() -> None:
    assert fallbacks(configuration(NAMED), "room") == ["teams"]
    assert fallbacks(configuration(NAMED), "safe") == ["room", "teams", "ops"]


def test_a_fallback_that_does_not_exist_is_refused() -> None:
    with pytest.raises(WrongConfiguration, match="no destination 'elsewhere'"):
        configuration(NAMED.replace("fallback: teams", "fallback: elsewhere"))
    with pytest.raises(WrongConfiguration, match="cannot stand in for itself"):
        configuration(NAMED.replace("fallback: teams", "fallback: room"))


def test_a_persons_contacts_say_the_order_of_their_ways() -> None:
    ways = TEAMS.replace("mia@air.example}", "mia@air.example, contacts: [teams, slack]}")
    assert ways_to(configuration(TEAMS), "mia", ("room",)) == ("room", "ops", "safe", "teams")
    assert ways_to(configuration(ways), "mia", ("room",)) == ("teams", "room", "ops", "safe")


def test_the_breaker_says_who_stays_down() -> None:
    breaker = Breaker(threshold=1, rest=5, down_after=60)
    assert breaker.failed(0, DeliveryReason.unavailable)
    assert not breaker.stays_down(59)
    assert breaker.stays_down(60)
    breaker.succeeded()
    assert not breaker.stays_down(61)
    assert breaker.failed(70, DOWN)
    assert breaker.stays_down(70)
    breaker.limited(200, 30)
    assert not breaker.stays_down(201)  # who asks to wait is there


pytestmark = pytest.mark.integration


async def test_what_waits_goes_to_the_fallback_and_engineers_hear_of_it_elsewhere(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(TEAMS)) as told:
        await told.hear(notified("q", at(0)))
        while await told.escalating.fire_due():
            pass
        assert await told.outbox.down("room", DOWN) == 2
        assert await told.outbox.down("room", DOWN) == 0
        # The card waits for its place as well; the page went to where Mia is reached otherwise.
        assert await handed(told, "room") == [
            ("card", "pending", "card"),
            ("page", "cancelled", "mia"),
        ]
        (card, page, line) = await handed(told, "teams")
        assert (card, page) == (("card", "pending", "card"), ("page", "pending", "mia"))
        assert line == ("told", "pending", "down-room")
        await told.boards.round()
        while taken := await told.outbox.take(9, "ops"):
            for delivery in taken:
                told.seen.append(delivery)
                await told.outbox.sent(delivery, None)
        (notice,) = told.shown(BoardKind.notice)
        assert notice.key.destination == "ops"
        assert "room takes no messages" in notice.content.headline
        assert {one.destination for one in told.of(Purpose.card)} == {"ops"}


async def test_a_card_that_stands_in_follows_and_the_own_place_gets_its_card_when_it_is_back(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(NAMED)) as told:
        await told.hear(notified("q", at(0)))
        await told.outbox.down("room", DOWN)
        for delivery in await told.outbox.take(9, "teams"):
            await told.outbox.sent(delivery, None)
        await told.episodes.claim(await told.only(), MIA)
        (again,) = await told.outbox.take(9, "teams")
        assert again.card is not None
        assert again.card.claimed_by == "Mia"
        await told.outbox.sent(again, None)
        (late,) = [one for one in await told.outbox.take(9, "room") if one.purpose is Purpose.card]
        await told.outbox.sent(late, None)
        await told.outbox.up("room")
        assert await told.rows("select ended_by from alert.troubles") == [("destination_up",)]


async def test_a_mirror_that_takes_messages_is_place_enough(postgres: FreshDatabase) -> None:
    mirrored = NAMED.replace("destinations: [room]", "destinations: [room, teams]")
    async with story(postgres(), configuration(mirrored)) as told:
        await told.hear(notified("q", at(0)))
        assert await told.outbox.down("room", DOWN) == 0
        # Both are down, and `teams` names no place of its own: any other.
        assert await told.outbox.down("teams", DOWN) == 1


async def test_an_ended_episode_needs_no_card_elsewhere(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(NAMED)) as told:
        await told.hear(notified("q", at(0)))
        await told.hear(notified("a", at(1), "air", outbound=True, to="ana", parent="q"))
        assert await told.states() == ["answered"]
        assert await told.outbox.down("room", DOWN) == 0


async def test_a_place_that_refuses_for_good_is_not_followed_by_a_third_at_every_update(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(PRESENCE)) as told:
        await told.hear(notified("q", at(0)))
        for _ in range(2):
            (card,) = await told.outbox.take(1, "room")
            await told.outbox.failed(card, DeliveryReason.not_found, retry_at=None, ambiguous=False)
            await told.episodes.claim(await told.only(), MIA)
        assert [row[0] for row in await handed(told, "safe")] == ["card", "told"]
        assert await handed(told, "teams") == []
