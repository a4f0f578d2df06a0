"""What `explain` says is what then happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.alert.domain.explanation import explain_item
from services.alert.domain.items import item_from
from services.alert.domain.routing import Facts, mismatch, route_for
from services.alert.store.explaining import explain_episode
from services.contracts.configuration import Match
from services.contracts.events import Verdict
from tests.alert.builders import (
    PRESENCE,
    Label,
    Sensitive,
    Urgency,
    at,
    configuration,
    notified,
    verdict,
)
from tests.alert.story import MIA, story
from tests.conftest import FreshDatabase

CLOSED = PRESENCE.replace(
    "    zone: Europe/Berlin\n    layers:",
    "    zone: Europe/Berlin\n    open_hours: office\n    layers:",
) + ("hours:\n  - {id: office, zone: Europe/Berlin, week: [{from: '09:00', to: '10:05'}]}\n")
ALONE = PRESENCE.replace("members: [mia, ben]", "members: [mia]")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("text", "judged"),
    [
        (PRESENCE, verdict()),
        (PRESENCE, verdict(sensitive=frozenset({Sensitive.medical}))),
        (ALONE, verdict()),
        (CLOSED, verdict()),
    ],
    ids=["team", "sensitive", "nobody is next", "closing time"],
)
async def test_a_dry_run_pages_whom_the_sweep_then_pages(
    postgres: FreshDatabase, text: str, judged: Verdict
) -> None:
    file = configuration(text)
    event = notified("q", at(0), judged=judged)
    told = explain_item(file, item_from(event, file.classify.needs_answer), at(0))
    async with story(postgres(), file) as one:
        await one.hear(event)
        for step in told.steps:
            await one.moment(step.at - timedelta(seconds=1))
            assert await one.sweep() == [], "nothing happens before it was said to"
            await one.moment(step.at)
            through_the_card = any("catch-up card" in why for why in step.why)
            expected = ["mia"] if through_the_card else [page.person for page in step.pages]
            assert await one.sweep() == expected
        (row,) = await one.rows("select route, due_at from alert.episodes")
        assert row == (told.route, told.due_at)


@pytest.mark.integration
async def test_a_stored_episode_says_what_happened_and_what_comes(postgres: FreshDatabase) -> None:
    async with story(postgres()) as one:
        await one.hear(notified("q", at(0)))
        await one.sweep()
        await one.at(3)
        assert (await one.episodes.claim(await one.only(), MIA)).value == "done"
        async with one.pool.connection() as connection:
            (number,) = (await one.rows("select number from alert.episodes"))[0]
            found = await explain_episode(connection, one.file, f"#{number}")
            assert await explain_episode(connection, one.file, "999") is None
            same = await explain_episode(connection, one.file, await one.only())
        assert found is not None
        assert found == same
        assert [page.person for page in found.paged] == ["mia"]
        assert found.next.notes[0] == "claimed by mia until 09:23 UTC"
        pages = [(step.at, [page.person for page in step.pages]) for step in found.next.steps]
        assert (at(23), ["ben"]) in pages, "the claim is a lease"


def test_what_opens_nothing_says_why() -> None:
    file = configuration()

    def notes(**changes: object) -> tuple[bool, tuple[str, ...]]:
        event = notified("q", at(0), **changes)  # type: ignore[arg-type]
        told = explain_item(file, item_from(event, 0.5), at(0))
        return told.opens, told.notes

    assert notes(judged=verdict(0.1)) == (
        False,
        ("conversation that needs no answer: it joins the digest",),
    )
    assert "held back" in notes(judged=verdict(label=Label.spam, held=True))[1][0]
    assert "outbound" in notes(outbound=True, to="ana")[1][0]


FACTS = Facts(
    brand="air",
    platform="x",
    account_id="4001",
    author_id="queen",
    label=Label.conversation,
    sensitive=frozenset({Sensitive.legal}),
    language="pt-BR",
    urgency=Urgency.high,
    private=False,
)


@pytest.mark.parametrize(
    ("asks", "lacks"),
    [
        ({"brands": ["air"]}, {"brands": ["sea"]}),
        ({"accounts": ["4001"]}, {"accounts": ["4002"]}),
        ({"platforms": ["x", "mastodon"]}, {"platforms": ["mastodon"]}),
        ({"labels": ["conversation"]}, {"labels": ["news"]}),
        ({"sensitive": "any"}, {"sensitive": ["medical"]}),
        ({"sensitive": ["legal", "medical"]}, {"sensitive": ["threat"]}),
        ({"languages": ["pt"]}, {"languages": ["pt-PT"]}),
        ({"urgency": ["high"]}, {"urgency": ["low"]}),
        ({"authors": ["vip"]}, {"authors": ["trolls"]}),
        ({"hours": "day"}, {"hours": "night"}),
        ({"private": False}, {"private": True}),
    ],
)
def test_a_route_matches_by_each_key_and_says_what_is_lacking(
    asks: dict[str, object], lacks: dict[str, object]
) -> None:
    text = PRESENCE + (
        "hours:\n"
        "  - {id: day, zone: UTC, week: [{from: '08:00', to: '18:00'}]}\n"
        "  - {id: night, zone: UTC, week: [{from: '18:00', to: '08:00'}]}\n"
    )
    file = configuration(text)
    assert mismatch(file, Match.model_validate(asks), FACTS, at(0)) is None
    says = mismatch(file, Match.model_validate({**asks, **lacks}), FACTS, at(0))
    assert says is not None
    assert says.startswith("asks for")


def test_the_first_route_that_matches_wins_and_the_default_takes_the_rest() -> None:
    file = configuration()
    assert route_for(file, FACTS, at(0)).id == "care"
    harmless = replace(FACTS, sensitive=frozenset())
    assert route_for(file, harmless, at(0)).id == "default"
