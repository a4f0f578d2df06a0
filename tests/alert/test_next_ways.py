"""A page that nobody confirms goes on by its person's next way: once, in time, and never too often."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from pydantic import ValidationError

from services.alert.domain.contact_ways import page_ways
from services.alert.domain.explanation import explain_item
from services.alert.ports import DeliveryReason, Purpose
from services.alert.store.explaining import explain_episode
from services.alert.store.overrides import PostgresRoster
from services.alert.store.shift_starts import PostgresShiftStarts
from services.contracts.configuration import NotificationRules
from services.contracts.events import CloseReason
from services.runtime.errors import WrongConfiguration
from tests.alert.builders import (
    PRESENCE,
    Sensitive,
    Urgency,
    at,
    configuration,
    notified,
    question,
    verdict,
)
from tests.alert.story import BEN, MIA, Story, story
from tests.conftest import FreshDatabase

WAYS = PRESENCE.replace(
    "  - {id: mia, name: Mia, roles: [responder], slack: U1}",
    "  - {id: mia, name: Mia, roles: [responder], slack: U1, email: mia@air.example,\n"
    "     notify: PRESENCE_MIA_NOTIFY, phone: PRESENCE_MIA_PHONE, contacts: [slack, notify, phone]}",
).replace(
    "  - {id: teams, kind: teams_workflow}",
    "  - {id: teams, kind: teams_workflow}\n"
    "  - {id: push, kind: apprise, url: PRESENCE_PUSH_URL}\n"
    "  - {id: mail, kind: email}\n"
    "  - {id: phones, kind: phone}",
)
RULES = WAYS.replace(
    "contacts: [slack, notify, phone]}",
    "contacts: [slack, notify, phone],\n"
    "     notification_rules: {urgent: [{by: slack}, {by: phone, after: 1m}], normal: [{by: email}]}}",
)

HERS = WAYS.replace('{at: "0%", targets: [{person: lea}]}', '{at: "0%", targets: [{person: mia}]}')
"""What is sensitive pages Mia: nobody's allowance of pings runs out."""
HURT = verdict(sensitive=frozenset({Sensitive.threat}))


def ways(text: str, *, urgent: bool) -> list[tuple[str, int]]:
    found = page_ways(configuration(text), "mia", ("room",), urgent=urgent)
    return [(one.destination, int(one.after.total_seconds())) for one in found]


async def paged(told: Story) -> list[tuple[str, str]]:
    """Who was woken in this round, and through what."""
    before = len(told.seen)
    await told.sweep()
    return [
        (one.person.id, one.destination)
        for one in told.seen[before:]
        if one.purpose is Purpose.page and one.person
    ]


def test_without_rules_a_persons_contacts_follow_each_other() -> None:
    assert ways(WAYS, urgent=False) == [("room", 0), ("push", 300), ("phones", 600)]
    assert ways(WAYS, urgent=True) == [("room", 0), ("push", 120), ("phones", 240)]
    assert ways(PRESENCE, urgent=False) == [("room", 0)]


def test_rules_say_which_ways_when_and_for_which_urgency() -> None:
    assert ways(RULES, urgent=True) == [("room", 0), ("phones", 60)]
    assert ways(RULES, urgent=False) == [("mail", 0)]


def test_a_rule_that_leads_nowhere_is_refused_with_the_file() -> None:
    with pytest.raises(WrongConfiguration, match="mia has no `email`"):
        configuration(RULES.replace("email: mia@air.example,\n", "\n"))
    with pytest.raises(WrongConfiguration, match="no destination reaches anybody by phone"):
        configuration(RULES.replace("  - {id: phones, kind: phone}\n", ""))


def test_where_the_places_are_others_a_rules_way_that_is_not_there_is_left_out() -> None:
    team = configuration(RULES)
    for kinds, found in (
        (("slack",), ("room",)),
        (("phone",), ("phones",)),
        (("apprise",), ("push",)),
    ):
        here = tuple(one for one in team.destinations if one.kind in kinds)
        ways_here = page_ways(
            team.model_copy(update={"destinations": here}), "mia", (), urgent=True
        )
        assert tuple(one.destination for one in ways_here) == found
        assert ways_here[0].after == timedelta(0)


def test_rules_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValidationError, match="used at once"):
        NotificationRules.model_validate({"normal": [{"by": "slack", "after": "1m"}]})
    late = [{"by": "slack"}, {"by": "phone", "after": "5m"}, {"by": "email", "after": "1m"}]
    with pytest.raises(ValidationError, match="order of their"):
        NotificationRules.model_validate({"urgent": late})
    with pytest.raises(ValidationError, match="there once"):
        NotificationRules.model_validate({"urgent": [{"by": "slack"}, {"by": "slack"}]})
    with pytest.raises(WrongConfiguration, match="'phones' is of kind phone, which has no channel"):
        configuration(WAYS.replace("destinations: [room]", "destinations: [phones]"))


def test_what_is_explained_names_every_way_and_when() -> None:
    found = explain_item(configuration(WAYS), question("q", 0), at(0))
    steps = [
        (int((one.at - at(0)).total_seconds() // 60), [page.destination for page in one.pages])
        for one in found.steps[:5]
    ]
    assert steps[:3] == [(0, ["room"]), (5, ["push"]), (10, ["phones"])]
    assert "nobody has confirmed" in found.steps[1].why[0]


pytestmark = pytest.mark.integration


async def test_a_page_that_nobody_confirms_goes_on_by_the_next_way_beside_the_escalation(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(WAYS)) as told:
        await told.hear(notified("q", at(0)))
        assert await paged(told) == [("mia", "room")]
        await told.at(4.9)
        assert await paged(told) == []
        await told.at(5)
        assert await paged(told) == [("mia", "push")]
        await told.at(10)
        assert await paged(told) == [("mia", "phones")]
        await told.at(11.25)
        assert await paged(told) == [("ben", "room")]
        await told.at(14.9)
        assert await paged(told) == []
        assert await told.rows("select count(*) from alert.unconfirmed") == [(0,)]
        assert told.value("presence_escalations_total", step="0", reason="next_way") == 2
        assert told.value("presence_pages_total", destination="phones") == 1


async def test_whoever_presses_anything_is_not_woken_by_a_further_way(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(HERS)) as told:
        acts = ("claim", "note", "opened", "answer", "close", "snooze", "other")
        await told.hear(*(notified(act, at(0), act, root=act, judged=HURT) for act in acts))
        assert await paged(told) == [("mia", "safe")] * 7
        rows = await told.rows("select openers[1], id::text from alert.episodes")
        of = {opener.rpartition(":")[2]: episode for opener, episode in rows}
        await told.at(1)
        await told.episodes.claim(of["claim"], BEN)
        await told.doings.note(of["note"], MIA, "Looking.", "n1")
        await told.episodes.confirm(of["opened"], MIA)
        said = notified("a", at(1), "air", outbound=True, to="answer", parent="answer")
        await told.hear(said)
        await told.episodes.close(of["close"], BEN, CloseReason.no_reply_needed)
        await told.doings.snooze(of["snooze"], BEN, at(9))
        # Somebody else's note says nothing of Mia.
        await told.doings.note(of["other"], BEN, "Mia knows this one.", "n2")
        await told.at(2)
        assert await paged(told) == [("mia", "push")]
        assert told.of(Purpose.page)[-1].episode_id == of["other"]


async def test_i_am_here_confirms_every_page_of_that_person(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(WAYS)) as told:
        await told.hear(notified("q", at(0)), notified("p", at(0), "bob"))
        assert len(await paged(told)) == 2
        async with told.pool.connection() as connection:
            await connection.execute(
                "insert into alert.shift_starts (rota, begin_at, person, end_at)"
                " values ('social', %s, 'mia', %s)",
                (at(0), at(600)),
            )
        roster = PostgresRoster(told.pool, lambda: told.file)
        starts = PostgresShiftStarts(told.pool, lambda: told.file, roster)
        await starts.here("social", at(0), MIA)
        await told.at(5)
        assert await paged(told) == []


async def test_who_goes_off_shift_is_not_called_and_closed_hours_stay_silent(
    postgres: FreshDatabase,
) -> None:
    closing = WAYS.replace(
        "    zone: Europe/Berlin\n    layers",
        "    zone: Europe/Berlin\n    open_hours: office\n    layers",
    ).replace(
        "policies:",
        "hours:\n  - {id: office, zone: UTC, week: [{from: '08:00', to: '09:03'}]}\npolicies:",
        1,
    )
    async with story(postgres(), configuration(closing)) as told:
        await told.hear(notified("q", at(0)))
        assert await paged(told) == [("mia", "room")]
        await told.at(5)
        assert await paged(told) == []
        assert await told.rows("select count(*) from alert.unconfirmed") == [(0,)]


async def test_an_urgent_matter_uses_the_urgent_rules_and_a_rise_shortens_the_wait(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(WAYS)) as told:
        await told.hear(notified("q", at(0)))
        assert await paged(told) == [("mia", "room")]
        await told.at(3)
        urgent = verdict(urgency=Urgency.high)
        await told.hear(notified("now", at(3), parent="q", judged=urgent))
        await told.sweep()
        # What rose is news: she is paged anew, and by her next way after two minutes.
        await told.at(4.9)
        await told.sweep()
        assert [one[1] for one in await pages_so_far(told)] == ["room", "room"]
        await told.at(5)
        await told.sweep()
        assert [one[1] for one in await pages_so_far(told)] == ["room", "room", "push"]


async def pages_so_far(told: Story) -> list[tuple[str, str]]:
    return [
        (one.person.id, one.destination) for one in told.of(Purpose.page) if one.person is not None
    ]


async def test_a_hand_over_goes_on_until_the_other_presses_or_the_lease_ends(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(WAYS)) as told:
        await told.hear(notified("q", at(0)), notified("p", at(0), "bob"))
        await told.sweep()
        first, second = [row.episode_id for row in await told.episodes.open()]
        await told.at(1)
        for episode in (first, second):
            await told.episodes.claim(episode, BEN)
            await told.doings.hand_over(episode, BEN, "mia")
        assert await paged(told) == [("mia", "room")] * 2
        # Somebody else's note does not say that Mia has seen it; her own does.
        await told.doings.note(first, BEN, "Gate 4.", "n1")
        await told.doings.note(second, MIA, "On it.", "n2")
        await told.at(6)
        assert await paged(told) == [("mia", "push")]
        last = told.of(Purpose.page)[-1]
        assert last.card is not None
        assert last.card.headline.startswith("Ben hands over · ")
        await told.at(12)
        assert ("mia", "phones") not in await paged(told)


async def test_a_promise_that_is_due_goes_on_until_it_is_kept(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(WAYS)) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        episode = await told.only()
        await told.doings.promise(episode, MIA, "a voucher", at(20), "r")
        await told.hear(notified("a", at(1), "air", outbound=True, to="ana", parent="q"))
        await told.at(20)
        assert await paged(told) == [("mia", "room")]
        await told.at(25)
        assert await paged(told) == [("mia", "push")]
        (row,) = await told.rows("select id::text from alert.promises")
        await told.doings.keep(row[0], BEN)
        await told.at(30)
        assert await paged(told) == []


async def test_two_replicas_use_a_way_once(postgres: FreshDatabase) -> None:
    url = postgres()
    async with story(url, configuration(HERS)) as one, story(url, one.file, fresh=False) as two:
        await one.hear(*(notified(f"q{n}", at(0), f"p{n}", judged=HURT) for n in range(8)))
        await one.sweep()
        await one.at(2)
        fired = await asyncio.gather(*(told.next_ways.fire_due() for told in (one, two, one, two)))
        while await one.next_ways.fire_due():
            pass
        assert sum(fired) >= 1
        rows = await one.rows(
            "select destination, count(*) from alert.outbox where purpose = 'page'"
            " group by 1 order by 1"
        )
        assert rows == [("push", 8), ("safe", 8)]


async def test_a_way_that_failing_over_has_used_is_not_used_again(postgres: FreshDatabase) -> None:
    async with story(postgres(), configuration(WAYS)) as told:
        await told.hear(notified("q", at(0)))
        while await told.escalating.fire_due():
            pass
        for slack in ("room", "safe"):
            (page,) = [one for one in await told.outbox.take(9, slack) if one.person]
            await told.outbox.failed(page, DeliveryReason.not_found, retry_at=None, ambiguous=False)
        assert await told.deliver() == ["mia"]
        assert (await pages_so_far(told))[-1] == ("mia", "push")
        await told.at(5)
        assert await paged(told) == []
        await told.at(10)
        assert await paged(told) == [("mia", "phones")]


async def test_a_quiet_start_notes_the_further_ways_and_wakes_nobody(
    postgres: FreshDatabase,
) -> None:
    quiet = WAYS.replace("platform: x, handle: air, quiet_start: 0s", "platform: x, handle: air")
    async with story(postgres(), configuration(quiet)) as told:
        await told.hear(notified("q", at(0)))
        for minute in (0, 5, 10):
            await told.at(minute)
            assert await paged(told) == []
        rows = await told.rows("select person, at from alert.would_have_paged order by at")
        assert rows == [("mia", at(0)), ("mia", at(5)), ("mia", at(10))]


async def test_beyond_the_allowance_a_further_way_waits_and_then_goes_before_newer_pages(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(WAYS)) as told:
        await told.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(7)))
        assert await paged(told) == [("mia", "room")] * 5
        await told.at(5)
        assert await paged(told) == []
        await told.at(9)
        await told.hear(notified("new", at(9), "new"))
        assert await paged(told) == []
        await told.at(10)
        assert await paged(told) == [("mia", "push")] * 5


async def test_a_stored_episode_explains_what_its_unconfirmed_page_brings(
    postgres: FreshDatabase,
) -> None:
    async with story(postgres(), configuration(WAYS)) as told:
        await told.hear(notified("q", at(0)))
        await told.sweep()
        await told.at(6)
        await told.sweep()
        async with told.pool.connection() as connection:
            found = await explain_episode(connection, told.file, await told.only())
        assert found is not None
        first = found.next.steps[0]
        assert (first.at, first.pages[0].destination) == (at(10), "phones")
        assert [one.at for one in found.paged] == [at(0), at(6)]
