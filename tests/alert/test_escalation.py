"""Steps, whom they reach, which route, and what a card may show."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.alert.domain.card import CardAct, CardState
from services.alert.domain.cards import HEADLINE, Standing, card_for
from services.alert.domain.escalation import Reached, budget_due, next_due, reached, step_due
from services.alert.domain.items import Item, Shown
from services.alert.domain.routing import Facts, policy_named, route_for
from services.contracts.events import CloseReason, Label, Sensitive, Urgency
from tests.alert.builders import PRESENCE, at, configuration, question

TEAM = policy_named(configuration(), "team")


def at_step(step: int, minutes: float = 60, text: str = PRESENCE, **changes: object) -> Reached:
    given = {"brand": "air", "home": "room", "now": at(minutes), "paged": {}}
    file = configuration(text)
    return reached(file, policy_named(file, "team"), step, **{**given, **changes})  # type: ignore[arg-type]


def test_steps_are_due_at_their_share_of_the_answer_budget() -> None:
    assert budget_due(TEAM, None, at(0)) == at(15)
    assert [step_due(TEAM, None, at(0), n) for n in range(3)] == [at(0), at(11.25), at(15)]


def test_after_the_last_step_reminders_never_end_and_come_at_growing_distances() -> None:
    assert [step_due(TEAM, None, at(0), n) for n in (3, 4, 5)] == [at(30), at(60), at(120)]
    assert step_due(TEAM, None, at(0), 500) > at(1000)


def test_a_late_step_comes_a_breath_after_the_one_before() -> None:
    assert next_due(TEAM, None, at(0), 1, at(300)) == at(302)


def test_a_policy_with_steps_closer_than_a_breath_keeps_its_own_distances() -> None:
    brisk = TEAM.model_copy(update={"answer_within": timedelta(seconds=8)})
    assert next_due(brisk, None, at(0), 1, at(0)) == at(0.1)
    assert next_due(brisk, None, at(0), 2, at(300)) == at(300) + timedelta(seconds=2)


def test_steps_reach_who_is_on_call_then_the_next_in_turn_then_the_lead() -> None:
    found = [at_step(step).people for step in range(3)]
    assert found == [("mia",), ("ben",), ("lea",)]


def test_a_person_paged_within_ten_minutes_is_not_paged_again() -> None:
    assert at_step(1, paged={"ben": at(55)}).people == ()
    assert at_step(1, paged={"ben": at(49)}).people == ("ben",)


def test_the_end_of_the_chain_is_the_fallback_and_the_channel() -> None:
    end = at_step(3)
    assert (end.people, end.channels, end.end_of_chain) == (("lea",), ("room",), True)


def test_a_step_of_a_rota_without_anybody_reaches_nobody() -> None:
    later = PRESENCE.replace("2026-02-16", "2027-02-16")
    assert at_step(0, text=later).nobody


def test_closed_hours_page_nobody_unless_the_route_ignores_them() -> None:
    closed = PRESENCE.replace("zone: Europe/Berlin\n", "zone: Europe/Berlin\n    open_hours: day\n")
    closed += '\nhours:\n  - {id: day, zone: Europe/Berlin, week: [{from: "08:00", to: "09:30"}]}\n'
    assert at_step(0, text=closed).closed
    assert at_step(0, text=closed, ignores_closed_hours=True).people == ("mia",)


FACTS = Facts(
    "air", "x", "4001", "ana", Label.conversation, frozenset(), "en", Urgency.normal, False
)


def test_the_first_route_that_matches_wins_and_the_last_takes_the_rest() -> None:
    file = configuration()
    assert route_for(file, FACTS, at(0)).id == "default"
    hurt = replace(FACTS, sensitive=frozenset({Sensitive.self_harm}))
    assert route_for(file, hurt, at(0)).id == "care"


def test_routes_match_authors_and_languages() -> None:
    route = "  - {id: vip, match: {authors: [vip], languages: [pt]}, policy: team, destinations: [room]}\n"
    file = configuration(PRESENCE.replace("  - {id: default", route + "  - {id: default"))
    queen = replace(FACTS, author_id="queen", language="pt-BR")
    assert route_for(file, queen, at(0)).id == "vip"
    assert route_for(file, replace(queen, language="es"), at(0)).id == "default"


def standing(*items: Item, **changes: object) -> Standing:
    facts: dict[str, object] = {
        "episode_id": "e1",
        "version": 1,
        "state": CardState.open,
        "brand": "Air",
        "platform": "x",
        "account": "air",
        "items": items,
        "opened_at": at(0),
        "due_at": at(15),
        "zone": "Europe/Berlin",
    }
    return Standing(**{**facts, **changes})  # type: ignore[arg-type]


def said(text: str, **changes: object) -> Item:
    return replace(question("q", 0), shown=Shown("ana", "Ana", text), **changes)  # type: ignore[arg-type]


def test_the_first_line_is_time_left_platform_who_and_their_words() -> None:
    card = card_for(standing(said("My flight\nwas cancelled")), at(3), shared=True)
    assert card.headline == "12 min left · X · Ana @ana · My flight was cancelled"
    assert card.acts[:3] == (CardAct.claim, CardAct.no_reply_needed, CardAct.not_for_us)


def test_the_first_line_is_never_longer_than_a_lock_screen() -> None:
    long = said("word " * 200)
    long = replace(long, shown=replace(long.shown, name="N" * 300))
    assert len(card_for(standing(long), at(3), shared=True).headline) <= HEADLINE


def test_private_and_sensitive_words_never_reach_the_first_line_nor_a_shared_place() -> None:
    for item in (
        said("SECRET", private=True),
        said("SECRET", sensitive=frozenset({Sensitive.medical})),
    ):
        later = replace(item, id="later", source_time=at(1))
        shared = card_for(standing(item, later), at(3), shared=True)
        assert "SECRET" not in repr(shared)
        assert shared.masked
        own = card_for(standing(item), at(3), shared=False)
        assert "SECRET" not in own.headline
        assert own.words == "SECRET"


def test_a_deleted_items_words_are_on_no_card() -> None:
    gone = replace(said(""), deleted_at=at(1))
    card = card_for(standing(gone, state=CardState.withdrawn), at(3), shared=True)
    assert card.words == "(deleted by its author)"
    assert card.acts == ()


def test_an_ended_card_says_by_whom_and_after_how_long() -> None:
    done = standing(
        said("?"),
        state=CardState.answered,
        reason=CloseReason.answered,
        ended_at=at(0) + timedelta(minutes=4),
        ended_by="Mia",
    )
    assert card_for(done, at(9), shared=True).ended == "answered by Mia after 4 min"
