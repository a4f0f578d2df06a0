"""iCalendar: shifts of a person or a rota as a calendar to subscribe to, and time off read from one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Component, Event

from services.alert.domain.rota import plan
from services.alert.domain.rota_words import name_of
from services.alert.domain.wall_clock import Span, instant
from services.contracts.configuration import Configuration, Rota

BEHIND = timedelta(days=7)
AHEAD = timedelta(days=92)
LARGEST = 2_000_000
"""Characters of a calendar that is read."""
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, OSError)
"""What icalendar and zoneinfo raise over what others write (a zone named like a folder: OSError)."""


def shifts_calendar(
    team: Configuration,
    rotas: Sequence[Rota],
    now: datetime,
    *,
    person: str | None = None,
    title: str,
) -> bytes:
    """The shifts of these rotas from a week ago to three months ahead, as an iCalendar file.

    With a person only theirs. Ids are stable, so that a calendar that looks again changes its entries in
    place. Gaps are entries too where no person is asked for: a calendar is where they are seen.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Presence//rota//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", title)
    calendar.add("refresh-interval;value=duration", "PT1H")
    calendar.add("x-published-ttl", "PT1H")
    begin = _midnight(now - BEHIND)
    for rota in rotas:
        for watch in plan(rota, team.hours, begin, begin + BEHIND + AHEAD):
            wanted = watch.person == person if person else watch.because != "closed"
            if not wanted:
                continue
            event = Event()
            who = name_of(team, watch.person) if watch.person else "Nobody is on call"
            event.add("uid", f"{rota.id}-{watch.begin:%Y%m%dT%H%M%SZ}@presence")
            event.add("dtstamp", now)
            event.add("dtstart", watch.begin)
            event.add("dtend", watch.end)
            event.add("summary", f"On call: {rota.id}" if person else f"{rota.id}: {who}")
            event.add("transp", "TRANSPARENT")
            if watch.set_by is not None:
                event.add("description", f"Set at run time by {name_of(team, watch.set_by)}")
            elif watch.instead_of is not None:
                event.add("description", f"Instead of {name_of(team, watch.instead_of)}")
            calendar.add_component(event)
    return bytes(calendar.to_ical())


def _midnight(at: datetime) -> datetime:
    """Shifts that began before are cut there, once a day and not at every look."""
    return datetime.combine(at.astimezone(UTC).date(), time(0), UTC)


@dataclass(frozen=True, slots=True)
class Away:
    """An absence as a calendar holds it."""

    uid: str
    span: Span
    summary: str


class CalendarError(ValueError):
    """The text is no iCalendar that can be read; the message says why."""


def absences(text: str, zone: ZoneInfo, now: datetime, *, words: Sequence[str] = ()) -> list[Away]:
    """The absences of a calendar that have not ended and begin within a year, in order.

    Whole days are days of the person's `zone`. With `words` only entries whose summary has one of them
    (a shared calendar); cancelled entries are left out. Raises CalendarError. Repeated entries (RRULE) are
    not unfolded: absences that come every week belong into the rota, and are told by their uid.
    """
    if len(text) > LARGEST:
        raise CalendarError(f"longer than {LARGEST:,} characters")
    try:
        found = [
            away
            for event in _components(text).walk("VEVENT")
            for away in _absence(event, zone)
            if away.span.end > now and away.span.begin < now + timedelta(days=366)
        ]
    except UNREADABLE as error:
        raise CalendarError(f"no iCalendar: {error}") from error
    lowered = [word.casefold() for word in words]
    if lowered:
        found = [one for one in found if any(word in one.summary.casefold() for word in lowered)]
    return sorted(found, key=lambda one: one.span)


def repeated(text: str) -> list[str]:
    """Summaries of entries that repeat, which `absences` reads once only."""
    try:
        events: Iterable[Component] = _components(text).walk("VEVENT")
    except UNREADABLE as error:
        raise CalendarError(f"no iCalendar: {error}") from error
    return [str(event.get("summary", "")) for event in events if event.get("rrule") is not None]


def _components(text: str) -> Component:
    # As bytes: icalendar takes a single line of text for the path of a file, and would read it.
    return Calendar.from_ical(text.encode("utf-8", "replace"))


def _absence(event: Component, zone: ZoneInfo) -> Iterator[Away]:
    if str(event.get("status", "")).upper() == "CANCELLED" or event.get("dtstart") is None:
        return
    start = event.decoded("dtstart")
    if event.get("dtend") is not None:
        end = event.decoded("dtend")
    elif event.get("duration") is not None:
        end = start + event.decoded("duration")
    else:
        end = start + timedelta(days=0 if isinstance(start, datetime) else 1)
    span = Span(_instant(start, zone), _instant(end, zone))
    if span.end > span.begin:
        uid = str(event.get("uid") or f"{start}/{end}")
        if event.get("recurrence-id") is not None:
            uid += f"/{event.decoded('recurrence-id')}"
        yield Away(uid[:500], span, str(event.get("summary", ""))[:200])


def _instant(at: date | datetime, zone: ZoneInfo) -> datetime:
    if isinstance(at, datetime):
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    return instant(zone, at, time(0))
