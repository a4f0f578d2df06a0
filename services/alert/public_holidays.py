"""Public holidays by country and region, for the balance of a rota."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache

import holidays

from services.contracts.configuration import Rota


@cache
def _calendar(region: str) -> holidays.HolidayBase:
    country, _, part = region.partition("-")
    return holidays.country_holidays(country, subdiv=part or None)


def known(region: str) -> bool:
    """Whether there is a calendar of this country (`DE`) or region (`DE-BY`)."""
    try:
        _calendar(region)
    except NotImplementedError:
        return False
    return True


def of(rota: Rota) -> Callable[[date], bool]:
    """Whether a day is a public holiday where this rota works; nowhere given: none is."""
    if rota.public_holidays is None:
        return lambda _day: False
    calendar = _calendar(rota.public_holidays)
    return lambda day: day in calendar
