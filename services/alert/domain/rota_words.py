"""The rota in words: who is on call until when, and who set it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from services.alert.domain.rota import Watch
from services.alert.domain.rota_changes import ChangeKind, RotaChange
from services.contracts.configuration import Configuration


def name_of(configuration: Configuration, person_id: str | None) -> str:
    """A person's name; the id of one who is not listed (any more), `nobody` for None."""
    person = configuration.person(person_id) if person_id else None
    return person.name if person else person_id or "nobody"


def time_of(at: datetime, zone: str, *, beside: datetime | None = None) -> str:
    """`14:00`, or with its day where that is not the day of `beside`."""
    local = at.astimezone(ZoneInfo(zone))
    if beside is not None and beside.astimezone(ZoneInfo(zone)).date() == local.date():
        return f"{local:%H:%M}"
    return f"{local:%a} {local.day} {local:%b %H:%M}"


def watch_in_words(configuration: Configuration, watch: Watch, zone: str, now: datetime) -> str:
    """`Mia until 14:00, set at run time by Ben`."""
    until = time_of(watch.end, zone, beside=now)
    if watch.person is None:
        return f"closed until {until}" if watch.because == "closed" else f"nobody until {until}"
    words = name_of(configuration, watch.person)
    if watch.instead_of is not None:
        words += f" for {name_of(configuration, watch.instead_of)}"
    words += f" until {until}"
    if watch.set_by is not None:
        words += f", set at run time by {name_of(configuration, watch.set_by)}"
    elif watch.because in ("override", "swap"):
        words += f" ({watch.because})"
    return words


def change_in_words(configuration: Configuration, change: RotaChange, zone: str) -> str:
    """`Lea takes over Mon 2 Mar 10:00 to 14:00, set at run time by Ben`."""
    begin = time_of(change.begin, zone)
    span = f"{begin} to {time_of(change.end, zone, beside=change.begin)}"
    who = name_of(configuration, change.person)
    if change.kind is ChangeKind.time_off:
        words = f"{who} is away {span}"
    elif change.kind is ChangeKind.override:
        words = f"{who} takes over {span}"
    else:
        other = name_of(configuration, change.instead_of)
        words = f"{who} takes {other}'s shifts {span}"
        if change.back is not None:
            back = time_of(change.back.end, zone, beside=change.back.begin)
            words += f"; {other} takes {who}'s {time_of(change.back.begin, zone)} to {back}"
    words += f", set at run time by {name_of(configuration, change.set_by)}"
    return words + (f" ({change.note})" if change.note else "")
