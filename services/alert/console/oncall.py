"""The rota over HTTP: who is on call, run-time changes, calendars to subscribe to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.alert.calendars import shifts_calendar
from services.alert.chat.links import LinkError, Links
from services.alert.console.visitors import Visitors
from services.alert.domain import rota as rotas
from services.alert.domain.rota_changes import ChangeKind, RotaChange
from services.alert.domain.wall_clock import Span
from services.alert.ports import Actor
from services.alert.roster import (
    ChangeOutcome,
    ChangeResult,
    Roster,
    override_facts,
    proposal_facts,
)
from services.contracts.configuration import Configuration, Rota
from services.runtime.clock import Clock

STATUS = {
    ChangeResult.done: 200,
    ChangeResult.proposed: 200,
    ChangeResult.gaps: 409,
    ChangeResult.refused: 422,
    ChangeResult.forbidden: 403,
    ChangeResult.unknown: 404,
}
Text = Annotated[str, Field(max_length=200)]


class NewOverride(BaseModel):
    """A change of the rota. `from` and `to` with an offset from UTC."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    kind: Literal["override", "swap", "time_off"] = "override"
    rota: Text | None = None
    """Needed but for time off."""
    person: Text
    """Who takes over, or is away."""
    begin: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")
    instead_of: Text | None = None
    """For swaps: whose shifts."""
    back_from: AwareDatetime | None = None
    back_to: AwareDatetime | None = None
    """For swaps: when the other one takes over in return."""
    note: Text | None = None
    accept_gaps: bool = False
    """Without it, a change that leaves hours without anybody is answered with 409 and those hours."""
    only_look: bool = False
    """Say what the change would do, and do nothing."""

    def change(self) -> RotaChange:
        """As the roster takes it."""
        back = Span(self.back_from, self.back_to) if self.back_from and self.back_to else None
        return RotaChange(
            id="",
            kind=ChangeKind(self.kind),
            rota=self.rota,
            person=self.person,
            begin=self.begin,
            end=self.end,
            instead_of=self.instead_of,
            back=back,
            note=self.note,
        )


def oncall_router(
    roster: Roster,
    configuration: Callable[[], Configuration],
    links: Links,
    visitors: Visitors,
    clock: Clock,
) -> APIRouter:
    """`/api/v1/oncall/…` and `/calendars/…`. `configuration` is the one in effect."""
    router = APIRouter(prefix="/api/v1/oncall", tags=["on call"])

    def reader(request: Request) -> None:
        if not visitors.may_read(request):
            raise HTTPException(
                401,
                "sign in at /sign-in, or send Authorization: Bearer with PRESENCE_API_TOKEN",
                {"www-authenticate": "Bearer"},
            )

    def writer(request: Request) -> Actor:
        actor = visitors.actor(request)
        if actor is None:
            raise HTTPException(401, "sign in at /sign-in, or send the API token")
        return actor

    @router.get("/now")
    async def now(request: Request) -> dict[str, Any]:
        """Every rota: who is on call, why, until when, who comes next."""
        reader(request)
        rows = await roster.on_call_now()
        return {"at": clock.now(), "rotas": [asdict(row) for row in rows]}

    @router.get("/week")
    async def week(
        request: Request,
        rota: Annotated[str | None, Query(max_length=64)] = None,
        days: Annotated[int, Query(ge=1, le=92)] = 7,
    ) -> dict[str, Any]:
        """Every shift of the next seven days, closed hours and gaps included."""
        reader(request)
        begin = clock.now()
        end = begin + timedelta(days=days)
        team = configuration()
        shifts = [
            {"rota": one.id, **asdict(watch)}
            for one in _rotas(team, rota)
            for watch in rotas.plan(one, team.hours, begin, end)
        ]
        return {"from": begin, "to": end, "shifts": shifts}

    @router.get("/overrides")
    async def overrides(request: Request) -> dict[str, Any]:
        """What was set at run time and has not ended."""
        reader(request)
        rows = await roster.overrides()
        return {"overrides": [{**override_facts(row.change), "says": row.says} for row in rows]}

    @router.post("/overrides")
    async def add(request: Request, body: NewOverride) -> Response:
        """Set an override, a swap or time off; or with `only_look` see what it would do."""
        actor = writer(request)
        if (body.back_from is None) != (body.back_to is None):
            raise HTTPException(422, "back_from and back_to go together")
        outcome = await roster.change(
            body.change(), actor, accept_gaps=body.accept_gaps, only_look=body.only_look
        )
        return _answer(outcome)

    @router.delete("/overrides/{change_id}")
    async def remove(
        request: Request, change_id: str, accept_gaps: bool = False, only_look: bool = False
    ) -> Response:
        """Take back what was set at run time."""
        actor = writer(request)
        outcome = await roster.remove(
            change_id, actor, accept_gaps=accept_gaps, only_look=only_look
        )
        return _answer(outcome)

    @router.get("/calendars")
    async def calendars(request: Request) -> dict[str, Any]:
        """Addresses to subscribe to: every rota's, and your own shifts'. Keep them to yourself."""
        reader(request)
        person = visitors.person(request)
        return {
            "rotas": {rota.id: links.calendar(rota=rota.id) for rota in configuration().rotas},
            "mine": links.calendar(person=person.id) if person else None,
        }

    outer = APIRouter()
    outer.include_router(router)
    outer.include_router(_calendar_router(configuration, links, clock))
    return outer


def _calendar_router(
    configuration: Callable[[], Configuration], links: Links, clock: Clock
) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/calendars/{name}.ics")
    async def subscribed(name: str) -> Response:
        # Calendar programs cannot sign in: the token in the address is the key.
        try:
            asked = links.read_calendar(name)
        except LinkError:
            raise HTTPException(404) from None
        team = configuration()
        if asked.person_id is not None:
            person = team.person(asked.person_id)
            if person is None:
                raise HTTPException(404)
            found, title = list(team.rotas), f"On call: {person.name}"
        else:
            found, title = _rotas(team, asked.rota), f"On call: {asked.rota}"
        text = shifts_calendar(team, found, clock.now(), person=asked.person_id, title=title)
        headers = {"cache-control": "private, max-age=300"}
        return Response(text, media_type="text/calendar; charset=utf-8", headers=headers)

    return router


def _rotas(team: Configuration, name: str | None) -> list[Rota]:
    found = [rota for rota in team.rotas if name in (None, rota.id)]
    if not found:
        raise HTTPException(404, f"no such rota; there is: {', '.join(r.id for r in team.rotas)}")
    return found


def _answer(outcome: ChangeOutcome) -> Response:
    body = {
        "result": outcome.result.value,
        "change": override_facts(outcome.change) if outcome.change else None,
        **proposal_facts(outcome.proposal),
    }
    return JSONResponse(jsonable_encoder(body), STATUS[outcome.result])
