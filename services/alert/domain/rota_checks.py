"""What presence.yaml may not say about the rota, beyond its form: mistakes with their place in the file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.alert.domain.quiet_hours import covered
from services.alert.domain.rota import plan
from services.alert.domain.rota_words import time_of
from services.contracts.configuration import Configuration, Problem

LOOKED_AT = timedelta(days=92)
"""So far ahead shifts are compared with quiet hours: every member of a usual rotation has had a turn."""


def rota_checks(configuration: Configuration, now: datetime) -> Iterator[Problem]:
    """Quiet hours that would cover a shift."""
    quiet = [(i, one) for i, one in enumerate(configuration.people) if one.quiet_hours]
    if not quiet:
        return
    for rota in configuration.rotas:
        watches = plan(rota, configuration.hours, now, now + LOOKED_AT)
        for place, person in quiet:
            found = covered(person, watches)
            if found is not None:
                when = time_of(found.begin, person.zone)
                yield Problem(
                    ("people", place, "quiet_hours"),
                    f"they cover a shift on {rota.id} ({when}, {person.zone}): "
                    "quiet hours never do; move one of them",
                )
