"""The rota as people ask for it and change it: what chat commands, pages and the command line call.

`services.alert.store.overrides` keeps what this promises. Every change is audited, judged against what
stands, and reported before it is accepted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from services.alert.domain.rota_changes import Proposal, RotaChange
from services.alert.ports import Actor


class ChangeResult(StrEnum):
    """What became of a change."""

    done = "done"
    proposed = "proposed"
    """Only looked at: nothing was changed."""
    gaps = "gaps"
    """It would leave hours without anybody: say that this is accepted, or change it."""
    refused = "refused"
    """It cannot be; the proposal says why."""
    forbidden = "forbidden"
    """This person may not."""
    unknown = "unknown"
    """There is no such change, or it was removed before."""


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """What became of a change, and what it does."""

    result: ChangeResult
    proposal: Proposal
    change: RotaChange | None = None
    """As stored, with its id."""


@dataclass(frozen=True, slots=True)
class OnCallRow:
    """A rota at an instant. Names are for people, ids for programs."""

    rota: str
    zone: str
    person: str | None
    name: str | None
    because: str
    """`override`, `swap`, the layer's id, `closed` or `gap`."""
    until: datetime
    next_person: str | None
    next_name: str | None
    instead_of: str | None
    set_by: str | None
    """Who set it at run time; None: the file says so."""
    says: str
    """All of it in a line: `Mia until 14:00, set at run time by Ben`."""


@dataclass(frozen=True, slots=True)
class ShiftRow:
    """One stretch on call of one person."""

    rota: str
    zone: str
    begin: datetime
    end: datetime
    because: str
    instead_of: str | None
    set_by: str | None


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """A change that was set at run time and has not ended."""

    change: RotaChange
    says: str
    """`Lea takes over from Mon 2 Mar 10:00 to 14:00, set at run time by Ben`."""


class Roster(Protocol):
    """Who is on call, and how people change that at run time."""

    async def on_call_now(self) -> list[OnCallRow]:
        """Every rota as it is, run-time changes included."""
        ...

    async def my_shifts(self, person_id: str, ahead: timedelta = ...) -> list[ShiftRow]:
        """When this person is on call from now on, on any rota (21 days ahead unless told)."""
        ...

    async def overrides(self) -> list[OverrideRow]:
        """Run-time changes that have not ended."""
        ...

    async def take_over(
        self, by: Actor, duration: timedelta, rota: str | None = None
    ) -> ChangeOutcome:
        """The person who asks is on call from now on, for so long.

        Without a rota: the only one, or the one that they are a member of; with several of those the
        outcome is refused, and says which there are.
        """
        ...

    async def change(
        self,
        change: RotaChange,
        by: Actor,
        *,
        accept_gaps: bool = False,
        only_look: bool = False,
    ) -> ChangeOutcome:
        """Set an override, a swap or time off. With gaps it asks to be told that they are accepted."""
        ...

    async def remove(
        self, change_id: str, by: Actor, *, accept_gaps: bool = False, only_look: bool = False
    ) -> ChangeOutcome:
        """Take a run-time change back."""
        ...


def override_facts(change: RotaChange) -> dict[str, Any]:
    """A change as JSON shows it."""
    return {
        "id": change.id,
        "kind": change.kind.value,
        "rota": change.rota,
        "person": change.person,
        "from": change.begin,
        "to": change.end,
        "instead_of": change.instead_of,
        "back_from": change.back.begin if change.back else None,
        "back_to": change.back.end if change.back else None,
        "note": change.note,
        "set_by": change.set_by,
        "through": change.through,
        "set_at": change.set_at,
    }


def proposal_facts(proposal: Proposal) -> dict[str, Any]:
    """What a change does, for JSON."""
    return {
        "refused": list(proposal.refused),
        "warnings": list(proposal.warnings),
        "shifted": [asdict(one) for one in proposal.shifted],
        "gaps": [
            {"rota": rota, "from": span.begin, "to": span.end} for rota, span in proposal.gaps
        ],
        "balance": {
            person: {"before": asdict(before), "after": asdict(after)}
            for person, (before, after) in (proposal.balance or {}).items()
        },
    }
