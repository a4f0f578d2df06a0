"""A random walk through all that can happen to a conversation, on a real PostgreSQL with time moved fast.

Questions (late, urgent, sensitive, private), answers, edits, deletions and redeliveries in any order; claims,
closings, relabels, snoozes, hand-overs, promises and answers by anybody, on any episode; outcomes in any
order. After every step must hold:

- what is stored is what a fold of the stored items gives from scratch;
- who waits, and may be paged, has exactly one future timer, and nobody else has one;
- a claim has its end, a conversation at most one open episode;
- no page is sent for what is not open, and no event was poison.

    .venv/bin/python -m tests.faults.alert_walk --walks 20 [--first 0]

A walk is its number: one that fails is walked again with --first N --walks 1.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import track

from deploy.local.postgres import LocalPostgres
from services.alert.acting import AnswerForm, Written
from services.alert.domain.fold import fold
from services.alert.ports import Actor, Purpose
from services.alert.store.refold import hold
from services.contracts.events import ClassifiedNotification, CloseReason, OutcomeState
from tests.alert.builders import Action, Label, Sensitive, Urgency, at, notified, verdict
from tests.alert.story import BEN, MIA, TOM, Story, story

STEPS = 90
LEA = Actor("lea", "slack")
TIMERS = """
select e.id, e.state from alert.episodes e left join alert.timers t on t.episode = e.id
where (e.state in ('open', 'claimed') and e.shows = 'card' and e.may_page and t.episode is null)
   or (e.state not in ('open', 'claimed') and t.episode is not null)
"""
CLAIMS = """
select id, state, claim_until from alert.episodes
where (state = 'claimed') <> (claim_until is not null)
"""
OPEN = """
select conversation from alert.episodes where state in ('open', 'claimed')
group by conversation having count(*) > 1
"""
POISON = "select event_id, failed from alert.inbox where failed is not null"
BROKEN = {"timers": TIMERS, "claims": CLAIMS, "two open at once": OPEN, "poison": POISON}


@dataclass
class Walk:
    """One walk: its chances, the story so far."""

    told: Story
    chance: random.Random
    minutes: float = 0.0
    natives: list[str] = field(default_factory=list)
    sent: list[ClassifiedNotification] = field(default_factory=list)
    trail: list[str] = field(default_factory=list)

    async def go(self) -> None:
        """All of its steps. Raises AssertionError with the way there."""
        steps: list[Callable[[int], Awaitable[None]]] = [
            *[self.ask] * 6,
            *[self.answer_over_there] * 2,
            *[self.look] * 3,
            self.edit,
            self.delete,
            self.redeliver,
            *[self.act] * 8,
            self.write,
            self.outcomes,
        ]
        for number in range(STEPS):
            self.minutes += self.chance.choice((0, 0.2, 1, 3, 7, 20))
            await self.told.at(self.minutes)
            step = self.chance.choice(steps)
            self.trail.append(f"{self.minutes:.1f} {step.__name__}")
            await step(number)
            await self.check()

    async def ask(self, number: int) -> None:
        """Somebody writes: now or late, urgent, sensitive, in private, beneath anything."""
        pick = self.chance.choice
        judged = pick(
            (
                verdict(0.1),
                verdict(),
                verdict(),
                verdict(urgency=Urgency.high),
                verdict(sensitive=frozenset({Sensitive.threat})),
            )
        )
        private = self.chance.random() < 0.15
        await self.hear(
            notified(
                f"i{number}",
                at(self.minutes - pick((0, 0, 1, 5, 30))),
                pick(("ana", "bob")),
                root=None if private else pick(("r1", "r2", "r3")),
                parent=None if private else pick((None, *self.natives)),
                judged=judged,
                private=private,
                received_at=at(self.minutes),
            )
        )
        self.natives.append(f"i{number}")

    async def answer_over_there(self, number: int) -> None:
        """The brand writes on the platform."""
        pick = self.chance.choice
        await self.hear(
            notified(
                f"i{number}",
                at(self.minutes - pick((0, 2))),
                outbound=True,
                to=pick(("ana", "bob", None)),
                root=pick(("r1", "r2", "r3")),
                parent=pick((None, *self.natives)),
                private=self.chance.random() < 0.2,
                received_at=at(self.minutes),
            )
        )
        self.natives.append(f"i{number}")

    async def edit(self, number: int) -> None:
        """Of something that is there, or will be."""
        native = self.chance.choice((*self.natives, "to come"))
        version = str(number)
        await self.hear(notified(native, at(self.minutes), action=Action.edited, version=version))

    async def delete(self, _number: int) -> None:
        """The same."""
        native = self.chance.choice((*self.natives, "to come"))
        await self.hear(notified(native, at(self.minutes), action=Action.deleted))

    async def redeliver(self, _number: int) -> None:
        """Kafka tells it again."""
        if self.sent:
            await self.told.hear(self.chance.choice(self.sent))

    async def hear(self, event: ClassifiedNotification) -> None:
        """An event comes."""
        self.sent.append(event)
        await self.told.hear(event)

    async def episode(self) -> str | None:
        """Any episode at all."""
        rows = await self.told.rows("select id::text from alert.episodes order by number")
        return self.chance.choice(rows)[0] if rows else None

    async def act(self, number: int) -> None:
        """Somebody presses something on any card."""
        one, pick = await self.episode(), self.chance.choice
        if one is None:
            return
        told, by = self.told, pick((MIA, BEN, LEA, TOM))
        until = at(self.minutes + pick((1, 10, 200)))
        acts: list[Callable[[], Awaitable[object]]] = [
            lambda: told.episodes.claim(one, by),
            lambda: told.episodes.close(one, by, CloseReason.no_reply_needed),
            lambda: told.episodes.close(one, by, CloseReason.do_not_feed),
            lambda: told.episodes.relabel(one, by, pick((Label.spam, Label.news)), "why"),
            lambda: told.doings.snooze(one, by, until, beyond=True),
            lambda: told.doings.hand_over(one, by, pick(("mia", "ben", "lea", None))),
            lambda: told.doings.reopen(one, by),
            lambda: told.doings.promise(one, by, "a voucher", until, f"promise {number}"),
        ]
        await pick(acts)()

    async def write(self, number: int) -> None:
        """Somebody answers from Presence, whatever it warns of."""
        one, by = await self.episode(), self.chance.choice((MIA, BEN, TOM))
        form = await self.told.answers.form(one, by) if one else None
        if one is not None and isinstance(form, AnswerForm):
            accepted = frozenset(warned.key for warned in form.warned)
            way = form.way.private
            await self.told.answers.send(
                Written(f"form {number}", one, "We look into it", way, form.seen, accepted), by
            )

    async def outcomes(self, _number: int) -> None:
        """Ingest tells anything of any reply."""
        for reply in await self.told.replies():
            await self.told.tell(reply, self.chance.choice(list(OutcomeState)))

    async def look(self, _number: int) -> None:
        """The sweep, the boards and delivery."""
        before = len(self.told.seen)
        await self.told.sweep()
        for delivery in self.told.seen[before:]:
            if delivery.purpose is Purpose.page and delivery.episode_id and not delivery.text:
                query = f"select state from alert.episodes where id = '{delivery.episode_id}'"
                assert await self.told.rows(query) == [("open",)], self.way
        assert all(one.card is not None for one in self.told.posted()), self.way

    async def check(self) -> None:
        """What must hold after every step."""
        for name, query in BROKEN.items():
            found = await self.told.rows(query)
            assert found == [], (name, found, self.way)
        rows = await self.told.rows("select id from alert.conversations where merged_into is null")
        async with self.told.pool.connection() as connection, connection.transaction():
            held = await hold(connection, [row[0] for row in rows])
        for one in held.values():
            wanted = fold(one.items.values(), one.closes, one.mutes, one.writers)
            stored = [record.folded for record in one.records if record.state.value != "merged"]
            assert sorted(map(repr, wanted)) == sorted(map(repr, stored)), (one.id, self.way)

    @property
    def way(self) -> str:
        """The last steps."""
        return " → ".join(self.trail[-8:])


async def _walked(url: str, number: int) -> str | None:
    async with story(url) as told:
        try:
            await Walk(told, random.Random(number)).go()
        except AssertionError as error:
            return f"walk {number}: {error}"
    return None


def main() -> int:
    """Walk; 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--walks", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    numbers = range(options.first, options.first + options.walks)
    with tempfile.TemporaryDirectory() as folder:
        postgres = LocalPostgres(Path(folder), port=None, durable=False)
        postgres.start()
        try:
            failed = [
                wrong
                for number in track(numbers, "walking")
                if (wrong := asyncio.run(_walked(postgres.create_database(f"w{number}"), number)))
            ]
        finally:
            postgres.stop()
    print("\n".join(failed) or f"{len(numbers)} walks of {STEPS} steps: everything held")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
