"""`/presence …` in Slack: who is on call, taking over, shifts, what is open. Only who asks sees it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from services.alert.chat.acts import said
from services.alert.chat.slack_blocks import Block, context, notification_text, section
from services.alert.chat.slack_home import open_line
from services.alert.chat.text import clip, one_line
from services.alert.domain.chat_command import Command, Subject, read_command
from services.alert.domain.rota_words import name_of, time_of
from services.alert.ports import Actor, ActResult, ConfirmsShifts, Episodes, Incidents
from services.alert.roster import ChangeOutcome, ChangeResult, Roster
from services.contracts.configuration import Configuration, Person, Role
from services.runtime.clock import Clock

COMMAND = "/presence"
MOST_EPISODES = 10
MOST_SHIFTS = 10
AHEAD = timedelta(days=21)

_HELP = {
    "on call": "who is on call now, and who comes next",
    "take over for 2 hours": "you are on call from now on; also “until 18:00”, and a rota's name",
    "my shifts": "when you are on call in the next three weeks",
    "open": "the open episodes, the most pressing first",
    "here": "you are there: the answer when you are asked at your shift's start",
}


class SlackCommands:
    """Turns a slash command into an ephemeral answer. Only people of presence.yaml are answered."""

    def __init__(
        self,
        episodes: Episodes,
        roster: Roster,
        configuration: Callable[[], Configuration],
        clock: Clock,
        incidents: Incidents | None = None,
        changed: Callable[[], None] = lambda: None,
        starts: ConfirmsShifts | None = None,
    ) -> None:
        """Without `incidents` none can be declared, and help does not speak of it."""
        self._starts = starts
        self._episodes = episodes
        self._roster = roster
        self._configuration = configuration
        self._clock = clock
        self._incidents = incidents
        self._changed = changed

    async def answer(self, form: dict[str, str]) -> Block:
        """The body of the answer. Raises KeyError for what is not Slack's."""
        member, text = form["user_id"], form.get("text", "")
        person = next((one for one in self._configuration().people if one.slack == member), None)
        if person is None:
            return ephemeral(_not_listed(self._configuration(), member))
        rotas = tuple(one.id for one in self._configuration().rotas)
        command = read_command(text[:300], self._clock.now(), person.zone, rotas)
        match command.subject:
            case Subject.on_call:
                return await self._on_call()
            case Subject.take_over:
                return await self._take_over(command, person)
            case Subject.my_shifts:
                return await self._my_shifts(person)
            case Subject.open_episodes:
                return await self._open(person)
            case Subject.here:
                return ephemeral(await self._here(person))
            case Subject.incident if self._incidents is not None:
                return ephemeral(await self._declare(self._incidents, command.text, person))
        return self._help(command.says)

    def _help(self, says: str | None) -> Block:
        known = dict(_HELP)
        if self._incidents is not None:
            known["incident: what it is about"] = "declare an incident"
        lines = "\n".join(f"{COMMAND} {words} — {what}" for words, what in known.items())
        blocks = [section(one_line(says))] if says else []
        return ephemeral(says or f"{COMMAND} help", [*blocks, section(lines)])

    async def _here(self, person: Person) -> str:
        by = Actor(person.id, "slack")
        result = await self._starts.confirm_shift(by) if self._starts else ActResult.unknown
        self._changed()
        if result is ActResult.done:
            return "Thank you: you are there, and nobody else is asked."
        return "Nobody asks you whether you are there: no shift that waits for your word."

    async def _declare(self, incidents: Incidents, text: str, person: Person) -> str:
        """`Belt 3 stands still`, or for one of several brands `air: Belt 3 stands still`."""
        first, colon, rest = text.partition(":")
        brands = {one.id for one in self._configuration().brands}
        brand = first.strip() if colon and first.strip() in brands else None
        about = rest.strip() if brand else text
        done = await incidents.declare_incident(about, Actor(person.id, "slack"), brand)
        self._changed()
        if done.result is ActResult.impossible:
            return f"Say for which brand: {COMMAND} incident {min(brands)}: what it is about"
        return done.says or said(done.result, None)

    async def _on_call(self) -> Block:
        rows = await self._roster.on_call_now()
        if not rows:
            return ephemeral("There is no rota in presence.yaml yet.")
        blocks = []
        for row in rows[:20]:
            blocks.append(section(f"{row.rota}: {one_line(row.says)}"))
            if row.next_name:
                blocks.append(context(f"Then {one_line(row.next_name)}. Times in {row.zone}."))
        line = "; ".join(f"{row.rota}: {row.says}" for row in rows)
        return ephemeral(f"On call: {line}", blocks)

    async def _take_over(self, command: Command, person: Person) -> Block:
        assert command.duration is not None
        by = Actor(person.id, "slack")
        outcome = await self._roster.take_over(by, command.duration, command.rota)
        self._changed()
        return ephemeral(taken_over(outcome, person, self._configuration()))

    async def _my_shifts(self, person: Person) -> Block:
        shifts = await self._roster.my_shifts(person.id, AHEAD)
        if not shifts:
            return ephemeral("You are not on call in the next three weeks.")
        lines = [
            f"{time_of(one.begin, person.zone)} to "
            f"{time_of(one.end, person.zone, beside=one.begin)} · {one.rota}"
            for one in shifts[:MOST_SHIFTS]
        ]
        left = len(shifts) - len(lines)
        more = [context(f"… and {left} more")] if left > 0 else []
        where = context(f"Times in {person.zone}.")
        return ephemeral(f"Your next shift: {lines[0]}", [section("\n".join(lines)), *more, where])

    async def _open(self, person: Person) -> Block:
        found = await self._episodes.open()
        rows = [
            row
            for row in found
            if row.waits and (not person.brands or row.brand_id in person.brands)
        ]
        if not rows:
            return ephemeral("Nobody waits for an answer.")
        now = self._clock.now()
        shown = [section(open_line(row, now, person.zone)) for row in rows[:MOST_EPISODES]]
        left = len(rows) - len(shown)
        more = [context(f"… and {left} more")] if left > 0 else []
        waits = "1 person waits" if len(rows) == 1 else f"{len(rows)} people wait"
        note = context("Claim and answer on the cards, or in the app's Home tab.")
        return ephemeral(f"{waits} for an answer.", [*shown, *more, note])


def taken_over(outcome: ChangeOutcome, person: Person, configuration: Configuration) -> str:
    """What became of taking over, in a sentence."""
    match outcome.result:
        case ChangeResult.done if outcome.change is not None:
            change = outcome.change
            until = time_of(change.end, person.zone, beside=change.begin)
            before = {
                name_of(configuration, one.before)
                for one in outcome.proposal.shifted
                if one.before is not None and one.before != person.id
            }
            instead = f" instead of {', '.join(sorted(before))}" if before else ""
            warned = f" {' '.join(outcome.proposal.warnings)}" if outcome.proposal.warnings else ""
            says = f"You are on call on {change.rota} until {until} ({person.zone}){instead}."
            return f"{says}{warned}"
        case ChangeResult.forbidden:
            return "You may not take over: ask a lead to give you a role that answers."
        case ChangeResult.refused if outcome.proposal.refused:
            return f"Not done: {'; '.join(outcome.proposal.refused)}."
    return "Not done: the rota did not take it."


def ephemeral(text: str, blocks: list[Block] | None = None) -> Block:
    """For the one who asked and nobody else."""
    said: dict[str, Any] = {"response_type": "ephemeral", "text": notification_text(text)}
    return {**said, "blocks": blocks or [section(clip(text, 2_900))]}


def _not_listed(configuration: Configuration, member: str) -> str:
    keepers = [one.name for one in configuration.people if one.roles & {Role.lead, Role.admin}]
    ask = " or ".join(keepers[:3]) or "your lead"
    return f"You are not listed in presence.yaml: ask {ask} to add you with slack: {member}"
