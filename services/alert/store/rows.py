"""Rows of the database to the domain's values and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from services.alert.domain.card import CardState
from services.alert.domain.fold import Close, Ending, Episode
from services.alert.domain.items import Edit, Item, Relabel, Shown, Trace, overlaid
from services.alert.domain.lifecycle import Record, Shows
from services.contracts.configuration import Policy
from services.contracts.events import CloseReason, Label, Origin, Sensitive, Urgency

Row = Mapping[str, Any]
RANKS = {Urgency.high: 1, Urgency.normal: 2, Urgency.low: 3}


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """For jsonb_populate_recordset: many rows as one parameter."""
    return orjson.dumps(list(rows)).decode()


def storable(text: str | None) -> str | None:
    """PostgreSQL keeps no NUL in a text; people send them all the same."""
    return text.replace("\x00", "") if text else text


def item_row(item: Item, thread: int) -> dict[str, Any]:
    """The facts of a new item."""
    shown = item.shown
    return {
        "item_id": item.id,
        "thread": thread,
        "platform": item.platform,
        "account_id": item.account_id,
        "brand": item.brand,
        "inbound": item.inbound,
        "author_id": item.author_id,
        "counterpart_id": item.counterpart_id,
        "source_time": item.source_time,
        "received_at": item.received_at,
        "classified_at": item.classified_at,
        "root": item.root,
        "parent": item.parent,
        "private": item.private,
        "addressed": item.addressed,
        "automated": item.automated,
        "gesture": item.gesture,
        "mentions": item.mentions,
        "origin": item.origin.value,
        "may_page": item.may_page,
        "opens": item.opens,
        "needs_answer": item.needs_answer_score,
        "label": item.label and item.label.value,
        "urgency": item.urgency.value,
        "sensitive": sorted(flag.value for flag in item.sensitive),
        "held": item.held,
        "handle": storable(shown.handle),
        "name": storable(shown.name),
        "text": storable(shown.text),
        "permalink": storable(shown.permalink),
        "language": shown.language,
        "why": [storable(one) for one in shown.why],
        "similarity": item.similarity,
        "known": item.known,
    }


def item_of(row: Row) -> Item:
    """An item without what happened to it since."""
    return Item(
        id=row["item_id"],
        platform=row["platform"],
        account_id=row["account_id"],
        brand=row["brand"],
        inbound=row["inbound"],
        author_id=row["author_id"],
        counterpart_id=row["counterpart_id"],
        source_time=row["source_time"],
        received_at=row["received_at"],
        classified_at=row["classified_at"],
        root=row["root"],
        parent=row["parent"],
        private=row["private"],
        addressed=row["addressed"],
        automated=row["automated"],
        gesture=row["gesture"],
        mentions=tuple(row["mentions"]),
        origin=Origin(row["origin"]),
        may_page=row["may_page"],
        opens=row["opens"],
        needs_answer_score=row["needs_answer"],
        label=Label(row["label"]) if row["label"] else None,
        urgency=Urgency(row["urgency"]),
        sensitive=frozenset(Sensitive(flag) for flag in row["sensitive"]),
        held=row["held"],
        shown=Shown(
            row["handle"],
            row["name"],
            row["text"],
            row["permalink"],
            row["language"],
            tuple(row["why"]),
        ),
        similarity=row["similarity"],
        known=row["known"],
    )


def item_today(row: Row) -> Item:
    """An item with its edit, deletion and relabel laid over."""
    relabel = None
    if row["relabel_id"] is not None:
        relabel = Relabel(
            str(row["relabel_id"]),
            Label(row["to_label"]),
            row["relabel_by"],
            row["relabel_at"],
            row["relabel_anchor"],
        )
    return overlaid(item_of(row), trace_of(row), relabel)


def trace_of(row: Row) -> Trace:
    """What happened to an item."""
    edit = None
    if row["edited_at"] is not None:
        edit = Edit(row["edited_at"], row["edit_event"], row["edit_text"] or "")
    return Trace(edit, row["deleted_at"])


def trace_row(item_id: str, trace: Trace) -> dict[str, Any]:
    """The same, to be stored; a deleted item's words are not."""
    edit = trace.edit
    gone = trace.deleted_at is not None
    return {
        "item_id": item_id,
        "edited_at": edit.at if edit else None,
        "edit_event": edit.event_id if edit else None,
        "edit_text": storable(edit.text) if edit and not gone else None,
        "deleted_at": trace.deleted_at,
    }


def close_of(row: Row) -> Close:
    """A person's closing."""
    return Close(
        str(row["id"]),
        row["by"],
        row["at"],
        CloseReason(row["reason"]),
        row["anchor"],
        row["item_id"],
        row["answered_at"],
    )


def episode_of(row: Row) -> Episode:
    """The episode as it was folded."""
    ending = None
    if row["reason"] is not None:
        ending = Ending(
            CloseReason(row["reason"]), row["ended_at"], row["ended_item"], row["ended_by"]
        )
    return Episode(
        key=row["key"],
        opened_at=row["opened_at"],
        openers=tuple(row["openers"]),
        inbound=tuple(row["inbound"]),
        round=row["round"],
        reopened=row["reopened"],
        ending=ending,
    )


_SAME = (
    "conversation",
    "brand",
    "platform",
    "account_id",
    "version",
    "fingerprint",
    "private",
    "route",
    "ignores_closed_hours",
    "due_at",
    "may_page",
    "paging_round",
    "received_at",
    "classified_at",
    "opened_recorded_at",
    "business_seconds",
    "claimed_by",
    "claimed_at",
    "claim_until",
    "first_claimed_at",
    "first_claimed_by",
    "first_paged_at",
    "measured",
    "stale",
    "has_card",
)


def record_of(row: Row) -> Record:
    """A stored episode."""
    return Record(
        id=str(row["id"]),
        number=row["number"],
        folded=episode_of(row),
        state=CardState(row["state"]),
        label=Label(row["label"]) if row["label"] else None,
        urgency=Urgency(row["urgency"]),
        sensitive=frozenset(Sensitive(flag) for flag in row["sensitive"]),
        policy=Policy.model_validate(row["policy"]),
        destinations=tuple(row["destinations"]),
        checklist=tuple(row["checklist"]),
        shows=Shows(row["shows"]),
        **{name: row[name] for name in _SAME},
    )


def record_row(record: Record) -> dict[str, Any]:
    """The same, to be stored."""
    folded, ending = record.folded, record.folded.ending
    return {
        "id": record.id,
        "key": folded.key,
        "opened_at": folded.opened_at,
        "openers": folded.openers,
        "inbound": folded.inbound,
        "round": folded.round,
        "reopened": folded.reopened,
        "reason": ending.reason.value if ending else None,
        "ended_at": ending.at if ending else None,
        "ended_item": ending.item_id if ending else None,
        "ended_by": ending.by if ending else None,
        "wall_seconds": folded.wall_seconds,
        "skewed": folded.skewed,
        "state": record.state.value,
        "label": record.label.value if record.label else None,
        "urgency": record.urgency.value,
        "sensitive": sorted(flag.value for flag in record.sensitive),
        "policy": record.policy.model_dump(mode="json", by_alias=True, exclude_none=True),
        "destinations": record.destinations,
        "checklist": record.checklist,
        "shows": record.shows.value,
        **{name: getattr(record, name) for name in _SAME},
    }


def rank(record: Record) -> int:
    """Delivery's order: sensitive first, then by urgency."""
    return 0 if record.sensitive else RANKS[record.urgency]
