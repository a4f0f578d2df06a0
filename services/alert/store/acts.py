"""What people do to episodes: authorised, audited, idempotent. `services.alert.ports.Episodes`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from services.alert.domain.card import Card, CardState
from services.alert.domain.cards import card_for, one_line, who_in_words
from services.alert.domain.fold import MUTED_FOR
from services.alert.domain.items import Item, corrected
from services.alert.domain.lifecycle import Record
from services.alert.ports import Actor, ActResult, EpisodeRow
from services.alert.store.acting import Acting, is_id, newest
from services.alert.store.refold import Held, hold
from services.alert.store.rows import Row
from services.alert.store.sql import Connection, all_of, run
from services.alert.store.standings import doing_of, messages_of, records_of, standing_of
from services.alert.store.writing import Writing
from services.contracts import topics
from services.contracts.configuration import Role
from services.contracts.events import CloseReason, Correction, Label

PEOPLE_CLOSE_WITH = (
    CloseReason.no_reply_needed,
    CloseReason.do_not_feed,
    CloseReason.handled_elsewhere,
    CloseReason.duplicate,
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of one press: whose, which, since when."""

    by: str
    to: Label
    at: datetime


class PostgresEpisodes(Acting):
    """Acts and readings."""

    async def claim(self, episode_id: str, by: Actor) -> ActResult:
        """See ports.Episodes. Trainees may claim."""

        async def claim(
            connection: Connection, _held: Held, record: Record, writing: Writing
        ) -> ActResult:
            if not record.live:
                return ActResult.already
            if record.state is CardState.claimed:
                mine = record.claimed_by == by.person_id
                return ActResult.already if mine else ActResult.taken
            until = writing.now + record.policy.claim_for
            taken = await self._take(connection, record, writing, by.person_id, until)
            self._audit(writing, by, "claim", record, taken)
            return ActResult.done

        return await self._act(episode_id, by, claim, Role.trainee)

    async def close(self, episode_id: str, by: Actor, reason: CloseReason) -> ActResult:
        """See ports.Episodes. Raises ValueError for a reason that no person gives."""
        if reason not in PEOPLE_CLOSE_WITH:
            raise ValueError(f"people do not close with {reason.value}")

        async def close(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> ActResult:
            return await self._close(connection, held, record, writing, by, reason)

        return await self._act(episode_id, by, close)

    async def relabel(
        self, episode_id: str, by: Actor, to: Label, reason: str | None = None
    ) -> ActResult:
        """See ports.Episodes. Relabels every message of the episode that waits for an answer."""

        async def relabel(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> ActResult:
            if not record.live:
                return ActResult.already
            items = [held.items[item] for item in record.folded.openers if item in held.items]
            return await self._relabel(connection, held, items, writing, by, to, reason)

        return await self._act(episode_id, by, relabel)

    async def relabel_item(
        self, item_id: str, by: Actor, to: Label, reason: str | None = None
    ) -> ActResult:
        """Judge one held item: released as a conversation it pages at once, from its source time."""
        async with self._pool.connection() as connection:
            async with connection.transaction():
                rows = await all_of(connection, "conversation_of_item", item=item_id)
                held = await hold(connection, [row["id"] for row in rows])
                home = next((one for one in held.values() if item_id in one.items), None)
                if home is None:
                    return ActResult.unknown
                if not self._may(by.person_id, home.brand):
                    return ActResult.refused
                writing = await self._writing(connection)
                items = [home.items[item_id]]
                result = await self._relabel(connection, home, items, writing, by, to, reason)
                await writing.flush(connection)
            self._after(writing)
        return result

    async def unlabel_item(self, item_id: str, by: Actor, wave: Labelled) -> ActResult:
        """Take one label of a wave back, and its correction: the classifier's word holds again."""
        async with self._pool.connection() as connection:
            async with connection.transaction():
                rows = await all_of(connection, "conversation_of_item", item=item_id)
                held = await hold(connection, [row["id"] for row in rows])
                home = next((one for one in held.values() if item_id in one.items), None)
                if home is None:
                    return ActResult.unknown
                if not self._may(by.person_id, home.brand):
                    return ActResult.refused
                gone = await all_of(
                    connection,
                    "relabels_take_back",
                    item=item_id,
                    by=wave.by,
                    to=wave.to.value,
                    since=wave.at,
                )
                if not gone:
                    return ActResult.already
                writing = await self._writing(connection)
                ended = {one.id for one in home.records if not one.live}
                await self._refold(connection, home, writing)
                for one in list(writing.records.values()):
                    if one.live and one.id in ended:
                        # Its real end is measured: the one that was taken back was none.
                        writing.records[one.id] = replace(one, measured=False)
                for row in gone:
                    self._retract(writing, home.items[item_id], row, by)
                await writing.flush(connection)
            self._after(writing)
        return ActResult.done

    def _retract(self, writing: Writing, item: Item, row: Row, by: Actor) -> None:
        correction = Correction(
            item_id=item.id,
            from_label=Label(row["from_label"]),
            to_label=Label(row["to_label"]),
            by=by.person_id,
            at=writing.now,
            retracted=True,
        )
        writing.announce(
            f"correction:{row['id']}:retracted", topics.CORRECTIONS, item.id, correction
        )
        writing.audit(
            by.person_id,
            by.through,
            "unlabel",
            item=item.id,
            before={"label": row["to_label"], "by": row["by"]},
            after={"label": row["from_label"]},
        )

    async def confirm(self, episode_id: str, by: Actor) -> None:
        """See ports.Episodes. Every act confirms by itself."""
        if is_id(episode_id):
            async with self._pool.connection() as connection:
                await run(connection, "confirmed", person=by.person_id, episode=episode_id)

    async def card(self, episode_id: str, reader: str | None = None) -> Card | None:
        """See ports.Episodes."""
        if not is_id(episode_id):
            return None
        async with self._pool.connection() as connection:
            record = (await records_of(connection, [episode_id])).get(episode_id)
            if record is None:
                return None
            items = (await messages_of(connection, [episode_id]))[episode_id]
            doing = (await doing_of(connection, [episode_id])).get(episode_id, ())
            (clock,) = await all_of(connection, "now")
        standing = standing_of(record, items, self._configuration(), doing)
        reads = reader is not None and self._may(reader, record.brand, Role.trainee)
        return card_for(standing, clock["now"], shared=not reads)

    async def open(self, limit: int = 200) -> list[EpisodeRow]:
        """See ports.Episodes."""
        async with self._pool.connection() as connection:
            rows = await all_of(connection, "episodes_open", limit=limit)
            ids = [str(row["id"]) for row in rows]
            records = await records_of(connection, ids)
            items = await messages_of(connection, ids)
        return [self._line(records[one], items[one]) for one in ids]

    def _line(self, record: Record, items: list[Item]) -> EpisodeRow:
        standing = standing_of(record, items, self._configuration())
        first = next((item for item in items if item.deleted_at is None), items[0])
        secret = bool(record.sensitive) or any(item.private for item in items)
        return EpisodeRow(
            episode_id=record.id,
            state=record.state.value if record.shows.value == "card" else record.shows.value,
            platform=record.platform,
            account=standing.account,
            brand=standing.brand,
            who=who_in_words(first),
            words=None if secret else one_line(first.shown.text),
            opened_at=record.folded.opened_at,
            due_at=record.due_at,
            claimed_by=standing.claimed_by,
            urgent=record.urgency.value == "high",
            sensitive=tuple(sorted(flag.value for flag in record.sensitive)),
            holder=record.claimed_by,
            brand_id=record.brand,
        )

    async def _close(
        self,
        connection: Connection,
        held: Held,
        record: Record,
        writing: Writing,
        by: Actor,
        reason: CloseReason,
    ) -> ActResult:
        if not record.live:
            return ActResult.already
        await run(
            connection,
            "close_add",
            conversation=held.id,
            by=by.person_id,
            at=writing.now,
            reason=reason.value,
            anchor=newest(held),
        )
        if reason is CloseReason.do_not_feed:
            await run(
                connection,
                "mute_add",
                thread=held.thread,
                # Direct messages of all people are one thread: there it is this person who is muted.
                counterpart=held.counterpart if held.direct else None,
                begin_at=writing.now,
                end_at=writing.now + MUTED_FOR,
                by=by.person_id,
            )
        await self._refold(connection, held, writing)
        self._audit(writing, by, "close", record, writing.records.get(record.id, record))
        return ActResult.done

    async def _relabel(
        self,
        connection: Connection,
        held: Held,
        items: list[Item],
        writing: Writing,
        by: Actor,
        to: Label,
        reason: str | None,
    ) -> ActResult:
        # A held item confirmed as what the classifier said is a judgement too.
        waiting = [
            item for item in items if item.final_label is not to or (item.held and not item.relabel)
        ]
        if not waiting:
            return ActResult.already
        # To agree with the classifier is no relabel, and asks for no reason.
        changed = [item for item in waiting if item.final_label is not to]
        delicate = any(item.sensitive or item.addressed for item in changed)
        if to is Label.spam and delicate and not (reason or "").strip():
            return ActResult.reason_needed
        anchor = newest(held)
        for item in waiting:
            before = item.final_label or Label.conversation
            act_id = str(uuid.uuid4())
            await run(
                connection,
                "relabel_add",
                id=act_id,
                item=item.id,
                by=by.person_id,
                at=writing.now,
                anchor=anchor,
                reason=reason,
                to=to.value,
                **{"from": before.value},
            )
            if before is not to:
                self._correct(writing, act_id, item, before, to, by, reason)
            writing.audit(
                by.person_id,
                by.through,
                "relabel",
                item=item.id,
                before={"label": before.value},
                after={"label": to.value, "reason": reason},
            )
        await self._refold(connection, held, writing)
        return ActResult.done

    def _correct(
        self,
        writing: Writing,
        act_id: str,
        item: Item,
        before: Label,
        to: Label,
        by: Actor,
        reason: str | None,
    ) -> None:
        correction = Correction(
            item_id=item.id,
            from_label=before,
            to_label=to,
            by=by.person_id,
            at=writing.now,
            reason=reason,
            about=corrected(item, texts=self._configuration().classify.learning.texts),
        )
        writing.announce(f"correction:{act_id}", topics.CORRECTIONS, item.id, correction)
        writing.corrected.append((before, to))
