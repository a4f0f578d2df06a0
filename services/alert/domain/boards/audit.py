"""What the auditor finds and tells the engineers. Pure.

Nothing here should ever be found. Each finding is a promise of Presence that was not kept by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.alert.domain.boards.board import (
    Board,
    BoardKey,
    BoardKind,
    BoardLine,
    Content,
    Ping,
    Section,
    Wanted,
    ended,
    line_of,
)
from services.alert.domain.boards.places import at_clock, zone
from services.alert.domain.boards.troubles import Post
from services.contracts.configuration import Configuration

PATIENCE = timedelta(minutes=5)
"""So late something has to be before it is told: a restart or a database that fails over is shorter."""


SETTLES = timedelta(minutes=2)
"""So long after its start alert is given for what lay there meanwhile: paging waits a minute for intake."""


class Finding(StrEnum):
    """What can be wrong; also the metric's label."""

    no_timer = "no_timer"
    """Somebody waits, and nothing would ever wake anybody. The auditor sets the timer anew."""
    timer_overdue = "timer_overdue"
    outbox_overdue = "outbox_overdue"
    """Due long ago and not sent."""
    destination_stuck = "destination_stuck"
    given_up = "given_up"
    """Effects that found no place at all."""
    inbox_overdue = "inbox_overdue"
    announcements_overdue = "announcements_overdue"
    board_stuck = "board_stuck"
    """A live board that was never posted and is not waiting to be."""


OVERDUE = frozenset(
    {
        Finding.timer_overdue,
        Finding.outbox_overdue,
        Finding.inbox_overdue,
        Finding.announcements_overdue,
    }
)
"""What every outage leaves behind, and a start works off by itself."""

_SAYS = {
    Finding.no_timer: "{count} open episodes had no future timer: they were given one and page now",
    Finding.timer_overdue: "{count} escalation steps are overdue: alert is not sweeping, look at its log",
    Finding.outbox_overdue: "{count} messages to {about} are overdue: alert does not deliver there",
    Finding.destination_stuck: (
        "{about} takes no messages ({reason}): {count} wait, nothing is lost yet; "
        "look at its token and its channel"
    ),
    Finding.given_up: "{count} messages to {about} were given up ({reason}): look at the channel's id",
    Finding.inbox_overdue: "{count} events were stored and not folded: look at alert's log",
    Finding.announcements_overdue: "{count} events wait for Kafka: it does not take them",
    Finding.board_stuck: "{count} cards were made and never posted to {about}",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One finding."""

    finding: Finding
    count: int
    about: str = ""
    """A destination's id."""
    reason: str = ""
    more: bool = False
    """There are more than `count`."""

    @property
    def says(self) -> str:
        """One line: what is wrong and what to do."""
        return _SAYS[self.finding].format(
            count=f"{self.count}+" if self.more else self.count,
            about=self.about or "nowhere",
            reason=self.reason or "no answer",
        )


def audit(
    found: Sequence[Found],
    live: Sequence[Board],
    post: Post | None,
    configuration: Configuration,
    now: datetime,
) -> list[Wanted]:
    """One card while anything is found; its end once nothing is."""
    own = configuration.engineers
    if not found:
        return [
            Wanted(
                board.key,
                ended(board.content, "Auditor: nothing is wrong any more"),
                posted=board.key.destination == own,
                told="Auditor: nothing is wrong any more" if board.key.destination == own else None,
            )
            for board in live
        ]
    if live:
        board = live[-1]
        content = _content(found, configuration, board.made_at)
        return [Wanted(board.key, content, posted=board.key.destination == own)]
    if post is None:
        return []
    key = BoardKey(BoardKind.audit, "", post.destination, now.isoformat())
    pings = tuple(Ping(person) for person in post.people)
    return [Wanted(key, _content(found, configuration, now), pings, posted=post.channel)]


def _content(found: Sequence[Found], configuration: Configuration, made: datetime) -> Content:
    # Which findings, not how many of each: the card is not sent anew every few seconds.
    kinds = list(dict.fromkeys(one.finding for one in found))
    words = ", ".join(kind.value.replace("_", " ") for kind in kinds)
    at = at_clock(made, zone(configuration))
    return Content(
        headline=line_of(f"Auditor: {words} · since {at}"),
        zone=zone(configuration),
        sections=(Section("", tuple(BoardLine(_rounded(one).says) for one in found)),),
        subjects=tuple(dict.fromkeys(f"{one.finding.value}:{one.about}" for one in found)),
        urgent=True,
    )


def _rounded(found: Found) -> Found:
    """A count that grows by the second changes the card at 10, 20, …, 100, 200, … only."""
    step = 10 ** max(0, len(str(found.count)) - 1)
    count = found.count // step * step
    return replace(found, count=count, more=count < found.count)
