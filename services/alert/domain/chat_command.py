"""What somebody typed after `/presence`, as a command. Pure: times are read in the asker's zone at `now`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

USUAL = timedelta(hours=2)
"""`take over` without a time."""
LONGEST = timedelta(days=7)
"""Longer absences belong into the rota: a slip of the hand should not move a month."""
SHORTEST = timedelta(minutes=5)


class Subject(StrEnum):
    """What is asked for."""

    help = "help"
    on_call = "on_call"
    take_over = "take_over"
    my_shifts = "my_shifts"
    open_episodes = "open_episodes"
    here = "here"
    incident = "incident"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that was understood; or not, and then `says` tells why."""

    subject: Subject
    duration: timedelta | None = None
    """For take_over."""
    rota: str | None = None
    text: str = ""
    """For incident: what it is about."""
    says: str | None = None


_WORDS: dict[Subject, re.Pattern[str]] = {
    Subject.help: re.compile(r"(help|\?|commands?)?"),
    Subject.on_call: re.compile(
        r"(who('?s| is)? )?(is )?(on[- ]?call|oncall)( (right )?now)?\??|who|now"
    ),
    Subject.here: re.compile(r"(i'?m |i am |yes,? )?(here|there|present)"),
    Subject.my_shifts: re.compile(r"(show )?(my )?shifts?|when am i on( call)?\??|me"),
    Subject.open_episodes: re.compile(
        r"(show )?(the )?(open|waiting|list|queue)( episodes?| matters?)?|episodes?|who('?s| is) waiting\??"
    ),
}
_INCIDENT = re.compile(r"(?:declare )?(?:an )?incident\b:?\s*(?P<text>.*)", re.DOTALL)
_TAKE_OVER = re.compile(r"(?:i(?:'ll| will)? )?(?:take[- ]?over|take)\b\s*(?P<rest>.*)")
_FOR = re.compile(
    r"(?<!\S)(?:for )?(?:(?P<half>half an hour)|(?P<number>an?|\d{1,4}(?:[.,]\d)?)\s*"
    r"(?P<unit>m|mins?|minutes?|h|hrs?|hours?|d|days?))(?!\S)"
)
_UNTIL = re.compile(
    r"(?<!\S)(?:un)?till?\s+(?:(?P<tomorrow>tomorrow)\s*(?:at )?)?"
    r"(?:(?P<word>noon|midnight)|(?P<hour>\d{1,2})(?:[:.h](?P<minute>\d{2}))?\s*(?P<half>am|pm)?)"
    r"(?P<also>\s+tomorrow)?(?!\S)"
)
_ROTA = re.compile(r"(?:(?:on|of|the|rota)\s+)*(?P<rota>[\w.-]+)(?:\s+rota)?")


def read_command(text: str, now: datetime, zone: str, rotas: tuple[str, ...] = ()) -> Command:
    """The command. Never raises: what is not understood says so."""
    typed = " ".join(text.replace("’", "'").split())
    words = typed.lower().rstrip(".!")
    for subject, pattern in _WORDS.items():
        if pattern.fullmatch(words):
            return Command(subject)
    if found := _INCIDENT.fullmatch(words):
        # What it is about keeps its capitals.
        length = len(found["text"])
        return Command(Subject.incident, text=typed.rstrip(".!")[-length:] if length else "")
    if found := _TAKE_OVER.fullmatch(words):
        return _take_over(found["rest"].strip(), now, zone, rotas)
    return Command(Subject.unknown, says=f"I do not know “{typed[:60]}”.")


def _take_over(rest: str, now: datetime, zone: str, rotas: tuple[str, ...]) -> Command:
    left, duration = _without_time(rest, now, zone)
    left = left.strip(" ,")
    rota = None
    if left:
        named = _ROTA.fullmatch(left)
        rota = next((one for one in rotas if named and one.lower() == named["rota"]), None)
        if rota is None:
            return Command(
                Subject.unknown,
                says=f"I do not understand “{left[:60]}”. Say “take over for 2 hours” or “take over"
                f" until 18:00”{_and_rotas(rotas)}.",
            )
    duration = USUAL if duration is None else duration
    if not SHORTEST <= duration <= LONGEST:
        return Command(
            Subject.unknown,
            says="You can take over for 5 minutes to 7 days. Longer changes belong into the rota.",
        )
    return Command(Subject.take_over, duration=duration, rota=rota)


def _and_rotas(rotas: tuple[str, ...]) -> str:
    return f"; rotas are {', '.join(rotas[:5])}" if len(rotas) > 1 else ""


def _without_time(rest: str, now: datetime, zone: str) -> tuple[str, timedelta | None]:
    """What is left once the time was taken out, and the time from now on."""
    for pattern, reads in ((_UNTIL, _until), (_FOR, _for)):
        for found in pattern.finditer(rest):
            duration = reads(found, now, zone)
            if duration is not None:
                return f"{rest[: found.start()]}{rest[found.end() :].strip()}", duration
    return rest, None


def _for(found: re.Match[str], _now: datetime, _zone: str) -> timedelta | None:
    if found["half"]:
        return timedelta(minutes=30)
    number = found["number"]
    count = 1.0 if number in ("a", "an") else float(number.replace(",", "."))
    match found["unit"][0]:
        case "m":
            return timedelta(minutes=count)
        case "h":
            return timedelta(hours=count)
    return timedelta(days=count)


def _until(found: re.Match[str], now: datetime, zone: str) -> timedelta | None:
    """Up to that time on the asker's wall: the next one that comes."""
    hour = {"noon": 12, "midnight": 0}.get(found["word"] or "", int(found["hour"] or 0))
    minute = int(found["minute"] or 0)
    if found["half"] and not 1 <= hour <= 12:
        return None
    if found["half"]:
        hour = hour % 12 + (12 if found["half"] == "pm" else 0)
    if hour == 24 and minute == 0:
        hour = 0
    if hour > 23 or minute > 59:
        return None
    local = now.astimezone(ZoneInfo(zone))
    then = local.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    if found["tomorrow"] or found["also"] or then.astimezone(now.tzinfo) <= now:
        then += timedelta(days=1)
    # Between instants, not between readings of a wall: a clock may be put forward in between.
    return then.astimezone(now.tzinfo) - now
