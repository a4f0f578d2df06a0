"""Refold conversations: lock, load, fold, and say what changes. Inside the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.alert.domain.advancing import advance, inheriting, retired
from services.alert.domain.fold import Close, Mute, fold
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import Context, Record
from services.alert.domain.matching import Stored, match
from services.alert.store.rows import close_of, item_today, record_of
from services.alert.store.sql import Connection, all_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration


@dataclass(slots=True)
class Held:
    """Everything that is stored of one conversation."""

    id: int
    thread: int
    counterpart: str
    platform: str
    account_id: str
    brand: str
    items: dict[str, Item] = field(default_factory=dict)
    stored_at: dict[str, datetime] = field(default_factory=dict)
    closes: list[Close] = field(default_factory=list)
    mutes: list[Mute] = field(default_factory=list)
    writers: dict[str, str] = field(default_factory=dict)
    """Who wrote which of the brand's items in Presence."""
    records: list[Record] = field(default_factory=list)

    @property
    def direct(self) -> bool:
        """Whether these are direct messages: their thread is the account's, for everybody."""
        return any(item.direct for item in self.items.values())


async def hold(connection: Connection, ids: Iterable[int]) -> dict[int, Held]:
    """Lock these conversations (rows in id order) and load them."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    held = {
        row["id"]: Held(**row) for row in await all_of(connection, "conversations_lock", ids=wanted)
    }
    living = list(held)
    for row in await all_of(connection, "items_of_conversations", ids=living):
        item = item_today(row)
        held[row["conversation"]].items[item.id] = item
        held[row["conversation"]].stored_at[item.id] = row["stored_at"]
    for row in await all_of(connection, "closes_of_conversations", ids=living):
        held[row["conversation"]].closes.append(close_of(row))
    for row in await all_of(connection, "writers_of_conversations", ids=living):
        held[row["conversation"]].writers[row["posted_item_id"]] = row["author"]
    threads = list({one.thread for one in held.values()})
    mutes = await all_of(connection, "mutes_of_threads", threads=threads)
    for one in held.values():
        one.mutes = [
            Mute(row["begin_at"], row["end_at"])
            for row in mutes
            if row["thread"] == one.thread and row["counterpart"] in (None, one.counterpart)
        ]
    for row in await all_of(connection, "episodes_of_conversations", ids=living):
        held[row["conversation"]].records.append(record_of(row))
    return held


def refold(
    held: Held,
    configuration: Configuration,
    writing: Writing,
    caught_up: Mapping[tuple[str, str], datetime | None],
    *,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> None:
    """Fold one conversation and gather what changes. Pure but for the new ids."""
    context = Context(
        configuration=configuration,
        now=writing.now,
        items=held.items,
        stored_at=held.stored_at,
        caught_up_at=caught_up.get((held.platform, held.account_id)),
    )
    living = [record for record in held.records if record.state.value != "merged"]
    by_id = {record.id: record for record in living}
    matched = match(
        fold(held.items.values(), held.closes, held.mutes, held.writers),
        [
            Stored(
                record.id,
                record.number,
                record.folded.anchors,
                record.folded.key,
                has_card=record.has_card,
            )
            for record in living
        ],
    )
    for gone, heir in matched.heirs:
        by_id[heir] = inheriting(by_id[heir], by_id[gone])
        writing.inherit(gone, heir)
    for episode, kept in matched.kept:
        was = by_id[kept] if kept else None
        change = advance(was, episode, context, new_id=new_id(), conversation=held.id)
        if change is not None:
            writing.change(change)
            writing.opened += was is None
    for one in matched.retired:
        if (change := retired(by_id[one], context)) is not None:
            writing.change(change)
