"""Whom a due promise wakes: who made it, or whoever has their shift by then. Pure."""

from __future__ import annotations

from datetime import datetime

from services.alert.domain import escalation
from services.alert.domain import rota as rotas
from services.alert.domain.contact_ways import way_to
from services.alert.domain.lifecycle import Record
from services.contracts.configuration import Configuration


def woken_by_promise(
    configuration: Configuration, record: Record, maker: str, now: datetime
) -> tuple[str, ...]:
    """The maker; where their shift has ended or no chat reaches them, who is on call in their place.

    A maker who takes no turns in the policy's rotas (a lead) is always asked themselves. Nobody on call:
    the end of the chain, so that a promise is never due in silence.
    """
    reachable = way_to(configuration, maker, record.destinations) is not None
    relieved = _relieved(configuration, record, maker, now)
    if reachable and relieved is None:
        return (maker,)
    if relieved is not None and way_to(configuration, relieved, record.destinations) is not None:
        return (relieved,)
    if reachable:
        return (maker,)
    for step in range(len(record.policy.steps) + 1):
        found = escalation.reached(
            configuration,
            record.policy,
            step,
            brand=record.brand,
            home=record.destinations[0],
            now=now,
            paged={},
            ignores_closed_hours=True,
        )
        people = [
            one
            for one in found.people
            if way_to(configuration, one, record.destinations) is not None
        ]
        if people:
            return tuple(people)
    return ()


def _relieved(
    configuration: Configuration, record: Record, maker: str, now: datetime
) -> str | None:
    """Who is on call where the maker takes turns, if that is somebody else."""
    asked = {target.rota for step in record.policy.steps for target in step.targets}
    for rota in configuration.rotas:
        members = {one for layer in rota.layers for one in layer.rotation.members}
        if rota.id not in asked or maker not in members:
            continue
        if rotas.closed(rota, configuration.hours, now):
            continue
        held = rotas.on_call(rota, now)
        return held.person if held is not None and held.person != maker else None
    return None
