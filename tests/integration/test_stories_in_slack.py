"""A team's days, fast-forwarded on a real PostgreSQL and told by what stands in Slack (the emulator's).

From an event of Kafka to the channel and to each person's direct messages, through the outbox, the delivery
pipeline and the Web API. The same stories are told in detail, without a chat, in `tests/alert`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.alert.acting import Written
from services.alert.chat.delivery import DeliveryPipeline
from services.alert.chat.links import Links
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.pace import Pace
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.ports import ActResult
from services.alert.store.outbox import PostgresOutbox
from services.contracts.events import CloseReason, Label, Sensitive
from services.runtime.clock import SystemClock
from tests.alert.builders import PRESENCE, at, configuration, iid, notified, verdict
from tests.alert.chat_builders import SECRET
from tests.alert.story import BEN, MIA, TOM, Story, story
from tests.alert.test_catch_up import NIGHT, OFFICE, OPENING
from tests.alert.test_handoff import SHIFT_END
from tests.conftest import FreshDatabase
from tests.integration.slack_emulator import TOKEN, call, emulating

pytestmark = pytest.mark.integration

HURT = verdict(sensitive=frozenset({Sensitive.self_harm}))
THANKS = verdict(0.1)


class StoryClock(SystemClock):
    """The story's time of day; a pace is kept in real seconds all the same."""

    moment = at(0)

    def now(self) -> datetime:
        """Where the story is."""
        return self.moment


@dataclass
class Workspace:
    """Slack as the team sees it."""

    address: str
    rooms: dict[str, str]
    members: dict[str, str]
    seen: set[str] = field(default_factory=set)
    directs: dict[str, str] = field(default_factory=dict)

    def read(self, channel: str) -> list[dict[str, Any]]:
        """The channel's messages of this story, oldest first."""
        found = call(self.address, "conversations.history", channel=channel, limit="200")[
            "messages"
        ]
        return [one for one in found if one["ts"] not in self.seen][::-1]

    def direct(self, person: str) -> str:
        """The app's direct messages with a person; the channel never changes."""
        if person not in self.directs:
            opened = call(self.address, "conversations.open", users=self.members[person])
            self.directs[person] = str(opened["channel"]["id"])
        return self.directs[person]

    def forget(self) -> None:
        """What stands there belongs to another story."""
        places = [*self.rooms.values(), *(self.direct(one) for one in self.members)]
        self.seen |= {one["ts"] for place in places for one in self.read(place)}


@dataclass
class Team:
    """The story, and where it is seen."""

    told: Story
    slack: Workspace
    clock: StoryClock
    read: dict[str, int] = field(default_factory=dict)

    async def at(self, minutes: float) -> None:
        """Time goes by, and what is due is done and delivered."""
        self.clock.moment = at(minutes)
        await self.told.at(minutes)
        await self.told.sweep()

    async def hear(self, *events: Any) -> None:
        """Somebody writes; it is folded, swept and delivered."""
        await self.told.hear(*events)
        await self.told.sweep()

    def room(self, name: str = "room") -> list[str]:
        """The first lines of what stands in the channel, oldest first."""
        return [one["text"] for one in self.slack.read(self.slack.rooms[name])]

    def card(self, name: str = "room") -> str:
        """All of the newest card."""
        return repr(self.slack.read(self.slack.rooms[name])[-1])

    def thread(self) -> list[str]:
        """Beneath the newest card."""
        room = self.slack.rooms["room"]
        card = self.slack.read(room)[-1]["ts"]
        found = call(self.slack.address, "conversations.replies", channel=room, ts=card)["messages"]
        return [one["text"] for one in found[1:]]

    def pages(self) -> list[str]:
        """Who was paged since this was last asked, each page by its person."""
        found = []
        for person in self.slack.members:
            there = self.slack.read(self.slack.direct(person))
            found += [person] * (len(there) - self.read.get(person, 0))
            self.read[person] = len(there)
        return found

    def paged(self, person: str) -> str:
        """The person's newest direct message, as a lock screen shows it."""
        return str(self.slack.read(self.slack.direct(person))[-1]["text"])


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    """The emulator, its channels and its people."""
    with emulating() as address:
        channels = call(address, "conversations.list")["channels"]
        users = call(address, "users.list")["members"]
        ids = {one["name"]: one["id"] for one in channels}
        people = {one["name"]: one["id"] for one in users}
        yield Workspace(
            address,
            {"room": ids["help"], "safe": ids["safe"]},
            {name: people[name] for name in ("mia", "ben", "lea", "tom")},
        )


Begun = Callable[..., AbstractAsyncContextManager[Team]]


@pytest.fixture
def team(postgres: FreshDatabase, workspace: Workspace) -> Begun:
    """Begins a story: `async with team() as told`."""

    @asynccontextmanager
    async def begin(
        text: str = PRESENCE, may_page: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[Team]:
        for number, name in enumerate(("mia", "ben", "lea", "tom"), 1):
            text = text.replace(f"slack: U{number}}}", f"slack: {workspace.members[name]}}}")
        text = text.replace("channel: C1", f"channel: {workspace.rooms['room']}")
        text = text.replace("channel: C2", f"channel: {workspace.rooms['safe']}")
        workspace.forget()
        async with story(postgres(), configuration(text)) as told:
            clock = StoryClock()
            outbox = PostgresOutbox(told.pool, lambda: told.file, told.metrics, may_page)
            links = Links("https://presence.example", SecretStr(SECRET), clock)
            client = SlackClient(SecretStr(TOKEN), workspace.address)
            metrics = DeliveryMetrics(CollectorRegistry())
            pipelines = [
                DeliveryPipeline(
                    SlackDestination(name, room, client, links),
                    outbox,
                    clock=clock,
                    metrics=metrics,
                    posts=Pace(1_000_000),
                )
                for name, room in workspace.rooms.items()
            ]

            async def deliver() -> list[str]:
                for _ in range(100):
                    if not sum([await one.round() for one in pipelines]):
                        return []
                raise AssertionError("what is due is sent and sent again")

            told.deliver = deliver  # type: ignore[method-assign]
            try:
                yield Team(told, workspace, clock)
            finally:
                await client.close()

    return begin


async def test_from_the_first_page_over_a_claim_that_runs_out_to_an_answer_over_there_and_thanks(
    team: Begun,
) -> None:
    async with team() as one:
        await one.hear(notified("q", at(0)))
        assert one.room() == ["15 min left · X · Ana @ana · My flight was cancelled, what now?"]
        assert one.pages() == ["mia"]
        assert await one.told.episodes.claim(await one.told.only(), MIA) is ActResult.done
        await one.at(12)
        assert (one.pages(), "Mia has it" in one.card()) == ([], True)
        await one.at(21)  # the lease has run out: the second step pages who is next
        assert (one.pages(), "Nobody has it yet" in one.card()) == (["ben"], True)
        await one.at(24)
        assert one.pages() == ["lea"], "the third step: its time was over at 15"
        await one.hear(notified("a", at(24), outbound=True, to="ana", parent="q"))
        assert [line.split(" · ")[0] for line in one.room()] == ["Answered by Mia after 24 min"]
        await one.hear(notified("t", at(25), parent="a", text="thank you!", judged=THANKS))
        await one.at(120)
        assert (len(one.room()), one.pages()) == (1, [])
        await one.hear(notified("q2", at(120), parent="a", text="And my bag?"))
        assert (len(one.room()), one.pages()) == (2, ["mia"])


async def test_a_private_answer_counts_when_a_person_says_so_and_a_closing_can_be_taken_back(
    team: Begun,
) -> None:
    async with team() as one:
        await one.hear(notified("q", at(0)))
        episode = await one.told.only()
        await one.hear(notified("dm", at(4), outbound=True, to="ana", private=True, text="A code"))
        assert "Nobody has it yet" in one.card()
        await one.told.doings.answered_in_private(episode, BEN, iid("dm"))
        await one.at(5)
        assert "Answered by Ben after 4 min" in one.card()
        assert (await one.told.doings.reopen(episode, BEN)).result is ActResult.done
        one.pages()
        await one.at(12)
        assert ("Nobody has it yet" in one.card(), one.pages() != []) == (True, True)


async def test_do_not_feed_is_quiet_for_a_week_but_for_what_turns_sensitive(team: Begun) -> None:
    async with team() as one:
        await one.hear(notified("q", at(0), root="q"))
        assert one.pages() == ["mia"]
        await one.told.episodes.close(await one.told.only(), MIA, CloseReason.do_not_feed)
        await one.at(20)
        await one.hear(notified("q2", at(20), "bob", root="q"))
        assert (one.pages(), len(one.room())) == ([], 1)
        await one.hear(notified("q3", at(20), "bob", root="q", text="SECRET", judged=HURT))
        assert one.pages() == ["lea"]
        assert "SECRET" not in "".join([*one.room("safe"), one.paged("lea"), *one.room()])


async def test_a_snooze_waits_a_promise_is_remembered_and_a_shift_is_handed_over(
    team: Begun,
) -> None:
    async with team(PRESENCE.replace("claim_for: 20m", "claim_for: 60m")) as one:
        await one.told.keep()
        await one.at(SHIFT_END - 40)
        await one.hear(notified("q", at(SHIFT_END - 40)))
        episode = await one.told.only()
        assert one.pages() == ["mia"]
        await one.told.doings.snooze(episode, MIA, at(SHIFT_END - 27))
        await one.at(SHIFT_END - 28)
        assert ("Snoozed by Mia until" in one.card(), one.pages()) == (True, [])
        await one.at(SHIFT_END - 27)
        assert one.pages() == ["ben"]
        await one.told.doings.promise(episode, MIA, "A voucher", at(SHIFT_END - 10), "form-1")
        await one.told.episodes.claim(episode, MIA)
        await one.at(SHIFT_END - 10)
        assert one.pages() == ["mia"]
        assert one.paged("mia").startswith("Promise due: A voucher · ")
        assert one.thread() == ["Mia's promise is due: A voucher"]
        await one.at(SHIFT_END)
        assert (one.room()[-1], one.pages()) == ("Handoff Mia → Ben: 1 open", ["ben"])


async def test_nobody_on_call_is_told_in_the_channel_and_the_next_step_comes_at_once(
    team: Begun,
) -> None:
    async with team(PRESENCE.replace("2026-02-16", "2027-02-16")) as one:
        await one.hear(notified("q", at(0)))
        assert one.pages() == ["lea"]
        assert any("Nobody could be reached" in line for line in one.room())


async def test_closed_hours_are_quiet_but_for_a_threat_at_3_and_opening_brings_one_card(
    team: Begun,
) -> None:
    # The rota keeps closed hours; the route of what is sensitive does not.
    by_rota = '{at: "0%", targets: [{rota: social}]}'
    async with team(OFFICE.replace('{at: "0%", targets: [{person: lea}]}', by_rota)) as one:
        await one.at(NIGHT)
        await one.hear(*(notified(f"q{n}", at(NIGHT), f"p{n}") for n in range(3)))
        assert (one.pages(), len(one.room())) == ([], 3)
        three = NIGHT + 4 * 60
        await one.at(three)
        await one.hear(notified("s", at(three), "sam", text="SECRET", judged=HURT))
        assert one.pages() == ["mia"]
        assert (len(one.room("safe")), "SECRET" in one.paged("mia")) == (1, False)
        assert "Call the crisis line" in one.card("safe")
        await one.hear(notified("b", at(three + 2), outbound=True, to="sam", parent="s"))
        await one.at(OPENING)
        assert (one.room()[-1], one.pages()) == (
            "While we were closed: 3 wait, oldest 9 h · Air",
            ["mia"],
        )


async def test_after_an_outage_one_card_stands_for_what_is_past_its_time(team: Begun) -> None:
    async with team() as one:
        await one.told.hear(*(notified(f"q{n}", at(0), f"p{n}") for n in range(8)))
        await one.told.at(30)  # nothing was swept meanwhile
        await one.hear(notified("fresh", at(29), "fay"))
        assert one.pages() == ["mia", "mia"]
        assert "After an outage: 8 wait, oldest 30 min · Air" in one.room()


async def test_nobody_is_paged_while_intake_lags_and_a_page_that_was_answered_never_comes(
    team: Begun,
) -> None:
    knows = [False]
    async with team(may_page=lambda: knows[0]) as one:
        await one.hear(notified("q", at(0)), notified("r", at(0), "rob"))
        assert (len(one.room()), one.pages()) == (2, [])
        await one.hear(notified("a", at(1), outbound=True, to="ana", parent="q"))
        knows[0] = True
        await one.at(2)
        assert one.pages() == ["mia"]
        assert "Rob" in one.paged("mia")


async def test_a_wave_is_one_card_and_who_was_held_back_pages_with_their_own_clock(
    team: Begun,
) -> None:
    async with team() as one:
        spam = verdict(0.05, label=Label.spam, similarity="0" * 32)
        await one.hear(*(notified(f"s{n}", at(0), f"s{n}", judged=spam) for n in range(12)))
        assert one.room() == ["Wave: 12 look like one spam, 12 accounts · Air"]
        held = verdict(0.9, label=Label.spam, held=True)
        await one.hear(notified("h", at(0), "hana", judged=held, addressed=True))
        await one.at(40)
        assert one.room()[-1].startswith("Held back: 1, oldest 40 min")
        assert one.pages() == []
        query = "select id::text from alert.boards where kind = 'held_back'"
        ((board,),) = await one.told.rows(query)
        await one.told.boards.press(board, "release", iid("h"), MIA)
        await one.told.sweep()
        assert one.pages() == ["mia"]
        assert await one.told.rows("select opened_at from alert.episodes") == [(at(0),)]
        assert one.paged("mia").startswith("25 min over · X · Hana")


async def test_a_trainees_words_go_out_by_a_second_person_from_the_thread(team: Begun) -> None:
    async with team() as one:
        await one.hear(notified("q", at(0)))
        written = Written("form-1", await one.told.only(), "We is on it", private=False, seen="")
        done = await one.told.answers.send(written, TOM)
        assert done.sending
        await one.at(1)
        (asked,) = one.thread()
        assert asked == "Tom wrote an answer, to be sent in public by a second person: We is on it"
        assert (
            await one.told.answers.approve(done.sending.answer_id, MIA)
        ).result is ActResult.done
        await one.at(2)
        assert [reply.text for reply in await one.told.replies()] == ["We is on it"]
        assert "goes out" in one.card() or "on its way" in one.card()
