"""Stored episodes as cards are drawn from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from services.alert.domain.answering import ways
from services.alert.domain.card import Card, CardState, CardStatus, StatusKind
from services.alert.domain.cards import Standing, card_for
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import Record
from services.alert.store.rows import Row, item_today, record_of
from services.alert.store.sql import Connection, all_of
from services.contracts.configuration import Configuration
from services.contracts.events import CloseReason
from services.runtime.logs import get_logger

log = get_logger(__name__)

ALIKE = "alike"


async def records_of(connection: Connection, ids: Iterable[str]) -> dict[str, Record]:
    """Episodes by id; unknown ids, and what cannot be read, are left out."""
    found: dict[str, Record] = {}
    for row in await all_of(connection, "episodes_by_ids", ids=list(ids)):
        try:
            found[str(row["id"])] = record_of(row)
        except ValueError as error:
            # Stored by another release, or damaged: the others of the batch are served all the same.
            log.error("an episode cannot be read", episode=str(row["id"]), error=str(error))
    return found


async def messages_of(connection: Connection, ids: Iterable[str]) -> dict[str, list[Item]]:
    """The person's messages of each episode, in order."""
    found: dict[str, list[Item]] = {}
    for row in await all_of(connection, "items_of_episodes", ids=list(ids)):
        found.setdefault(str(row["episode"]), []).append(item_today(row))
    return found


async def doing_of(connection: Connection, ids: Iterable[str]) -> dict[str, list[Row]]:
    """What goes on beside the state of each episode: answers on their way, snoozes, promises."""
    found: dict[str, list[Row]] = {}
    for row in await all_of(connection, "doing_of_episodes", ids=list(ids)):
        found.setdefault(str(row["episode"]), []).append(row)
    for row in await all_of(connection, "alike_of_episodes", ids=list(ids)):
        found.setdefault(str(row["episode"]), []).append({"kind": ALIKE, **row})
    return found


def standing_of(
    record: Record, items: list[Item], configuration: Configuration, doing: Sequence[Row] = ()
) -> Standing:
    """An episode with names in the place of ids. `doing` is its part of `doing_of`."""
    account = configuration.account(record.platform, record.account_id)
    brand = next((one.name for one in configuration.brands if one.id == record.brand), record.brand)
    ending = record.folded.ending
    merged = record.state is CardState.merged
    answered = ending is not None and ending.reason is CloseReason.answered
    by = ending.by if ending else None
    if answered and by is None:
        # Written outside of Presence: who had claimed it is the one who answered, as far as we know.
        by = record.first_claimed_by
    return Standing(
        episode_id=record.id,
        version=record.version,
        state=record.state,
        brand=brand,
        platform=record.platform,
        account=(account.handle if account else None) or record.account_id,
        items=items,
        opened_at=record.folded.opened_at,
        due_at=record.due_at,
        zone=configuration.rotas[0].zone,
        claimed_by=_name(configuration, record.claimed_by),
        reason=CloseReason.merged if merged else ending.reason if ending else None,
        ended_at=ending.at if ending else record.opened_recorded_at if merged else None,
        ended_by=_name(configuration, by),
        reopened=record.folded.reopened,
        checklist=record.checklist,
        stale=record.stale,
        status=tuple(
            _status(row, record, configuration)
            for row in doing
            if row["kind"] not in ("linked", ALIKE)
        ),
        answerable=bool(items) and bool(ways(account, items[0], None)),
        linked=any(row["kind"] == "linked" for row in doing),
        alike=max((row["people"] for row in doing if row["kind"] == ALIKE), default=0),
    )


def _status(row: Row, record: Record, configuration: Configuration) -> CardStatus:
    return CardStatus(
        kind=StatusKind(row["kind"]),
        who=_name(configuration, row["who"]) or "somebody",
        at=row["at"],
        says=row["says"],
        beyond_due=row["kind"] == StatusKind.snoozed and row["at"] > record.due_at,
        ref=str(row["ref"]) if row["ref"] is not None else None,
    )


def _name(configuration: Configuration, person_id: str | None) -> str | None:
    person = configuration.person(person_id) if person_id else None
    return person.name if person else person_id


def is_shared(configuration: Configuration, destination: str) -> bool:
    """Whether people beyond those on call read it; a place that is not configured any more is."""
    shared: Mapping[str, bool] = {one.id: one.shared for one in configuration.destinations}
    return shared.get(destination, True)


def card_at(
    record: Record,
    items: list[Item],
    configuration: Configuration,
    destination: str,
    now: datetime,
    doing: Sequence[Row] = (),
) -> Card:
    """The card as this destination may show it."""
    standing = standing_of(record, items, configuration, doing)
    return card_for(standing, now, shared=is_shared(configuration, destination))
