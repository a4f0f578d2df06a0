"""What a transaction writes: records, effects and announcements, gathered and written at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from services.alert.domain import lifecycle
from services.alert.domain.card import CardState
from services.alert.domain.escalation import BREATH
from services.alert.domain.lifecycle import Change, Record
from services.alert.ports import Purpose
from services.alert.store import pings
from services.alert.store.rows import as_json, rank, record_row
from services.alert.store.sql import FOLD, Connection, run
from services.contracts import topics
from services.contracts.base import Contract
from services.contracts.events import EpisodeChange, EpisodeEvent, Label

HISTORY_TOLD = (
    "Older messages arrived: they are in the list of open episodes, and nobody was paged."
)

ITEMS_TOLD = 20
"""Of the items that wait, the newest: enough to find their thread by."""


@dataclass(slots=True)
class Writing:
    """Gathers within one transaction. `measured` and `corrected` are for the metrics, after the commit."""

    now: datetime
    records: dict[str, Record] = field(default_factory=dict)
    measured: list[Record] = field(default_factory=list)
    corrected: list[tuple[Label, Label]] = field(default_factory=list)
    """Labels that a person changed, from and to."""
    opened: int = 0
    _outbox: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    _pages: dict[tuple[Any, ...], bool] = field(default_factory=dict)
    """Pings among them, and whether each is about something sensitive."""
    _timers: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    _hastened: dict[str, tuple[datetime, ...]] = field(default_factory=dict)
    _heirs: dict[str, str] = field(default_factory=dict)
    _announced: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    _audited: list[dict[str, Any]] = field(default_factory=list)

    def change(self, change: Change) -> None:
        """Take an episode's next state and what follows from it."""
        record = change.record
        for effect in change.effects:
            if isinstance(effect, lifecycle.Measure):
                self.measured.append(record)
                record = replace(record, measured=True)
            elif isinstance(effect, lifecycle.ShowCard):
                record = replace(record, has_card=True)
                for destination in record.destinations:
                    self.send(record, destination, Purpose.card, "card")
            elif isinstance(effect, lifecycle.ShowLine):
                self.send(record, record.destinations[0], Purpose.thread, effect.item_id)
            elif isinstance(effect, lifecycle.SetTimer):
                self.timer(
                    record.id,
                    effect.step,
                    effect.due_at,
                    backfill=effect.backfill,
                    risen=effect.risen,
                )
            elif isinstance(effect, lifecycle.Hasten):
                self._hastened[record.id] = effect.dues
            elif isinstance(effect, lifecycle.StopPaging):
                self._timers[record.id] = None
            elif isinstance(effect, lifecycle.Announce):
                self.announce_change(record, effect.change, effect.at, effect.by)
            elif isinstance(effect, lifecycle.TellHistory):
                hour = int(self.now.timestamp()) // 3600
                home = record.destinations[0]
                self.tell("history", home, HISTORY_TOLD, number=hour)
        self.records[record.id] = record

    def send(
        self,
        record: Record,
        destination: str,
        purpose: Purpose,
        target: str,
        *,
        step: int = 0,
        stand_in: bool = False,
    ) -> None:
        """A row of the outbox for an episode. `target` is what makes it unique within its purpose.

        `stand_in`: it takes the place of one that failed, so that it is no ping more.
        """
        round_ = record.paging_round if purpose is Purpose.page else 0
        key = (record.id, round_, step, target, destination, purpose.value)
        self._outbox[key] = _row(key, rank(record), None, record)
        if purpose is Purpose.page and not stand_in:
            self._pages[key] = bool(record.sensitive)

    def call(
        self,
        record: Record,
        destination: str,
        person: str,
        call: str,
        text: str,
        number: int,
        *,
        stand_in: bool = False,
    ) -> None:
        """A page that a person's act asked for, with its own words; `number` makes it unique."""
        key = (record.id, number, -1, person, destination, Purpose.page.value)
        self._outbox[key] = {**_row(key, rank(record), text, record), "call": call}
        if not stand_in:
            self._pages[key] = bool(record.sensitive)

    def tell(
        self,
        target: str,
        destination: str,
        text: str,
        *,
        record: Record | None = None,
        number: int = 0,
        step: int = 0,
    ) -> None:
        """A plain line to a channel; told once for the same target, number and step."""
        episode = record.id if record else None
        key = (episode, number, step, target, destination, Purpose.told.value)
        self._outbox[key] = _row(key, rank(record) if record else 2, text, record)

    def board(
        self,
        board: str,
        number: int,
        destination: str,
        purpose: Purpose,
        target: str,
        *,
        round_: int = 0,
        rank: int = 2,
        text: str | None = None,
        exempt: bool = False,
        stand_in: bool = False,
    ) -> None:
        """A row of the outbox for a board. Its number stands where an episode has its step.

        `exempt`: the board is about something sensitive, and its pings are not counted.
        """
        key = (None, round_, number, target, destination, purpose.value)
        self._outbox[key] = {**_row(key, rank, text), "board": board}
        if purpose is Purpose.page and not stand_in:
            self._pages[key] = exempt

    def timer(
        self,
        episode: str,
        step: int,
        due_at: datetime,
        *,
        backfill: bool = False,
        closed: bool = False,
        risen: bool = False,
    ) -> None:
        """The episode's one future timer. `closed`: put off to the end of closed hours."""
        self._timers[episode] = {
            "episode": episode,
            "step": step,
            "due_at": due_at,
            "backfill": backfill,
            "late": closed,
            "risen": risen,
        }

    def stop(self, episode: str) -> None:
        """No timer, and no page that was not sent."""
        self._timers[episode] = None

    def inherit(self, gone: str, heir: str) -> None:
        """What goes on in a retired episode (answers on their way, promises) goes on in its heir."""
        self._heirs.setdefault(gone, heir)

    def announce_change(
        self, record: Record, change: EpisodeChange, at: datetime, by: str | None = None
    ) -> None:
        """A step in an episode's life, to presence.episodes."""
        ending = record.folded.ending
        answered = change is EpisodeChange.answered
        event = EpisodeEvent(
            event_id=f"{record.id}:{record.version}:{change.value}",
            episode_id=record.id,
            conversation_id=str(record.conversation),
            change=change,
            at=at,
            recorded_at=self.now,
            brand=record.brand,
            platform=record.platform,
            account_id=record.account_id,
            by=by or (_answerer(record) if answered else None),
            reason=ending.reason if ending and not record.live else None,
            wall_seconds=record.folded.wall_seconds if answered else None,
            business_seconds=record.business_seconds if answered else None,
            items=record.folded.openers[-ITEMS_TOLD:],
        )
        self.announce(event.event_id, topics.EPISODES, event.conversation_id, event)

    def announce(self, event_id: str, topic: topics.Topic, key: str, event: Contract) -> None:
        """Something for Kafka, written with its cause and sent afterwards."""
        self._announced.append((event_id, topic.name, key, event.to_bytes()))

    def audit(
        self,
        who: str,
        through: str,
        act: str,
        *,
        episode: str | None = None,
        item: str | None = None,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        """Append to the audit record."""
        self._audited.append(
            {
                "who": who,
                "through": through,
                "act": act,
                "episode": episode,
                "item": item,
                "before": orjson.dumps(before).decode() if before is not None else None,
                "after": orjson.dumps(after).decode() if after is not None else None,
            }
        )

    async def flush(self, connection: Connection) -> None:
        """Write everything, within the caller's transaction."""
        if self.records:
            rows = as_json(record_row(record) for record in self.records.values())
            await connection.execute(FOLD["episodes_put"], {"episodes": rows})
            seen_to = [one.id for one in self.records.values() if one.state is not CardState.open]
            if seen_to:
                await run(connection, "unconfirmed_drop", episodes=seen_to)
        timers = [timer for timer in self._timers.values() if timer is not None]
        stopped = [episode for episode, timer in self._timers.items() if timer is None]
        if timers:
            await connection.execute(FOLD["timers_put"], {"timers": as_json(timers)})
        for episode, dues in self._hastened.items():
            values = {"episode": episode, "dues": list(dues), "breath": BREATH.total_seconds()}
            await connection.execute(FOLD["timers_hasten"], values)
        if stopped:
            await connection.execute(FOLD["timers_drop"], {"episodes": stopped})
            await connection.execute(FOLD["pages_cancel"], {"episodes": stopped})
        if self._pages:
            pages = [(self._outbox[key], exempt) for key, exempt in self._pages.items()]
            await pings.admit(connection, pages, self.now)
        if self._outbox:
            rows = as_json(self._outbox.values())
            await connection.execute(FOLD["outbox_put"], {"rows": rows})
        if self._heirs:
            gone, heirs = list(self._heirs), list(self._heirs.values())
            await connection.execute(FOLD["heirs_take_over"], {"gone": gone, "heirs": heirs})
        if self._announced:
            ids, names, keys, payloads = (list(one) for one in zip(*self._announced, strict=True))
            await connection.execute(
                FOLD["announcements_put"],
                {"ids": ids, "topics": names, "keys": keys, "payloads": payloads},
            )
        for act in self._audited:
            await connection.execute(FOLD["audit_put"], act)


def _answerer(record: Record) -> str | None:
    """Who wrote the answer in Presence; else who had claimed it, as far as we know."""
    ending = record.folded.ending
    return (ending.by if ending else None) or record.first_claimed_by


def _row(
    key: tuple[Any, ...], rank_: int, text: str | None, record: Record | None = None
) -> dict[str, Any]:
    names = ("episode", "round", "step", "target", "destination", "purpose")
    return {
        **dict(zip(names, key, strict=True)),
        "rank": rank_,
        "text": text,
        "call": None,
        # Delivery's order within the rank: what is about nobody's answer is as if it were due now.
        "answer_due": record.due_at if record else None,
    }
