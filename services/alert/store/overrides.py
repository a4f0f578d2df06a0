"""Run-time changes of the rota over PostgreSQL: what `services.alert.roster.Roster` promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg import Rollback

from services.alert import public_holidays
from services.alert.calendars import Away
from services.alert.domain import rota as rotas
from services.alert.domain.rota_changes import (
    AHEAD,
    LONGEST,
    ChangeKind,
    Proposal,
    RotaChange,
    in_effect,
    may_change,
    mistakes,
    propose,
)
from services.alert.domain.rota_words import change_in_words, name_of, watch_in_words
from services.alert.ports import Actor
from services.alert.roster import ChangeOutcome, ChangeResult, OnCallRow, OverrideRow, ShiftRow
from services.alert.store.in_force import changes_of
from services.alert.store.sql import Connection, all_of
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration, Who
from services.runtime.postgres import Pool

TRUSTED = frozenset({"cli", "api", "calendar"})
"""Through these, whoever runs the installation acts: they hold the database or the API's token."""


@dataclass(frozen=True, slots=True)
class _Standing:
    now: datetime
    changes: Sequence[RotaChange]
    before: Configuration


@dataclass(frozen=True, slots=True)
class _Edit:
    adds: tuple[tuple[RotaChange, str | None], ...] = ()
    """With the id of the calendar entry that each comes from."""
    removes: tuple[str, ...] = ()


def _as_it_is(edit: _Edit) -> Callable[[Connection], Awaitable[_Edit]]:
    async def known(_connection: Connection) -> _Edit:
        return edit

    return known


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import of time off does."""

    added: int
    removed: int
    kept: int
    proposal: Proposal


class PostgresRoster:
    """Reads and changes the rota. `file` gives the team's configuration without run-time changes."""

    def __init__(
        self,
        pool: Pool,
        file: Callable[[], Configuration],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed` is called after a commit: who is on call may be another person now."""
        self._pool = pool
        self._file = file
        self._changed = changed

    async def on_call_now(self) -> list[OnCallRow]:
        """See Roster."""
        standing = await self._read()
        return [now_row(standing.before, rota.id, standing.now) for rota in standing.before.rotas]

    async def my_shifts(self, person_id: str, ahead: timedelta = AHEAD) -> list[ShiftRow]:
        """See Roster."""
        standing = await self._read()
        team, now = standing.before, standing.now
        found = [
            ShiftRow(
                rota.id, rota.zone, one.begin, one.end, one.because, one.instead_of, one.set_by
            )
            for rota in team.rotas
            for one in rotas.plan(rota, team.hours, now, now + ahead)
            if one.person == person_id
        ]
        return sorted(found, key=lambda row: row.begin)

    async def overrides(self) -> list[OverrideRow]:
        """See Roster."""
        standing = await self._read()
        return [
            OverrideRow(one, change_in_words(self._file(), one, _zone(self._file(), one)))
            for one in standing.changes
            if max(span.end for span in one.spans) > standing.now
        ]

    async def take_over(
        self, by: Actor, duration: timedelta, rota: str | None = None
    ) -> ChangeOutcome:
        """See Roster."""
        file = self._file()
        theirs = [
            one.id
            for one in file.rotas
            if any(by.person_id in layer.rotation.members for layer in one.layers)
        ]
        candidates = theirs or [one.id for one in file.rotas]
        if rota is None and len(candidates) > 1:
            says = f"say which rota: {', '.join(candidates)}"
            return ChangeOutcome(ChangeResult.refused, Proposal((says,)))
        now = (await self._read()).now
        change = RotaChange(
            id="",
            kind=ChangeKind.override,
            rota=rota or candidates[0],
            person=by.person_id,
            begin=now,
            end=now + duration,
        )
        return await self.change(change, by)

    async def change(
        self,
        change: RotaChange,
        by: Actor,
        *,
        accept_gaps: bool = False,
        only_look: bool = False,
    ) -> ChangeOutcome:
        """See Roster."""
        return await self._apply(
            _as_it_is(_Edit(adds=((change, None),))), by, accept_gaps, only_look
        )

    async def remove(
        self, change_id: str, by: Actor, *, accept_gaps: bool = False, only_look: bool = False
    ) -> ChangeOutcome:
        """See Roster."""
        edit = _as_it_is(_Edit(removes=(change_id,)))
        return await self._apply(edit, by, accept_gaps, only_look)

    async def import_time_off(
        self, person: str, absences: Sequence[Away], by: Actor, *, only_look: bool = False
    ) -> Imported:
        """Make a person's imported time off what their calendar says now; all of it or nothing.

        What has ended stays as it was. Gaps, and quiet hours of whoever stands in, are told and accepted:
        an absence is a fact, and who is away must not be paged for it.
        """
        wanted = {one.uid: one for one in absences}
        found = Imported(0, 0, 0, Proposal())

        async def compare(connection: Connection) -> _Edit:
            nonlocal found
            rows = await all_of(connection, "rota_imported", person=person)
            same = {
                row["calendar_uid"]
                for row in rows
                if (one := wanted.get(row["calendar_uid"]))
                and (_time_off(person, one).begin, _time_off(person, one).end)
                == (row["begin_at"], row["end_at"])
            }
            edit = _Edit(
                adds=tuple(
                    (_time_off(person, one), uid) for uid, one in wanted.items() if uid not in same
                ),
                removes=tuple(str(row["id"]) for row in rows if row["calendar_uid"] not in same),
            )
            found = Imported(len(edit.adds), len(edit.removes), len(same), Proposal())
            return edit

        outcome = await self._apply(compare, by, True, only_look, facts=True)
        return replace(found, proposal=outcome.proposal)

    async def _apply(
        self,
        wanted: Callable[[Connection], Awaitable[_Edit]],
        by: Actor,
        accept_gaps: bool,
        only_look: bool,
        *,
        facts: bool = False,
    ) -> ChangeOutcome:
        """Judge and write in one transaction; whoever else changes the rota waits meanwhile.

        `facts`: it is so whatever the rota says; quiet hours that it breaks into are only told.
        """
        async with self._pool.connection() as connection, connection.transaction():
            standing = await self._lock(connection)
            edit = await wanted(connection)
            adds = [
                (replace(change, set_by=by.person_id, through=by.through), uid)
                for change, uid in edit.adds
            ]
            removed = [one for one in standing.changes if one.id in edit.removes]
            changes = [*removed, *(change for change, _ in adds)]
            outcome = self._judged(standing, changes, removed, by, accept_gaps, only_look, facts)
            if outcome.result is not ChangeResult.done:
                raise Rollback
            for change in removed:
                await all_of(connection, "rota_change_remove", id=change.id, by=by.person_id)
                await _audit(connection, standing.now, by, "remove", change)
            for change, uid in adds:
                (row,) = await all_of(connection, "rota_change_add", **_row(change, uid))
                stored = replace(change, id=str(row["id"]), set_at=row["set_at"])
                outcome = replace(outcome, change=stored)
                await _audit(connection, standing.now, by, "set", stored)
        if outcome.result is ChangeResult.done:
            self._changed()
        return outcome

    def _judged(
        self,
        standing: _Standing,
        changes: Sequence[RotaChange],
        removed: Sequence[RotaChange],
        by: Actor,
        accept_gaps: bool,
        only_look: bool,
        facts: bool,
    ) -> ChangeOutcome:
        if not changes:
            return ChangeOutcome(ChangeResult.unknown, Proposal())
        last = changes[-1]
        if not all(self._may(change, by) for change in changes):
            return ChangeOutcome(ChangeResult.forbidden, Proposal(), last)
        refused = [
            says
            for change in changes
            if change not in removed
            for says in mistakes(standing.before, change, standing.now)
        ]
        if refused:
            return ChangeOutcome(ChangeResult.refused, Proposal(tuple(refused)), last)
        stay = [one for one in standing.changes if one not in removed]
        after = in_effect(self._file(), [*stay, *(one for one in changes if one not in removed)])
        found = propose(standing.before, after, changes, standing.now, public_holidays.of)
        result = ChangeResult.done
        if found.refused and not facts and not set(changes) <= set(removed):
            result = ChangeResult.refused
        elif only_look:
            result = ChangeResult.proposed
        elif found.gaps and not accept_gaps:
            result = ChangeResult.gaps
        return ChangeOutcome(result, found, last)

    def _may(self, change: RotaChange, by: Actor) -> bool:
        if by.through in TRUSTED:
            return True
        person = self._file().person(by.person_id)
        return person is not None and may_change(person, change)

    async def _read(self) -> _Standing:
        async with self._pool.connection() as connection:
            (clock,) = await all_of(connection, "now")
            changes = await changes_of(connection)
        return _Standing(clock["now"], changes, in_effect(self._file(), changes))

    async def _lock(self, connection: Connection) -> _Standing:
        (row,) = await all_of(connection, "rota_lock")
        changes = await changes_of(connection)
        return _Standing(row["now"], changes, in_effect(self._file(), changes))


def now_row(team: Configuration, rota_id: str, now: datetime) -> OnCallRow:
    """A rota of a configuration in effect, at an instant."""
    rota = next(one for one in team.rotas if one.id == rota_id)
    watches = iter(rotas.plan(rota, team.hours, now, now + AHEAD))
    current = next(watches)
    following = rotas.neighbour(rota, now, Who.next) if current.person else None
    following = following or next((one.person for one in watches if one.person), None)
    return OnCallRow(
        rota=rota.id,
        zone=rota.zone,
        person=current.person,
        name=name_of(team, current.person) if current.person else None,
        because=current.because,
        until=current.end,
        next_person=following,
        next_name=name_of(team, following) if following else None,
        instead_of=current.instead_of,
        set_by=current.set_by,
        says=watch_in_words(team, current, rota.zone, now),
    )


def _zone(file: Configuration, change: RotaChange) -> str:
    rota = next((one for one in file.rotas if one.id == change.rota), file.rotas[0])
    return rota.zone


def _time_off(person: str, absence: Away) -> RotaChange:
    return RotaChange(
        id="",
        kind=ChangeKind.time_off,
        rota=None,
        person=person,
        begin=absence.span.begin,
        # The longest that a change may be: a sabbatical must not keep the other absences out.
        end=min(absence.span.end, absence.span.begin + LONGEST),
    )


def _row(change: RotaChange, calendar_uid: str | None) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "rota": change.rota,
        "person": change.person,
        "begin": change.begin,
        "end": change.end,
        "instead_of": change.instead_of,
        "back_begin": change.back.begin if change.back else None,
        "back_end": change.back.end if change.back else None,
        "note": change.note,
        "set_by": change.set_by,
        "through": change.through,
        "calendar_uid": calendar_uid,
    }


async def _audit(
    connection: Connection, now: datetime, by: Actor, act: str, change: RotaChange
) -> None:
    facts = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in _row(change, None).items()
        if value is not None
    }
    writing = Writing(now)
    writing.audit(
        by.person_id,
        by.through,
        f"{act}_{change.kind.value}",
        before={"id": change.id, **facts} if act == "remove" else None,
        after={"id": change.id, **facts} if act == "set" else None,
    )
    await writing.flush(connection)
