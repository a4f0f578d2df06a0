"""What the team hears once a week: hours ahead with nobody on call, and how the load is shared. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from services.alert.domain.balance import IsHoliday, Load, balance, homes
from services.alert.domain.rota import gaps
from services.alert.domain.rota_changes import AHEAD
from services.alert.domain.rota_words import name_of, time_of
from services.alert.domain.wall_clock import Span
from services.contracts.configuration import Configuration, Rota

FROM = time(9)
"""Not before this time on Monday, where the first rota is."""
SHOWN = 5


@dataclass(frozen=True, slots=True)
class GapNotice:
    """A line to the channel, once for its week."""

    destination: str
    text: str
    week: int
    """ISO year and week, as 202610: what makes it once."""


def weekly_notice(
    team: Configuration, now: datetime, holidays: Callable[[Rota], IsHoliday]
) -> GapNotice | None:
    """The notice of this week for 21 days ahead; None before Monday 09:00 and where there are no gaps."""
    local = now.astimezone(ZoneInfo(team.rotas[0].zone))
    if local.weekday() == 0 and local.time() < FROM:
        return None
    lines = [
        _line(team, rota, found, now, holidays(rota))
        for rota in team.rotas
        if (found := gaps(rota, team.hours, now, now + AHEAD))
    ]
    if not lines:
        return None
    year, week, _ = local.isocalendar()
    text = "\n".join((*lines, "Cover them: `presence oncall override add`."))
    return GapNotice(team.routes[-1].destinations[0], text, year * 100 + week)


def _line(
    team: Configuration, rota: Rota, found: Sequence[Span], now: datetime, is_holiday: IsHoliday
) -> str:
    hours = sum(span.seconds for span in found) / 3600
    shown = ", ".join(
        f"{time_of(span.begin, rota.zone)} to {time_of(span.end, rota.zone, beside=span.begin)}"
        for span in found[:SHOWN]
    )
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    loads = balance(rota, team.hours, now, now + AHEAD, zones=homes(team), is_holiday=is_holiday)
    shared = ", ".join(
        f"{name_of(team, person)} {load_in_words(load)}" for person, load in sorted(loads.items())
    )
    return (
        f"Nobody is on call on {rota.id} for {hours:.4g} h of the next {AHEAD.days} days: "
        f"{shown}{more}. Hours of the others: {shared}."
    )


def load_in_words(load: Load) -> str:
    """`84 h (20 at night, 24 on weekends)`."""
    parts = (
        (load.nights, "at night"),
        (load.weekends, "on weekends"),
        (load.holidays, "on public holidays"),
    )
    inside = ", ".join(f"{hours:.4g} {words}" for hours, words in parts if hours)
    return f"{load.hours:.4g} h" + (f" ({inside})" if inside else "")
